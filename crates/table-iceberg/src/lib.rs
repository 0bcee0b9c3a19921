//! Apache Iceberg tables.
//!
//! * [`IcebergFormat`]: opens them for `meshgate-table`: a table directory, one metadata file, or a table of a catalog: a
//!   SQL catalog in a SQLite file (`catalog`) or a REST catalog (`rest`), with the storage credentials that it gives.
//! * [`write`]: writes them with the library's own writers, for the demo and for tests; [`delete`] ([`Deletion`])
//!   deletes rows in all ways of the format.
//!
//! The library (on an older Arrow) reads metadata, manifest lists and manifests here, from bytes that come through the
//! domain's contained stores; it opens no file itself. Reading Parquet is `meshgate-table`'s affair.
//!
//! Rows that are deleted, by positional or equality delete files or by deletion vectors, become positions in data files
//! (`deletes`), which the one scan leaves out.
//!
//! Refused by name: data and delete files that are not Parquet, equality deletes by nested columns, encryption,
//! PostgreSQL catalogs, and tables of which a REST catalog lets only some rows or changed columns be read.

mod catalog;
mod container;
mod deletes;
mod directory;
mod files;
mod history;
mod rest;
mod schema;
mod table;
mod values;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use meshgate_model::Clock;
use meshgate_table::{DomainStores, Error, Format, OpenTable, Source, TableFormat};

pub use write::{Deletion, delete, write};

use catalog::SqlCatalog;
use rest::{Clients, RestTable};
use table::{IcebergTable, Whereabouts};

/// Opens Iceberg tables.
#[derive(Clone, Debug)]
pub struct IcebergFormat {
    clock: Arc<dyn Clock>,
    catalogs: Arc<Clients>,
}

impl IcebergFormat {
    /// No catalog is asked yet. The clock tells when tokens and credentials expire.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, catalogs: Arc::default() }
    }
}

#[async_trait]
impl TableFormat for IcebergFormat {
    fn format(&self) -> Format {
        Format::Iceberg
    }

    async fn open(&self, source: &Source, stores: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error> {
        let whereabouts = match &source.catalog {
            Some(reference) if reference.url.starts_with("http://") || reference.url.starts_with("https://") => {
                let client = self.catalogs.of(reference, stores, &self.clock)?;
                Whereabouts::Rest(RestTable::new(client, reference, stores.clone()))
            }
            Some(reference) => Whereabouts::Catalog(SqlCatalog::open(reference, stores)?),
            None if source.url.ends_with(".metadata.json") || source.url.ends_with(".metadata.json.gz") => {
                Whereabouts::File(stores.locate(&source.url)?)
            }
            None => Whereabouts::Directory(stores.locate(&source.url)?),
        };
        Ok(Arc::new(IcebergTable::new(whereabouts, stores.clone())))
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
