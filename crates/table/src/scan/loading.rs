//! What deletes are read with, while a scan is planned.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::OnceCell;

use super::adapter::BindingAdapterFactory;
use super::plan::Matcher;
use super::reader::Readers;
use super::{LakeScanExec, NOWHERE, parquet_source};
use crate::{Binding, DataFile, Error};

/// What a reader unpacks at a time, at most.
const UNPACKED_BYTES: u64 = 4 << 20;

/// Reads whatever the deletes of one scan's files are made of: Parquet files of the domain, once for all files of the scan
/// that need them, and charged to the query.
pub struct Loading {
    readers: Arc<Readers>,
    task: Arc<TaskContext>,
    pool: Arc<dyn MemoryPool>,
    shared: Mutex<HashMap<Box<str>, Arc<Slot>>>,
}

/// Something that was read, or is being read.
type Slot = OnceCell<Arc<dyn Any + Send + Sync>>;

/// Memory that is charged to a query, until this is dropped.
#[derive(Debug)]
pub struct Charge(MemoryReservation);

/// Columns that a file lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// The file is malformed.
    Refused,
    /// It is older than they are: what the binding says stands there.
    Filled,
}

impl Charge {
    /// Charges more.
    ///
    /// # Errors
    /// If the query may not have as much.
    pub fn grow(&self, bytes: u64) -> Result<(), Error> {
        Ok(self.0.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX))?)
    }
}

impl Loading {
    pub(crate) fn new(readers: Arc<Readers>, task: Arc<TaskContext>, pool: Arc<dyn MemoryPool>) -> Self {
        Self { readers, task, pool, shared: Mutex::default() }
    }

    /// Charges memory to the query.
    ///
    /// # Errors
    /// If the query may not have as much.
    pub fn charge(&self, bytes: u64) -> Result<Charge, Error> {
        let charge = Charge(MemoryConsumer::new("Deletes").register(&self.pool));
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// What was read under this name for another file of the scan, or what `read` gives. It is kept until the scan is
    /// planned, and has to hold the [`Charge`] for itself. One name always stands for one type.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn shared<T: Any + Send + Sync>(
        &self,
        name: &str,
        read: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<Arc<T>, Error> {
        let slot = self.shared.lock().entry(name.into()).or_default().clone();
        let found = slot.get_or_try_init(|| async { Ok::<_, Error>(Arc::new(read.await?) as _) }).await?;
        found.clone().downcast().map_err(|_| DataFusionError::Internal("two things of one name".to_owned()).into())
    }

    /// All rows of a Parquet file, in their order: the columns `columns`, found by `binding`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn rows(
        &self,
        file: &DataFile,
        columns: &SchemaRef,
        binding: Binding,
        absent: Absent,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        let path = file.path.to_string();
        let file = file.entry();
        let footer = self.readers.footer(&file).await?;
        let found = bound(&footer, columns, &binding)?;
        if absent == Absent::Refused && found.iter().any(Option::is_none) {
            return Err(Error::malformed(format!("{path}: a column is missing")));
        }
        let charge = self.charge(bytes_at_once(&footer, &found))?;
        let rows = self.plan(file, columns, binding)?.execute(0, self.task.clone())?;
        let held = move |batch: Result<RecordBatch, DataFusionError>| {
            let _ = &charge;
            batch.map_err(Error::Plan)
        };
        Ok(rows.map(held).boxed())
    }

    /// How many rows a Parquet file has.
    ///
    /// # Errors
    /// If its footer cannot be read.
    pub async fn row_count(&self, file: &DataFile) -> Result<u64, Error> {
        let footer = self.readers.footer(&file.entry()).await?;
        let counts = footer.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
        let count = counts.sum::<Option<u64>>();
        count.ok_or_else(|| Error::malformed(format!("{}: impossible row counts", file.path)))
    }

    /// Of one partition and without filters: nothing is left out, and nothing changes places.
    fn plan(&self, file: PartitionedFile, columns: &SchemaRef, binding: Binding) -> Result<LakeScanExec, Error> {
        let options = self.task.session_config().options();
        let source = parquet_source(options, TableSchema::from(columns.clone()), self.readers.clone());
        let config = FileScanConfigBuilder::new(NOWHERE.clone(), source)
            .with_file_group(FileGroup::new(vec![file]))
            .with_preserve_order(true)
            .with_expr_adapter(Some(Arc::new(BindingAdapterFactory::new(Arc::new(binding)))))
            .build();
        Ok(LakeScanExec::divided(DataSourceExec::from_data_source(config)))
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").field("shared", &self.shared.lock().len()).finish_non_exhaustive()
    }
}

/// Where in a file the columns are.
fn bound(footer: &ParquetMetaData, columns: &SchemaRef, binding: &Binding) -> Result<Vec<Option<usize>>, Error> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    let schema = schema.map_err(|error| Error::format("reading the columns of a data file", error))?;
    Ok(Matcher::new(binding, schema.fields()).bind(columns.fields(), schema.fields()))
}

/// What is in memory while some columns of a file are read: their bytes in one row group, and what is unpacked of it.
fn bytes_at_once(footer: &ParquetMetaData, found: &[Option<usize>]) -> u64 {
    let schema = footer.file_metadata().schema_descr();
    let of_group = |group: &parquet::file::metadata::RowGroupMetaData| {
        let columns = group.columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| found.contains(&Some(schema.get_column_root_idx(*leaf))));
        let sizes = read.map(|(_, column)| {
            let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
            size(column.compressed_size()).saturating_add(size(column.uncompressed_size()).min(UNPACKED_BYTES))
        });
        sizes.fold(0, u64::saturating_add)
    };
    footer.row_groups().iter().map(of_group).max().unwrap_or(0)
}
