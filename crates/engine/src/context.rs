//! What the SQL planner may look up: the governed tables found for this statement, and listed functions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::TableReference;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::sqlparser::ast::{Ident, ObjectNamePart, TableFactor};
use meshgate_govern::GovernedTable;

use crate::TableName;
use crate::text::PIN_MARK;

/// Lookup for one statement.
pub(crate) struct Lookup<'a> {
    state: &'a SessionState,
    tables: HashMap<TableName, Arc<dyn TableSource>>,
    relations: Vec<Arc<dyn RelationPlanner>>,
}

impl<'a> Lookup<'a> {
    /// SECURITY: the only way for a table into a plan, and it takes governed ones.
    pub(crate) fn new(state: &'a SessionState, tables: &HashMap<TableName, Arc<GovernedTable>>) -> Self {
        let tables = tables.iter().map(|(name, table)| (name.clone(), provider_as_source(table.clone()))).collect();
        Self { state, tables, relations: vec![Arc::new(PinnedTables)] }
    }
}

/// The full name of a reference as it stands in a statement.
pub(crate) fn full_name(reference: &TableReference, config: &ConfigOptions) -> TableName {
    let resolved = reference.clone().resolve(&config.catalog.default_catalog, &config.catalog.default_schema);
    TableName {
        catalog: resolved.catalog.to_string(),
        schema: resolved.schema.to_string(),
        table: resolved.table.to_string(),
    }
}

/// Says that a table is not there, whatever the reason. INVARIANT: `fault` reads it back as `Error::NoTable`.
pub(crate) const NO_TABLE: &str = "no such table: ";

impl ContextProvider for Lookup<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let full = full_name(&name, self.options());
        self.tables.get(&full).cloned().ok_or_else(|| {
            let written = name.to_string();
            let written = written.split(PIN_MARK).next().unwrap_or_default();
            DataFusionError::Plan(format!("{NO_TABLE}{written}"))
        })
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// Gives a pinned table its own name back, so that columns and aliases read as written.
#[derive(Debug)]
struct PinnedTables;

impl RelationPlanner for PinnedTables {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(ObjectNamePart::Identifier(last)) = name.0.last() else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some((plain, _)) = last.value.split_once(PIN_MARK) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let mut written = name.clone();
        if let Some(part) = written.0.last_mut() {
            *part = ObjectNamePart::Identifier(Ident::with_quote('"', plain));
        }
        let pinned = context.object_name_to_table_reference(name.clone())?;
        let source = context.context_provider().get_table_source(pinned)?;
        let shown = context.object_name_to_table_reference(written)?;
        let plan = LogicalPlanBuilder::scan(shown, source, None)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}
