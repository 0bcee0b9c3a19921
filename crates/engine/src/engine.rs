//! The engine: one per gateway.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use meshgate_govern::{GovernedTable, functions};
use meshgate_model::{Instant, mutant};
use meshgate_table::{Pin, SameOrder};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::context::{Lookup, full_name};
use crate::fault::{lowering, planning};
use crate::fenced;
use crate::memory::{self, QueryPool, SharedPool};
use crate::plan::result_schema;
use crate::request::Kind;
use crate::text::PIN_MARK;
use crate::{
    Error, Options, Plan, PlanInput, TableName, cancel, explain, in_turn, parameters, parts, reads, recursion, twins,
};

/// Plans and executes over governed tables.
pub struct Engine {
    pub(crate) options: Options,
    pub(crate) admission: Admission,
    /// Queries run apart from the sockets. `None` only while dropping.
    runtime: Option<Runtime>,
    environment: Arc<RuntimeEnv>,
    memory: Arc<dyn MemoryPool>,
    functions: SessionState,
}

impl Engine {
    /// Starts the threads that execute queries, and empties the spill directory of what an earlier life left.
    pub fn new(options: Options) -> Result<Self, Error> {
        let internal = |what: &str, error: &dyn std::fmt::Display| Error::Internal { what: format!("{what}: {error}") };
        // A directory of its own inside what the operator named: nothing else there is touched.
        let spill_dir = options.spill_dir.join("meshgate-queries");
        match std::fs::remove_dir_all(&spill_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(internal("emptying the spill directory", &error));
            }
            _ => {}
        }
        std::fs::create_dir_all(&spill_dir).map_err(|error| internal("creating the spill directory", &error))?;
        let top = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
        let memory: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(SharedPool::new(options.memory_bytes), top));
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill_dir]))
            .with_max_temp_directory_size(options.spill_bytes);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(memory.clone())
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| internal("making the runtime environment", &error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("meshgate-query")
            .thread_stack_size(64 << 20)
            .enable_all()
            .build()
            .map_err(|error| internal("starting the query threads", &error))?;
        let functions = SessionStateBuilder::new()
            .with_config(config(&options))
            .with_runtime_env(environment.clone())
            .with_scalar_functions(functions::scalar_functions())
            .with_aggregate_functions(functions::aggregate_functions())
            .with_window_functions(functions::window_functions())
            .with_expr_planners(functions::expr_planners())
            .with_physical_optimizer_rules(fenced::rules())
            .build();
        let admission = Admission::new(&options);
        Ok(Self { options, admission, runtime: Some(runtime), environment, memory, functions })
    }

    /// The limits in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What a query returns, and what parameters it takes; nothing is executed.
    pub async fn describe(self: &Arc<Self>, input: PlanInput) -> Result<(SchemaRef, SchemaRef), Error> {
        let engine = self.clone();
        self.on_query_threads(async move {
            let session = Session::of(&engine, &input)?;
            let count = input.request.parameters;
            match session.logical(&input).await? {
                (Logical::Listing(table), _) => Ok((result_schema(&listing_schema(&table)), empty())),
                (Logical::Query(plan) | Logical::Explain(plan), _) if count == 0 => {
                    let explained = matches!(input.request.kind, Kind::Explain(_));
                    let plan = session.state.optimize(&plan).map_err(planning)?;
                    let schema = if explained {
                        explain::of(&plan, None).map_err(planning)?.schema()
                    } else {
                        result_schema(plan.schema().as_arrow())
                    };
                    Ok((schema, empty()))
                }
                (Logical::Query(plan) | Logical::Explain(plan), _) => {
                    let taken = parameters::schema(&plan, count)?;
                    // Types are known after coercion; a parameter of no known type may keep that from happening.
                    let settings = session.state.config_options();
                    let analyzed = session.state.analyzer().execute_and_check(plan.clone(), settings, |_, _| {});
                    let plan = analyzed.unwrap_or(plan);
                    Ok((result_schema(plan.schema().as_arrow()), taken))
                }
            }
        })
        .await
    }

    /// Plans a query down to what will be executed.
    pub async fn plan(self: &Arc<Self>, input: PlanInput) -> Result<Plan, Error> {
        let engine = self.clone();
        self.on_query_threads(async move {
            let mut session = Session::of(&engine, &input)?;
            let (logical, tables) = session.logical(&input).await?;
            let bound = match logical {
                Logical::Listing(table) => {
                    let plans = vec![rows_of(explain::columns(&table).map_err(planning)?)?];
                    return Ok(session.finish(plans, None, &tables, 1));
                }
                Logical::Explain(plan) => {
                    let plan = session.state.optimize(&plan).map_err(planning)?;
                    let physical = if for_owner(&tables) { Some(session.physical(&plan).await?) } else { None };
                    let plans = vec![rows_of(explain::of(&plan, physical.as_deref()).map_err(planning)?)?];
                    return Ok(session.finish(plans, None, &tables, 1));
                }
                Logical::Query(plan) => {
                    parameters::bind(plan, &input.request, input.parameters.as_ref(), &engine.options)?
                }
            };
            let parts = if input.parts > 1 && parts::can_be_parted(&bound, &tables, &engine.options) {
                // One partition has one order.
                let config = session.state.config_mut();
                config.options_mut().execution.target_partitions = 1;
                config.set_extension(Arc::new(SameOrder));
                input.parts
            } else {
                1
            };
            let mut schema = None;
            let mut plans = Vec::with_capacity(bound.len());
            for plan in bound {
                let plan = session.state.optimize(&plan).map_err(planning)?;
                schema.get_or_insert_with(|| result_schema(plan.schema().as_arrow()));
                plans.push(session.physical(&plan).await?);
            }
            Ok(session.finish(plans, schema, &tables, parts))
        })
        .await
    }

    pub(crate) fn handle(&self) -> Result<&tokio::runtime::Handle, Error> {
        let stopped = || Error::Internal { what: "the query threads have stopped".to_owned() };
        self.runtime.as_ref().map(Runtime::handle).ok_or_else(stopped)
    }

    /// Runs a step of a query where a panic or a long computation harms nobody else.
    async fn on_query_threads<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let seconds = self.options.deadline_s_default;
        let step = AbortOnDrop(self.handle()?.spawn(step));
        match tokio::time::timeout(Duration::from_secs(seconds.into()), step).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(Error::Internal { what: format!("a query thread: {error}") }),
            Err(_) => Err(Error::DeadlineExceeded { seconds }),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A spawned step that ends when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) type Tables = HashMap<TableName, Arc<GovernedTable>>;

/// Whether all stored tables of a statement are the principal's own, and there is one.
fn for_owner(tables: &Tables) -> bool {
    let mut owned = tables.values().filter_map(|table| table.lineage()).map(|lineage| lineage.for_owner).peekable();
    mutant("everybody sees physical plans") || owned.peek().is_some() && owned.all(|owned| owned)
}

enum Logical {
    Query(LogicalPlan),
    Explain(LogicalPlan),
    Listing(Arc<GovernedTable>),
}

/// The DataFusion session of one query: the only one there is.
struct Session {
    state: SessionState,
    cancelled: CancellationToken,
    recursion_rows_max: usize,
}

impl Session {
    fn of(engine: &Engine, input: &PlanInput) -> Result<Self, Error> {
        let mut config = config(&engine.options);
        let options = config.options_mut();
        options.catalog.default_catalog = input.default_catalog.clone().unwrap_or_else(|| "meshgate".to_owned());
        options.catalog.default_schema = input.default_schema.clone().unwrap_or_else(|| "catalog".to_owned());
        options.execution.time_zone.clone_from(&input.timezone);
        let cancelled = CancellationToken::new();
        let pool = QueryPool::new(engine.memory.clone(), engine.options.memory_bytes_per_query, cancelled.clone());
        let environment = RuntimeEnvBuilder::from_runtime_env(&engine.environment)
            .with_memory_pool(Arc::new(pool))
            .build_arc()
            .map_err(planning)?;
        // Without it `now()` and its like are not functions of anything.
        let now = DateTime::from_timestamp_micros(input.now.micros())
            .ok_or_else(|| Error::Internal { what: "the time is out of range".to_owned() })?;
        let state = SessionStateBuilder::new_from_existing(engine.functions.clone())
            .with_config(config)
            .with_runtime_env(environment)
            // SECURITY: the names that the optimizer makes up are numbered here; with one counter for all, a plan would
            // tell how many queries others have asked meanwhile.
            .with_execution_props(if mutant("all queries share a counter") {
                engine.functions.execution_props().clone().with_query_execution_start_time(now)
            } else {
                ExecutionProps::new().with_query_execution_start_time(now)
            })
            .build();
        Ok(Self { state, cancelled, recursion_rows_max: engine.options.recursion_rows_max })
    }

    async fn logical(&self, input: &PlanInput) -> Result<(Logical, Tables), Error> {
        match &input.request.kind {
            Kind::Query(statement) => {
                let (plan, tables) = self.statement(statement, input).await?;
                Ok((Logical::Query(plan), tables))
            }
            Kind::Explain(statement) => {
                let (plan, tables) = self.statement(statement, input).await?;
                Ok((Logical::Explain(plan), tables))
            }
            Kind::Describe(name) => {
                let reference = reference(name)?;
                let full = full_name(&reference, self.state.config_options());
                let table = self.table(&full, input).await?;
                let table = table.ok_or_else(|| Error::NoTable { name: reference.to_string() })?;
                Ok((Logical::Listing(table.clone()), Tables::from([(full, table)])))
            }
            Kind::Session(_) => Err(Error::Statement { what: "a session statement as a query".to_owned() }),
        }
    }

    async fn statement(&self, statement: &Statement, input: &PlanInput) -> Result<(LogicalPlan, Tables), Error> {
        let parsed = DfStatement::Statement(Box::new(statement.clone()));
        let (references, _) = resolve_table_references(&parsed, true).map_err(planning)?;
        let mut tables = Tables::new();
        for reference in references {
            let full = full_name(&reference, self.state.config_options());
            if let Some(table) = self.table(&full, input).await? {
                tables.insert(full, table);
            }
        }
        let lookup = Lookup::new(&self.state, &tables);
        let planned = SqlToRel::new(&lookup).statement_to_plan(parsed);
        let plan = match planned {
            Err(error) if twins::caused(&error) => {
                let statement = DfStatement::Statement(Box::new(twins::told_apart(statement)));
                SqlToRel::new(&lookup).statement_to_plan(statement)
            }
            planned => planned,
        };
        let plan = plan.map_err(planning)?;
        reads::only_reads(&plan)?;
        reads::bounded_casts(&plan)?;
        Ok((plan, tables))
    }

    async fn table(&self, name: &TableName, input: &PlanInput) -> Result<Option<Arc<GovernedTable>>, Error> {
        let (plain, pin) = pin_of(&name.table)?;
        let name = TableName { table: plain.to_owned(), ..name.clone() };
        input.catalog.table(&self.state, &name, &pin).await.map_err(Error::Below)
    }

    /// From an optimised plan to one that runs.
    async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, Error> {
        let planner = self.state.query_planner();
        let plan = cancel::windows::cancellable(plan.clone(), &self.cancelled).map_err(lowering)?;
        let plan = planner.create_physical_plan(&plan, &self.state).await.map_err(lowering)?;
        let plan = in_turn::in_turn(plan).map_err(lowering)?;
        let plan = recursion::bounded(plan, self.recursion_rows_max).map_err(lowering)?;
        let plan = memory::metered(plan).map_err(lowering)?;
        cancel::cancellable(plan, &self.cancelled, self.state.config_options()).map_err(lowering)
    }

    fn finish(
        self,
        plans: Vec<Arc<dyn ExecutionPlan>>,
        schema: Option<SchemaRef>,
        tables: &Tables,
        parts: u32,
    ) -> Plan {
        let touched = tables.values().filter_map(|table| table.lineage());
        let lineage = touched.map(|lineage| ((lineage.table.clone(), lineage.snapshot.clone()), lineage.clone()));
        let lineage = lineage.collect::<BTreeMap<_, _>>().into_values().collect();
        let schema = schema.or_else(|| plans.first().map(|plan| result_schema(&plan.schema()))).unwrap_or_else(empty);
        Plan { schema, plans, context: self.state.task_ctx(), cancelled: self.cancelled, lineage, parts }
    }
}

fn config(options: &Options) -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(options.threads.max(1));
    let settings: &mut ConfigOptions = config.options_mut();
    // The SQL standard's reading of `0.05`, and the one under which decimal columns compare exactly.
    settings.sql_parser.parse_float_as_decimal = true;
    settings.execution.parquet.reorder_filters = false;
    settings.explain.show_statistics = false;
    config
}

fn pin_of(table: &str) -> Result<(&str, Pin), Error> {
    let Some((plain, pin)) = table.split_once(PIN_MARK) else { return Ok((table, Pin::Latest)) };
    if let Some(version) = pin.strip_prefix('V') {
        return Ok((plain, Pin::Version(version.to_owned())));
    }
    let text = pin.strip_prefix('T').unwrap_or(pin);
    let micros = arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(text)
        .map_err(|_| Error::invalid(format!("`{text}` is no timestamp: write it as 2026-01-31T12:00:00Z")))?
        .div_euclid(1_000);
    Ok((plain, Pin::Timestamp(Instant(micros))))
}

fn reference(name: &ObjectName) -> Result<datafusion::common::TableReference, Error> {
    let parts = name
        .0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) if ident.quote_style.is_some() => Ok(ident.value.clone()),
            Some(ident) => Ok(ident.value.to_lowercase()),
            None => Err(Error::invalid("a function cannot stand for a name here")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match parts.as_slice() {
        [table] => Ok(datafusion::common::TableReference::bare(table.as_str())),
        [schema, table] => Ok(datafusion::common::TableReference::partial(schema.as_str(), table.as_str())),
        [catalog, schema, table] => {
            Ok(datafusion::common::TableReference::full(catalog.as_str(), schema.as_str(), table.as_str()))
        }
        _ => Err(Error::invalid(format!("`{name}` is no table's name: names are domain.product.table"))),
    }
}

fn rows_of(batch: arrow::array::RecordBatch) -> Result<Arc<dyn ExecutionPlan>, Error> {
    let schema = batch.schema();
    let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None).map_err(planning)?;
    Ok(plan)
}

fn listing_schema(table: &GovernedTable) -> SchemaRef {
    explain::columns(table).map_or_else(|_| empty(), |batch| batch.schema())
}

fn empty() -> SchemaRef {
    Arc::new(arrow::datatypes::Schema::empty())
}
