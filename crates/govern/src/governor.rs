//! A contract, a decision and a snapshot become a governed table.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use meshgate_model::Instant;
use meshgate_policy::{Access, ColumnVerdict, Decision, Expr, Mask, Reading, Rows};
use meshgate_product::{OnBreach, Table};
use meshgate_table::Snapshot;

use crate::binder::{Binder, fault, stored_schema};
use crate::entitlement::{Entitlements, Reader};
use crate::masks::MaskKeys;
use crate::table::{Body, Stored};
use crate::translate::{PolicyField, PolicyFunctions};
use crate::{Error, GovernedTable, Lineage, breaches};

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
    /// Whether the principal owns the table's domain.
    pub for_owner: bool,
}

impl Governor {
    /// `mesh_key` is the mesh's secret, the key of `hmac-sha-256`.
    pub fn new(mesh_key: [u8; 32]) -> Self {
        Self { mesh_key, functions: PolicyFunctions::new() }
    }

    /// Builds the table as the principal may see it, reading entitlement tables on the way.
    pub async fn govern(&self, session: &dyn Session, request: GovernRequest<'_>) -> Result<GovernedTable, Error> {
        let GovernRequest { contract, product_version, decision, snapshot, scope, entitlements, for_owner } = request;
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
            // SECURITY: what is stored in the place of a hidden column is not told by taking the table away.
            let blocks = broken.iter().any(|breach| breach.concerns(columns));
            if contract.on_breach == OnBreach::Block && blocks {
                return Err(Error::Breached { table: contract.address.clone(), breaches: broken });
            }
        }
        let reader = Reader { source: entitlements, session, now: scope.now, functions: &self.functions };
        let entitled = reader.read_for(contract, &policy_expressions(rows, columns)).await?;
        let keys = MaskKeys { query_salt: scope.salt, mesh_key: self.mesh_key };
        let binder = Binder {
            contract,
            stored: stored_schema(contract, snapshot.schema())?,
            broken: &broken,
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
            if let Some((field, expr)) = binder.column(column, verdict, &keys)? {
                fields.push(field);
                exprs.push(expr);
            }
        }
        // A list of every file says whether deleted rows are among what will be read.
        snapshot.files().await?;
        let lineage = lineage(contract, product_version, decision, &snapshot, columns, filter.is_some());
        let lineage = Some(Lineage { for_owner, ..lineage });
        let body = Body::Stored(Stored { snapshot, filter, columns: exprs });
        Ok(GovernedTable { schema: Arc::new(Schema::new(fields)), body, lineage })
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
        snapshot_is_public: snapshot.keeps_log(),
        policies,
        filters: if filtered { decision.determining().to_vec() } else { Vec::new() },
        masked: masked.collect(),
        for_owner: false,
    }
}
