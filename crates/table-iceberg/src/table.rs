//! An Iceberg table that was found.

use std::io::{BufReader, Read};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{SnapshotRef, TableMetadata};
use meshgate_model::Instant;
use meshgate_table::{DomainStores, Error, Located, OpenTable, PastVersion, Pin, Snapshot, SnapshotParts};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex;

use crate::catalog::SqlCatalog;
use crate::directory::newest_metadata;
use crate::files::IcebergFiles;
use crate::rest::RestTable;
use crate::{history, schema};

/// How many snapshots stay at hand, the newest included.
const SNAPSHOTS_MAX: usize = 8;

/// The longest metadata file, unpacked.
const METADATA_BYTES_MAX: u64 = 256 << 20;

/// The most values of a metadata file. SECURITY: two bytes of text can be one, and one takes sixteen times as many bytes.
const METADATA_VALUES_MAX: usize = 4_000_000;

/// The version of a table that has no snapshot yet.
const EMPTY: &str = "0";

/// Where the newest metadata file is found.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// In a table's directory.
    Directory(Located),
    /// It is this one, for ever.
    File(Located),
    /// A SQL catalog knows.
    Catalog(SqlCatalog),
    /// A REST catalog knows, and tells all of it.
    Rest(RestTable),
}

/// Keeps the newest metadata and a few snapshots; files of both never change.
#[derive(Debug)]
pub(crate) struct IcebergTable {
    whereabouts: Whereabouts,
    stores: Arc<DomainStores>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// A table that was made anew may use a path again: so the file's size, time and tag count as well.
    file: Option<(ObjectMeta, Arc<TableMetadata>)>,
    /// What the snapshots are of.
    newest: Option<Newest>,
    /// By id; none for a table without a snapshot.
    snapshots: Vec<(Option<i64>, Arc<Snapshot>)>,
}

/// Metadata, and the stores that its files are read with.
#[derive(Clone, Debug)]
struct Newest {
    metadata: Arc<TableMetadata>,
    stores: Arc<DomainStores>,
}

impl IcebergTable {
    /// Nothing is read yet.
    pub(crate) fn new(whereabouts: Whereabouts, stores: Arc<DomainStores>) -> Self {
        Self { whereabouts, stores, known: Mutex::default() }
    }

    async fn refresh(&self, known: &mut Known) -> Result<Newest, Error> {
        let (metadata, stores) = match &self.whereabouts {
            Whereabouts::Directory(root) => {
                (self.read(known, root.store.clone(), newest_metadata(root).await?).await?, self.stores.clone())
            }
            Whereabouts::File(file) => {
                (self.read(known, file.store.clone(), file.path.clone()).await?, self.stores.clone())
            }
            Whereabouts::Catalog(catalog) => {
                let file = self.stores.locate_literal(&catalog.metadata_location().await?)?;
                (self.read(known, file.store, file.path).await?, self.stores.clone())
            }
            Whereabouts::Rest(table) => table.refresh().await?,
        };
        let newest = Newest { metadata, stores };
        if !known.newest.as_ref().is_some_and(|known| known.is(&newest)) {
            // Other metadata may have other properties, which snapshots depend on.
            known.snapshots.clear();
            known.newest = Some(newest.clone());
        }
        Ok(newest)
    }

    /// The metadata of a file, which may be the one that is known.
    async fn read(
        &self,
        known: &mut Known,
        store: Arc<dyn ObjectStore>,
        path: Path,
    ) -> Result<Arc<TableMetadata>, Error> {
        let file = match store.head(&path).await {
            Ok(file) => file,
            Err(object_store::Error::NotFound { path, .. }) => {
                return Err(Error::NotFound { format: "Iceberg", place: path });
            }
            Err(error) => return Err(error.into()),
        };
        if let Some((_, metadata)) = known.file.as_ref().filter(|(seen, _)| *seen == file) {
            return Ok(metadata.clone());
        }
        let metadata = Arc::new(read_metadata(&*store, &path).await?);
        known.file = Some((file, metadata.clone()));
        Ok(metadata)
    }

    fn snapshot_of(
        known: &mut Known,
        Newest { metadata, stores }: &Newest,
        snapshot: Option<&SnapshotRef>,
    ) -> Result<Arc<Snapshot>, Error> {
        // SECURITY: old snapshots are read with the table's columns of today, bound by id: rules and contract speak of
        // these, and a name may have been another column's then.
        let schema = metadata.current_schema();
        let key = snapshot.map(|snapshot| snapshot.snapshot_id());
        if let Some((_, found)) = known.snapshots.iter().find(|(seen, _)| *seen == key) {
            return Ok(found.clone());
        }
        let arrow = schema::convert(schema)?;
        let binding = schema::binding(schema, &arrow, metadata)?;
        let made = Snapshot::new(SnapshotParts {
            version: snapshot.map_or_else(|| EMPTY.to_owned(), |snapshot| snapshot.snapshot_id().to_string()),
            timestamp: snapshot.map(|snapshot| Instant(snapshot.timestamp_ms().saturating_mul(1_000))),
            schema: arrow.clone(),
            binding,
            stores: stores.clone(),
            files: Arc::new(IcebergFiles {
                metadata: metadata.clone(),
                snapshot: snapshot.cloned(),
                schema: schema.clone(),
                arrow,
                stores: stores.clone(),
            }),
        });
        if known.snapshots.len() >= SNAPSHOTS_MAX {
            known.snapshots.remove(0);
        }
        known.snapshots.push((key, made.clone()));
        Ok(made)
    }
}

#[async_trait]
impl OpenTable for IcebergTable {
    async fn snapshot(&self, pin: &Pin) -> Result<Arc<Snapshot>, Error> {
        let mut known = self.known.lock().await;
        let newest = self.refresh(&mut known).await?;
        let metadata = &newest.metadata;
        let snapshot = match pin {
            Pin::Latest => metadata.current_snapshot().cloned(),
            // Before its first snapshot, which is a version like any other.
            Pin::Version(version) if version == EMPTY && metadata.snapshot_for_ref(EMPTY).is_none() => None,
            pin => Some(find(metadata, pin)?),
        };
        Self::snapshot_of(&mut known, &newest, snapshot.as_ref())
    }

    async fn history(&self, versions_max: usize) -> Result<Vec<PastVersion>, Error> {
        let newest = self.refresh(&mut *self.known.lock().await).await?;
        history::versions(&newest.metadata, versions_max)
    }
}

impl Newest {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.metadata, &other.metadata) && Arc::ptr_eq(&self.stores, &other.stores)
    }
}

fn find(metadata: &TableMetadata, pin: &Pin) -> Result<SnapshotRef, Error> {
    let missing = |what: String| Error::PinNotFound { what };
    match pin {
        Pin::Version(text) => {
            let text = text.trim();
            if let Some(snapshot) = text.parse().ok().and_then(|id| metadata.snapshot_by_id(id)) {
                return Ok(snapshot.clone());
            }
            let found = metadata.snapshot_for_ref(text).cloned();
            found.ok_or_else(|| missing(format!("the table has no snapshot, branch or tag `{text}`")))
        }
        Pin::Timestamp(time) => {
            let past = metadata.history().iter().filter(|entry| entry.timestamp_ms() <= time.millis());
            let entry = past
                .max_by_key(|entry| entry.timestamp_ms())
                .ok_or_else(|| missing("the table did not exist at that time".to_owned()))?;
            let found = metadata.snapshot_by_id(entry.snapshot_id).cloned();
            found.ok_or_else(|| missing("the table's version of that time is no longer kept".to_owned()))
        }
        Pin::Latest => Err(Error::malformed("the newest snapshot needs no search")),
    }
}

async fn read_metadata(store: &dyn ObjectStore, path: &Path) -> Result<TableMetadata, Error> {
    let found = match store.get(path).await {
        Ok(found) if found.meta.size > METADATA_BYTES_MAX => return Err(Error::malformed(TOO_LARGE)),
        Ok(found) => found,
        Err(object_store::Error::NotFound { path, .. }) => {
            return Err(Error::NotFound { format: "Iceberg", place: path });
        }
        Err(error) => return Err(error.into()),
    };
    let bytes = found.bytes().await?;
    let failed = |error: serde_json::Error| Error::format("reading Iceberg metadata", error);
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = flate2::read::MultiGzDecoder::new(bytes.as_ref()).take(METADATA_BYTES_MAX);
        let metered = BufReader::new(Metered { inner: unpacked, values: 0 });
        return serde_json::from_reader(metered).map_err(failed);
    }
    refuse_too_many(&bytes)?;
    serde_json::from_slice(&bytes).map_err(failed)
}

/// Refuses a text of too many values to be read.
pub(crate) fn refuse_too_many(json: &[u8]) -> Result<(), Error> {
    if values_in(json) > METADATA_VALUES_MAX { Err(Error::malformed(TOO_LARGE)) } else { Ok(()) }
}

const TOO_LARGE: &str = "Iceberg metadata: it is far too large";

/// Reads until there are too many values.
struct Metered<R> {
    inner: R,
    values: usize,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.values += values_in(&buffer[..length]);
        if self.values > METADATA_VALUES_MAX {
            return Err(std::io::Error::other(TOO_LARGE));
        }
        Ok(length)
    }
}

/// How many values there can be: commas separate them.
fn values_in(json: &[u8]) -> usize {
    json.iter().filter(|byte| **byte == b',').count()
}
