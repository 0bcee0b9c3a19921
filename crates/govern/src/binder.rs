//! Policy's words bound to the stored columns of one table, and typed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column as DfColumn, DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Cast, Expr as Df, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use meshgate_model::{Instant, mutant};
use meshgate_policy::{ColumnVerdict, Expr, Mask, Reading};
use meshgate_product::{Column, Table};

use crate::entitlement::Entitled;
use crate::masks::{MaskKeys, mask_applies, mask_function};
use crate::promise::promised_type;
use crate::retype::bare;
use crate::shape::{Reshape, Shape};
use crate::translate::{PolicyField, PolicyFunctions, Translation, stored_path};
use crate::{Breach, Error};

/// Binds the contract's words to the stored columns.
pub(crate) struct Binder<'a> {
    pub(crate) contract: &'a Table,
    /// The stored columns. Made once: tables are wide, and every expression asks.
    pub(crate) stored: Arc<DFSchema>,
    pub(crate) broken: &'a [Breach],
    pub(crate) now: Instant,
    pub(crate) entitled: &'a Entitled,
    pub(crate) functions: &'a PolicyFunctions,
    pub(crate) field: PolicyField,
    pub(crate) typing: bool,
}

/// The stored columns as the planner wants them.
pub(crate) fn stored_schema(contract: &Table, stored: &Schema) -> Result<Arc<DFSchema>, Error> {
    DFSchema::try_from(stored.clone()).map(Arc::new).map_err(|source| refused(contract, source))
}

pub(crate) fn fault(contract: &Table, reason: String) -> Error {
    Error::Policy { table: contract.address.clone(), reason }
}

fn refused(contract: &Table, source: DataFusionError) -> Error {
    Error::Expression { table: contract.address.clone(), source }
}

impl Binder<'_> {
    pub(crate) fn filter(&self, predicate: &Expr) -> Result<Df, Error> {
        let filter = self.translate(predicate, None)?;
        let filter = self.typed(filter)?;
        match self.type_of(&filter)? {
            DataType::Boolean => Ok(filter),
            // A parameter without a value is NULL of no type, which no filter may be: it is true of no row.
            DataType::Null => Ok(Df::Literal(ScalarValue::Boolean(None), None)),
            other => Err(fault(self.contract, format!("a row filter must be true or false, and this one is {other}"))),
        }
    }

    /// The governed column, or `None` if it is hidden.
    pub(crate) fn column(
        &self,
        column: &Column,
        verdict: &ColumnVerdict,
        keys: &MaskKeys,
    ) -> Result<Option<(Field, Df)>, Error> {
        if verdict.name != column.name {
            return Err(fault(self.contract, "the decision is about other columns".to_owned()));
        }
        if verdict.reading == Reading::Hidden && !mutant("hidden columns are served") {
            return Ok(None);
        }
        let Ok(stored) = self.stored.as_arrow().field_with_name(&column.physical_name) else {
            // The product only warns of the breach: what is promised and not stored is NULL.
            let missing = ScalarValue::try_from(&promised_type(column)).map_err(|e| refused(self.contract, e))?;
            let field = Field::new(&column.name, missing.data_type(), true);
            return Ok(Some((field, Df::Literal(missing, None))));
        };
        let value = Df::Column(DfColumn::new_unqualified(stored.name()));
        let expr = match &verdict.reading {
            Reading::Hidden if mutant("hidden columns are served") => value,
            Reading::Masked(_) if mutant("masks are forgotten") => value,
            Reading::Hidden => return Ok(None),
            Reading::Masked(mask) => self.masked(mask, value, stored.data_type(), keys)?,
            Reading::Plain => {
                let shape = Shape::plain(column, &verdict.fields, stored.data_type(), keys)
                    .map_err(|reason| fault(self.contract, reason))?;
                match shape {
                    Shape::Keep => value,
                    shape => Df::ScalarFunction(ScalarFunction::new_udf(Reshape::function(shape), vec![value])),
                }
            }
        };
        let data_type = bare(&self.type_of(&expr)?);
        Ok(Some((Field::new(&column.name, data_type, true), expr)))
    }

    fn masked(&self, mask: &Mask, value: Df, stored: &DataType, keys: &MaskKeys) -> Result<Df, Error> {
        if let Mask::Sql(expr) = mask {
            return self.sql_mask(expr, value, stored);
        }
        mask_applies(mask, stored).map_err(|reason| fault(self.contract, reason))?;
        let function =
            mask_function(mask, keys).ok_or_else(|| fault(self.contract, "a mask without a function".to_owned()))?;
        Ok(Df::ScalarFunction(ScalarFunction::new_udf(function, vec![value])))
    }

    /// A `sql:` mask over a value of the stored type.
    pub(crate) fn sql_mask(&self, expr: &Expr, value: Df, stored: &DataType) -> Result<Df, Error> {
        let masked = self.translate(expr, Some(value))?;
        let masked = self.typed(masked)?;
        match self.type_of(&masked)? {
            given if &given == stored => Ok(masked),
            given if same_kind(&given, stored) => Ok(Df::Cast(Cast::new(Box::new(masked), stored.clone()))),
            given => Err(fault(
                self.contract,
                format!("a `sql:` mask must have its column's type, {stored}, and this one is {given}"),
            )),
        }
    }

    /// An expression over the stored columns, not typed yet.
    pub(crate) fn translate(&self, expr: &Expr, value: Option<Df>) -> Result<Df, Error> {
        let column = |path: &[String]| {
            let promised = path.first().is_some_and(|name| !self.is_missing(name));
            promised.then(|| column(self.contract, path, &self.field)).flatten()
        };
        let translation = Translation {
            column: &column,
            value,
            now: self.now,
            entitled: &|wanted| {
                self.entitled.iter().find(|(known, _)| known == wanted).map(|(_, values)| values.clone())
            },
            functions: self.functions,
            typing: self.typing,
        };
        translation.expr(expr).map_err(|reason| fault(self.contract, reason))
    }

    /// Whether a column is promised and not stored: a filter on it cannot be applied, and so denies.
    fn is_missing(&self, name: &str) -> bool {
        self.broken.iter().any(|breach| matches!(breach, Breach::Missing { column, .. } if column == name))
    }

    /// Coerces operands to common types, as the planner would.
    fn typed(&self, expr: Df) -> Result<Df, Error> {
        let context = SimplifyContext::builder().with_schema(Arc::clone(&self.stored)).build();
        ExprSimplifier::new(context).coerce(expr, &self.stored).map_err(|source| refused(self.contract, source))
    }

    fn type_of(&self, expr: &Df) -> Result<DataType, Error> {
        expr.get_type(&self.stored).map_err(|source| refused(self.contract, source))
    }
}

/// A contract's column, or a field inside one, over the stored columns.
fn column(contract: &Table, path: &[String], field: &PolicyField) -> Option<Df> {
    let (first, rest) = path.split_first()?;
    let mut column = contract.columns.iter().find(|column| &column.name == first)?;
    let stored = column.physical_name.as_str();
    let mut fields = Vec::with_capacity(rest.len());
    for name in rest {
        column = column.fields.iter().find(|field| &field.name == name)?;
        fields.push(column.physical_name.as_str());
    }
    Some(stored_path(stored, &fields, field))
}

/// Text of one width for text of another: no value changes.
fn same_kind(given: &DataType, stored: &DataType) -> bool {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let bytes =
        |data_type: &DataType| matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    *given == DataType::Null
        || (text(given) && text(stored))
        || (bytes(given) && bytes(stored))
        || (given.is_integer() && stored.is_integer())
        || (given.is_numeric() && stored.is_floating())
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;
    use meshgate_policy::{Expr, Literal};

    use super::*;
    use crate::fixture;
    use crate::testing::promised_schema;

    #[test]
    fn a_filter_without_a_value_is_true_of_no_row() {
        let (release, _) = fixture::mesh("", "");
        let table = fixture::table(&release, "sales", "orders", "lines");
        let binder = Binder {
            contract: table,
            stored: stored_schema(table, &promised_schema(table)).expect("distinct columns"),
            broken: &[],
            now: Instant::default(),
            entitled: &Entitled::new(),
            functions: &PolicyFunctions::new(),
            field: PolicyField::new(),
            typing: false,
        };
        for (filter, bound) in [
            (Expr::Literal(Literal::Null), Some(lit(ScalarValue::Boolean(None)))),
            (Expr::Literal(Literal::Boolean(true)), Some(lit(true))),
            (Expr::Literal(Literal::Integer(1)), None),
        ] {
            assert_eq!(binder.filter(&filter).ok(), bound, "{filter}");
        }
    }
}
