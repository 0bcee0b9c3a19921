//! Deletes: which rows are left, and what is said of those that are wrong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{col, lit};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SessionConfig, SessionContext};
use iceberg::spec::{PrimitiveType, Transform, Type, UnboundPartitionSpec};
use meshgate_table::conformance::{Bench, Failed, batch};
use meshgate_table::{Delivery, Error, Format, Pin, Source};

use super::{Machine, change_columns};
use crate::write::change;
use crate::{Deletion, IcebergFormat, delete, write};

pub(super) const WAYS: [Deletion<'_>; 5] = [
    Deletion::Positions,
    Deletion::PositionsByFile,
    Deletion::Vectors,
    Deletion::Equality(&["id"]),
    Deletion::EqualityEverywhere(&["region", "id"]),
];

/// A table of the numbers `0..40` with all kinds of columns, in two files or eight.
pub(super) struct Table {
    root: tempfile::TempDir,
}

impl Table {
    fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(super) async fn new(partition_by: &[&str]) -> Self {
        let table = Self::empty();
        for part in [batch(0, 20), batch(20, 40)] {
            write(&table.directory(), [part.unwrap()], partition_by).await.unwrap();
        }
        table
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("domain/a table")
    }

    async fn append(&self, columns: Vec<(&str, ArrayRef)>) {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        write(&self.directory(), [RecordBatch::try_from_iter_with_nullable(columns).unwrap()], &[]).await.unwrap();
    }

    pub(super) async fn delete(&self, how: Deletion<'_>, which: impl Fn(i32) -> bool) {
        let ids = |batch: &RecordBatch| -> BooleanArray {
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int32Type>();
            ids.iter().map(|id| id.map(&which)).collect()
        };
        delete(&self.directory(), how, ids).await.unwrap();
    }

    fn source(&self) -> Source {
        Source::at(Format::Iceberg, url::Url::from_directory_path(self.directory()).unwrap())
    }

    fn bench(&self) -> Bench {
        let domain = self.directory().parent().unwrap().to_path_buf();
        Bench::new(Arc::new(IcebergFormat::new(Arc::new(Machine))), Arc::new(Machine), &domain).unwrap()
    }

    async fn read(&self, column: &str) -> Result<Vec<String>, Error> {
        self.bench().rows(&self.source(), &Pin::Latest, &[column], None).await.map_err(own)
    }

    pub(super) async fn rows(&self) -> Result<usize, Error> {
        self.read("id").await.map(|rows| rows.len())
    }

    /// The delete file of the newest snapshot, which has but one.
    pub(super) fn delete_file(&self) -> PathBuf {
        let mut found = Vec::new();
        let mut directories = vec![self.directory().join("data")];
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => directories.push(path),
                    false if path.to_string_lossy().contains("deletes.") => found.push(path),
                    false => {}
                }
            }
        }
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

/// Our error, taken out of whatever it is in.
fn own(error: Failed) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => {
            let error = error.downcast::<DataFusionError>().unwrap();
            let DataFusionError::External(inner) = *error else { return Error::Plan(*error) };
            *inner.downcast().unwrap()
        }
    }
}

fn texts(ids: impl IntoIterator<Item = i32>) -> Vec<String> {
    let mut texts: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_are_gone() {
    for (way, partition_by) in WAYS.into_iter().flat_map(|way| [(way, &[][..]), (way, &["region", "even"][..])]) {
        let table = Table::new(partition_by).await;
        let (bench, source) = (table.bench(), table.source());
        let version = || async {
            bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, None).await.unwrap().version().to_owned()
        };
        let mut versions = vec![version().await];
        table.delete(way, |id| id % 7 == 0).await;
        versions.push(version().await);
        table.delete(way, |id| (10..20).contains(&id)).await;
        versions.push(version().await);
        // All rows of a file at once, and nothing at all.
        table.delete(way, |id| id >= 20).await;
        versions.push(version().await);
        table.delete(way, |_| false).await;
        versions.push(version().await);
        // What is added again stays.
        write(&table.directory(), [batch(0, 20).unwrap()], partition_by).await.unwrap();
        versions.push(version().await);
        let left = [
            (0..40).collect::<Vec<_>>(),
            (0..40).filter(|id| id % 7 != 0).collect(),
            (0..40).filter(|id| id % 7 != 0 && !(10..20).contains(id)).collect(),
            (0..10).filter(|id| id % 7 != 0).collect(),
            (0..10).filter(|id| id % 7 != 0).collect(),
            (0..10).filter(|id| id % 7 != 0).chain(0..20).collect(),
        ];
        for (at, (version, left)) in versions.into_iter().zip(left).enumerate() {
            let pin = Pin::Version(version);
            let read = bench.rows(&source, &pin, &["id"], None).await.unwrap();
            assert_eq!(read, texts(left.clone()), "{way:?} {partition_by:?} {at}");
            let nothing = bench.rows(&source, &pin, &[], None).await.unwrap();
            assert_eq!(nothing.len(), left.len(), "{way:?} {partition_by:?} {at}");
            let filter = col("id").gt(lit(3)).and(col("region").eq(lit("EU")));
            let read = bench.rows(&source, &pin, &["id", "region"], Some(filter)).await.unwrap();
            let expected = left.iter().filter(|id| **id > 3 && **id % 4 == 0).count();
            assert_eq!(read.len(), expected, "{way:?} {partition_by:?} {at}");
        }
    }
}

/// Kinds that are in force together, of a table that was partitioned in between.
#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_deletes_add_up() {
    let table = Table::new(&[]).await;
    table.delete(Deletion::Positions, |id| id % 7 == 0).await;
    change(&table.directory(), |builder| {
        let spec = UnboundPartitionSpec::builder().add_partition_field(2, "region_part", Transform::Identity)?;
        builder.add_default_partition_spec(spec.build())
    })
    .unwrap();
    write(&table.directory(), [batch(40, 60).unwrap()], &[]).await.unwrap();
    table.delete(Deletion::PositionsByFile, |id| id % 11 == 0).await;
    table.delete(Deletion::Equality(&["id"]), |id| id % 5 == 0).await;
    let left = |id: &i32| id % 7 != 0 && id % 11 != 0 && id % 5 != 0;
    // Files of the first specification lie where those of the second do not reach, and so do deletes.
    let left = |id: &i32| left(id) || (*id >= 40 && id % 7 == 0 && id % 11 != 0 && id % 5 != 0);
    assert_eq!(table.read("id").await.unwrap(), texts((0..60).filter(left)));
    // A vector stands for the positional deletes of its file.
    table.delete(Deletion::Vectors, |id| id == 1 || id == 41).await;
    let left = |id: &i32| left(id) && *id != 1 && *id != 41;
    assert_eq!(table.read("id").await.unwrap(), texts((0..60).filter(left)));
    table.delete(Deletion::Vectors, |id| id == 2).await;
    table.delete(Deletion::EqualityEverywhere(&["id"]), |id| id == 3 || id == 43).await;
    let left = |id: &i32| left(id) && ![2, 3, 43].contains(id);
    assert_eq!(table.read("id").await.unwrap(), texts((0..60).filter(left)));
}

/// What is said of a file counts its deleted rows, too.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_not_exact_where_rows_are_deleted() {
    for way in WAYS {
        let table = Table::new(&[]).await;
        let exact = || async {
            let (bench, source) = (table.bench(), table.source());
            let snapshot = bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, None).await.unwrap();
            snapshot.files().await.unwrap();
            let plan = bench.plan(&source, &Pin::Latest, &["id"], None, Delivery::Divided).await.unwrap();
            let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
            let nulls = statistics.column_statistics[0].null_count.is_exact().unwrap();
            (snapshot.exact_rows(), statistics.num_rows.is_exact().unwrap(), nulls)
        };
        assert_eq!(exact().await, (Some(40), true, true));
        table.delete(way, |id| id % 10 == 0).await;
        assert_eq!(exact().await, (None, false, false), "{way:?}");
    }
}

/// Columns of equality deletes that hold what does not equal itself elsewhere, or were others when it was written.
#[tokio::test(flavor = "multi_thread")]
async fn equality_is_that_of_the_format() {
    let table = Table::empty();
    let floats = || vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN), Some(1.5), None];
    let ids = |ids: std::ops::Range<i32>| Arc::new(Int32Array::from_iter_values(ids)) as ArrayRef;
    table.append(vec![("id", ids(0..6)), ("x", Arc::new(Float64Array::from(floats())))]).await;
    let of = |wanted: fn(Option<f64>) -> bool| {
        move |batch: &RecordBatch| -> BooleanArray {
            let floats = batch.column_by_name("x").unwrap().as_primitive::<Float64Type>();
            floats.iter().map(|value| Some(wanted(value))).collect()
        }
    };
    let how = Deletion::Equality(&["x"]);
    let delete = |wanted| delete_from(table.directory(), how, of(wanted));
    delete(|value| value.is_some_and(|value| value == 0.0 && value.is_sign_positive())).await;
    assert_eq!(table.read("id").await.unwrap(), texts(1..6));
    delete(|value| value.is_some_and(|value| value.is_nan() && value.is_sign_positive())).await;
    assert_eq!(table.read("id").await.unwrap(), texts([1, 4, 5]));
    delete(|value| value.is_none()).await;
    assert_eq!(table.read("id").await.unwrap(), texts([1, 4]));
}

async fn delete_from(directory: PathBuf, how: Deletion<'_>, which: impl Fn(&RecordBatch) -> BooleanArray) {
    delete(&directory, how, which).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_equality_deletes_are_found_by_id() {
    let table = Table::empty();
    let columns = |ids: std::ops::Range<i32>, name: &'static str| {
        let ids = Arc::new(Int32Array::from_iter_values(ids.clone())) as ArrayRef;
        vec![("id", ids.clone()), (name, ids)]
    };
    let by_id = |batch: &RecordBatch, wanted: &[i64]| -> BooleanArray {
        let ids = arrow::compute::cast(batch.column(0), &DataType::Int64).unwrap();
        let ids = ids.as_primitive::<arrow::datatypes::Int64Type>().clone();
        ids.iter().map(|id| id.map(|id| wanted.contains(&id))).collect()
    };
    table.append(columns(0..6, "code")).await;
    delete(&table.directory(), Deletion::Equality(&["code"]), |batch| by_id(batch, &[0])).await.unwrap();
    // Renamed and widened: the delete file is older than that.
    change_columns(&table.directory(), |fields| {
        "other".clone_into(&mut fields[1].name);
        *fields[1].field_type = Type::Primitive(PrimitiveType::Long);
    });
    assert_eq!(table.read("other").await.unwrap(), texts(1..6));
    let wide = Arc::new(Int64Array::from_iter_values(6..9)) as ArrayRef;
    table.append(vec![("id", Arc::new(Int32Array::from_iter_values(6..9))), ("other", wide)]).await;
    // Of both files: one of narrow values, one of wide ones.
    delete(&table.directory(), Deletion::Equality(&["other"]), |batch| by_id(batch, &[1, 7])).await.unwrap();
    assert_eq!(table.read("id").await.unwrap(), texts([2, 3, 4, 5, 6, 8]));
    // Another column of its old name changes nothing, nor does it that the column is dropped.
    change_columns(&table.directory(), |fields| "code".clone_into(&mut fields[1].name));
    change_columns(&table.directory(), |fields| drop(fields.pop()));
    assert_eq!(table.read("id").await.unwrap(), texts([2, 3, 4, 5, 6, 8]));
}

/// Delete files never change under a name: they are read once for each data file.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_kept() {
    for way in WAYS {
        let table = Table::new(&[]).await;
        table.delete(way, |id| id < 20 && id % 7 == 0).await;
        let bench = table.bench();
        let first = bench.rows(&table.source(), &Pin::Latest, &["id"], None).await.unwrap();
        fs::remove_file(table.delete_file()).unwrap();
        assert_eq!(bench.rows(&table.source(), &Pin::Latest, &["id"], None).await.unwrap(), first, "{way:?}");
        table.bench().rows(&table.source(), &Pin::Latest, &["id"], None).await.expect_err("no file");
    }
}

/// What deletes take is charged to the query.
#[tokio::test(flavor = "multi_thread")]
async fn memory_for_deletes_is_charged() {
    for way in WAYS {
        let table = Table::new(&[]).await;
        table.delete(way, |id| id % 2 == 0).await;
        for (bytes, fits) in [(50, false), (150, false), (500_000, true)] {
            let bench = table.bench();
            let snapshot = bench.tables.snapshot(&bench.stores, &table.source(), &Pin::Latest, None).await.unwrap();
            let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
            let environment = RuntimeEnvBuilder::new().with_memory_pool(pool.clone()).build_arc().unwrap();
            let config = SessionConfig::new().with_target_partitions(2);
            let session = SessionContext::new_with_config_rt(config, environment);
            match snapshot.scan(&session.state(), &[0], &[], Delivery::Divided).await {
                Ok(scan) => {
                    assert!(fits && pool.reserved() > 0, "{way:?} {bytes}");
                    drop(scan);
                }
                Err(error) => {
                    assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error:?}");
                    assert!(!fits, "{way:?} {bytes}");
                }
            }
            assert_eq!(pool.reserved(), 0, "{way:?} {bytes}");
        }
    }
}

/// Files that a filter rules out are not compared with equality deletes either, and those that are left are still divided.
#[tokio::test(flavor = "multi_thread")]
async fn deletes_leave_pruning_as_it_is() {
    for way in WAYS {
        let table = Table::new(&[]).await;
        table.delete(way, |id| id % 7 == 0).await;
        let (bench, source) = (table.bench(), table.source());
        let small = || Some(col("id").lt(lit(10)));
        assert_eq!(bench.files_read(&source, &["id"], small()).await.unwrap(), 1, "{way:?}");
        let gone = |path: &Path| {
            let file = File::open(path).unwrap();
            let rows = datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
            let batch = rows.unwrap().build().unwrap().next().unwrap().unwrap();
            let ids = batch.column_by_name("id").map(|ids| ids.as_primitive::<Int32Type>().value(0));
            ids == Some(20)
        };
        let data = fs::read_dir(table.directory().join("data")).unwrap().map(|entry| entry.unwrap().path());
        let is_data = |path: &PathBuf| path.is_file() && !path.to_string_lossy().contains("deletes.");
        let other = data.filter(is_data).find(|path| gone(path)).expect("the file of the other rows");
        fs::remove_file(other).unwrap();
        let read = table.bench().rows(&source, &Pin::Latest, &["id"], small()).await.unwrap();
        assert_eq!(read, texts((0..10).filter(|id| id % 7 != 0)), "{way:?}");
        table.bench().rows(&source, &Pin::Latest, &["id"], None).await.expect_err("a file that is gone");
    }
}
