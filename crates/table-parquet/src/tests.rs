//! Directories by this crate's writer, and what else stands in such directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::logical_expr::{col, lit};
use meshgate_model::{Clock, Failure, Fault, Instant};
use meshgate_table::conformance::{self, Bench, Failed, Fixture};
use meshgate_table::{Error, Format, Layout, Pin, Source, TableFormat};

use crate::{ParquetFormat, append};

mod changes;
mod columns;
mod files;
mod partitions;

#[derive(Default)]
struct Parquet {
    files: AtomicUsize,
}

/// The machine's own.
#[derive(Debug)]
pub(crate) struct Machine;

impl Clock for Machine {
    fn now(&self) -> Instant {
        Instant(chrono::Utc::now().timestamp_micros())
    }
}

#[async_trait]
impl Fixture for Parquet {
    fn format(&self) -> Arc<dyn TableFormat> {
        Arc::new(ParquetFormat::default())
    }

    async fn append(&self, directory: &Path, batch: RecordBatch, partition_by: &[&str]) -> Result<(), Failed> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        Ok(append(directory, &format!("part-{number:05}"), &batch, partition_by)?)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Machine)
    }

    fn evolves(&self) -> bool {
        true
    }

    fn keeps_log(&self) -> bool {
        false
    }

    fn source(&self, url: url::Url, partition_by: &[(&str, DataType)]) -> Source {
        let partitions = partition_by.iter().map(|(name, data_type)| ((*name).to_owned(), data_type.clone())).collect();
        let columns = ["id", "region", "more"].map(|name| (name.to_owned(), None)).to_vec();
        let columns = if partition_by.is_empty() { columns } else { Vec::new() };
        Source::at(Format::Parquet, url).with_layout(Layout { table: String::new(), partitions, columns })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let root = tempfile::tempdir().unwrap();
    conformance::run(&Parquet::default(), root.path()).await.unwrap();
}

/// A domain with a table's directory, which does not exist yet.
pub(crate) struct Place {
    _root: tempfile::TempDir,
    pub(crate) domain: PathBuf,
    pub(crate) table: PathBuf,
    layout: Layout,
    files_max: usize,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let domain = root.path().canonicalize().expect("there").join("domain");
        let table = domain.join("table");
        fs::create_dir(&domain).expect("a directory");
        let layout = Layout { table: "crm.web.visits".to_owned(), ..Layout::default() };
        Self { _root: root, domain, table, layout, files_max: 1000 }
    }

    fn partitions(mut self, partitions: &[(&str, DataType)]) -> Self {
        let each = |(name, data_type): &(&str, DataType)| ((*name).to_owned(), data_type.clone());
        self.layout.partitions = partitions.iter().map(each).collect();
        self
    }

    fn columns(mut self, columns: &[(&str, Option<DataType>)]) -> Self {
        let each = |(name, data_type): &(&str, Option<DataType>)| ((*name).to_owned(), data_type.clone());
        self.layout.columns = columns.iter().map(each).collect();
        self
    }

    pub(crate) fn bench(&self) -> Bench {
        let format = ParquetFormat { files_max: self.files_max };
        Bench::new(Arc::new(format), Arc::new(Machine), &self.domain).expect("a directory")
    }

    pub(crate) fn source(&self) -> Source {
        let url = url::Url::from_directory_path(&self.table).expect("a path");
        Source::at(Format::Parquet, url).with_layout(self.layout.clone())
    }

    /// A file of the table with one column `id`.
    fn ids(&self, file: &str, ids: impl IntoIterator<Item = i32>) {
        self.column(file, "id", Arc::new(Int32Array::from_iter_values(ids)));
    }

    fn column(&self, file: &str, name: &str, values: ArrayRef) {
        self.batch(file, &RecordBatch::try_from_iter([(name, values)]).expect("a column"));
    }

    fn batch(&self, file: &str, batch: &RecordBatch) {
        let path = self.table.join(file);
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let directory = path.parent().expect("a directory");
        append(directory, name.trim_end_matches(".parquet"), batch, &[]).expect("a file");
        if !name.ends_with(".parquet") {
            fs::rename(directory.join(format!("{name}.parquet")), &path).expect("another name");
        }
    }

    /// All rows of some columns.
    async fn rows(&self, columns: &[&str]) -> Result<Vec<String>, Failed> {
        self.bench().rows(&self.source(), &Pin::Latest, columns, None).await
    }
}

/// Our error, wherever in the chain it is.
fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    use datafusion::error::DataFusionError;
    use datafusion::parquet::errors::ParquetError;
    if let Some(found) = error.downcast_ref::<Error>() {
        return Some(found);
    }
    match (error.downcast_ref::<DataFusionError>(), error.downcast_ref::<ParquetError>()) {
        (Some(DataFusionError::External(inner)), _) | (_, Some(ParquetError::External(inner))) => find(inner.as_ref()),
        (Some(DataFusionError::ParquetError(inner)), _) => find(inner.as_ref()),
        _ => find(error.source()?),
    }
}

/// The table does not fit together, as this file shows; the user is told which table, and nothing else.
fn assert_misfit(found: Result<Vec<String>, Failed>, file: &str, reason: &str) {
    let error = found.expect_err(file);
    let Some(ours) = find(error.as_ref()) else { panic!("{file}: {error:?}") };
    let Error::Misfit { table, file: named, reason: given } = ours else { panic!("{file}: {ours:?}") };
    assert_eq!(table, "crm.web.visits");
    assert!(named.ends_with(file), "{named} is not {file}");
    assert!(given.contains(reason), "{file}: {given}");
    assert_eq!(ours.fault(), Fault::Unavailable);
    let public = ours.public().to_string();
    assert!(public.contains("`crm.web.visits`") && !public.contains(file) && !public.contains(reason), "{public}");
}

/// Numbers, as columns of several types.
fn ints(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn id_is(id: i32) -> Option<datafusion::logical_expr::Expr> {
    Some(col("id").eq(lit(id)))
}
