//! A mesh in a temporary directory and a gateway over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use meshgate_engine::Engine;
use meshgate_gateway::{Caller, Error, Gateway, Limits, MeshSource, Parts, SessionOptions, Statement};
use meshgate_identity::{
    ClientInfo, Credential, Identity, MemoryStore, NewToken, NewUser, Options, PrincipalKind, Registrar,
};
use meshgate_ledger::Ledger;
use meshgate_model::{Clock, Entropy, Secret};
use meshgate_table::{CacheOptions, StoreOptions, Tables};
use tempfile::TempDir;

use crate::Product;
use crate::ambient::{Counter, WallClock};
use crate::attack::canary;

/// Files of a mesh, before a gateway looks at them.
pub struct WorldBuilder {
    directory: TempDir,
    domains: Vec<String>,
    attributes: String,
    engine: meshgate_engine::Options,
    identity: Options,
}

/// A gateway over a mesh.
pub struct World {
    directory: Arc<TempDir>,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    registrar: Registrar,
    ledger: Arc<Ledger>,
    rest: Rest,
}

/// What another gateway over the same mesh is made of.
#[derive(Clone)]
struct Rest {
    store: Arc<MemoryStore>,
    engine: meshgate_engine::Options,
    identity: Options,
}

impl WorldBuilder {
    /// An empty mesh.
    pub fn new() -> Self {
        // A path that reaches a client is found as what it is.
        let named = tempfile::Builder::new().prefix(&format!("{}-path-", canary::TEXT)).tempdir();
        let directory = named.expect("a temporary directory");
        let engine = meshgate_engine::Options {
            spill_dir: directory.path().join("state/spill"),
            memory_bytes: 512 << 20,
            memory_bytes_per_query: 512 << 20,
            ..meshgate_engine::Options::default()
        };
        Self { directory, domains: Vec::new(), attributes: String::new(), engine, identity: Options::default() }
    }

    /// The mesh directory.
    pub fn mesh(&self) -> PathBuf {
        self.directory.path().join("mesh")
    }

    /// Where a domain's data lies.
    pub fn data(&self, domain: &str, table: &str) -> PathBuf {
        self.mesh().join("data").join(domain).join(table)
    }

    /// A domain that reads from `./data/<name>/`, owned by the group `<name>-owners`.
    pub fn domain(mut self, name: &str) -> Self {
        self.domains.push(name.to_owned());
        self.write(&format!("domains/{name}/domain.yaml"), &format!("name: {name}\n"));
        self
    }

    /// The `attributes:` of mesh.yaml, as YAML in one line.
    pub fn attributes(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.attributes);
        self
    }

    /// Limits of the engine.
    pub fn engine(mut self, change: impl FnOnce(&mut meshgate_engine::Options)) -> Self {
        change(&mut self.engine);
        self
    }

    /// Who is let in, and how.
    pub fn identity(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.identity);
        self
    }

    /// A file of the mesh.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// A product's documents.
    pub fn product(self, product: &Product) -> Self {
        let folder = format!("domains/{}/products/{}", product.domain, product.name);
        self.write(&format!("{folder}/product.odps.yaml"), &product.odps());
        for (name, text) in product.odcs() {
            self.write(&format!("{folder}/{name}"), &text);
        }
        self
    }

    /// A Delta table of a domain, one commit for each batch.
    pub async fn delta(self, domain: &str, table: &str, batches: Vec<RecordBatch>) -> Self {
        let path = self.data(domain, table);
        for batch in batches {
            meshgate_table_delta::append(&path, [batch], &[]).await.expect("a Delta table");
        }
        self
    }

    /// An Iceberg table of a domain.
    pub async fn iceberg(self, domain: &str, table: &str, batches: Vec<RecordBatch>) -> Self {
        meshgate_table_iceberg::write(&self.data(domain, table), batches, &[]).await.expect("an Iceberg table");
        self
    }

    /// A directory of Parquet files of a domain, one file for each batch, with a directory for each value of the given
    /// columns.
    pub fn parquet(self, domain: &str, table: &str, batches: Vec<RecordBatch>, partition_by: &[&str]) -> Self {
        for (number, batch) in batches.iter().enumerate() {
            let name = format!("part-{number:05}");
            meshgate_table_parquet::append(&self.data(domain, table), &name, batch, partition_by).expect("files");
        }
        self
    }

    /// Opens the gate.
    pub async fn start(self) -> Result<World, Error> {
        let mut yaml = "name: test\ndomains:\n".to_owned();
        for domain in &self.domains {
            let owners = format!("    owners: [{domain}-owners]\n");
            let storage = format!("    storage:\n      - prefix: ./data/{domain}/\n");
            std::fs::create_dir_all(self.mesh().join("data").join(domain)).expect("a data directory");
            yaml += &format!("  {domain}:\n{owners}{storage}");
        }
        if !self.attributes.is_empty() {
            yaml += &format!("attributes: {}\n", self.attributes);
        }
        yaml += "purposes: [marketing, fraud]\n";
        if !self.mesh().join("mesh.yaml").exists() {
            self.write("mesh.yaml", &yaml);
        }
        let rest = Rest { store: Arc::default(), engine: self.engine, identity: self.identity };
        World::open(Arc::new(self.directory), rest, "state").await
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.mesh().join(path), text);
    }
}

impl Default for WorldBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    async fn open(directory: Arc<TempDir>, rest: Rest, state: &str) -> Result<Self, Error> {
        let state = directory.path().join(state);
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let entropy: Arc<dyn Entropy> = Arc::new(Counter::default());
        let registrar = Registrar::new(rest.store.clone(), clock.clone(), entropy.clone());
        let identity = Identity::new(rest.store.clone(), rest.identity.clone(), clock.clone(), entropy.as_ref());
        let engine = meshgate_engine::Options { spill_dir: state.join("spill"), ..rest.engine.clone() };
        let ledger = Ledger::open(&state.join("audit"), meshgate_ledger::Options::default(), clock.clone());
        let ledger = Arc::new(ledger.map_err(Error::below)?);
        let formats: Vec<Arc<dyn meshgate_table::TableFormat>> = vec![
            Arc::new(meshgate_table_delta::DeltaFormat),
            Arc::new(meshgate_table_iceberg::IcebergFormat::new(clock.clone())),
            Arc::new(meshgate_table_parquet::ParquetFormat::default()),
        ];
        let parts = Parts {
            identity,
            ledger: ledger.clone(),
            tables: Arc::new(Tables::new(formats, CacheOptions::default(), clock.clone())),
            engine: Arc::new(Engine::new(engine).map_err(Error::below)?),
            mesh: MeshSource {
                directory: directory.path().join("mesh"),
                environment: None,
                credentials: BTreeMap::new(),
                stores: StoreOptions::default(),
            },
            mesh_key: [7; 32],
            limits: Limits::default(),
            clock,
            entropy,
        };
        let gateway = Gateway::open(parts).await?;
        Ok(Self { directory, gateway, registrar, ledger, rest })
    }

    /// Another gateway over the same mesh with the same users, as another process would be.
    pub async fn sibling(&self) -> Self {
        Self::open(self.directory.clone(), self.rest.clone(), "sibling").await.expect("the mesh is valid")
    }

    /// The mesh directory.
    pub fn mesh(&self) -> PathBuf {
        self.directory.path().join("mesh")
    }

    /// Adds a commit to a Delta table of a domain.
    pub async fn append(&self, domain: &str, table: &str, batch: RecordBatch) {
        let path = self.mesh().join("data").join(domain).join(table);
        meshgate_table_delta::append(&path, [batch], &[]).await.expect("a commit");
    }

    /// The directory of the audit trail.
    pub fn audit(&self) -> PathBuf {
        self.directory.path().join("state/audit")
    }

    /// Waits until everything recorded so far is on disk.
    pub async fn flush_audit(&self) {
        self.ledger.flush().await.expect("the audit trail is written");
    }

    /// Changes a file of the mesh; a reload makes it count.
    pub fn write(&self, path: &str, text: &str) {
        write(&self.mesh().join(path), text);
    }

    /// A new user with a token, authenticated. Attributes are `name=value`.
    pub async fn user(&self, name: &str, groups: &[&str], attributes: &[(&str, &str)]) -> Caller {
        let token = self.token(name, groups, attributes).await;
        let client = ClientInfo { address: None, user_agent: None };
        self.gateway.authenticate(Credential::Bearer(token), client).await.expect("a fresh token is valid")
    }

    /// A new user with a password.
    pub async fn add_user(&self, name: &str, password: &str, groups: &[&str]) {
        let user = NewUser {
            name: name.to_owned(),
            password: Secret::new(password),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            attributes: BTreeMap::new(),
        };
        self.registrar.add_user(user).await.expect("a new user");
    }

    /// A new user's token.
    pub async fn token(&self, name: &str, groups: &[&str], attributes: &[(&str, &str)]) -> Secret {
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in attributes {
            texts.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        let token = NewToken {
            kind: PrincipalKind::User,
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            attributes: texts,
            ttl_s: None,
        };
        self.registrar.create_token(token).await.expect("a token").secret
    }

    /// Runs a query to its end.
    pub async fn query(&self, caller: &Caller, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        self.query_with(caller, &SessionOptions::default(), sql, None).await
    }

    /// Runs a query to its end, with options and values of parameters.
    pub async fn query_with(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        sql: &str,
        parameters: Option<RecordBatch>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let statement = Statement { sql: sql.to_owned(), parameters, ..Statement::default() };
        let planned = self.gateway.plan(caller, options, &statement).await?;
        let stream = self.gateway.execute(caller, options, planned.id, &statement).await?;
        stream.batches.try_collect().await
    }

    /// The rows of a query as text, cells separated by tabs; or the public text of its error after `error: `.
    pub async fn text(&self, caller: &Caller, sql: &str) -> Vec<String> {
        match self.query(caller, sql).await {
            Ok(batches) => rows_text(&batches),
            Err(error) => vec![format!("error: {}", meshgate_model::Failure::public(&error))],
        }
    }
}

/// Rows as text, cells separated by tabs, NULL as `NULL`.
pub fn rows_text(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column"))
            .collect::<Vec<_>>();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>();
            lines.push(cells.join("\t"));
        }
    }
    lines
}

fn write(path: &Path, text: &str) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("a directory of the mesh");
    }
    std::fs::write(path, text).expect("a file of the mesh");
}
