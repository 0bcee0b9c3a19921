//! Entitlement tables: the sub-selects of row filters, read with the gateway's own rights.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::conjunction;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::filter::FilterExec;
use futures::StreamExt;
use meshgate_model::{Instant, TableAddress, mutant};
use meshgate_policy::{Entitlement, Expr};
use meshgate_product::{OnBreach, Table};
use meshgate_table::{Delivery, Snapshot};

use crate::binder::{Binder, fault, stored_schema};
use crate::translate::{PolicyField, PolicyFunctions};
use crate::{Error, breaches, total};

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

/// Reads sub-selects with the gateway's own rights.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a dyn Entitlements,
    pub(crate) session: &'a dyn Session,
    pub(crate) now: Instant,
    pub(crate) functions: &'a PolicyFunctions,
}

impl Reader<'_> {
    /// All sub-selects of the policies of one table, inner ones too, each read once.
    pub(crate) async fn read_for(&self, contract: &Table, exprs: &[&Expr]) -> Result<Entitled, Error> {
        let mut read = Entitled::new();
        for expr in exprs {
            // SECURITY: the principal may not know that the entitlement table exists; what is told names their table.
            self.read(expr, &mut read)
                .await
                .map_err(|source| Error::Entitlement { table: contract.address.clone(), source: Box::new(source) })?;
        }
        Ok(read)
    }

    async fn read(&self, expr: &Expr, into: &mut Entitled) -> Result<(), Error> {
        let mut wanted = Vec::new();
        collect(expr, &mut wanted);
        for entitlement in wanted {
            if into.iter().any(|(known, _)| known == entitlement) {
                continue;
            }
            if let Some(filter) = &entitlement.filter {
                Box::pin(self.read(filter, into)).await?;
            }
            let values = self.one(entitlement, into).await?;
            into.push((entitlement.clone(), Arc::new(values)));
        }
        Ok(())
    }

    /// The values of one sub-select, those inside it being read.
    async fn one(&self, entitlement: &Entitlement, entitled: &Entitled) -> Result<Vec<ScalarValue>, Error> {
        let EntitlementTable { contract, snapshot } = self.source.table(&entitlement.table).await?;
        let contract = contract.as_ref();
        let broken = breaches(contract, snapshot.schema());
        if !broken.is_empty() && contract.on_breach == OnBreach::Block {
            return Err(Error::Breached { table: contract.address.clone(), breaches: broken });
        }
        let binder = Binder {
            contract,
            stored: stored_schema(contract, snapshot.schema())?,
            broken: &broken,
            now: self.now,
            entitled,
            functions: self.functions,
            field: PolicyField::new(),
            typing: false,
        };
        let value = binder.translate(&Expr::Column(vec![entitlement.column.clone()]), None)?;
        let filter = entitlement.filter.as_ref().filter(|_| !mutant("entitlements have no condition"));
        let filter = filter.map(|filter| binder.filter(filter)).transpose()?;
        run(&snapshot, value, filter, self.session)
            .await
            .map_err(|source| Error::Expression { table: contract.address.clone(), source })?
            .ok_or_else(|| fault(contract, format!("a sub-select gives more than {VALUES_MAX} values")))
    }
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
    let pruning = filter.iter().flat_map(total::pruning).collect::<Vec<_>>();
    let mut plan = snapshot.scan(session, &needed, &pruning, Delivery::Divided).await?;
    let scanned = DFSchema::try_from(plan.schema().as_ref().clone())?;
    if let Some(filter) = filter {
        plan = Arc::new(FilterExec::try_new(conjunction(total::conjuncts(session, &filter, &scanned)?), plan)?);
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

#[cfg(test)]
mod tests;
