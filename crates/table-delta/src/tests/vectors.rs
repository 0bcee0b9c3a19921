//! Deletion vectors: which rows are left, and what is said of those that are wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{col, lit};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SessionConfig, SessionContext};
use meshgate_model::{Failure, Fault};
use meshgate_table::conformance::{Bench, batch};
use meshgate_table::{Delivery, Error, Format, Pin, Source};
use serde_json::{Value, json};

use super::{Machine, find};
use crate::{DeltaFormat, VectorStorage, append, delete};

const STORAGES: [VectorStorage; 3] = [VectorStorage::Inline, VectorStorage::Relative, VectorStorage::Absolute];

/// A table of the numbers `0..40` with all kinds of columns, in two files or eight.
struct Table {
    root: tempfile::TempDir,
}

impl Table {
    async fn new(partition_by: &[&str]) -> Self {
        let table = Self { root: tempfile::tempdir().unwrap() };
        for part in [batch(0, 20), batch(20, 40)] {
            append(&table.directory(), [part.unwrap()], partition_by).await.unwrap();
        }
        table
    }

    fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("domain/a table")
    }

    fn delete(&self, storage: VectorStorage, which: impl Fn(i32) -> bool) {
        let ids = |batch: &RecordBatch| -> BooleanArray {
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int32Type>();
            ids.iter().map(|id| id.map(&which)).collect()
        };
        delete(&self.directory(), storage, ids).unwrap();
    }

    fn source(&self) -> Source {
        Source::at(Format::Delta, url::Url::from_directory_path(self.directory()).unwrap())
    }

    fn bench(&self) -> Bench {
        let domain = self.directory().parent().unwrap().to_path_buf();
        Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &domain).unwrap()
    }

    fn commit(&self, version: u64) -> PathBuf {
        self.directory().join(format!("_delta_log/{version:020}.json"))
    }

    /// Changes the deletion vector of the first file that a commit gives one.
    fn change(&self, version: u64, change: impl Fn(&mut Value)) {
        let text = fs::read_to_string(self.commit(version)).unwrap();
        let mut actions: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let added = actions.iter_mut().find_map(|action| action.get_mut("add")).unwrap();
        change(&mut added["deletionVector"]);
        let lines: Vec<_> = actions.iter().map(Value::to_string).collect();
        fs::write(self.commit(version), lines.join("\n")).unwrap();
    }

    fn vector_file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.directory().join("dv")).unwrap();
        files.next().unwrap().unwrap().path()
    }

    async fn rows(&self) -> Result<usize, Error> {
        let read = self.bench().rows(&self.source(), &Pin::Latest, &["id"], None).await;
        read.map(|rows| rows.len()).map_err(own)
    }
}

/// Our error, taken out of whatever it is in.
fn own(error: meshgate_table::conformance::Failed) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => {
            assert!(find(error.as_ref()).is_some(), "{error:?}");
            let error = error.downcast::<DataFusionError>().unwrap();
            let DataFusionError::External(inner) = *error else { panic!("{error:?}") };
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
    for (storage, partition_by) in STORAGES.into_iter().flat_map(|s| [(s, &[][..]), (s, &["region", "even"][..])]) {
        let table = Table::new(partition_by).await;
        table.delete(storage, |id| id % 7 == 0);
        table.delete(storage, |id| (10..20).contains(&id));
        // All rows of a file at once, and nothing at all.
        table.delete(storage, |id| id >= 20);
        table.delete(storage, |_| false);
        let (bench, source) = (table.bench(), table.source());
        let left = [
            (0..40).collect::<Vec<_>>(),
            (0..40).filter(|id| id % 7 != 0).collect(),
            (0..40).filter(|id| id % 7 != 0 && !(10..20).contains(id)).collect(),
            (0..10).filter(|id| id % 7 != 0).collect(),
            (0..10).filter(|id| id % 7 != 0).collect(),
        ];
        for (version, left) in (1_u64..).zip(left) {
            let pin = Pin::Version(version.to_string());
            let read = bench.rows(&source, &pin, &["id"], None).await.unwrap();
            assert_eq!(read, texts(left.clone()), "{storage:?} {partition_by:?} {version}");
            let nothing = bench.rows(&source, &pin, &[], None).await.unwrap();
            assert_eq!(nothing.len(), left.len(), "{storage:?} {partition_by:?} {version}");
            let filter = col("id").gt(lit(3)).and(col("region").eq(lit("EU")));
            let read = bench.rows(&source, &pin, &["id", "region"], Some(filter)).await.unwrap();
            let expected = left.iter().filter(|id| **id > 3 && **id % 4 == 0).count();
            assert_eq!(read.len(), expected, "{storage:?} {partition_by:?} {version}");
        }
    }
}

/// What is said of a file counts its deleted rows, too.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_not_exact_where_rows_are_deleted() {
    let table = Table::new(&[]).await;
    let (bench, source) = (table.bench(), table.source());
    let exact = |version: &str| {
        let (bench, source, pin) = (&bench, &source, Pin::Version(version.to_owned()));
        async move {
            let snapshot = bench.tables.snapshot(&bench.stores, source, &pin, None).await.unwrap();
            snapshot.files().await.unwrap();
            let plan = bench.plan(source, &pin, &["id"], None, Delivery::Divided).await.unwrap();
            let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
            let nulls = statistics.column_statistics[0].null_count.is_exact().unwrap();
            (
                snapshot.exact_rows(),
                statistics.num_rows.is_exact().unwrap(),
                statistics.num_rows.get_value().copied(),
                nulls,
            )
        }
    };
    table.delete(VectorStorage::Inline, |id| id % 10 == 0);
    assert_eq!(exact("1").await, (Some(40), true, Some(40), true));
    assert_eq!(exact("2").await, (None, false, Some(36), false));
}

/// A vector that is not what the log says it is, in every way.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_vectors_are_errors() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("cardinality", |vector| vector["cardinality"] = 2.into()),
        ("no rows", |vector| vector["cardinality"] = 0.into()),
        ("negative", |vector| vector["cardinality"] = (-1).into()),
        ("size", |vector| vector["sizeInBytes"] = 8.into()),
        ("large", |vector| vector["sizeInBytes"] = i32::MAX.into()),
        ("negative size", |vector| vector["sizeInBytes"] = (-1).into()),
        ("offset", |vector| vector["offset"] = 2.into()),
        ("far offset", |vector| vector["offset"] = i32::MAX.into()),
        ("negative offset", |vector| vector["offset"] = (-5).into()),
        ("begin", |vector| vector["offset"] = 0.into()),
        ("no such file", |vector| vector["pathOrInlineDv"] = "dvvBn[lx{q8@P<9BNH/isA".into()),
        ("no id", |vector| vector["pathOrInlineDv"] = "dv".into()),
    ];
    for (name, change) in changes {
        let table = Table::new(&[]).await;
        table.delete(VectorStorage::Relative, |id| id % 7 == 0);
        assert_eq!(table.rows().await.unwrap(), 34);
        table.change(2, change);
        let error = table.rows().await.expect_err(name);
        assert_eq!(error.fault(), Fault::Unavailable, "{name}: {error:?}");
        assert_eq!(error.public().primary, "the table's data cannot be read just now", "{name}: {error:?}");
    }
    let inline: [(&str, Change); 5] = [
        ("cardinality", |vector| vector["cardinality"] = 4.into()),
        ("size", |vector| vector["sizeInBytes"] = 4.into()),
        ("empty", |vector| vector["pathOrInlineDv"] = "".into()),
        ("no Z85", |vector| vector["pathOrInlineDv"] = "~~~~~".into()),
        ("another magic", |vector| {
            let mut bytes = z85::decode(vector["pathOrInlineDv"].as_str().unwrap()).unwrap();
            bytes[0] ^= 1;
            vector["pathOrInlineDv"] = z85::encode(bytes).into();
        }),
    ];
    for (name, change) in inline {
        let table = Table::new(&[]).await;
        table.delete(VectorStorage::Inline, |id| id % 7 == 0);
        table.change(2, change);
        let error = table.rows().await.expect_err(name);
        assert!(matches!(error, Error::Malformed { .. }), "{name}: {error:?}");
    }
}

/// A vector's file that is missing, cut off, of another version, or has one bit changed anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_errors() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Relative, |id| id % 7 == 0);
    let file = table.vector_file();
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        let error = table.rows().await.expect_err("a changed bit");
        let told = format!("{error}");
        assert!(matches!(error, Error::UnsupportedFeature { .. }) || told.contains("deletion_vector_"), "{at}: {told}");
        fs::write(&file, &whole[..at]).unwrap();
        table.rows().await.expect_err("a file that is cut off");
    }
    fs::remove_file(&file).unwrap();
    let error = table.rows().await.expect_err("a file that is gone");
    assert!(!error.public().primary.contains("deletion_vector_"), "{error:?}");
}

/// Vectors never change under a name: they are read once.
#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_kept() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Relative, |id| id % 7 == 0);
    let bench = table.bench();
    let first = bench.rows(&table.source(), &Pin::Latest, &["id"], None).await.unwrap();
    fs::remove_file(table.vector_file()).unwrap();
    assert_eq!(bench.rows(&table.source(), &Pin::Latest, &["id"], None).await.unwrap(), first);
    // What was kept for other deletes of the file is not taken for these.
    table.change(2, |vector| vector["cardinality"] = 4.into());
    table.bench().rows(&table.source(), &Pin::Latest, &["id"], None).await.expect_err("no file");
}

/// What deletes take is charged to the query.
#[tokio::test(flavor = "multi_thread")]
async fn memory_for_vectors_is_charged() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Inline, |id| id % 2 == 0);
    let bench = table.bench();
    let snapshot = bench.tables.snapshot(&bench.stores, &table.source(), &Pin::Latest, None).await.unwrap();
    for (bytes, fits) in [(100, false), (1_000, false), (50_000, true)] {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
        let environment = RuntimeEnvBuilder::new().with_memory_pool(pool.clone()).build_arc().unwrap();
        let session = SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), environment);
        let scan = snapshot.scan(&session.state(), &[0], &[], Delivery::Divided).await;
        match scan {
            Ok(scan) => {
                assert!(fits && pool.reserved() > 0, "{bytes}");
                drop(scan);
            }
            Err(error) => {
                assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error:?}");
                assert!(!fits, "{bytes}");
            }
        }
        assert_eq!(pool.reserved(), 0, "{bytes}");
    }
}

/// A vector that deletes rows that the data file does not have, and a log that counts rows otherwise than the data file.
#[tokio::test(flavor = "multi_thread")]
async fn vectors_fit_their_data_files() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Inline, |id| id % 7 == 0);
    let text = fs::read_to_string(table.commit(2)).unwrap();
    for (said, rows) in [("20", "21"), ("20", "19")] {
        let counted = |rows: &str| format!("\\\"numRecords\\\":{rows},");
        let lying = text.replace(&counted(said), &counted(rows));
        assert_ne!(lying, text);
        fs::write(table.commit(2), lying).unwrap();
        let error = table.rows().await.expect_err("rows that are not there");
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
    // Without a count in the log the data file's own is taken.
    let mut actions: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    actions.iter_mut().filter_map(|action| action.get_mut("add")).for_each(|add| add["stats"] = "{}".into());
    fs::write(table.commit(2), actions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(table.rows().await.unwrap(), 34);
    let beyond = {
        let mut bytes = meshgate_table::vector::PORTABLE_MAGIC.to_le_bytes().to_vec();
        roaring::RoaringTreemap::from_iter([3_u64, 20]).serialize_into(&mut bytes).unwrap();
        json!({"storageType": "i", "sizeInBytes": bytes.len(), "cardinality": 2, "pathOrInlineDv": z85::encode(bytes)})
    };
    table.change(2, |vector| *vector = beyond.clone());
    let error = table.rows().await.expect_err("a row that is not there");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

/// A file of another domain is no file of deletion vectors.
#[tokio::test(flavor = "multi_thread")]
async fn vectors_outside_the_domain_are_refused() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Absolute, |id| id % 7 == 0);
    let outside = table.directory().parent().unwrap().with_file_name("outside.bin");
    fs::rename(table.vector_file(), &outside).unwrap();
    let refused = |error: Error| assert!(matches!(error, Error::OutsideStorage { .. }), "{error:?}");
    let url = url::Url::from_file_path(&outside).unwrap().to_string();
    for path in
        [url.as_str(), &url.replace("outside.bin", "domain/../outside.bin"), "s3://lake/v.bin", "v.bin", "../v.bin"]
    {
        table.change(2, |vector| vector["pathOrInlineDv"] = path.into());
        refused(table.rows().await.unwrap_err());
    }
    let link = table.directory().join("dv/link.bin");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    table.change(2, |vector| vector["pathOrInlineDv"] = url::Url::from_file_path(&link).unwrap().to_string().into());
    refused(table.rows().await.unwrap_err());
    // Relative ones: what is before the id is the name of a directory.
    let name = outside.with_file_name("deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin");
    fs::rename(&outside, &name).unwrap();
    for directory in ["../..", "%2e%2e/%2e%2e", "/", "..", "a//b", "./../.."] {
        table.change(2, |vector| {
            vector["storageType"] = "u".into();
            vector["pathOrInlineDv"] = format!("{directory}vBn[lx{{q8@P<9BNH/isA").into();
        });
        let error = table.rows().await.expect_err(directory);
        assert!(!Path::new(&format!("{error}")).is_file(), "{directory}: {error:?}");
    }
}

/// What the protocol does not name is in force all the same.
#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_the_protocol_does_not_name_are_refused() {
    let table = Table::new(&[]).await;
    table.delete(VectorStorage::Inline, |id| id % 7 == 0);
    let text = fs::read_to_string(table.commit(2)).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("{\"protocol\"")).collect();
    fs::write(table.commit(2), kept.join("\n")).unwrap();
    assert!(matches!(table.rows().await.unwrap_err(), Error::Malformed { .. }));
}
