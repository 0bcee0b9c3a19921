//! Row filters and masks typed against contracts when a release is loaded, so that a mistake is found by `check` and not
//! by a query.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr as Df;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use meshgate_model::{Finding, Instant, Severity};
use meshgate_policy::{Entitlement, Mask, Policies, Use, Used};
use meshgate_product::{Column, Release, Table};

use crate::Error;
use crate::governor::Binder;
use crate::masks::MaskKeys;
use crate::promise::{promised_field, promised_type};
use crate::translate::{PolicyField, PolicyFunctions};

/// Everything that is wrong with the types of a release's row filters and masks.
pub fn check(release: &Release, policies: &Policies) -> Vec<Finding> {
    let functions = PolicyFunctions::new();
    policies.uses().iter().filter_map(|used| problem(release, used, &functions)).collect()
}

fn problem(release: &Release, used: &Use, functions: &PolicyFunctions) -> Option<Finding> {
    let (_, _, table) = release.table(&used.table)?;
    let reason = match typed(release, table, &used.what, functions) {
        Ok(()) => return None,
        Err(Error::Policy { reason, .. }) => reason,
        Err(Error::Expression { source, .. }) => source.strip_backtrace(),
        Err(other) => other.to_string(),
    };
    let message = format!("policy `{}` cannot be applied to `{}`: {reason}", used.policy, used.table.policy_id());
    Some(Finding::new(Severity::Error, used.scope.clone(), used.place.clone(), "policy-type", message))
}

fn typed(release: &Release, table: &Table, used: &Used, functions: &PolicyFunctions) -> Result<(), Error> {
    // The contract's columns under their stored names, with the types that the contract promises.
    let stored = Schema::new(table.columns.iter().map(|column| promised_field(&physical(column))).collect::<Vec<_>>());
    let entitled = entitlements(release, used);
    let binder = Binder {
        contract: table,
        stored: &stored,
        broken: &[],
        keys: MaskKeys { query_salt: [0; 32], mesh_key: [0; 32] },
        now: Instant::default(),
        entitled: &entitled,
        functions,
        field: PolicyField::new(),
        typing: true,
    };
    match used {
        Used::Rows(expr) => binder.filter(expr).map(drop),
        Used::Mask { column, mask } => {
            let Some(promised) = find(&table.columns, column) else { return Ok(()) };
            let data_type = promised_type(&physical(promised));
            if column.len() > 1 && matches!(&**mask, Mask::Sql(_)) {
                let reason = "a `sql:` mask cannot be put on a field inside a column".to_owned();
                return Err(Error::Policy { table: table.address.clone(), reason });
            }
            let value = Df::Column(datafusion::common::Column::new_unqualified(&promised.physical_name));
            binder.masked(mask, value, &data_type).map(drop)
        }
    }
}

/// Stands for the values of each sub-select: one NULL of its column's promised type.
fn entitlements(release: &Release, used: &Used) -> crate::entitlement::Entitled {
    let expr = match used {
        Used::Rows(expr) => Some(&**expr),
        Used::Mask { mask, .. } => match &**mask {
            Mask::Sql(expr) => Some(expr),
            _ => None,
        },
    };
    let mut wanted: Vec<&Entitlement> = Vec::new();
    if let Some(expr) = expr {
        crate::entitlement::collect(expr, &mut wanted);
    }
    let value = |entitlement: &Entitlement| {
        let (_, _, table) = release.table(&entitlement.table)?;
        let column = table.columns.iter().find(|column| column.name == entitlement.column)?;
        ScalarValue::try_from(&promised_type(column)).ok()
    };
    wanted
        .into_iter()
        .map(|entitlement| {
            let value = value(entitlement).unwrap_or(ScalarValue::Null);
            (entitlement.clone(), Arc::new(vec![value]))
        })
        .collect()
}

/// A column as it is stored: under physical names, all the way down.
fn physical(column: &Column) -> Column {
    let mut stored = column.clone();
    stored.name.clone_from(&column.physical_name);
    stored.fields = column.fields.iter().map(physical).collect();
    stored.items = column.items.as_deref().map(|item| Box::new(physical(item)));
    stored
}

fn find<'a>(columns: &'a [Column], path: &[String]) -> Option<&'a Column> {
    let (first, rest) = path.split_first()?;
    let column = columns.iter().find(|column| &column.name == first)?;
    if rest.is_empty() {
        return Some(column);
    }
    let fields = column.items.as_ref().map_or(&column.fields, |item| &item.fields);
    find(fields, rest)
}

/// Coerces operands to common types, as the planner would.
pub(crate) fn coerce(expr: Df, stored: &Schema) -> Result<Df> {
    let schema = Arc::new(DFSchema::try_from(stored.clone())?);
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(schema.clone()).build());
    simplifier.coerce(expr, &schema)
}
