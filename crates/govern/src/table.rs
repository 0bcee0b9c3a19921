//! The governed table: what a plan may reach.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use meshgate_model::{Failure, TableAddress, mutant};
use meshgate_policy::PolicyRef;
use meshgate_table::{Delivery, Snapshot};

use crate::Error;
use crate::leakproof::is_leakproof;
use crate::operator::{GovernedExec, Hides};
use crate::total::{self, Total};
use crate::wanted::Wanted;

/// A table as one principal may see it. Made by [`crate::Governor::govern`], or by [`GovernedTable::listing`] of rows
/// that the gateway itself made for the principal.
#[derive(Debug)]
pub struct GovernedTable {
    pub(crate) schema: SchemaRef,
    pub(crate) body: Body,
    pub(crate) lineage: Option<Lineage>,
}

/// Where a governed table's rows come from and what decided about them: for the audit trail and the result's metadata.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The table.
    pub table: TableAddress,
    /// The product's version as written in its document.
    pub product_version: String,
    /// The snapshot that is read.
    pub snapshot: String,
    /// Whether the snapshot may be told to the principal. SECURITY: one that is made of the files alone is made of hidden
    /// rows too: it would be another with other ones.
    pub snapshot_is_public: bool,
    /// The policies that decided about the table and its columns, sorted.
    pub policies: Vec<PolicyRef>,
    /// The policies that decided about the rows, if not all are visible.
    pub filters: Vec<PolicyRef>,
    /// The masked columns with their masks' names.
    pub masked: Vec<(String, String)>,
    /// Whether the principal owns the table's domain, and may see in a plan how it is read.
    pub for_owner: bool,
}

#[derive(Debug)]
pub(crate) enum Body {
    Stored(Stored),
    Listed(RecordBatch),
    Asked(Arc<dyn Listing>),
}

/// Rows that the gateway makes for one principal when a query reads them, and that hold only what it may see.
#[async_trait]
pub trait Listing: Send + Sync + Debug {
    /// Their columns.
    fn schema(&self) -> SchemaRef;
    /// All rows that may be wanted; others may come too.
    async fn rows(&self, wanted: &Wanted) -> Result<RecordBatch, Box<dyn Failure>>;
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) snapshot: Arc<Snapshot>,
    /// The policy filter over the stored columns.
    pub(crate) filter: Option<Expr>,
    /// How each column of the schema is made of stored columns.
    pub(crate) columns: Vec<Expr>,
}

impl GovernedTable {
    /// Rows that were made for one principal and hold only what it may see.
    pub fn listing(rows: RecordBatch) -> Self {
        Self { schema: rows.schema(), body: Body::Listed(rows), lineage: None }
    }

    /// The same, made when they are read: what the query's filters ask for.
    pub fn asked(listing: Arc<dyn Listing>) -> Self {
        Self { schema: listing.schema(), body: Body::Asked(listing), lineage: None }
    }

    /// Where the rows come from; `None` for a listing.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }
}

impl Stored {
    /// The stored column that serves a governed column unchanged.
    fn plain(&self, schema: &SchemaRef, name: &str) -> Option<&Column> {
        match &self.columns[schema.index_of(name).ok()?] {
            Expr::Column(column) => Some(column),
            masked if mutant("masked columns are compared raw below") => masked.column_refs().into_iter().next(),
            _ => None,
        }
    }

    async fn scan(
        &self,
        schema: &SchemaRef,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stored = self.snapshot.schema();
        let outputs = projection.iter().map(|index| &self.columns[*index]).collect::<Vec<_>>();
        let mut needed = Vec::new();
        for expr in outputs.iter().copied().chain(&self.filter) {
            for column in expr.column_refs() {
                let index = stored.index_of(&column.name)?;
                if !needed.contains(&index) {
                    needed.push(index);
                }
            }
        }
        needed.sort_unstable();
        let scanned = DFSchema::try_from(stored.project(&needed)?)?;
        let hides = self.hides();
        let mut pruning = self.filter.iter().flat_map(total::pruning).collect::<Vec<_>>();
        let mut applied = match &self.filter {
            Some(filter) if !mutant("the policy filter is forgotten") => total::conjuncts(session, filter, &scanned)?,
            _ => Vec::new(),
        };
        for filter in filters {
            let filter = self.below(schema, filter.clone())?;
            // SECURITY: what chooses files of which something is hidden is applied before anything that may fail.
            if hides.anything() && !mutant("what is read less by is not applied") {
                let Ok(copy) = session.create_physical_expr(filter.clone(), &scanned) else { continue };
                applied.push(copy);
            }
            pruning.push(filter);
        }
        let delivery = if hides.anything() { Delivery::InOrder } else { Delivery::Divided };
        let plan = self.snapshot.scan(session, &needed, &pruning, delivery).await?;
        let exprs = outputs
            .iter()
            .map(|expr| match (expr, expr.column_refs().into_iter().next()) {
                (Expr::Column(_), _) => session.create_physical_expr((*expr).clone(), &scanned),
                (_, Some(raw)) if mutant("masked columns are served raw") => {
                    session.create_physical_expr(Expr::Column(raw.clone()), &scanned)
                }
                _ if mutant("masks may fail") => session.create_physical_expr((*expr).clone(), &scanned),
                _ => session.create_physical_expr((*expr).clone(), &scanned).map(Total::of),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(GovernedExec::new(plan, applied, exprs, Arc::new(schema.project(projection)?), hides)))
    }

    /// What of the table is hidden, whether it is read or not.
    fn hides(&self) -> Hides {
        let plain = self.columns.iter().filter(|expr| matches!(expr, Expr::Column(_))).count();
        Hides {
            rows: self.filter.is_some() || !self.snapshot.is_whole(),
            values: plain < self.columns.len() || plain < self.snapshot.schema().fields().len(),
        }
    }

    /// A leakproof filter over governed columns as one over stored columns.
    fn below(&self, schema: &SchemaRef, filter: Expr) -> Result<Expr> {
        let rewritten = filter.transform(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            Ok(match self.plain(schema, &column.name) {
                Some(stored) => Transformed::yes(Expr::Column(stored.clone())),
                None => Transformed::no(expr),
            })
        })?;
        Ok(rewritten.data)
    }
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let verdict = |filter: &&Expr| match &self.body {
            Body::Stored(stored) if is_leakproof(filter, &|name| stored.plain(&self.schema, name).is_some()) => {
                if mutant("a filter below is taken for exact") {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Inexact
                }
            }
            Body::Asked(_) if Wanted::by(std::slice::from_ref(*filter)).narrows() => {
                TableProviderFilterPushDown::Inexact
            }
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(verdict).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match &self.body {
            Body::Listed(rows) => {
                let rows = vec![vec![rows.clone()]];
                Ok(MemorySourceConfig::try_new_exec(&rows, self.schema.clone(), projection.cloned())?)
            }
            Body::Asked(listing) => {
                let rows = listing
                    .rows(&Wanted::by(filters))
                    .await
                    .map_err(|error| DataFusionError::External(Box::new(Error::Listing(error))))?;
                let rows = vec![vec![rows]];
                Ok(MemorySourceConfig::try_new_exec(&rows, self.schema.clone(), projection.cloned())?)
            }
            Body::Stored(stored) => {
                let all = (0..self.schema.fields().len()).collect();
                // SECURITY: filters that are not leakproof never arrive here (see `supports_filters_pushdown`), and are
                // dropped if they do: they stay above in any case.
                let plain = |name: &str| stored.plain(&self.schema, name).is_some();
                let safe = filters.iter().filter(|filter| is_leakproof(filter, &plain)).cloned().collect::<Vec<_>>();
                stored.scan(&self.schema, session, projection.unwrap_or(&all), &safe).await
            }
        }
    }
}
