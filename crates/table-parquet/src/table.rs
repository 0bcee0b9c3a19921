//! A directory of Parquet files that is a table.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use meshgate_model::Instant;
use meshgate_table::{
    Binding, DataFile, DomainStores, Error, FileList, FileSet, Layout, Located, OpenTable, Pin, Snapshot,
    SnapshotParts, Source,
};
use tokio::sync::Mutex;

use crate::listing::{File, Lister, Listing};
use crate::{partitions, schema};

/// How many listings stay at hand: statements of a transaction go on with the one that it began with.
const LISTINGS_MAX: usize = 4;

/// Why there is no time travel.
const NO_VERSIONS: &str = "Parquet directories have no versions";

/// Keeps the last few listings.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    root: Located,
    may_be_file: bool,
    layout: Layout,
    stores: Arc<DomainStores>,
    files_max: usize,
    /// The newest is the last.
    known: Mutex<Vec<Arc<Snapshot>>>,
}

impl ParquetTable {
    /// Nothing is listed yet.
    pub(crate) fn open(source: &Source, stores: &Arc<DomainStores>, files_max: usize) -> Result<Self, Error> {
        Ok(Self {
            root: stores.locate(&source.url)?,
            may_be_file: !source.url.ends_with('/'),
            layout: source.layout.clone(),
            stores: stores.clone(),
            files_max,
            known: Mutex::default(),
        })
    }

    /// The files of now. INVARIANT: a snapshot is shared for as long as a listing finds the same.
    async fn newest(&self, known: &mut Vec<Arc<Snapshot>>) -> Result<Arc<Snapshot>, Error> {
        let Self { root, layout, .. } = self;
        let listing = Lister { root, may_be_file: self.may_be_file, layout, files_max: self.files_max }.list().await?;
        let id = listing.id();
        if let Some(same) = known.iter().position(|snapshot| snapshot.version() == id) {
            let same = known.remove(same);
            known.push(same.clone());
            return Ok(same);
        }
        let made = self.snapshot_of(id, listing).await?;
        if known.len() >= LISTINGS_MAX {
            known.remove(0);
        }
        known.push(made.clone());
        Ok(made)
    }

    async fn snapshot_of(&self, id: String, listing: Listing) -> Result<Arc<Snapshot>, Error> {
        let values = partitions::values(&self.layout, &listing.files)?;
        let files: Vec<_> = listing.files.iter().map(|file| self.data_file(file)).collect();
        let schema = schema::read(&self.layout, &self.stores, &files).await?;
        let newest = listing.files.iter().map(|file| file.meta.last_modified.timestamp_micros()).max();
        Ok(Snapshot::new(SnapshotParts {
            version: id,
            timestamp: newest.map(Instant),
            schema: schema.clone(),
            binding: Binding::Name,
            stores: self.stores.clone(),
            files: Arc::new(ParquetFiles { table: self.layout.table.clone(), schema, files, values }),
        }))
    }

    fn data_file(&self, file: &File) -> DataFile {
        DataFile {
            grant: self.root.grant,
            path: file.meta.location.clone(),
            size: file.meta.size,
            // Footers say it; nobody has read them.
            rows: None,
            made_ms: Some(file.meta.last_modified.timestamp_millis()),
            e_tag: file.meta.e_tag.clone(),
            deletes: None,
        }
    }
}

#[async_trait]
impl OpenTable for ParquetTable {
    async fn snapshot(&self, pin: &Pin) -> Result<Arc<Snapshot>, Error> {
        let mut known = self.known.lock().await;
        let no_versions = || Error::PinNotFound { what: NO_VERSIONS.to_owned() };
        match pin {
            Pin::Latest => self.newest(&mut known).await,
            // Not for users, who are told no version: a listing that a statement began with.
            Pin::Version(id) => {
                if let Some(listed) = known.iter().find(|snapshot| snapshot.version() == id) {
                    return Ok(listed.clone());
                }
                let newest = self.newest(&mut known).await?;
                if newest.version() == id { Ok(newest) } else { Err(no_versions()) }
            }
            Pin::Timestamp(_) => Err(no_versions()),
        }
    }
}

/// The files of one listing.
#[derive(Debug)]
struct ParquetFiles {
    table: String,
    schema: SchemaRef,
    files: Vec<DataFile>,
    /// For each of the last columns of the schema, its value in each file.
    values: Vec<ArrayRef>,
}

#[async_trait]
impl FileList for ParquetFiles {
    async fn load(&self) -> Result<FileSet, Error> {
        let first = self.schema.fields().len() - self.values.len();
        let constants = self.values.iter().cloned().enumerate().map(|(at, values)| (first + at, values)).collect();
        let files = FileSet::new(&self.schema, self.files.clone(), constants, Vec::new())?;
        Ok(files.without_log(&self.table, &Binding::Name))
    }
}
