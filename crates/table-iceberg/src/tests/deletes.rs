//! Deletes: which rows are left, and what is said of those that are wrong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{col, lit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SessionConfig, SessionContext};
use iceberg::spec::{PrimitiveType, Transform, Type, UnboundPartitionSpec};
use meshgate_model::{Failure, Fault};
use meshgate_table::conformance::{Bench, Failed, batch};
use meshgate_table::{Delivery, Error, FIELD_ID, Format, Pin, Source};
use serde_json::Value;

use super::{Machine, change_columns};
use crate::write::{change, redescribe};
use crate::{Deletion, IcebergFormat, delete, write};

const WAYS: [Deletion<'_>; 5] = [
    Deletion::Positions,
    Deletion::PositionsByFile,
    Deletion::Vectors,
    Deletion::Equality(&["id"]),
    Deletion::EqualityEverywhere(&["region", "id"]),
];

/// A table of the numbers `0..40` with all kinds of columns, in two files or eight.
struct Table {
    root: tempfile::TempDir,
}

impl Table {
    fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    async fn new(partition_by: &[&str]) -> Self {
        let table = Self::empty();
        for part in [batch(0, 20), batch(20, 40)] {
            write(&table.directory(), [part.unwrap()], partition_by).await.unwrap();
        }
        table
    }

    fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("domain/a table")
    }

    async fn append(&self, columns: Vec<(&str, ArrayRef)>) {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        write(&self.directory(), [RecordBatch::try_from_iter_with_nullable(columns).unwrap()], &[]).await.unwrap();
    }

    async fn delete(&self, how: Deletion<'_>, which: impl Fn(i32) -> bool) {
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
        Bench::new(Arc::new(IcebergFormat), Arc::new(Machine), &domain).unwrap()
    }

    async fn read(&self, column: &str) -> Result<Vec<String>, Error> {
        self.bench().rows(&self.source(), &Pin::Latest, &[column], None).await.map_err(own)
    }

    async fn rows(&self) -> Result<usize, Error> {
        self.read("id").await.map(|rows| rows.len())
    }

    /// The delete file of the newest snapshot, which has but one.
    fn delete_file(&self) -> PathBuf {
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

    /// Puts other rows into the delete file, and describes it as it is then.
    async fn rewrite(&self, columns: Vec<(Field, ArrayRef)>) {
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let path = self.delete_file();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let size = fs::metadata(&path).unwrap().len();
        redescribe(&self.directory(), |file| {
            file["file_size_in_bytes"] = size.into();
            file["record_count"] = batch.num_rows().into();
        })
        .await
        .unwrap();
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

/// Descriptions of delete files that are wrong, in every way.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_descriptions_are_errors() {
    type Change = fn(&mut Value);
    let all: [(&str, Change); 4] = [
        ("count", |file| file["record_count"] = 2.into()),
        ("no rows", |file| file["record_count"] = 0.into()),
        ("no such file", |file| file["file_path"] = (file["file_path"].as_str().unwrap().to_owned() + "x").into()),
        ("outside", |file| file["file_path"] = "file:///etc/deletes.parquet".into()),
    ];
    let parquet: [(&str, Change); 2] = [
        ("size", |file| file["file_size_in_bytes"] = 20.into()),
        ("far too large", |file| file["file_size_in_bytes"] = i64::MAX.into()),
    ];
    let vector: [(&str, Change); 5] = [
        ("offset", |file| file["content_offset"] = 5.into()),
        ("begin", |file| file["content_offset"] = 0.into()),
        ("far offset", |file| file["content_offset"] = (i64::MAX - 60).into()),
        ("size", |file| file["content_size_in_bytes"] = 20.into()),
        ("large", |file| file["content_size_in_bytes"] = (1 << 20).into()),
    ];
    let equality: [(&str, Change); 2] = [
        ("no columns", |file| file["equality_ids"] = Value::Array(Vec::new())),
        ("another column", |file| file["equality_ids"] = Value::Array(vec![5.into()])),
    ];
    for (way, more) in
        [(WAYS[0], &[][..]), (WAYS[2], &vector[..]), (Deletion::EqualityEverywhere(&["id"]), &equality[..])]
    {
        let more = if way == Deletion::Vectors { more.to_vec() } else { [&parquet[..], more].concat() };
        for (name, change) in all.into_iter().chain(more) {
            let table = Table::new(&[]).await;
            table.delete(way, |id| id < 20 && id % 7 == 0).await;
            assert_eq!(table.rows().await.unwrap(), 37);
            redescribe(&table.directory(), change).await.unwrap();
            let error = table.rows().await.expect_err(name);
            assert_eq!(error.fault(), Fault::Unavailable, "{way:?} {name}: {error:?}");
            assert_eq!(error.public().primary, "the table's data cannot be read just now", "{name}: {error:?}");
            assert_eq!(matches!(error, Error::OutsideStorage { .. }), name == "outside", "{error:?}");
        }
    }
}

/// What is not built is refused by its name, whichever way.
#[tokio::test(flavor = "multi_thread")]
async fn other_formats_of_delete_files_are_refused() {
    for (way, kind) in [(WAYS[0], "positional"), (WAYS[3], "equality")] {
        for format in ["avro", "orc"] {
            let table = Table::new(&[]).await;
            table.delete(way, |id| id % 7 == 0).await;
            redescribe(&table.directory(), |file| file["file_format"] = format.to_uppercase().into()).await.unwrap();
            let error = table.rows().await.expect_err(format);
            let expected = format!("the table uses {format} {kind} delete files, which is not supported");
            assert_eq!(error.public().primary, expected);
        }
    }
}

/// A file of another domain is no delete file.
#[tokio::test(flavor = "multi_thread")]
async fn delete_files_outside_the_domain_are_refused() {
    for way in [Deletion::Positions, Deletion::Vectors, Deletion::EqualityEverywhere(&["id"])] {
        let table = Table::new(&[]).await;
        table.delete(way, |id| id < 20 && id % 7 == 0).await;
        let inside = table.delete_file();
        let outside = table.directory().parent().unwrap().with_file_name("outside");
        fs::rename(&inside, &outside).unwrap();
        let link = inside.with_file_name("link");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let up = format!("file://{}/../../../outside", inside.parent().unwrap().display());
        let file = |path: &Path| format!("file://{}", path.display());
        for path in [file(&outside), file(&link), up, "s3://lake/deletes".to_owned(), "deletes".to_owned()] {
            redescribe(&table.directory(), |file| file["file_path"] = path.clone().into()).await.unwrap();
            let error = table.rows().await.unwrap_err();
            assert!(matches!(error, Error::OutsideStorage { .. }), "{way:?} {path}: {error:?}");
        }
    }
}

/// A vector that has one bit changed anywhere, or a file that ends too early.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_vectors_are_errors() {
    let table = Table::new(&[]).await;
    table.delete(Deletion::Vectors, |id| id < 20 && id % 7 == 0).await;
    let file = table.delete_file();
    let (mut begin, mut size) = (0, 0);
    redescribe(&table.directory(), |file| {
        let number = |name: &str| usize::try_from(file[name].as_u64().unwrap()).unwrap();
        (begin, size) = (number("content_offset"), number("content_size_in_bytes"));
    })
    .await
    .unwrap();
    let whole = fs::read(&file).unwrap();
    for at in begin..begin + size {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        let error = table.rows().await.expect_err("a changed bit");
        assert!(matches!(error, Error::Malformed { .. }), "{at}: {error:?}");
        fs::write(&file, &whole[..at]).unwrap();
        table.rows().await.expect_err("a file that is cut off");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(table.rows().await.unwrap(), 37);
}

/// Positional delete files that say what cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_positions_are_errors() {
    let table = Table::new(&[]).await;
    table.delete(Deletion::PositionsByFile, |id| id == 1).await;
    let mut path = String::new();
    redescribe(&table.directory(), |file| file["referenced_data_file"].as_str().unwrap().clone_into(&mut path))
        .await
        .unwrap();
    let column = |name: &str, array: &ArrayRef, id: Option<i32>| {
        let field = Field::new(name, array.data_type().clone(), true);
        match id {
            Some(id) => field.with_metadata([(FIELD_ID.to_owned(), id.to_string())].into()),
            None => field,
        }
    };
    let (path_id, pos_id) = (Some(i32::MAX - 101), Some(i32::MAX - 102));
    let paths = |paths: Vec<Option<&str>>| Arc::new(StringArray::from(paths)) as ArrayRef;
    let at = |at: Vec<Option<i64>>| Arc::new(Int64Array::from(at)) as ArrayRef;
    let own = path.as_str();
    for (name, (path_id, paths), (pos_id, at), left) in [
        ("as it was", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(1)])), Some(39)),
        ("not in their order", (path_id, paths(vec![Some(own); 2])), (pos_id, at(vec![Some(3), Some(1)])), Some(38)),
        ("twice", (path_id, paths(vec![Some(own); 2])), (pos_id, at(vec![Some(1); 2])), Some(39)),
        ("of others", (path_id, paths(vec![Some("file:///else")])), (pos_id, at(vec![Some(1)])), Some(40)),
        ("by name", (None, paths(vec![Some(own)])), (None, at(vec![Some(1)])), Some(39)),
        ("beyond the last row", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(20)])), None),
        ("far beyond", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(i64::MAX)])), None),
        ("negative", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(-1)])), None),
        ("no position", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![None])), None),
        ("no path", (path_id, paths(vec![None])), (pos_id, at(vec![Some(1)])), None),
        ("another column", (path_id, paths(vec![Some(own)])), (Some(7), at(vec![Some(1)])), None),
    ] {
        let columns =
            vec![(column("file_path", &paths, path_id), paths.clone()), (column("pos", &at, pos_id), at.clone())];
        table.rewrite(columns).await;
        match (table.rows().await, left) {
            (Ok(found), Some(left)) => assert_eq!(found, left, "{name}"),
            (Err(Error::Malformed { .. }), None) => {}
            (found, left) => panic!("{name}: {found:?}, not {left:?}"),
        }
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
