//! Row filters and masks typed against contracts when a release is loaded, so that a mistake is found by `check` and not
//! by a query.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Column as DfColumn, DFSchema, ScalarValue};
use datafusion::logical_expr::Expr as Df;
use meshgate_model::{Finding, Instant, Severity, TableAddress};
use meshgate_policy::{Expr, Mask, Policies, Use, Used};
use meshgate_product::{Column, Location, Release, Table};

use crate::Error;
use crate::binder::{Binder, fault, stored_schema};
use crate::entitlement::{Entitled, collect};
use crate::masks::mask_applies;
use crate::promise::{promised_field, promised_type};
use crate::translate::{PolicyField, PolicyFunctions};

/// Everything that is wrong with the types of a release's row filters and masks.
pub fn check(release: &Release, policies: &Policies) -> Vec<Finding> {
    let mut checker =
        Checker { release, functions: PolicyFunctions::new(), schemas: HashMap::new(), masks: HashMap::new() };
    policies.uses().iter().filter_map(|used| checker.problem(used)).collect()
}

struct Checker<'a> {
    release: &'a Release,
    functions: PolicyFunctions,
    schemas: HashMap<&'a TableAddress, Arc<DFSchema>>,
    masks: HashMap<&'a TableAddress, Vec<MaskTyped>>,
}

/// What a `sql:` mask is on the columns of one type in one table; a wide table has a thousand of those.
struct MaskTyped {
    mask: Arc<Mask>,
    on: DataType,
    problem: Option<String>,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, used: &Use) -> Option<Finding> {
        let (_, _, table) = self.release.table(&used.table)?;
        let reason = match &used.what {
            Used::Rows(expr) => self.filter(table, expr).err().map(reason)?,
            Used::Mask { column, mask } => self.mask(table, column, mask)?,
        };
        let message = format!("policy `{}` cannot be applied to {}: {reason}", used.policy, used.table);
        Some(Finding::new(Severity::Error, used.scope.clone(), used.place.clone(), "policy-type", message))
    }

    fn filter(&mut self, table: &'a Table, expr: &Expr) -> Result<(), Error> {
        let entitled = self.entitled(table, expr)?;
        self.binder(table, &entitled)?.filter(expr).map(drop)
    }

    fn mask(&mut self, table: &'a Table, column: &[String], mask: &Arc<Mask>) -> Option<String> {
        let promised = find(&table.columns, column)?;
        let Mask::Sql(expr) = &**mask else { return mask_applies(mask, &promised_type(promised)).err() };
        if column.len() > 1 {
            return Some("a `sql:` mask cannot be put on a field inside a column".to_owned());
        }
        let data_type = promised_type(&physical(promised));
        let typed = self.masks.entry(&table.address).or_default();
        if let Some(known) = typed.iter().find(|known| Arc::ptr_eq(&known.mask, mask) && known.on == data_type) {
            return known.problem.clone();
        }
        let value = Df::Column(DfColumn::new_unqualified(&promised.physical_name));
        let problem = self.sql_mask(table, expr, value, &data_type).err().map(reason);
        let typed = MaskTyped { mask: Arc::clone(mask), on: data_type, problem: problem.clone() };
        self.masks.entry(&table.address).or_default().push(typed);
        problem
    }

    fn sql_mask(&mut self, table: &'a Table, expr: &Expr, value: Df, data_type: &DataType) -> Result<(), Error> {
        let entitled = self.entitled(table, expr)?;
        self.binder(table, &entitled)?.sql_mask(expr, value, data_type).map(drop)
    }

    /// The contract's columns under their stored names, with the types that the contract promises.
    fn binder<'b>(&'b mut self, table: &'a Table, entitled: &'b Entitled) -> Result<Binder<'b>, Error> {
        let stored = match self.schemas.get(&table.address) {
            Some(known) => Arc::clone(known),
            None => {
                let fields = table.columns.iter().map(|column| promised_field(&physical(column)));
                let made = stored_schema(table, &Schema::new(fields.collect::<Vec<_>>()))?;
                self.schemas.insert(&table.address, Arc::clone(&made));
                made
            }
        };
        Ok(Binder {
            contract: table,
            stored,
            broken: &[],
            now: Instant::default(),
            entitled,
            functions: &self.functions,
            field: PolicyField::new(),
            typing: true,
        })
    }

    /// Sub-selects, each typed against its own table. One NULL of its column's promised type stands for the values.
    fn entitled(&mut self, table: &Table, expr: &Expr) -> Result<Entitled, Error> {
        let mut wanted = Vec::new();
        collect(expr, &mut wanted);
        let mut entitled = Entitled::new();
        for entitlement in wanted {
            let refused = |reason: String| fault(table, format!("the entitlement {} {reason}", entitlement.table));
            let (_, _, source) =
                self.release.table(&entitlement.table).ok_or_else(|| refused("is not there".to_owned()))?;
            if let Location::Foreign { kind } = &source.location {
                return Err(refused(format!("is stored as `{kind}`, which the gateway does not read")));
            }
            let column = source.columns.iter().find(|column| column.name == entitlement.column);
            let column = column.ok_or_else(|| refused(format!("has no column `{}`", entitlement.column)))?;
            if let Some(filter) = &entitlement.filter {
                self.filter(source, filter).map_err(|error| refused(format!("cannot be read: {}", reason(error))))?;
            }
            let value = ScalarValue::try_from(&promised_type(column)).unwrap_or(ScalarValue::Null);
            entitled.push((entitlement.clone(), Arc::new(vec![value])));
        }
        Ok(entitled)
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Policy { reason, .. } => reason,
        Error::Expression { source, .. } => source.strip_backtrace(),
        other => other.to_string(),
    }
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

#[cfg(test)]
mod tests;
