//! A contract, a decision and a snapshot become a governed table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{Column as DfColumn, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr as Df, ExprSchemable};
use meshgate_model::Instant;
use meshgate_policy::{Access, ColumnVerdict, Decision, Expr, Mask, Reading, Rows};
use meshgate_product::{Column, OnBreach, Table};
use meshgate_table::Snapshot;

use crate::entitlement::{self, Entitled, Entitlements};
use crate::masks::{MaskKeys, mask_function};
use crate::retype::bare;
use crate::shape::{Reshape, Shape};
use crate::table::{Body, Stored};
use crate::translate::{PolicyField, PolicyFunctions, Translation};
use crate::{Breach, Error, GovernedTable, Lineage, breaches};

/// Makes governed tables. One per gateway.
#[derive(Debug)]
pub struct Governor {
    mesh_key: [u8; 32],
    functions: PolicyFunctions,
}

/// What belongs to one query.
#[derive(Debug, Clone, Copy)]
pub struct QueryScope {
    /// When it started: `$now`.
    pub now: Instant,
    /// The salt of query-local digests.
    pub salt: [u8; 32],
}

/// What is to be governed.
pub struct GovernRequest<'a> {
    /// The contract.
    pub contract: &'a Table,
    /// The version of the product, as written.
    pub product_version: &'a str,
    /// What policy says to the principal.
    pub decision: &'a Decision,
    /// What is stored.
    pub snapshot: Arc<Snapshot>,
    /// The query.
    pub scope: QueryScope,
    /// Where entitlement tables are found.
    pub entitlements: &'a dyn Entitlements,
}

impl Governor {
    /// `mesh_key` is the mesh's secret, the key of `hmac-sha-256`.
    pub fn new(mesh_key: [u8; 32]) -> Self {
        Self { mesh_key, functions: PolicyFunctions::new() }
    }

    /// Builds the table as the principal may see it, reading entitlement tables on the way.
    pub async fn govern(&self, session: &dyn Session, request: GovernRequest<'_>) -> Result<GovernedTable, Error> {
        let GovernRequest { contract, product_version, decision, snapshot, scope, entitlements } = request;
        let Access::Visible { rows, columns } = decision.access() else {
            return Err(Error::Absent { table: contract.address.clone() });
        };
        // SECURITY: a decision on another table must never open this one.
        if decision.table() != &contract.address || columns.len() != contract.columns.len() {
            return Err(fault(contract, "the decision is about another table".to_owned()));
        }
        let broken = breaches(contract, snapshot.schema());
        if !broken.is_empty() {
            tracing::warn!(table = %contract.address, breaches = ?broken, "contract breached");
            if contract.on_breach == OnBreach::Block {
                return Err(Error::Breached { table: contract.address.clone(), breaches: broken });
            }
        }
        let mut entitled = Entitled::new();
        for expr in policy_expressions(rows, columns) {
            entitled.extend(entitlement::read_all(expr, entitlements, session, scope.now, &self.functions).await?);
        }
        let binder = Binder {
            contract,
            stored: snapshot.schema(),
            broken: &broken,
            keys: MaskKeys { query_salt: scope.salt, mesh_key: self.mesh_key },
            now: scope.now,
            entitled: &entitled,
            functions: &self.functions,
            field: PolicyField::new(),
            typing: false,
        };
        let filter = match rows {
            Rows::All => None,
            Rows::Where(predicate) => Some(binder.filter(predicate)?),
        };
        let mut fields = Vec::new();
        let mut exprs = Vec::new();
        for (column, verdict) in contract.columns.iter().zip(columns) {
            if let Some((field, expr)) = binder.column(column, verdict)? {
                fields.push(field);
                exprs.push(expr);
            }
        }
        // A list of every file says whether deleted rows are among what will be read.
        snapshot.files().await?;
        let lineage = Some(lineage(contract, product_version, decision, &snapshot, columns, filter.is_some()));
        let body = Body::Stored(Stored { snapshot, filter, columns: exprs });
        Ok(GovernedTable { schema: Arc::new(Schema::new(fields)), body, lineage })
    }
}

/// Binds the contract's words to the stored columns.
pub(crate) struct Binder<'a> {
    pub(crate) contract: &'a Table,
    pub(crate) stored: &'a Schema,
    pub(crate) broken: &'a [Breach],
    pub(crate) keys: MaskKeys,
    pub(crate) now: Instant,
    pub(crate) entitled: &'a Entitled,
    pub(crate) functions: &'a PolicyFunctions,
    pub(crate) field: PolicyField,
    pub(crate) typing: bool,
}

impl Binder<'_> {
    pub(crate) fn filter(&self, predicate: &Expr) -> Result<Df, Error> {
        let filter = self.translate(predicate, None)?;
        let filter = self.typed(filter)?;
        match self.type_of(&filter)? {
            DataType::Boolean | DataType::Null => Ok(filter),
            other => Err(fault(self.contract, format!("a row filter must be true or false, and this one is {other}"))),
        }
    }

    /// The governed column, or `None` if it is hidden.
    fn column(&self, column: &Column, verdict: &ColumnVerdict) -> Result<Option<(Field, Df)>, Error> {
        if verdict.name != column.name {
            return Err(fault(self.contract, "the decision is about other columns".to_owned()));
        }
        if verdict.reading == Reading::Hidden {
            return Ok(None);
        }
        let Ok(stored) = self.stored.field_with_name(&column.physical_name) else {
            // The product only warns of the breach: what is promised and not stored is NULL.
            let missing = ScalarValue::try_from(&crate::promise::promised_type(column))
                .map_err(|source| Error::Expression { table: self.contract.address.clone(), source })?;
            let field = Field::new(&column.name, missing.data_type(), true);
            return Ok(Some((field, Df::Literal(missing, None))));
        };
        let value = Df::Column(DfColumn::new_unqualified(stored.name()));
        let expr = match &verdict.reading {
            Reading::Hidden => return Ok(None),
            Reading::Masked(mask) => self.masked(mask, value, stored.data_type())?,
            Reading::Plain => {
                let shape = Shape::plain(column, &verdict.fields, stored.data_type(), &self.keys)
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

    pub(crate) fn masked(&self, mask: &Mask, value: Df, stored: &DataType) -> Result<Df, Error> {
        if let Mask::Sql(expr) = mask {
            let masked = self.translate(expr, Some(value))?;
            let masked = self.typed(masked)?;
            return match self.type_of(&masked)? {
                given if &given == stored => Ok(masked),
                given if same_kind(&given, stored) => Ok(Df::Cast(Cast::new(Box::new(masked), stored.clone()))),
                given => Err(fault(
                    self.contract,
                    format!("a `sql:` mask must have its column's type, {stored}, and this one is {given}"),
                )),
            };
        }
        crate::masks::mask_applies(mask, stored).map_err(|reason| fault(self.contract, reason))?;
        let function = mask_function(mask, &self.keys)
            .ok_or_else(|| fault(self.contract, "a mask without a function".to_owned()))?;
        Ok(Df::ScalarFunction(ScalarFunction::new_udf(function, vec![value])))
    }

    fn translate(&self, expr: &Expr, value: Option<Df>) -> Result<Df, Error> {
        let column = |path: &[String]| {
            let promised = path.first().is_some_and(|name| !self.is_missing(name));
            promised.then(|| entitlement::column(self.contract, path, &self.field)).flatten()
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
        crate::check::coerce(expr, self.stored)
            .map_err(|source| Error::Expression { table: self.contract.address.clone(), source })
    }

    fn type_of(&self, expr: &Df) -> Result<DataType, Error> {
        let schema = datafusion::common::DFSchema::try_from(self.stored.clone());
        schema
            .and_then(|schema| expr.get_type(&schema))
            .map_err(|source| Error::Expression { table: self.contract.address.clone(), source })
    }
}

/// Row filters and SQL masks: everything that may hold a sub-select.
fn policy_expressions<'a>(rows: &'a Rows, columns: &'a [ColumnVerdict]) -> Vec<&'a Expr> {
    let filter = match rows {
        Rows::All => None,
        Rows::Where(predicate) => Some(predicate),
    };
    let masks = columns.iter().filter_map(|verdict| match &verdict.reading {
        Reading::Masked(Mask::Sql(expr)) => Some(expr),
        _ => None,
    });
    filter.into_iter().chain(masks).collect()
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

fn lineage(
    contract: &Table,
    product_version: &str,
    decision: &Decision,
    snapshot: &Snapshot,
    columns: &[ColumnVerdict],
    filtered: bool,
) -> Lineage {
    let mut policies = decision.determining().to_vec();
    policies.extend(columns.iter().flat_map(|verdict| verdict.determining.iter().cloned()));
    policies.sort();
    policies.dedup();
    let masked = columns.iter().filter_map(|verdict| match &verdict.reading {
        Reading::Masked(mask) => Some((verdict.name.clone(), mask.to_string())),
        _ => None,
    });
    Lineage {
        table: contract.address.clone(),
        product_version: product_version.to_owned(),
        snapshot: snapshot.version().to_owned(),
        policies,
        filters: if filtered { decision.determining().to_vec() } else { Vec::new() },
        masked: masked.collect(),
    }
}

pub(crate) fn fault(contract: &Table, reason: String) -> Error {
    Error::Policy { table: contract.address.clone(), reason }
}
