//! Directories of Parquet files, as Hive and Spark lay them out.
//!
//! * [`ParquetFormat`]: opens them for `meshgate-table`; a table is a directory with everything below it, or one file.
//! * [`append`]: adds files to one, for tests.
//!
//! Not here: reading Parquet, comparing each file with the table's columns and with what was listed, caching, containment
//! (see `meshgate-table`).
//!
//! There is no log: a snapshot is one listing, and what the contract tells ([`meshgate_table::Layout`]) is believed of all
//! files. What is read: every file whose name ends in `.parquet` or `.parq` or has no ending, as Hive's have none. What is
//! left out: names that begin with `_` or `.`, and empty files, which are markers. What is refused: any other file, rather
//! than rows going missing without a word; directories of Delta and Iceberg tables, whose logs say which files count.

mod listing;
mod partitions;
mod schema;
mod table;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use meshgate_table::{DomainStores, Error, Format, OpenTable, Source, TableFormat};

pub use write::append;

/// How many files of a table are listed if nothing else is said.
pub const FILES_MAX_DEFAULT: usize = 100_000;

/// Opens directories of Parquet files.
#[derive(Clone, Copy, Debug)]
pub struct ParquetFormat {
    /// The most files of one table, those included that are left out.
    pub files_max: usize,
}

impl Default for ParquetFormat {
    fn default() -> Self {
        Self { files_max: FILES_MAX_DEFAULT }
    }
}

#[async_trait]
impl TableFormat for ParquetFormat {
    fn format(&self) -> Format {
        Format::Parquet
    }

    async fn open(&self, source: &Source, stores: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error> {
        if source.catalog.is_some() {
            return Err(Error::unsupported("a catalog for Parquet files"));
        }
        Ok(Arc::new(table::ParquetTable::open(source, stores, self.files_max)?))
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
