//! The use-cases, in the order of their steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use meshgate_engine::{Engine, Plan, PlanInput, QueryLimits, Request};
use meshgate_govern::{Governor, QueryScope};
use meshgate_identity::{ClientInfo, Credential, Identity};
use meshgate_ledger::{Client, Denial, End, Ledger, Released};
use meshgate_model::{Clock, Entropy, Epoch, Failure, Finding, QueryId, Severity};
use meshgate_table::Tables;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::caller::View;
use crate::catalog::Reach;
use crate::flow::stream;
use crate::kept::{Kept, KeptPlan};
use crate::mesh::Mesh;
use crate::record::Asked;
use crate::running::{Entry, Running};
use crate::strangers::Strangers;
use crate::{
    Caller, Description, Error, Limits, MeshSource, Planned, QueryStream, SessionOptions, Snapshots, Statement,
    StatementKind, results,
};

/// What a gateway is made of.
pub struct Parts {
    /// Checks credentials.
    pub identity: Identity,
    /// Keeps the audit trail.
    pub ledger: Arc<Ledger>,
    /// Opens tables.
    pub tables: Arc<Tables>,
    /// Plans and executes.
    pub engine: Arc<Engine>,
    /// Where the mesh is.
    pub mesh: MeshSource,
    /// The mesh's secret: the key of `hmac-sha-256`.
    pub mesh_key: [u8; 32],
    /// Limits of what is kept between two calls.
    pub limits: Limits,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Whether a gateway can do new work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It can, but the audit trail's anchors cannot be written at the moment.
    Unanchored,
    /// The audit trail cannot be written, and what cannot be recorded does not happen.
    Unrecorded,
    /// It is shutting down.
    Draining,
}

/// The gate.
pub struct Gateway {
    identity: Identity,
    ledger: Arc<Ledger>,
    tables: Arc<Tables>,
    engine: Arc<Engine>,
    governor: Arc<Governor>,
    source: MeshSource,
    mesh: ArcSwap<Mesh>,
    reloading: tokio::sync::Mutex<()>,
    epochs: AtomicU64,
    kept: Kept,
    statement_bytes_max: usize,
    strangers: Strangers,
    running: Running,
    draining: AtomicBool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Gateway {
    /// Reads the mesh and opens the gate. If the global part of the mesh is invalid, it stays shut.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, Error> {
        let Parts { identity, ledger, tables, engine, mesh: source, mesh_key, limits, clock, entropy } = parts;
        let mesh = load(source.clone(), Epoch(1), None).await?;
        released(&ledger, &mesh);
        Ok(Arc::new(Self {
            strangers: Strangers::new(ledger.clone(), clock.clone(), limits.strangers),
            identity,
            ledger,
            tables,
            engine,
            governor: Arc::new(Governor::new(mesh_key)),
            source,
            mesh: ArcSwap::from_pointee(mesh),
            reloading: tokio::sync::Mutex::new(()),
            epochs: AtomicU64::new(1),
            kept: Kept::new(limits, clock.clone()),
            statement_bytes_max: limits.statement_bytes_max,
            running: Running::default(),
            draining: AtomicBool::new(false),
            clock,
            entropy,
        }))
    }

    /// Checks a credential.
    pub async fn authenticate(&self, credential: Credential, client: ClientInfo) -> Result<Caller, Error> {
        if !self.is_serving() {
            return Err(Error::Draining);
        }
        let mesh = self.mesh.load_full();
        match self.identity.authenticate(&credential, &client, &mesh.release.mesh().attributes).await {
            Ok(principal) => Ok(Caller { principal: Arc::new(principal), client, credential }),
            Err(error) => {
                self.strangers.refused(Denial {
                    query: None,
                    principal: None,
                    client: Client::from(&client),
                    statement: None,
                    fault: error.fault(),
                    reason: error.to_string(),
                    times: 1,
                });
                Err(Error::below(error))
            }
        }
    }

    /// Says what a statement is, without executing it.
    pub async fn describe(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        statement: &Statement,
    ) -> Result<Description, Error> {
        let asked = self.asked(caller, options, statement, self.query_id());
        asked.step(self.describe_statement(caller, options, statement).await)
    }

    /// Plans a query and keeps the plan until it is executed or expires.
    pub async fn plan(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        statement: &Statement,
    ) -> Result<Planned, Error> {
        let id = self.query_id();
        let asked = self.asked(caller, options, statement, id);
        let (view, plan, snapshots) = asked.step(self.plan_statement(caller, options, statement).await)?;
        let epoch = view.mesh.release.epoch();
        let parts = plan.parts();
        let app_metadata = results::metadata(id, &plan);
        let schema = results::schema(plan.schema(), &app_metadata);
        self.kept.put(KeptPlan { id, epoch, options: options.clone(), view, plan });
        Ok(Planned { id, epoch, schema, app_metadata, snapshots: snapshots.settled(), parts })
    }

    /// Executes a planned query; plans it once more from its statement, under the same id, if its plan was used, has
    /// expired, or belongs to other rules than those in force now.
    pub async fn execute(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        id: QueryId,
        statement: &Statement,
    ) -> Result<QueryStream, Error> {
        if !self.is_serving() {
            return Err(Error::Draining);
        }
        let asked = self.asked(caller, options, statement, id);
        // SECURITY: authorised again on use: time may have passed since the plan was made.
        let now = asked.step(self.view(caller, options))?;
        let kept = self.kept.take(id, caller, options, self.epoch()).filter(|kept| kept.has_rights_of(&now));
        let (view, plan) = match kept {
            Some(kept) => (kept.view, kept.plan),
            None => {
                let (view, plan, _) = asked.step(self.plan_statement(caller, options, statement).await)?;
                (view, plan)
            }
        };
        // Whether a result can be parted depends on rights: with other rights its parts would not make a whole.
        if plan.parts() != statement.part.of {
            return asked.step(Err(Error::Revoked));
        }
        let app_metadata = results::metadata(id, &plan);
        let schema = results::schema(plan.schema(), &app_metadata);
        let rights = plan.touched().iter().map(|lineage| (lineage.table.clone(), view.decide(&lineage.table)));
        let rights = rights.collect::<Vec<_>>();
        let limits = QueryLimits { principal: principal_key(caller), deadline_s: options.deadline_s };
        let deadline_s = self.engine.options().deadline_s(&limits);
        // Durable before the first byte.
        let intended = asked.clone().intended(view.mesh.release.epoch(), &plan, deadline_s).await;
        // From here on the record closes however this ends: a client that leaves while it waits for its turn included.
        let mut metered = asked.step(intended)?.metered();
        let rows = match asked.step(self.engine.execute(plan, limits).await.map_err(Error::below)) {
            Ok(rows) => rows,
            Err(error) => {
                metered.finish(End::Failed { fault: error.fault() });
                return Err(error);
            }
        };
        let entry = Entry {
            caller: caller.clone(),
            view: view.clone(),
            rights,
            stop: rows.cancellation(),
            revoked: CancellationToken::new(),
            confirmed: Arc::new(AtomicI64::new(self.clock.now().micros())),
        };
        let registered = self.running.register(id, entry.clone());
        // A reload between planning and registering would have missed this query.
        if self.epoch() != view.mesh.release.epoch() {
            self.running.recheck(&self.mesh.load_full(), self.clock.now());
        }
        let revoked = registered.revoked.clone();
        Ok(QueryStream { id, schema, revoked, batches: stream(rows, statement.part, metered, registered) })
    }

    /// Forgets a caller's plan that nobody is going to execute.
    pub fn forget(&self, caller: &Caller, id: QueryId) {
        self.kept.forget(id, caller);
    }

    /// Runs SET, RESET or USE.
    pub async fn change_session(&self, caller: &Caller, options: &mut SessionOptions, sql: &str) -> Result<(), Error> {
        let statement = Statement { sql: sql.to_owned(), ..Statement::default() };
        let asked = self.asked(caller, options, &statement, self.query_id());
        let changed = self.changed(caller, options, sql);
        *options = asked.step(changed)?;
        Ok(())
    }

    /// Checks options that a client set one by one, without SQL.
    pub fn check_options(&self, caller: &Caller, options: &SessionOptions) -> Result<(), Error> {
        self.view(caller, options).map(drop)
    }

    /// What one caller sees now.
    pub(crate) fn view(&self, caller: &Caller, options: &SessionOptions) -> Result<View, Error> {
        if !self.is_serving() {
            return Err(Error::Draining);
        }
        View::new(self.mesh.load_full(), caller, options, self.clock.now())
    }

    /// Reads the mesh again and puts it in force. An invalid global part is refused, and the mesh before stays.
    pub async fn reload(&self) -> Result<Epoch, Error> {
        let _one_at_a_time = self.reloading.lock().await;
        let epoch = Epoch(self.epochs.load(Ordering::SeqCst) + 1);
        let mesh = Arc::new(load(self.source.clone(), epoch, Some(self.mesh.load_full())).await?);
        released(&self.ledger, &mesh);
        self.epochs.store(epoch.0, Ordering::SeqCst);
        self.mesh.store(mesh.clone());
        self.kept.clear();
        self.running.recheck(&mesh, self.clock.now());
        Ok(epoch)
    }

    /// Ends running queries whose credential is no longer valid, or whose rights have ended with time, and writes down how
    /// many strangers were refused. Called every few seconds.
    pub async fn revalidate(&self) {
        self.strangers.sweep();
        self.running.recheck(&self.mesh.load_full(), self.clock.now());
        for entry in self.running.entries() {
            let mesh = self.mesh.load_full();
            let attributes = &mesh.release.mesh().attributes;
            let caller = &entry.caller;
            let confirmed = self.identity.confirm(&caller.principal, &caller.credential, attributes).await;
            let lost = match confirmed {
                Ok(true) => {
                    entry.confirm(self.clock.now());
                    false
                }
                Ok(false) => true,
                Err(error) => {
                    tracing::warn!(%error, principal = caller.name(), "a credential cannot be confirmed just now");
                    entry.is_unconfirmed(self.clock.now())
                }
            };
            if lost {
                entry.revoke();
            }
        }
    }

    /// The release in force.
    pub fn epoch(&self) -> Epoch {
        self.mesh.load().release.epoch()
    }

    /// What validation says of the release in force.
    pub fn findings(&self) -> Vec<Finding> {
        self.mesh.load().release.findings().to_vec()
    }

    /// Whether new work is taken.
    pub fn is_serving(&self) -> bool {
        !self.draining.load(Ordering::SeqCst)
    }

    /// Whether new work can be done, and if not, why not.
    pub fn readiness(&self) -> Readiness {
        if !self.is_serving() {
            Readiness::Draining
        } else if !self.ledger.is_healthy() {
            Readiness::Unrecorded
        } else if !self.ledger.is_anchored() {
            Readiness::Unanchored
        } else {
            Readiness::Ready
        }
    }

    /// Takes no new work from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// How many queries run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Ends all running queries, and writes down what was only counted.
    pub fn stop(&self) {
        self.running.stop_all();
        self.strangers.finish();
    }

    fn asked(&self, caller: &Caller, options: &SessionOptions, statement: &Statement, id: QueryId) -> Asked {
        Asked {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            id,
            caller: caller.clone(),
            statement: recorded(&statement.sql, self.statement_bytes_max),
            purpose: options.purpose.clone(),
        }
    }

    async fn describe_statement(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        statement: &Statement,
    ) -> Result<Description, Error> {
        let request = Request::read(&statement.sql, self.engine.options()).map_err(Error::below)?;
        // Before anything is looked at through the session's options: a session whose purpose is gone can be mended.
        if request.session_changes().is_some() {
            let none = Arc::new(arrow::datatypes::Schema::empty());
            return Ok(Description { kind: StatementKind::Session, schema: none.clone(), parameters: none });
        }
        let view = self.view(caller, options)?;
        let input = self.input(view, request, options, statement, Snapshots::within(statement.snapshots.clone()));
        let (schema, parameters) = self.engine.describe(input).await.map_err(Error::below)?;
        Ok(Description { kind: StatementKind::Query, schema, parameters })
    }

    async fn plan_statement(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        statement: &Statement,
    ) -> Result<(View, Plan, Arc<Snapshots>), Error> {
        let view = self.view(caller, options)?;
        let request = Request::read(&statement.sql, self.engine.options()).map_err(Error::below)?;
        let snapshots = Snapshots::within(statement.snapshots.clone());
        let input = self.input(view.clone(), request, options, statement, snapshots.clone());
        let plan = self.engine.plan(input).await.map_err(Error::below)?;
        Ok((view, plan, snapshots))
    }

    fn input(
        &self,
        view: View,
        request: Request,
        options: &SessionOptions,
        statement: &Statement,
        snapshots: Arc<Snapshots>,
    ) -> PlanInput {
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        let now = view.request.now;
        let scope = QueryScope { now, salt };
        let reach = Reach {
            view,
            options: options.clone(),
            scope,
            tables: self.tables.clone(),
            governor: self.governor.clone(),
            snapshots,
        };
        PlanInput {
            request,
            catalog: Arc::new(reach),
            default_catalog: options.catalog.clone(),
            default_schema: options.schema.clone(),
            timezone: options.timezone.clone(),
            now,
            parameters: statement.parameters.clone(),
            parts: options.endpoints.unwrap_or(1).min(self.kept.endpoints_max()),
        }
    }

    fn changed(&self, caller: &Caller, options: &SessionOptions, sql: &str) -> Result<SessionOptions, Error> {
        let request = Request::read(sql, self.engine.options()).map_err(Error::below)?;
        let changes = request.session_changes().ok_or(Error::NoSessionStatement)?;
        let mut changed = options.clone();
        for change in changes {
            changed.set(&change.name, change.value.as_deref())?;
        }
        self.check_options(caller, &changed)?;
        Ok(changed)
    }

    /// A UUID of version 7: ordered by time, the rest random.
    fn query_id(&self) -> QueryId {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        let millis = self.clock.now().millis().max(0).unsigned_abs();
        QueryId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128())
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

async fn load(source: MeshSource, epoch: Epoch, before: Option<Arc<Mesh>>) -> Result<Mesh, Error> {
    tokio::task::spawn_blocking(move || source.load(epoch, before.as_ref()))
        .await
        .map_err(|error| Error::Internal { what: format!("loading the mesh: {error}") })?
}

fn released(ledger: &Ledger, mesh: &Mesh) {
    let findings = mesh.release.findings();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    for finding in findings {
        match finding.severity {
            Severity::Error => tracing::error!(%finding, "mesh"),
            Severity::Warning => tracing::warn!(%finding, "mesh"),
            Severity::Notice => tracing::info!(%finding, "mesh"),
        }
    }
    let epoch = mesh.release.epoch();
    tracing::info!(%epoch, errors, findings = findings.len(), "release in force");
    ledger.append_lazy(Released { epoch, errors: errors as u64, findings: findings.len() as u64 });
}

/// A statement as the audit trail keeps it: whole, or its beginning with what tells it from every other.
fn recorded(sql: &str, bytes_max: usize) -> String {
    if sql.len() <= bytes_max {
        return sql.to_owned();
    }
    let cut = sql.floor_char_boundary(bytes_max);
    format!("{} ... ({} bytes in all, SHA-256 {:x})", &sql[..cut], sql.len(), Sha256::digest(sql.as_bytes()))
}

fn principal_key(caller: &Caller) -> String {
    format!("{:?} {}", caller.principal.kind(), caller.principal.name())
}
