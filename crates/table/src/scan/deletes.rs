//! Leaving deleted rows out of the files of a scan.

use std::fmt;
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::{StreamExt, TryStreamExt, stream};

use super::access::Access;
use super::loading::Loading;
use super::reader::{FooterKey, Readers};
use crate::{Deletes, Error};

/// How many files' deletes are read at the same time.
const FILES_AT_ONCE: usize = 16;

/// How often the runs of a file are in memory while one task opens it: the plan that DataFusion copies, the selection it
/// makes of it, and what the Parquet reader makes of that.
const COPIES: usize = 3;

/// An extension of a file whose rows are not all there. SECURITY: such a file is read with a [`ParquetAccessPlan`] only,
/// which [`leave_out`] makes; readers refuse to open one without.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) deletes: Arc<dyn Deletes>,
    /// How many rows there are with the deleted ones, if the metadata says.
    pub(crate) rows: Option<u64>,
}

/// An extension of files: what their access plans take is charged to the query for as long as its plan is there.
#[derive(Debug)]
struct Charged(#[expect(dead_code, reason = "held, not read")] MemoryReservation);

/// What is left of files with deletes: read once, and shared by all queries.
pub(crate) struct Remains {
    cache: moka::sync::Cache<Key, Arc<Remain>>,
}

/// SECURITY: the store is part of the file's key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    file: FooterKey,
    deletes: Box<str>,
    deleted: Option<u64>,
}

struct Remain {
    plan: Arc<ParquetAccessPlan>,
    rows: u64,
    runs: usize,
    bytes: usize,
}

impl Remains {
    /// Keeps as many as fit.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |key: &Key, remain: &Arc<Remain>| {
            let bytes = key.file.bytes() + key.deletes.len() + remain.bytes + size_of::<(Key, Remain)>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self { cache: moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }
}

/// The files with what is to be read of them; those of which nothing is left are gone. `tasks` may read at once.
pub(crate) async fn leave_out(
    files: Vec<PartitionedFile>,
    readers: &Arc<Readers>,
    remains: &Arc<Remains>,
    task: Arc<TaskContext>,
    tasks: usize,
) -> Result<Vec<PartitionedFile>> {
    if !files.iter().any(|file| file.extensions.contains::<Deleted>()) {
        return Ok(files);
    }
    let pool = task.runtime_env().memory_pool.clone();
    let loading = Arc::new(Loading::new(readers.clone(), task, pool.clone()));
    let found = stream::iter(files).map(|file| {
        let (readers, remains, loading) = (readers.clone(), remains.clone(), loading.clone());
        async move {
            let Some(deleted) = file.extensions.get_arc::<Deleted>() else { return Ok((file, None)) };
            let deletes = &deleted.deletes;
            let key = Key { file: readers.key(&file)?, deletes: deletes.id().into(), deleted: deletes.rows() };
            if let Some(remain) = remains.cache.get(&key) {
                return Ok((file, Some(remain)));
            }
            let entry = file.clone();
            // What equality deletes take is a scan of some columns: it is divided among threads like one.
            let read = SpawnedTask::spawn(async move { remain(&entry, &deleted, &readers, &loading).await });
            let remain =
                Arc::new(read.join_unwind().await.map_err(|error| DataFusionError::External(Box::new(error)))??);
            remains.cache.insert(key, remain.clone());
            Ok::<_, DataFusionError>((file, Some(remain)))
        }
    });
    let found: Vec<_> = found.buffered(FILES_AT_ONCE).try_collect().await?;
    let known = || found.iter().filter_map(|(_, remain)| remain.as_ref());
    let kept: usize = known().map(|remain| remain.bytes).sum();
    let opened =
        known().map(|remain| COPIES * remain.runs * size_of::<parquet::arrow::arrow_reader::RowSelector>()).max();
    let charged = MemoryConsumer::new("Deletes").register(&pool);
    charged.try_grow(kept + opened.unwrap_or(0) * tasks)?;
    let charged = Arc::new(Charged(charged));
    let left = found.into_iter().filter_map(|(mut file, remain)| {
        if let Some(remain) = remain {
            if remain.rows == 0 {
                return None;
            }
            file.extensions.insert_arc(remain.plan.clone());
            file.extensions.insert_arc(charged.clone());
        }
        Some(file)
    });
    Ok(left.collect())
}

async fn remain(file: &PartitionedFile, deleted: &Deleted, readers: &Readers, loading: &Loading) -> Result<Remain> {
    let positions = deleted.deletes.load(loading).await?;
    let wrong = |what: &str| Error::malformed(format!("{}: {what}", file.object_meta.location));
    if deleted.deletes.rows().is_some_and(|rows| rows != positions.len()) {
        return Err(wrong("not as many deleted rows as the metadata says").into());
    }
    let footer = readers.footer(file).await?;
    let rows = footer.row_groups().iter().map(|group| group.num_rows());
    let access = Access::new(&positions, rows).map_err(|error| wrong(&error.to_string()))?;
    if deleted.rows.is_some_and(|rows| rows != access.rows + positions.len()) {
        return Err(wrong("not as many rows as the metadata says").into());
    }
    let Access { plan, rows, runs, bytes } = access;
    Ok(Remain { plan: Arc::new(plan), rows, runs, bytes })
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remains").field("entries", &self.cache.entry_count()).finish()
    }
}
