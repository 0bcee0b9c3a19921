//! Where the engine finds governed tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use meshgate_govern::GovernedTable;
use meshgate_model::Failure;
use meshgate_table::Pin;

/// A table's full SQL name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TableName {
    /// The catalog: a domain, or `meshgate`.
    pub catalog: String,
    /// The schema: a product.
    pub schema: String,
    /// The table.
    pub table: String,
}

/// All tables that one principal may reach in one query. What it does not find does not exist.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The governed table, or `None` if the principal may not know of it.
    async fn table(
        &self,
        session: &dyn Session,
        name: &TableName,
        pin: &Pin,
    ) -> Result<Option<Arc<GovernedTable>>, Box<dyn Failure>>;
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}
