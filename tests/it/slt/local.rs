//! A file's statements in DataFusion itself: what makes the tables, and what DataFusion says where the gateway says
//! something else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemorySchemaProvider};
use datafusion::common::{ResolvedTableReference, TableReference};
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;
use tempfile::TempDir;

use super::answer::Answer;
use super::reason::Reason;

/// Rows with their schema, of which there may be no batch.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub(super) schema: SchemaRef,
    pub(super) rows: RecordBatch,
}

/// The session that a file runs in.
pub(super) struct Local {
    context: SessionContext,
    /// The crate.
    folder: PathBuf,
    /// For what statements write to `test_files/scratch`.
    scratch: TempDir,
    settings: HashMap<String, Option<String>>,
    /// Tables that are not as the file wants them, and why.
    lacking: HashMap<ResolvedTableReference, Reason>,
    /// Why the last statement failed that the file wants to succeed.
    failed: Option<Reason>,
}

impl Local {
    /// As the crate's own runner makes it.
    pub(super) fn new(folder: &Path, file: &Path) -> Self {
        let config = SessionConfig::new().with_target_partitions(4);
        let context = SessionContext::new_with_config_rt(config, Arc::new(RuntimeEnv::default()));
        let scratch = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(scratch.path().join(file.file_stem().unwrap_or_default())).expect("a directory");
        let settings = settings(&context);
        let folder = folder.to_owned();
        Self { context, folder, scratch, settings, lacking: HashMap::new(), failed: None }
    }

    pub(super) fn read(&self, sql: &str) -> Result<Statement, String> {
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        state.sql_to_statement(sql, &dialect).map_err(|error| error.to_string())
    }

    /// The tables that a statement names, as written and in full.
    pub(super) fn names(&self, statement: &Statement) -> Vec<(TableReference, ResolvedTableReference)> {
        let state = self.context.state();
        let options = state.config_options();
        let found = resolve_table_references(statement, options.sql_parser.enable_ident_normalization);
        let (tables, _) = found.unwrap_or_default();
        let catalog = &options.catalog;
        let full = |name: TableReference| name.resolve(&catalog.default_catalog, &catalog.default_schema);
        tables.into_iter().map(|name| (name.clone(), full(name))).collect()
    }

    /// Why a table is not as the file wants it.
    pub(super) fn lacks(&self, table: &ResolvedTableReference) -> Option<Reason> {
        self.lacking.get(table).copied()
    }

    /// Runs a statement that changes something; what it makes lacks something if it fails and should not.
    pub(super) async fn change(&mut self, sql: &str, statement: &Statement, should_succeed: bool) {
        let target = self.target(statement);
        if let (Statement::CreateExternalTable(external), Some(target)) = (statement, &target) {
            let absent =
                |location: &String| !Path::new(&self.placed(&format!("'{location}'")).replace('\'', "")).exists();
            if should_succeed && external.locations.iter().any(absent) {
                let written = external.locations.iter().any(|location| location.contains("scratch"));
                let reason = self.failed.filter(|_| written).unwrap_or(Reason::NotShipped);
                self.lacking.insert(target.clone(), reason);
                return;
            }
        }
        let outcome = self.ask(&self.placed(sql)).await;
        match (outcome, target) {
            (Ok(_), Some(target)) if makes(statement) => {
                self.lacking.remove(&target);
            }
            (Err(_), target) if should_succeed => {
                let names = self.names(statement);
                let inherited = names.iter().find_map(|(_, name)| self.lacks(name));
                let reason = inherited.unwrap_or(Reason::NotBuilt);
                self.failed = Some(reason);
                if let Some(target) = target {
                    self.lacking.entry(target).or_insert(reason);
                }
            }
            _ => {}
        }
    }

    /// What a query gives.
    pub(super) async fn ask(&self, sql: &str) -> Result<Answer, String> {
        ask(&self.context, sql).await
    }

    /// What a table holds now; `None` if there is none.
    #[expect(clippy::disallowed_methods, reason = "not the gateway: what its tables are made of")]
    pub(super) async fn contents(&self, table: &ResolvedTableReference) -> Option<Result<Contents, String>> {
        let name = TableReference::from(table.clone());
        if !self.context.table_exist(name.clone()).unwrap_or(false) {
            return None;
        }
        let read = async {
            let frame = self.context.table(name).await?;
            let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
            let batches = frame.collect().await?;
            let schema = batches.first().map_or(schema, RecordBatch::schema);
            let rows = arrow::compute::concat_batches(&schema, &batches)?;
            Ok(Contents { schema, rows })
        };
        Some(read.await.map_err(|error: datafusion::error::DataFusionError| error.to_string()))
    }

    pub(super) async fn is_view(&self, table: &ResolvedTableReference) -> bool {
        let provider = self.context.table_provider(TableReference::from(table.clone())).await;
        provider.is_ok_and(|provider| provider.table_type() == TableType::View)
    }

    /// Whether settings are others than at the beginning, and the time zone.
    pub(super) fn settings(&self) -> (bool, Option<String>) {
        let mut now = settings(&self.context);
        let zone = now.get_mut(ZONE).map(std::mem::take).unwrap_or_default();
        now.insert(ZONE.to_owned(), self.settings.get(ZONE).cloned().unwrap_or_default());
        (now != self.settings, zone)
    }

    /// Paths of the crate and of its scratch directory as they are here.
    fn placed(&self, sql: &str) -> String {
        sql.replace("test_files/scratch/", &format!("{}/", self.scratch.path().display()))
            .replace("'test_files/", &format!("'{}/test_files/", self.folder.display()))
            .replace("'../", &format!("'{}/../", self.folder.display()))
            .replace("'data/", &format!("'{}/data/", self.folder.display()))
    }

    /// The table that a statement makes or writes to: the first name in it.
    fn target(&self, statement: &Statement) -> Option<ResolvedTableReference> {
        use datafusion::sql::sqlparser::ast::Statement as Sql;
        let name = match statement {
            Statement::CreateExternalTable(external) => external.name.to_string(),
            Statement::Statement(inner) => match inner.as_ref() {
                Sql::CreateTable(table) => table.name.to_string(),
                Sql::CreateView(view) => view.name.to_string(),
                Sql::Insert(insert) => insert.table.to_string(),
                _ => return None,
            },
            _ => return None,
        };
        let state = self.context.state();
        let catalog = &state.config_options().catalog;
        Some(TableReference::from(name).resolve(&catalog.default_catalog, &catalog.default_schema))
    }
}

const ZONE: &str = "datafusion.execution.time_zone";

fn makes(statement: &Statement) -> bool {
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    match statement {
        Statement::CreateExternalTable(_) => true,
        Statement::Statement(inner) => matches!(inner.as_ref(), Sql::CreateTable(_) | Sql::CreateView(_)),
        _ => false,
    }
}

fn settings(context: &SessionContext) -> HashMap<String, Option<String>> {
    context.copied_config().options().entries().into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[expect(clippy::disallowed_methods, reason = "not the gateway: what it is compared with")]
async fn ask(context: &SessionContext, sql: &str) -> Result<Answer, String> {
    let run = async {
        let frame = context.sql(sql).await?;
        let plan = frame.clone().create_physical_plan().await?;
        let batches = datafusion::physical_plan::collect(plan.clone(), Arc::new(frame.task_ctx())).await?;
        Ok(Answer::of(&plan.schema(), &batches))
    };
    run.await.map_err(|error: datafusion::error::DataFusionError| error.to_string())
}

/// Tables of another session: schema, table, contents.
pub(super) type Tables<'t> = Vec<(&'t str, &'t str, &'t Contents)>;

/// DataFusion over given tables, with the gateway's settings or its own.
pub(super) struct Twin {
    context: SessionContext,
}

impl Twin {
    #[expect(clippy::disallowed_methods, reason = "not the gateway: what it is compared with")]
    pub(super) fn new(domain: &str, zone: Option<&str>, decimals: bool, tables: Tables<'_>) -> Self {
        let mut config = SessionConfig::new()
            .with_target_partitions(2)
            .with_create_default_catalog_and_schema(true)
            .with_default_catalog_and_schema(domain, "public");
        config.options_mut().sql_parser.parse_float_as_decimal = decimals;
        config.options_mut().execution.time_zone = zone.map(str::to_owned);
        let context = SessionContext::new_with_config(config);
        let catalog: Arc<dyn CatalogProvider> = context.catalog(domain).expect("the catalog");
        for (schema, table, contents) in tables {
            if catalog.schema(schema).is_none() {
                catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new())).expect("a schema");
            }
            let memory = MemTable::try_new(contents.schema.clone(), vec![vec![contents.rows.clone()]]);
            let name = TableReference::full(domain, schema, table);
            context.register_table(name, Arc::new(memory.expect("a table"))).expect("a new table");
        }
        Self { context }
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Answer, String> {
        ask(&self.context, sql).await
    }
}
