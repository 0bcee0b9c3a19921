//! Delta tables by the library's writer, and by hand what that cannot write.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::logical_expr::{col, lit};
use meshgate_model::{Clock, Failure, Instant};
use meshgate_table::conformance::{self, Bench, Failed, Fixture};
use meshgate_table::{Error, Format, Pin, Source, TableFormat};
use serde_json::{Value, json};

use crate::DeltaFormat;

mod hand;
mod histories;
mod logs;
mod mapping;
mod pruning;
mod vectors;

struct Delta;

/// The machine's own.
#[derive(Debug)]
pub(crate) struct Machine;

impl Clock for Machine {
    fn now(&self) -> Instant {
        Instant(chrono::Utc::now().timestamp_micros())
    }
}

#[async_trait]
impl Fixture for Delta {
    fn format(&self) -> Arc<dyn TableFormat> {
        Arc::new(DeltaFormat)
    }

    async fn append(&self, directory: &Path, batch: RecordBatch, partition_by: &[&str]) -> Result<(), Failed> {
        Ok(crate::append(directory, [batch], partition_by).await?)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Machine)
    }

    fn evolves(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let root = tempfile::tempdir().unwrap();
    conformance::run(&Delta, root.path()).await.unwrap();
}

/// A table whose log is made by hand over one data file, named `path` in the log.
async fn by_hand(root: &Path, name: &str, features: Value, fields: Value, properties: Value, add: Value) -> Source {
    let data = root.join("data");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("col-a", Arc::new(Int64Array::from_iter_values(0..10))),
        ("col-b", Arc::new(StringArray::from_iter_values((0..10).map(|n| format!("n{n}"))))),
    ];
    if !data.exists() {
        crate::append(&data, [RecordBatch::try_from_iter(columns).unwrap()], &[]).await.unwrap();
    }
    let directory = root.join(name);
    std::fs::create_dir_all(directory.join("_delta_log")).unwrap();
    let entries = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let file = entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "parquet")).unwrap();
    std::fs::copy(&file, directory.join("a b%41.parquet")).unwrap();
    let mut given = json!({
        "path": "a%20b%2541.parquet", "partitionValues": {}, "size": std::fs::metadata(&file).unwrap().len(),
        "modificationTime": 1_700_000_000_000_i64, "dataChange": true, "stats": "{\"numRecords\":10}",
    });
    given.as_object_mut().unwrap().extend(add.as_object().unwrap().clone());
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    let actions = [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features,
            "writerFeatures": features}}),
        json!({"metaData": {"id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "format": {"provider": "parquet",
            "options": {}}, "schemaString": schema, "partitionColumns": [], "configuration": properties,
            "createdTime": 1_700_000_000_000_i64}}),
        json!({ "add": given }),
    ];
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    std::fs::write(directory.join("_delta_log/00000000000000000000.json"), lines.join("\n")).unwrap();
    Source::at(Format::Delta, url::Url::from_directory_path(directory).unwrap())
}

fn field(name: &str, data_type: &str, metadata: Value) -> Value {
    json!({"name": name, "type": data_type, "nullable": true, "metadata": metadata})
}

fn mapped() -> Value {
    let mapping = |id: i32, name: &str| json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": name});
    json!([
        field("name", "string", mapping(2, "col-b")),
        field("id", "long", mapping(1, "col-a")),
        field("col-b", "long", mapping(3, "col-c")),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_found_by_their_physical_names() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let properties = json!({"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3"});
    let table = by_hand(&root, "mapped", json!(["columnMapping"]), mapped(), properties, json!({})).await;
    let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &root).unwrap();
    let found = bench.rows(&table, &Pin::Latest, &["name", "col-b", "id"], Some(col("id").gt(lit(7_i64)))).await;
    assert_eq!(found.unwrap(), ["n8|NULL|8", "n9|NULL|9"]);
    let found = bench.rows(&table, &Pin::Latest, &["name"], Some(col("name").eq(lit("n3")))).await.unwrap();
    assert_eq!(found, ["n3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_built_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let plain = || json!([field("col-a", "long", json!({}))]);
    let widened =
        json!([field("col-a", "long", json!({"delta.typeChanges": [{"fromType": "integer", "toType": "long"}]}))]);
    let vector =
        json!({"deletionVector": {"storageType": "x", "pathOrInlineDv": "", "sizeInBytes": 40, "cardinality": 6}});
    let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &root).unwrap();
    for (name, features, fields, add, expected) in [
        ("vectors", json!(["deletionVectors"]), plain(), vector, Some("deletion vectors of an unknown storage type")),
        ("unused vectors", json!(["deletionVectors"]), plain(), json!({}), None),
        ("widened", json!(["typeWidening"]), widened, json!({}), Some("type widening")),
        ("future", json!(["teleport"]), plain(), json!({}), Some("a reader feature this gateway does not know")),
    ] {
        let table = by_hand(&root, name, features, fields, json!({}), add).await;
        let found = bench.rows(&table, &Pin::Latest, &["col-a"], None).await;
        match (expected, found) {
            (None, found) => assert_eq!(found.unwrap().len(), 10, "{name}"),
            (Some(feature), found) => {
                let error = found.expect_err(name);
                let Some(error) = find(error.as_ref()) else { panic!("{name}: {error:?}") };
                assert!(
                    matches!(error, Error::UnsupportedFeature { feature: named } if named == feature),
                    "{name}: {error:?}"
                );
                let expected = format!("the table uses {feature}, which is not supported");
                assert_eq!(error.public().primary, expected);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_outside_the_domain_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let inside = root.join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(root.join("outside")).unwrap();
    let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &inside).unwrap();
    let plain = json!([field("col-a", "long", json!({}))]);
    by_hand(&root, "outside", json!([]), plain.clone(), json!({}), json!({})).await;
    let outside = root.join("outside/a b%41.parquet");
    let url = url::Url::from_file_path(&outside).unwrap().to_string();
    std::os::unix::fs::symlink(root.join("outside"), inside.join("door")).unwrap();
    for path in [
        url.clone(),
        url.replace("file://", "file:"),
        "../../outside/a%20b%2541.parquet".to_owned(),
        "%2e%2e/%2e%2e/outside/a%20b%2541.parquet".to_owned(),
        "../door/a%20b%2541.parquet".to_owned(),
        "s3://lake/a.parquet".to_owned(),
    ] {
        let table = by_hand(&inside, "table", json!([]), plain.clone(), json!({}), json!({"path": path})).await;
        let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &inside).unwrap();
        let error = bench.rows(&table, &Pin::Latest, &["col-a"], None).await.expect_err(&path);
        let refused = find(error.as_ref());
        assert!(matches!(refused, Some(Error::OutsideStorage { .. })), "{path}: {error:?}");
        assert_eq!(refused.unwrap().public().primary, "the table's data cannot be read just now");
    }
    // An absolute path inside is fine.
    let absolute = url::Url::from_file_path(inside.join("table/a b%41.parquet")).unwrap().to_string();
    let table = by_hand(&inside, "table", json!([]), plain, json!({}), json!({"path": absolute})).await;
    assert_eq!(bench.rows(&table, &Pin::Latest, &["col-a"], None).await.unwrap().len(), 10);
}

/// Our error, wherever in the chain it is.
fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    use datafusion::error::DataFusionError;
    if let Some(found) = error.downcast_ref::<Error>() {
        return Some(found);
    }
    match error.downcast_ref::<DataFusionError>() {
        Some(DataFusionError::External(inner)) => find(inner.as_ref()),
        _ => find(error.source()?),
    }
}
