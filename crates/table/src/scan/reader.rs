//! Opening files: every one through its domain's contained store, footers through the cache.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use meshgate_model::mutant;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResultPayload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt,
    coalesce_ranges,
};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::FOOTER_GUESS_BYTES;
use super::deletes::Deleted;
use super::loose::Loose;
use crate::{DomainStores, Error};

/// Footers and page indexes of files that were opened. Data files of a log never change under a name, but a table may be
/// made anew with the names of an old one; files without a log are what their tags say.
pub(crate) struct Footers {
    cache: moka::sync::Cache<FooterKey, Arc<ParquetMetaData>>,
}

/// A file in keys of caches. SECURITY: the store is part of it: what one domain has read, another has not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct FooterKey {
    store: Arc<str>,
    path: Path,
    size: u64,
    made_ms: i64,
    e_tag: Option<String>,
}

impl Footers {
    /// Keeps as many as fit.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |key: &FooterKey, footer: &Arc<ParquetMetaData>| {
            let bytes = key.bytes() + footer.memory_size();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self { cache: moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }
}

impl FooterKey {
    /// What it takes beside itself.
    pub(crate) fn bytes(&self) -> usize {
        self.path.as_ref().len() + self.e_tag.as_ref().map_or(0, String::len)
    }

    /// Whether the store speaks of the same content. Tags are compared where there are two.
    fn is(&self, found: &ObjectMeta) -> bool {
        let tagged = self.e_tag.as_ref().zip(found.e_tag.as_ref());
        let same = tagged.map_or(self.made_ms == found.last_modified.timestamp_millis(), |(one, other)| one == other);
        (same && self.size == found.size) || may_be_another()
    }

    /// What the store is asked to compare.
    fn tag(&self) -> Option<String> {
        self.e_tag.clone().filter(|_| !may_be_another())
    }
}

fn may_be_another() -> bool {
    mutant("a file may be another than the one that was listed")
}

impl fmt::Debug for Footers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footers").field("entries", &self.cache.entry_count()).finish()
    }
}

/// Opens the files of one domain.
#[derive(Debug)]
pub(crate) struct Readers {
    stores: Arc<DomainStores>,
    footers: Arc<Footers>,
    loose: Option<Arc<Loose>>,
}

impl Readers {
    /// Over a domain's stores.
    pub(crate) fn new(stores: Arc<DomainStores>, footers: Arc<Footers>) -> Self {
        Self { stores, footers, loose: None }
    }

    /// For the files of a table, which may be without a log.
    pub(crate) fn of(self, loose: Option<&Arc<Loose>>) -> Self {
        Self { loose: loose.cloned(), ..self }
    }

    /// The file in keys of caches.
    pub(crate) fn key(&self, file: &PartitionedFile) -> Result<FooterKey> {
        Ok(self.find(file)?.1)
    }

    /// The footer of a file, before the file is read.
    pub(crate) async fn footer(&self, file: &PartitionedFile) -> Result<Arc<ParquetMetaData>> {
        let mut reader = self.open(0, file, Some(FOOTER_GUESS_BYTES), &ExecutionPlanMetricsSet::new())?;
        // The path as its store has it: for the operator.
        let path = reader.key.path.clone();
        let footer = reader.get_metadata(None).await;
        footer.map_err(|error| {
            own(error).unwrap_or_else(|error| Error::format("reading a footer", DataFileError { path, error })).into()
        })
    }

    fn find(&self, file: &PartitionedFile) -> Result<(&Arc<dyn ObjectStore>, FooterKey)> {
        let mut parts = file.object_meta.location.parts();
        let grant = parts.next().and_then(|part| part.as_ref().parse().ok());
        let path: Path = parts.collect();
        let (store, name) = grant
            .and_then(|grant| self.stores.store(grant))
            .ok_or_else(|| DataFusionError::Internal("a file of no grant".to_owned()))?;
        let made_ms = file.object_meta.last_modified.timestamp_millis();
        let (size, e_tag) = (file.object_meta.size, file.object_meta.e_tag.clone());
        Ok((store, FooterKey { store: name.clone(), path, size, made_ms, e_tag }))
    }

    fn open(
        &self,
        partition: usize,
        file: &PartitionedFile,
        guess: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Reader> {
        let (store, key) = self.find(file)?;
        Ok(Reader {
            metrics: ParquetFileMetrics::new(partition, key.path.filename().unwrap_or_default(), metrics),
            store: store.clone(),
            key,
            guess,
            footers: self.footers.clone(),
            loose: self.loose.clone(),
        })
    }
}

/// A data file that cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{path}")]
struct DataFileError {
    path: Path,
    #[source]
    error: ParquetError,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        // SECURITY: a plan that lost on its way which rows are left would bring deleted ones back.
        if file.extensions.contains::<Deleted>() && !file.extensions.contains::<ParquetAccessPlan>() {
            return Err(DataFusionError::Internal("a file whose deletes were not read".to_owned()));
        }
        Ok(Box::new(self.open(partition_index, &file, metadata_size_hint, metrics)?))
    }
}

struct Reader {
    store: Arc<dyn ObjectStore>,
    key: FooterKey,
    guess: Option<usize>,
    footers: Arc<Footers>,
    metrics: ParquetFileMetrics,
    loose: Option<Arc<Loose>>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.count(std::slice::from_ref(&range));
        match &self.loose {
            Some(loose) => self.unchanged(loose, range).boxed(),
            None => self.store.get_range(&self.key.path, range).map_err(store_error).boxed(),
        }
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.count(&ranges);
        let reader = &*self;
        async move {
            match &reader.loose {
                Some(loose) => {
                    let each = |range| reader.unchanged(loose, range);
                    coalesce_ranges(&ranges, each, OBJECT_STORE_COALESCE_DEFAULT).await
                }
                None => reader.store.get_ranges(&reader.key.path, &ranges).await.map_err(store_error),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            if let Some(footer) = self.footers.cache.get(&self.key) {
                return self.fitting(footer);
            }
            // The page index is kept with the footer, wanted or not: it is nearly always in the bytes already read.
            let (guess, size) = (self.guess, self.key.size);
            let footer = ParquetMetaDataReader::new()
                .with_prefetch_hint(guess)
                .with_page_index_policy(PageIndexPolicy::Optional)
                .load_and_finish(Fetch(self), size)
                .await?;
            let footer = Arc::new(footer);
            self.footers.cache.insert(self.key.clone(), footer.clone());
            self.fitting(footer)
        }
        .boxed()
    }
}

impl Reader {
    fn count(&self, ranges: &[Range<u64>]) {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.metrics.bytes_scanned.add(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

impl Reader {
    /// The footer, if the file's columns are the table's.
    fn fitting(&self, footer: Arc<ParquetMetaData>) -> parquet::errors::Result<Arc<ParquetMetaData>> {
        let checked = self.loose.as_ref().map_or(Ok(()), |loose| loose.check(&self.key.path, &footer));
        checked.map(|()| footer).map_err(own_error)
    }

    /// Bytes of the file that was listed. SECURITY: of one that took its place they would be read by the footer and the
    /// partition of the old one, as rows that are in neither.
    async fn unchanged(&self, loose: &Loose, range: Range<u64>) -> parquet::errors::Result<Bytes> {
        let replaced = || own_error(loose.replaced(&self.key.path));
        let length = range.end.saturating_sub(range.start);
        let options = GetOptions { if_match: self.key.tag(), range: Some(range.into()), ..GetOptions::default() };
        let found = match self.store.get_opts(&self.key.path, options).await {
            Ok(found) if self.key.is(&found.meta) => found,
            Ok(_) | Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                return Err(replaced());
            }
            Err(error) => return Err(store_error(error)),
        };
        // A local file can also be written over while it is read.
        let may_change = matches!(found.payload, GetResultPayload::File(..));
        let bytes = found.bytes().await.map_err(store_error)?;
        let same = !may_change || self.store.head(&self.key.path).await.is_ok_and(|found| self.key.is(&found));
        if same && bytes.len() as u64 == length { Ok(bytes) } else { Err(replaced()) }
    }
}

struct Fetch<'a>(&'a mut Reader);

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.0.get_bytes(range)
    }
}

/// What [`own_error`] was given.
fn own(error: ParquetError) -> std::result::Result<Error, ParquetError> {
    let ParquetError::External(inner) = error else { return Err(error) };
    inner.downcast().map(|ours| *ours).map_err(ParquetError::External)
}

fn own_error(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

fn store_error(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
