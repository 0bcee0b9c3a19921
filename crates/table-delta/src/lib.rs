//! Delta Lake tables.
//!
//! * [`DeltaFormat`]: opens them for `meshgate-table`; reading goes through its scan, not through the library's.
//! * [`append`]: writes them with the library's own writer, for the demo and for tests.
//! * [`delete`]: deletes rows with deletion vectors ([`VectorStorage`]), for tests.
//!
//! Not here: reading Parquet, caching, containment (see `meshgate-table`).
//!
//! What is read: deletion vectors, column mapping by name and id, v2 checkpoints, `timestampNtz`, clustering, row tracking.
//! What is refused by name: type widening, variants, and
//! whatever reader feature the library does not know.

mod error;
mod files;
mod history;
mod schema;
mod table;
mod vector;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use meshgate_table::{DomainStores, Error, Format, OpenTable, Source, TableFormat};

pub use write::{VectorStorage, append, delete};

/// Opens Delta tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeltaFormat;

#[async_trait]
impl TableFormat for DeltaFormat {
    fn format(&self) -> Format {
        Format::Delta
    }

    async fn open(&self, source: &Source, stores: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error> {
        if source.catalog.is_some() {
            return Err(Error::unsupported("a catalog for Delta tables"));
        }
        Ok(Arc::new(table::DeltaTable::open(&source.url, stores)?))
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
