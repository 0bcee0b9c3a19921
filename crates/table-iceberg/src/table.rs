//! An Iceberg table that was found.

use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{SnapshotRef, TableMetadata};
use meshgate_model::Instant;
use meshgate_table::{DomainStores, Error, Located, OpenTable, Pin, Snapshot, SnapshotParts};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex;

use crate::catalog::SqlCatalog;
use crate::directory::newest_metadata;
use crate::files::IcebergFiles;
use crate::schema;

/// How many snapshots stay at hand, the newest included.
const SNAPSHOTS_MAX: usize = 8;

/// The longest metadata file, unpacked.
const METADATA_BYTES_MAX: u64 = 1 << 30;

/// The version of a table that has no snapshot yet.
const EMPTY: &str = "0";

/// Where the newest metadata file is found.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// In a table's directory.
    Directory(Located),
    /// It is this one, for ever.
    File(Located),
    /// A catalog knows.
    Catalog(SqlCatalog),
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
    metadata: Option<(Path, Arc<TableMetadata>)>,
    snapshots: Vec<(SnapshotKey, Arc<Snapshot>)>,
}

/// A snapshot's id (none for a table without one) and the id of the schema it is read with.
type SnapshotKey = (Option<i64>, i32);

impl IcebergTable {
    /// Nothing is read yet.
    pub(crate) fn new(whereabouts: Whereabouts, stores: Arc<DomainStores>) -> Self {
        Self { whereabouts, stores, known: Mutex::default() }
    }

    async fn refresh(&self, known: &mut Known) -> Result<Arc<TableMetadata>, Error> {
        let (store, path) = match &self.whereabouts {
            Whereabouts::Directory(root) => (root.store.clone(), newest_metadata(root).await?),
            Whereabouts::File(file) => (file.store.clone(), file.path.clone()),
            Whereabouts::Catalog(catalog) => {
                let file = self.stores.locate_literal(&catalog.metadata_location().await?)?;
                (file.store, file.path)
            }
        };
        if let Some((_, metadata)) = known.metadata.as_ref().filter(|(seen, _)| *seen == path) {
            return Ok(metadata.clone());
        }
        let metadata = Arc::new(read_metadata(&*store, &path).await?);
        // Another metadata file may have other properties, which snapshots depend on.
        known.snapshots.clear();
        known.metadata = Some((path, metadata.clone()));
        Ok(metadata)
    }

    fn snapshot_of(
        &self,
        known: &mut Known,
        metadata: &Arc<TableMetadata>,
        snapshot: Option<&SnapshotRef>,
        schema: &iceberg::spec::SchemaRef,
    ) -> Result<Arc<Snapshot>, Error> {
        let key = (snapshot.map(|snapshot| snapshot.snapshot_id()), schema.schema_id());
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
            stores: self.stores.clone(),
            files: Arc::new(IcebergFiles {
                metadata: metadata.clone(),
                snapshot: snapshot.cloned(),
                schema: schema.clone(),
                arrow,
                stores: self.stores.clone(),
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
        let metadata = self.refresh(&mut known).await?;
        let current = metadata.current_schema();
        // The head of a branch is read with the table's schema of today, everything else with the snapshot's own.
        match pin {
            Pin::Latest => self.snapshot_of(&mut known, &metadata, metadata.current_snapshot(), current),
            pin => {
                let (snapshot, head) = find(&metadata, pin)?;
                let failed = |error: iceberg::Error| Error::format("finding a snapshot's schema", error);
                let schema = if head { current.clone() } else { snapshot.schema(&metadata).map_err(failed)? };
                self.snapshot_of(&mut known, &metadata, Some(&snapshot), &schema)
            }
        }
    }
}

/// The snapshot, and whether it was asked for as the head of a branch.
fn find(metadata: &TableMetadata, pin: &Pin) -> Result<(SnapshotRef, bool), Error> {
    let missing = |what: String| Error::PinNotFound { what };
    match pin {
        Pin::Version(text) => {
            let text = text.trim();
            if let Some(snapshot) = text.parse().ok().and_then(|id| metadata.snapshot_by_id(id)) {
                return Ok((snapshot.clone(), false));
            }
            let snapshot = metadata
                .snapshot_for_ref(text)
                .ok_or_else(|| missing(format!("the table has no snapshot, branch or tag `{text}`")))?;
            let tip = metadata.current_snapshot_id() == Some(snapshot.snapshot_id());
            Ok((snapshot.clone(), text == "main" && tip))
        }
        Pin::Timestamp(time) => {
            let past = metadata.history().iter().filter(|entry| entry.timestamp_ms() <= time.millis());
            let entry = past
                .max_by_key(|entry| entry.timestamp_ms())
                .ok_or_else(|| missing("the table did not exist at that time".to_owned()))?;
            let snapshot = metadata
                .snapshot_by_id(entry.snapshot_id)
                .ok_or_else(|| missing("the table's version of that time is no longer kept".to_owned()))?;
            Ok((snapshot.clone(), false))
        }
        Pin::Latest => Err(Error::malformed("the newest snapshot needs no search")),
    }
}

async fn read_metadata(store: &dyn ObjectStore, path: &Path) -> Result<TableMetadata, Error> {
    let bytes = match store.get(path).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { path, .. }) => {
            return Err(Error::NotFound { format: "Iceberg", place: path });
        }
        Err(error) => return Err(error.into()),
    };
    let failed = |error: serde_json::Error| Error::format("reading Iceberg metadata", error);
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let mut unpacked = flate2::read::MultiGzDecoder::new(bytes.as_ref()).take(METADATA_BYTES_MAX);
        unpacked.read_to_end(&mut plain).map_err(|error| Error::format("unpacking Iceberg metadata", error))?;
        return serde_json::from_slice(&plain).map_err(failed);
    }
    serde_json::from_slice(&bytes).map_err(failed)
}
