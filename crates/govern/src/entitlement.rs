//! Entitlement tables: the sub-selects of row filters, read with the gateway's own rights.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::filter::FilterExec;
use futures::StreamExt;
use meshgate_model::{Instant, TableAddress};
use meshgate_policy::{Entitlement, Expr};
use meshgate_product::Table;
use meshgate_table::Snapshot;

use crate::Error;
use crate::translate::{PolicyField, PolicyFunctions, Translation, stored_path};

/// The most values a sub-select may give.
pub(crate) const VALUES_MAX: usize = 100_000;

/// An entitlement table: its contract and what is stored.
#[derive(Debug, Clone)]
pub struct EntitlementTable {
    /// The contract.
    pub contract: Arc<Table>,
    /// The version to read.
    pub snapshot: Arc<Snapshot>,
}

/// Finds entitlement tables in the mesh, whoever asks.
#[async_trait]
pub trait Entitlements: Send + Sync {
    /// The table at its newest version.
    async fn table(&self, address: &TableAddress) -> Result<EntitlementTable, Error>;
}

/// Values by sub-select.
pub(crate) type Entitled = Vec<(Entitlement, Arc<Vec<ScalarValue>>)>;

/// All sub-selects of an expression, inner ones too, read.
pub(crate) async fn read_all(
    expr: &Expr,
    source: &dyn Entitlements,
    session: &dyn Session,
    now: Instant,
    functions: &PolicyFunctions,
) -> Result<Entitled, Error> {
    let mut wanted = Vec::new();
    collect(expr, &mut wanted);
    let mut read = Entitled::new();
    for entitlement in wanted {
        if !read.iter().any(|(known, _)| known == entitlement) {
            let values = read_one(entitlement, source, session, now, functions).await?;
            read.push((entitlement.clone(), Arc::new(values)));
        }
    }
    Ok(read)
}

async fn read_one(
    entitlement: &Entitlement,
    source: &dyn Entitlements,
    session: &dyn Session,
    now: Instant,
    functions: &PolicyFunctions,
) -> Result<Vec<ScalarValue>, Error> {
    let table = source.table(&entitlement.table).await?;
    let inner = match &entitlement.filter {
        Some(filter) => Box::pin(read_all(filter, source, session, now, functions)).await?,
        None => Vec::new(),
    };
    let fault = |reason: String| Error::Policy { table: entitlement.table.clone(), reason };
    let field = PolicyField::new();
    let column = |path: &[String]| column(&table.contract, path, &field);
    let translation = Translation {
        column: &column,
        value: None,
        now,
        entitled: &|wanted| inner.iter().find(|(known, _)| known == wanted).map(|(_, values)| values.clone()),
        functions,
        typing: false,
    };
    let wanted = Expr::Column(vec![entitlement.column.clone()]);
    let value = translation.expr(&wanted).map_err(fault)?;
    let filter = entitlement.filter.as_ref().map(|filter| translation.expr(filter)).transpose().map_err(fault)?;
    run(&table.snapshot, value, filter, session)
        .await
        .map_err(|source| Error::Expression { table: entitlement.table.clone(), source })?
        .ok_or_else(|| fault(format!("a sub-select gives more than {VALUES_MAX} values")))
}

/// The distinct values; `None` if there are too many.
async fn run(
    snapshot: &Snapshot,
    value: datafusion::logical_expr::Expr,
    filter: Option<datafusion::logical_expr::Expr>,
    session: &dyn Session,
) -> Result<Option<Vec<ScalarValue>>, DataFusionError> {
    let stored = snapshot.schema();
    let mut needed = Vec::new();
    for column in value.column_refs().into_iter().chain(filter.iter().flat_map(|filter| filter.column_refs())) {
        let index = stored.index_of(&column.name)?;
        if !needed.contains(&index) {
            needed.push(index);
        }
    }
    let pruning = filter.iter().cloned().collect::<Vec<_>>();
    let mut plan = snapshot.scan(session, &needed, &pruning).await?;
    let scanned = DFSchema::try_from(plan.schema().as_ref().clone())?;
    if let Some(filter) = filter {
        plan = Arc::new(FilterExec::try_new(session.create_physical_expr(filter, &scanned)?, plan)?);
    }
    let value = session.create_physical_expr(value, &scanned)?;
    let mut rows = execute_stream(plan, session.task_ctx())?;
    let mut distinct = HashSet::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let array = value.evaluate(&batch)?.into_array(batch.num_rows())?;
        for row in 0..array.len() {
            distinct.insert(ScalarValue::try_from_array(&array, row)?);
            if distinct.len() > VALUES_MAX {
                return Ok(None);
            }
        }
    }
    Ok(Some(distinct.into_iter().collect()))
}

/// A contract's column, or a field inside one, over the stored columns.
pub(crate) fn column(contract: &Table, path: &[String], field: &PolicyField) -> Option<datafusion::logical_expr::Expr> {
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

pub(crate) fn collect<'a>(expr: &'a Expr, into: &mut Vec<&'a Entitlement>) {
    if let Expr::InEntitlement { entitlement, .. } = expr {
        into.push(entitlement);
    }
    for child in children(expr) {
        collect(child, into);
    }
}

/// The direct parts of an expression; not those of a sub-select, whose columns are another table's.
fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Column(_) | Expr::MaskedValue | Expr::Literal(_) | Expr::Parameter(_) => Vec::new(),
        Expr::Not(inner) | Expr::Negate(inner) => vec![inner],
        Expr::Binary(left, _, right) => vec![left, right],
        Expr::IsNull { expr, .. }
        | Expr::IsBoolean { expr, .. }
        | Expr::InEntitlement { expr, .. }
        | Expr::Cast { expr, .. } => vec![expr],
        Expr::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        Expr::Like { expr, pattern, .. } => vec![expr, pattern],
        Expr::Case { operand, branches, otherwise } => operand
            .iter()
            .chain(otherwise)
            .map(|boxed| &**boxed)
            .chain(branches.iter().flat_map(|(when, then)| [when, then]))
            .collect(),
        Expr::Function { arguments, .. } => arguments.iter().collect(),
    }
}
