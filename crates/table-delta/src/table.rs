//! A Delta table that was found.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deltalake::logstore::{LogStoreRef, StorageConfig, commit_uri_from_version, default_logstore};
use deltalake::table::state::DeltaTableState;
use meshgate_model::Instant;
use meshgate_table::{DomainStores, Error, Located, OpenTable, PastVersion, Pin, Snapshot, SnapshotParts};
use object_store::ObjectStoreExt;
use object_store::prefix::PrefixStore;
use tokio::sync::Mutex;
use url::Url;

use crate::error::translate;
use crate::files::DeltaFiles;
use crate::history::{self, InCommit};
use crate::schema::{self, Mapping};

/// How many old versions stay at hand.
const PINNED_MAX: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// Keeps the newest state, so that a refresh reads new commits only.
pub(crate) struct DeltaTable {
    root: Located,
    stores: Arc<DomainStores>,
    logs: LogStoreRef,
    latest: Mutex<Latest>,
    pinned: Mutex<Vec<Arc<Snapshot>>>,
}

struct Latest {
    table: deltalake::DeltaTable,
    snapshot: Option<Arc<Snapshot>>,
    /// The commit that the state ends with, as it was found.
    commit: Option<Commit>,
}

/// A commit's file. A table that was deleted and made anew has other ones under the same names.
#[derive(PartialEq)]
struct Commit {
    size: u64,
    modified: DateTime<Utc>,
    e_tag: Option<String>,
}

impl DeltaTable {
    /// Nothing is read yet.
    pub(crate) fn open(url: &str, stores: &Arc<DomainStores>) -> Result<Self, Error> {
        let root = stores.locate(url)?;
        let location =
            Url::parse(&format!("{}/", root.url)).map_err(|error| Error::format("naming the table", error))?;
        let prefixed = Arc::new(PrefixStore::new(root.store.clone(), root.path.clone()));
        // SECURITY: the library gets contained stores; its own registry of stores is never asked.
        let logs = default_logstore(prefixed, root.store.clone(), &location, &StorageConfig::default());
        let table = deltalake::DeltaTable::new(logs.clone());
        let latest = Mutex::new(Latest { table, snapshot: None, commit: None });
        Ok(Self { root, stores: stores.clone(), logs, latest, pinned: Mutex::default() })
    }

    async fn newest(&self) -> Result<Arc<Snapshot>, Error> {
        let mut latest = self.latest.lock().await;
        let known = latest.table.version();
        if let (Some(version), Some(snapshot)) = (known, &latest.snapshot)
            && self.is_newest(version, latest.commit.as_ref()).await?
        {
            return Ok(snapshot.clone());
        }
        if let Some(version) = known
            && latest.commit != self.commit(version).await?
        {
            tracing::info!(table = %self.root.url, "the table was made anew");
            self.forget(&mut latest).await;
        }
        latest.table.update_incremental(None).await.map_err(|error| self.translate(error))?;
        if latest.snapshot.is_none()
            && let Some(version) = latest.table.version()
            && !history::keeps(&*self.logs.object_store(None), version).await?
        {
            self.forget(&mut latest).await;
            return Err(Error::malformed(format!("Delta log: commits before version {version} are missing")));
        }
        if let Some(snapshot) = latest.snapshot.as_ref().filter(|_| latest.table.version() == known) {
            return Ok(snapshot.clone());
        }
        let state = latest.table.snapshot().map_err(|error| self.translate(error))?.clone();
        latest.commit = self.commit(state.version()).await?;
        let snapshot = self.snapshot_of(state).await?;
        if latest.snapshot.as_ref().is_some_and(|before| before.schema() != snapshot.schema()) {
            // Old versions are read with the columns of today.
            self.pinned.lock().await.clear();
        }
        latest.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Whether no commit follows the known one, without a listing of the log, which may be long. Old commits are cleaned up
    /// from the first on: while the known one is there, none after it is gone. So the next one is looked for first.
    async fn is_newest(&self, version: u64, known: Option<&Commit>) -> Result<bool, Error> {
        if known.is_none() || self.commit(version.saturating_add(1)).await?.is_some() {
            return Ok(false);
        }
        Ok(self.commit(version).await?.as_ref() == known)
    }

    /// The file of a version's commit; none if it was cleaned up.
    async fn commit(&self, version: u64) -> Result<Option<Commit>, Error> {
        match self.logs.object_store(None).head(&commit_uri_from_version(Some(version))).await {
            Ok(meta) => Ok(Some(Commit { size: meta.size, modified: meta.last_modified, e_tag: meta.e_tag })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing that was read counts any more.
    async fn forget(&self, latest: &mut Latest) {
        *latest = Latest { table: deltalake::DeltaTable::new(self.logs.clone()), snapshot: None, commit: None };
        self.pinned.lock().await.clear();
    }

    async fn at_version(&self, version: u64) -> Result<Arc<Snapshot>, Error> {
        let newest = self.newest().await?;
        let text = version.to_string();
        if newest.version() == text {
            return Ok(newest);
        }
        if newest.version().parse::<u64>().is_ok_and(|newest| version > newest) {
            let what = format!("version {version} does not exist");
            return Err(Error::PinNotFound { what });
        }
        if let Some(known) = self.pinned.lock().await.iter().find(|known| known.version() == text) {
            return Ok(known.clone());
        }
        let mut table = deltalake::DeltaTable::new(self.logs.clone());
        table.load_version(version).await.map_err(|error| match self.translate(error) {
            unsupported @ Error::UnsupportedFeature { .. } => unsupported,
            error => {
                tracing::debug!(%error, version, "a version of a Delta table that cannot be loaded");
                no_longer_kept(version)
            }
        })?;
        let state = table.snapshot().map_err(|error| self.translate(error))?.clone();
        if state.version() != version {
            return Err(no_longer_kept(version));
        }
        self.keep(self.old(state).await?).await
    }

    async fn at_time(&self, time: Instant) -> Result<Arc<Snapshot>, Error> {
        let not_yet = || Error::PinNotFound { what: "the table did not exist at that time".to_owned() };
        let out_of_range = || Error::PinNotFound { what: "the time is out of range".to_owned() };
        let asked = DateTime::from_timestamp_micros(time.micros()).ok_or_else(out_of_range)?;
        self.newest().await?;
        let today = self.latest.lock().await.table.snapshot().map_err(|error| self.translate(error))?.clone();
        if let Some(in_commit) = InCommit::read(today.metadata().configuration())? {
            let version = in_commit.version_at(&*self.logs.object_store(None), time.millis()).await?;
            return self.at_version(version.ok_or_else(not_yet)?).await;
        }
        let mut table = deltalake::DeltaTable::new(self.logs.clone());
        table.load_with_datetime(asked).await.map_err(|error| self.translate(error))?;
        let state = table.snapshot().map_err(|error| self.translate(error))?.clone();
        let snapshot = self.old(state).await?;
        // The library answers a time before the first version with the first version.
        if snapshot.timestamp().is_some_and(|made| made.millis() > time.millis()) {
            return Err(not_yet());
        }
        self.keep(snapshot).await
    }

    async fn keep(&self, snapshot: Arc<Snapshot>) -> Result<Arc<Snapshot>, Error> {
        let mut pinned = self.pinned.lock().await;
        if let Some(known) = pinned.iter().find(|known| known.version() == snapshot.version()) {
            return Ok(known.clone());
        }
        if pinned.len() >= PINNED_MAX.get() {
            pinned.remove(0);
        }
        pinned.push(snapshot.clone());
        Ok(snapshot)
    }

    /// SECURITY: an old version is read with the table's columns of today where the format tells columns from their
    /// names: rules and contract speak of these, and a name may have been another column's then.
    async fn old(&self, state: DeltaTableState) -> Result<Arc<Snapshot>, Error> {
        let version = state.version();
        if !history::keeps(&*self.logs.object_store(None), version).await? {
            return Err(no_longer_kept(version));
        }
        let today = self.latest.lock().await.table.snapshot().map_err(|error| self.translate(error))?.clone();
        let (then, mapping_then) = columns(&state)?;
        let (columns, mapping) = columns(&today)?;
        // Where the mapping was removed since, or removed and made anew, nothing says which column is which.
        if mapping_then != Mapping::None
            && (mapping == Mapping::None || !schema::are_the_same(then.fields(), columns.fields()))
        {
            return Err(Error::unsupported("time travel to before a column mapping was removed"));
        }
        if mapping == Mapping::None {
            return self.snapshot_with(state, then, mapping_then).await;
        }
        self.snapshot_with(state, columns, mapping).await
    }

    async fn snapshot_of(&self, state: DeltaTableState) -> Result<Arc<Snapshot>, Error> {
        let (schema, mapping) = columns(&state)?;
        self.snapshot_with(state, schema, mapping).await
    }

    async fn snapshot_with(
        &self,
        state: DeltaTableState,
        schema: SchemaRef,
        mapping: Mapping,
    ) -> Result<Arc<Snapshot>, Error> {
        let version = state.version();
        let timestamp = self.timestamp(&state).await?;
        let (root, stores) = (self.root.clone(), self.stores.clone());
        Ok(Snapshot::new(SnapshotParts {
            version: version.to_string(),
            timestamp,
            schema: schema.clone(),
            binding: mapping.binding(),
            stores: self.stores.clone(),
            files: Arc::new(DeltaFiles { state, schema, root, stores }),
        }))
    }

    /// When the version was committed. The library knows it of commits after the last checkpoint only.
    async fn timestamp(&self, state: &DeltaTableState) -> Result<Option<Instant>, Error> {
        let version = state.version();
        let in_commit = InCommit::read(state.metadata().configuration())?;
        if in_commit.is_some_and(|in_commit| in_commit.dates(version)) {
            let made_ms = match history::made_ms(&*self.logs.object_store(None), version).await {
                // The rows are right all the same.
                Err(error @ Error::Malformed { .. }) => {
                    tracing::debug!(%error, version, "a commit without its time");
                    None
                }
                made_ms => made_ms?,
            };
            return Ok(made_ms.map(|millis| Instant(millis.saturating_mul(1_000))));
        }
        if let Some(millis) = state.version_timestamp(version) {
            return Ok(Some(Instant(millis.saturating_mul(1_000))));
        }
        // Commits before a checkpoint are cleaned up in time.
        Ok(self.commit(version).await?.map(|commit| Instant(commit.modified.timestamp_micros())))
    }

    fn translate(&self, error: deltalake::DeltaTableError) -> Error {
        translate("reading a Delta log", &self.root.url, error)
    }
}

#[async_trait]
impl OpenTable for DeltaTable {
    async fn snapshot(&self, pin: &Pin) -> Result<Arc<Snapshot>, Error> {
        match pin {
            Pin::Latest => self.newest().await,
            Pin::Version(text) => match text.trim().parse() {
                Ok(version) => self.at_version(version).await,
                Err(_) => {
                    let what = "a version of a Delta table is a number".to_owned();
                    Err(Error::PinNotFound { what })
                }
            },
            Pin::Timestamp(time) => self.at_time(*time).await,
        }
    }

    async fn history(&self, versions_max: usize) -> Result<Vec<PastVersion>, Error> {
        self.newest().await?;
        let today = self.latest.lock().await.table.snapshot().map_err(|error| self.translate(error))?.clone();
        let in_commit = InCommit::read(today.metadata().configuration())?;
        history::versions(&*self.logs.object_store(None), in_commit, today.version(), versions_max).await
    }
}

fn no_longer_kept(version: u64) -> Error {
    Error::PinNotFound { what: format!("version {version} is no longer kept") }
}

/// The columns of a version, and how files name them.
pub(crate) fn columns(state: &DeltaTableState) -> Result<(SchemaRef, Mapping), Error> {
    let mapping = Mapping::read(state.metadata().configuration())?;
    Ok((schema::convert(&state.snapshot().arrow_schema(), mapping)?, mapping))
}

impl fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaTable").field("root", &self.root).finish_non_exhaustive()
    }
}
