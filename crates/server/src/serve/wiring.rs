//! Who is given to whom: the only place that knows every crate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meshgate_engine::Engine;
use meshgate_flight::Settings;
use meshgate_gateway::{Gateway, Limits, MeshSource, Parts};
use meshgate_identity::{Identity, Options as IdentityOptions};
use meshgate_ledger::{Ledger, Options as LedgerOptions, Started, Stopped};
use meshgate_model::{Clock, Entropy, Epoch};
use meshgate_product::Watcher;
use meshgate_state::State;
use meshgate_table::{CacheOptions, StoreOptions, TableFormat, Tables};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::certificates::Certificates;
use super::{anchors, fetch};
use crate::ambient::{SystemClock, SystemEntropy};
use crate::config::{Cache, Config};
use crate::trouble::{Outcome, Trouble};

/// How soon a running query ends after its token was revoked or has expired.
const REVALIDATE_EVERY: Duration = Duration::from_secs(2);

/// A gateway with everything that works for it.
pub(super) struct Wired {
    gateway: Arc<Gateway>,
    ledger: Arc<Ledger>,
    state: State,
    flight: Settings,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    _watcher: Watcher,
    _chores: JoinSet<()>,
}

/// Builds everything from the bottom up. Nothing listens yet.
pub(super) async fn wire(config: &Config, mesh: &Path) -> Outcome<Wired> {
    let certificates = config.flight.tls.as_ref().map(Certificates::read).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    // The watcher starts before the mesh is read, so that no change is missed in between.
    let (touched, touches) = watch::channel(());
    let watcher = Watcher::start(mesh, move || touched.send_replace(()));
    let watcher = watcher.map_err(|error| Trouble::of("the mesh cannot be watched", &error))?;

    let state = State::open(&format!("sqlite://{}", config.state.file.display())).await;
    let state = state.map_err(|error| Trouble::of("the state cannot be opened", &error))?;
    let secrets = Secrets::of(&state, entropy.as_ref()).await?;
    let options = LedgerOptions { fsync: config.audit.fsync, ..LedgerOptions::default() };
    let ledger = match &config.audit.anchors {
        Some(anchors) => {
            let anchoring = anchors::anchoring(anchors, entropy.as_ref())?;
            Ledger::open_anchored(&config.audit.dir, options, anchoring, clock.clone())
        }
        None => Ledger::open(&config.audit.dir, options, clock.clone()),
    };
    let ledger = Arc::new(ledger.map_err(|error| Trouble::of("the audit trail cannot be opened", &error))?);
    ledger.append_lazy(Started { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() });
    let engine = Engine::new(config.engine.clone());
    let engine = Arc::new(engine.map_err(|error| Trouble::of("the engine cannot be started", &error))?);
    let tables = Arc::new(Tables::new(
        formats(&config.cache, &clock),
        CacheOptions { footers_bytes: config.cache.footers_bytes, ..CacheOptions::default() },
        clock.clone(),
    ));
    let identity = Identity::new(
        Arc::new(state.clone()),
        IdentityOptions {
            anonymous: config.identity.anonymous,
            password_login: config.identity.password_login,
            issuers: fetch::issuers(&config.identity.oidc)?,
            services: config.identity.mtls.clone(),
            ..IdentityOptions::default()
        },
        clock.clone(),
        entropy.as_ref(),
    );
    let gateway = Gateway::open(Parts {
        identity,
        ledger: ledger.clone(),
        tables,
        engine,
        mesh: MeshSource {
            directory: mesh.to_owned(),
            environment: config.environment.clone(),
            credentials: config.credentials.clone(),
            stores: StoreOptions::default(),
        },
        mesh_key: secrets.mesh,
        limits: Limits {
            endpoints_max: config.flight.endpoints_max,
            statement_bytes_max: config.audit.statement_bytes_max,
            ..Limits::default()
        },
        clock: clock.clone(),
        entropy: entropy.clone(),
    });
    let gateway = gateway.await.map_err(|error| {
        Trouble::of(format!("the mesh in {} cannot be served", mesh.display()), &error)
            .in_config()
            .hint(format!("`meshgate check {}` shows everything that is wrong", mesh.display()))
    })?;
    let kept = &config.flight.kept;
    let flight = Settings {
        max_message_bytes: config.flight.message_bytes_max,
        drain_s: config.flight.drain_s,
        ticket_ttl_s: kept.ticket_ttl_s,
        handle_ttl_s: kept.handle_ttl_s,
        handles_max: kept.handles_max,
        bindings_bytes_max: kept.bindings_bytes_max,
        transaction_ttl_s: kept.transaction_ttl_s,
        transactions_max: kept.transactions_max,
        transaction_tables_max: kept.transaction_tables_max,
        session_ttl_s: kept.session_ttl_s,
        sessions_max: kept.sessions_max,
        bearer_ttl_s: kept.bearer_ttl_s,
        ..Settings::new(secrets.seal, clock, entropy)
    };
    let mut chores = chores(&gateway, touches);
    let tls = certificates.as_ref().map(Certificates::in_force);
    certificates.map(|certificates| chores.spawn(certificates.keep_fresh()));
    Ok(Wired { gateway, ledger, state, flight, tls, _watcher: watcher, _chores: chores })
}

/// The gateway's own secrets, kept in its state.
struct Secrets {
    mesh: [u8; 32],
    seal: [u8; 32],
}

impl Secrets {
    async fn of(state: &State, entropy: &dyn Entropy) -> Outcome<Self> {
        let failed = |error| Trouble::of("the gateway's secrets cannot be read", &error);
        Ok(Self {
            mesh: state.secret("mesh", entropy).await.map_err(failed)?,
            seal: state.secret("seal", entropy).await.map_err(failed)?,
        })
    }
}

fn formats(config: &Cache, clock: &Arc<dyn Clock>) -> Vec<Arc<dyn TableFormat>> {
    let parquet = meshgate_table_parquet::ParquetFormat { files_max: config.parquet_files_max };
    vec![
        Arc::new(meshgate_table_delta::DeltaFormat),
        Arc::new(meshgate_table_iceberg::IcebergFormat::new(clock.clone())),
        Arc::new(parquet),
    ]
}

/// What has to be done again and again. Ends when the set is dropped.
fn chores(gateway: &Arc<Gateway>, mut touches: watch::Receiver<()>) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    let reloading = gateway.clone();
    chores.spawn(async move {
        while touches.changed().await.is_ok() {
            reload(&reloading).await;
        }
    });
    let revalidating = gateway.clone();
    chores.spawn(async move {
        let mut every = tokio::time::interval(REVALIDATE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            revalidating.revalidate().await;
        }
    });
    chores
}

async fn reload(gateway: &Gateway) {
    match gateway.reload().await {
        Ok(epoch) => {
            tracing::info!(%epoch, "the mesh was read again");
        }
        Err(error) => tracing::error!(%error, "the mesh was not read again: the one before stays in force"),
    }
}

impl Wired {
    /// The release in force.
    pub(super) fn epoch(&self) -> Epoch {
        self.gateway.epoch()
    }

    /// Reads the mesh again.
    pub(super) async fn reload(&self) {
        reload(&self.gateway).await;
    }

    /// Serves Flight SQL until told to stop, then drains.
    pub(super) fn serve_flight(
        &self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let (gateway, settings, tls) = (self.gateway.clone(), self.flight.clone(), self.tls.clone());
        let served = meshgate_flight::serve(listener, gateway, settings, tls, told(stop));
        async { served.await.map_err(|error| Trouble::failure("the Flight SQL listener failed").because(&error)) }
    }

    /// Serves HTTP until told to stop.
    pub(super) fn serve_http(
        &self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let served = meshgate_http::serve(listener, self.gateway.clone(), told(stop));
        async { served.await.map_err(|error| Trouble::failure("the HTTP listener failed").because(&error)) }
    }

    /// Takes no new work from now on.
    pub(super) fn drain(&self) {
        self.gateway.drain();
    }

    /// Ends what is left and writes the last records.
    pub(super) async fn close(self) {
        self.gateway.stop();
        self.ledger.append_lazy(Stopped { reason: "told to".to_owned() });
        let ledger = self.ledger.clone();
        if tokio::task::spawn_blocking(move || ledger.close()).await.is_err() {
            tracing::error!("the audit trail could not be closed");
        }
        self.state.close().await;
    }
}

/// Ready when it is time to stop.
async fn told(mut stop: watch::Receiver<bool>) {
    // An error says that the sender is gone, which means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
