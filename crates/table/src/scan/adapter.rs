//! Turning expressions over the table's columns into expressions over a file's columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory, replace_columns_with_literals,
};

use meshgate_model::mutant;

use super::plan::{Matcher, Plan, as_in_file, field_id};
use super::rebind::Rebound;
use crate::Binding;

/// Makes an adapter for each file.
#[derive(Debug)]
pub(crate) struct BindingAdapterFactory {
    binding: Arc<Binding>,
}

impl BindingAdapterFactory {
    /// By a table's rule.
    pub(crate) fn new(binding: Arc<Binding>) -> Self {
        Self { binding }
    }
}

/// INVARIANT: the default adapter beneath sees the file's columns under the table's names at the file's indexes, so it
/// only casts and fills in; names are put back when it is done.
#[derive(Debug)]
struct BindingAdapter {
    default: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
    /// Columns that files older than them lack, and what stands there.
    absent: HashMap<String, ScalarValue>,
    /// By index in the file: nested columns that have to be rebuilt.
    rebuilt: HashMap<usize, (Arc<Field>, Plan)>,
}

impl PhysicalExprAdapterFactory for BindingAdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let matcher = Matcher::new(&self.binding, file.fields());
        let mut absent = HashMap::new();
        let mut rebuilt = HashMap::new();
        // A name no table column has, so that the default adapter never takes a column for another.
        let unknown = |index: usize, field: &Field| Arc::new(field.clone().with_name(format!("\u{0}{index}")));
        let mut seen: Vec<Arc<Field>> =
            file.fields().iter().enumerate().map(|(index, field)| unknown(index, field)).collect();
        for (field, index) in table.fields().iter().zip(matcher.bind(table.fields(), file.fields())) {
            let Some(index) = index else {
                if let Some(value) = self.default_of(field) {
                    absent.insert(field.name().clone(), value);
                }
                continue;
            };
            let found = file.field(index);
            seen[index] = match matcher.plan(field, found)? {
                Plan::Keep => field.clone(),
                Plan::Cast(_) => as_in_file(field, found),
                plan => {
                    rebuilt.insert(index, (field.clone(), plan));
                    field.clone()
                }
            };
        }
        let default = DefaultPhysicalExprAdapterFactory {}.create(table, Arc::new(Schema::new(seen)))?;
        Ok(Arc::new(BindingAdapter { default, file, absent, rebuilt }))
    }
}

impl BindingAdapterFactory {
    /// What stands for a column that a file lacks; NULL if nothing is said.
    fn default_of(&self, field: &Field) -> Option<ScalarValue> {
        match self.binding.as_ref() {
            Binding::FieldId { defaults, .. } => defaults.get(&field_id(field)?).cloned(),
            Binding::Name => None,
        }
    }
}

impl PhysicalExprAdapter for BindingAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = if self.absent.is_empty() { expr } else { replace_columns_with_literals(expr, &self.absent)? };
        let expr = self.default.rewrite(expr)?;
        expr.transform_up(|node| {
            // SECURITY: what does not fit is NULL: its failure would tell of rows that nobody may see.
            if let Some(cast) = node.downcast_ref::<CastExpr>() {
                let safe = CastOptions { safe: !mutant("casts of stored values may fail"), ..CastOptions::default() };
                let (from, to) = (cast.expr().clone(), cast.target_field().clone());
                return Ok(Transformed::yes(Arc::new(CastExpr::new_with_target_field(from, to, Some(safe)))));
            }
            let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
            let index = column.index();
            let name = self.file.field(index).name();
            let plain: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, index));
            Ok(Transformed::yes(match self.rebuilt.get(&index) {
                Some((field, plan)) => Arc::new(Rebound::new(plain, field.clone(), plan.clone())),
                None => plain,
            }))
        })
        .data()
    }
}
