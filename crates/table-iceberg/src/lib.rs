//! Apache Iceberg tables.
//!
//! * [`IcebergFormat`]: opens them for `meshgate-table`: a table directory, one metadata file, or a table of a SQL
//!   catalog in a SQLite file.
//! * [`write`]: writes them with the library's own writers, for the demo and for tests; [`delete`] ([`Deletion`])
//!   deletes rows in all ways of the format.
//!
//! The library (on an older Arrow) reads metadata, manifest lists and manifests here, from bytes that come through the
//! domain's contained stores; it opens no file itself. Reading Parquet is `meshgate-table`'s affair.
//!
//! Rows that are deleted, by positional or equality delete files or by deletion vectors, become positions in data files
//! (`deletes`), which the one scan leaves out.
//!
//! Refused by name: data and delete files that are not Parquet, equality deletes by nested columns, encryption, REST and
//! PostgreSQL catalogs.

mod catalog;
mod container;
mod deletes;
mod directory;
mod files;
mod history;
mod schema;
mod table;
mod values;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use meshgate_table::{DomainStores, Error, Format, OpenTable, Source, TableFormat};

pub use write::{Deletion, delete, write};

use catalog::SqlCatalog;
use table::{IcebergTable, Whereabouts};

/// Opens Iceberg tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct IcebergFormat;

#[async_trait]
impl TableFormat for IcebergFormat {
    fn format(&self) -> Format {
        Format::Iceberg
    }

    async fn open(&self, source: &Source, stores: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error> {
        let whereabouts = match &source.catalog {
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
