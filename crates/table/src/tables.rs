//! Opens, refreshes and shares tables.

use std::sync::Arc;
use std::time::Duration;

use meshgate_model::{Clock, Instant};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::scan::Caches;
use crate::{DomainStores, Error, OpenTable, PastVersion, Pin, Snapshot, Source, TableFormat};

/// How much may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheOptions {
    /// Bytes of Parquet footers and page indexes.
    pub footers_bytes: u64,
    /// Bytes of which rows of files are not deleted.
    pub deletes_bytes: u64,
    /// Tables kept open.
    pub tables_max: u64,
    /// How old a snapshot on the gateway's own disk may be.
    pub staleness_local: Duration,
    /// How old a snapshot on an object store or in a remote catalog may be.
    pub staleness_remote: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            footers_bytes: 256 << 20,
            deletes_bytes: 64 << 20,
            tables_max: 100_000,
            staleness_local: Duration::ZERO,
            staleness_remote: Duration::from_secs(1),
        }
    }
}

/// All tables of a gateway.
pub struct Tables {
    formats: Vec<Arc<dyn TableFormat>>,
    options: CacheOptions,
    clock: Arc<dyn Clock>,
    entries: moka::sync::Cache<(String, Source), Arc<Entry>>,
    caches: Caches,
}

/// One table. INVARIANT: `opened` is locked by whoever refreshes, so that only one does.
#[derive(Default)]
struct Entry {
    opened: Mutex<Option<Opened>>,
    latest: RwLock<Option<Latest>>,
}

/// An open table with the stores that it was opened through.
type Opened = (Arc<DomainStores>, Arc<dyn OpenTable>);

#[derive(Clone)]
struct Latest {
    stores: Arc<DomainStores>,
    snapshot: Arc<Snapshot>,
    /// When the store was asked.
    asked: Instant,
}

impl Tables {
    /// No table is open yet.
    pub fn new(formats: Vec<Arc<dyn TableFormat>>, options: CacheOptions, clock: Arc<dyn Clock>) -> Self {
        let entries = moka::sync::Cache::new(options.tables_max);
        let caches = Caches::new(options.footers_bytes, options.deletes_bytes);
        Self { formats, options, clock, entries, caches }
    }

    /// The table at a version. The newest one may be as old as `max_staleness`, or as [`CacheOptions`] say without it.
    pub async fn snapshot(
        &self,
        stores: &Arc<DomainStores>,
        source: &Source,
        pin: &Pin,
        max_staleness: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let key = (stores.domain().to_owned(), source.clone());
        let entry = self.entries.get_with(key, Arc::default);
        let snapshot = match pin {
            Pin::Latest => self.latest(&entry, stores, source, max_staleness).await?,
            pin => {
                let table = {
                    let mut opened = entry.opened.lock().await;
                    self.open(&mut opened, stores, source).await?
                };
                table.snapshot(pin).await?
            }
        };
        snapshot.share(&self.caches);
        Ok(snapshot)
    }

    /// The versions of a table that can be asked for, the newest first, so many at most.
    pub async fn history(
        &self,
        stores: &Arc<DomainStores>,
        source: &Source,
        versions_max: usize,
    ) -> Result<Vec<PastVersion>, Error> {
        let key = (stores.domain().to_owned(), source.clone());
        let entry = self.entries.get_with(key, Arc::default);
        let table = {
            let mut opened = entry.opened.lock().await;
            self.open(&mut opened, stores, source).await?
        };
        table.history(versions_max).await
    }

    async fn latest(
        &self,
        entry: &Entry,
        stores: &Arc<DomainStores>,
        source: &Source,
        max_staleness: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let now = self.clock.now();
        let staleness = max_staleness.unwrap_or_else(|| self.staleness(stores, source));
        let oldest = Instant(now.micros().saturating_sub(i64::try_from(staleness.as_micros()).unwrap_or(i64::MAX)));
        if let Some(snapshot) = entry.fresh(stores, oldest) {
            return Ok(snapshot);
        }
        let mut opened = entry.opened.lock().await;
        // Somebody else may have asked the store while we waited for our turn.
        if let Some(snapshot) = entry.fresh(stores, oldest) {
            return Ok(snapshot);
        }
        let asked = self.clock.now();
        let table = self.open(&mut opened, stores, source).await?;
        let refreshed = table.snapshot(&Pin::Latest).await;
        if matches!(refreshed, Err(Error::NotFound { .. })) {
            *opened = None;
        }
        let snapshot = refreshed?;
        *entry.latest.write() = Some(Latest { stores: stores.clone(), snapshot: snapshot.clone(), asked });
        Ok(snapshot)
    }

    async fn open(
        &self,
        opened: &mut Option<Opened>,
        stores: &Arc<DomainStores>,
        source: &Source,
    ) -> Result<Arc<dyn OpenTable>, Error> {
        // A reload makes new stores, with other grants or credentials: nothing opened with the old ones is used again.
        if let Some((with, table)) = opened
            && Arc::ptr_eq(with, stores)
        {
            return Ok(table.clone());
        }
        let format = self.formats.iter().find(|format| format.format() == source.format);
        let format = format.ok_or_else(|| Error::unsupported(format!("the {} format", source.format)))?;
        let table = format.open(source, stores).await?;
        *opened = Some((stores.clone(), table.clone()));
        Ok(table)
    }

    fn staleness(&self, stores: &DomainStores, source: &Source) -> Duration {
        let url = source.catalog.as_ref().map_or(source.url.as_str(), |catalog| catalog.url.as_str());
        let local = url.starts_with("sqlite:") || stores.locate(url).is_ok_and(|located| located.local);
        if local { self.options.staleness_local } else { self.options.staleness_remote }
    }
}

impl Entry {
    fn fresh(&self, stores: &Arc<DomainStores>, oldest: Instant) -> Option<Arc<Snapshot>> {
        let latest = self.latest.read();
        let latest = latest.as_ref().filter(|known| Arc::ptr_eq(&known.stores, stores) && known.asked >= oldest)?;
        let latest = Some(latest).filter(|latest| !latest.snapshot.is_outdated())?;
        Some(latest.snapshot.clone())
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("formats", &self.formats).finish_non_exhaustive()
    }
}
