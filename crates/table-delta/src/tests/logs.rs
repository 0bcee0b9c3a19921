//! Logs of all shapes: checkpoints in parts and with sidecars, compacted commits, actions that are not for readers; the
//! times of versions; partition values.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{AsArray, BooleanArray, Int64Array};
use arrow::compute::{filter_record_batch, is_not_null};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{col, lit};
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use meshgate_model::Instant;
use meshgate_table::{Error, Pin};
use serde_json::{Value, json};

use super::find;
use super::hand::{Hand, field, metadata, parquet, protocol};
use crate::{VectorStorage, delete};

fn numbers(from: i64, to: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(from..to)) as _)]).unwrap()
}

/// Versions 0 to 3 of the numbers from 0: ten more in each of the first three; those that end in 5 are deleted in the last.
fn versions(features: &[&str]) -> Hand {
    let hand = Hand::new();
    let schema = json!([field("n", "long", json!({}))]);
    for version in 0..3_u32 {
        let from = i64::from(version) * 10;
        let add = hand.data(&format!("{version}.parquet"), &numbers(from, from + 10), json!({}));
        match version {
            0 => hand.commit(0, &[protocol(features), metadata(schema.clone(), &[], json!({})), add]),
            _ => hand.commit(version.into(), &[add]),
        }
    }
    let fives = |batch: &RecordBatch| -> BooleanArray {
        batch.column(0).as_primitive::<Int64Type>().iter().map(|n| n.map(|n| n % 10 == 5)).collect()
    };
    delete(&hand.directory(), VectorStorage::Relative, fives).unwrap();
    hand
}

fn left() -> Vec<String> {
    let mut left: Vec<_> = (0..30).filter(|n| n % 10 != 5).map(|n: i64| n.to_string()).collect();
    left.sort();
    left
}

/// The newest version as a checkpoint of the library's, in one file; the commits are gone.
async fn checkpointed(hand: &Hand) -> (std::path::PathBuf, RecordBatch) {
    let url = url::Url::from_directory_path(hand.directory()).unwrap();
    let mut table = deltalake::DeltaTable::try_from_url(url).await.unwrap();
    table.load().await.unwrap();
    deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
    let entries = fs::read_dir(hand.log("")).unwrap().map(|entry| entry.unwrap().path());
    let (checkpoints, others): (Vec<_>, Vec<_>) =
        entries.partition(|path| path.to_string_lossy().contains(".checkpoint."));
    others.iter().filter(|path| path.is_file()).for_each(|path| fs::remove_file(path).unwrap());
    let [checkpoint] = checkpoints.as_slice() else { panic!("{checkpoints:?}") };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(checkpoint).unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let whole = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    (checkpoint.clone(), whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_read_in_one_file_and_in_parts() {
    let hand = versions(&[]);
    let (checkpoint, whole) = checkpointed(&hand).await;
    assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap(), left(), "in one file");
    fs::remove_file(checkpoint).unwrap();
    let rows = whole.num_rows();
    for part in 0..3 {
        let from = rows * part / 3;
        let name = format!("{:020}.checkpoint.{:010}.{:010}.parquet", 3, part + 1, 3);
        parquet(&hand.log(&name), &[whole.slice(from, rows * (part + 1) / 3 - from)]);
    }
    assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap(), left(), "in parts");
    // Without one of them there is no checkpoint.
    fs::remove_file(hand.log(&format!("{:020}.checkpoint.{:010}.{:010}.parquet", 3, 2, 3))).unwrap();
    hand.rows(&Pin::Latest, &["n"]).await.expect_err("a part is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_read_with_sidecars() {
    for in_json in [true, false] {
        let hand = versions(&["v2Checkpoint"]);
        let (checkpoint, whole) = checkpointed(&hand).await;
        fs::remove_file(checkpoint).unwrap();
        let adds = whole.column_by_name("add").unwrap();
        let adds = filter_record_batch(&whole, &is_not_null(adds).unwrap()).unwrap();
        let adds = adds.project(&[adds.schema().index_of("add").unwrap()]).unwrap();
        fs::create_dir(hand.log("_sidecars")).unwrap();
        let mut actions = vec![
            json!({"checkpointMetadata": {"version": 3}}),
            protocol(&["v2Checkpoint", "deletionVectors"]),
            metadata(json!([field("n", "long", json!({}))]), &[], json!({})),
        ];
        for (name, from, count) in [("one.parquet", 0, 1), ("two.parquet", 1, adds.num_rows() - 1)] {
            let path = hand.log("_sidecars").join(name);
            parquet(&path, &[adds.slice(from, count)]);
            actions.push(json!({"sidecar": {"path": name, "sizeInBytes": fs::metadata(&path).unwrap().len(),
                "modificationTime": 1_700_000_000_000_i64}}));
        }
        let id = "80a083e8-7026-4e79-81be-64bd76c43a11";
        let lines = actions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        if in_json {
            fs::write(hand.log(&format!("{:020}.checkpoint.{id}.json", 3)), lines).unwrap();
        } else {
            let schema = arrow::json::reader::infer_json_schema(lines.as_bytes(), None).unwrap().0;
            let reader = arrow::json::ReaderBuilder::new(Arc::new(as_checkpoint(&schema))).build(lines.as_bytes());
            let batches: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
            parquet(&hand.log(&format!("{:020}.checkpoint.{id}.parquet", 3)), &batches);
        }
        assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap(), left(), "in JSON: {in_json}");
        // What a checkpoint names has to be there.
        fs::remove_file(hand.log("_sidecars/two.parquet")).unwrap();
        hand.rows(&Pin::Latest, &["n"]).await.expect_err("a sidecar is missing");
    }
}

/// The schema of a checkpoint: some of what JSON takes for structs are maps, and some numbers are short.
fn as_checkpoint(schema: &arrow::datatypes::Schema) -> arrow::datatypes::Schema {
    use arrow::datatypes::{DataType, Field, Fields, Schema};
    let map = || {
        let entry =
            Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
    };
    fn change(field: &Field, map: &dyn Fn() -> DataType) -> Field {
        match field.data_type() {
            _ if field.name() == "configuration" || field.name() == "options" => field.clone().with_data_type(map()),
            DataType::Struct(fields) => {
                let fields: Vec<_> = fields.iter().map(|field| change(field, map)).collect();
                field.clone().with_data_type(DataType::Struct(fields.into()))
            }
            DataType::Int64 if field.name().ends_with("Version") => field.clone().with_data_type(DataType::Int32),
            DataType::List(_) => {
                let item = Arc::new(Field::new("element", DataType::Utf8, true));
                field.clone().with_data_type(DataType::List(item))
            }
            _ => field.clone(),
        }
    }
    Schema::new(schema.fields().iter().map(|field| change(field, &map)).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn compacted_commits_are_read() {
    let hand = versions(&[]);
    let mut actions: Vec<String> = Vec::new();
    for version in 1..=2_u64 {
        actions.push(fs::read_to_string(hand.log(&format!("{version:020}.json"))).unwrap());
    }
    fs::write(hand.log(&format!("{:020}.{:020}.compacted.json", 1, 2)), actions.join("\n")).unwrap();
    assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap(), left());
    assert_eq!(hand.rows(&Pin::Version("2".to_owned()), &["n"]).await.unwrap().len(), 30);
    assert_eq!(hand.rows(&Pin::Version("1".to_owned()), &["n"]).await.unwrap().len(), 20);
}

/// Clustering, row tracking and whatever else is only for writers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_writers_only_is_passed_over() {
    let hand = Hand::new();
    let mut add = hand.data("a.parquet", &numbers(0, 10), json!({}));
    add["add"]["baseRowId"] = 0.into();
    add["add"]["defaultRowCommitVersion"] = 0.into();
    add["add"]["clusteringProvider"] = "liquid".into();
    add["add"]["tags"] = json!({"INSERTION_TIME": "1"});
    let features = ["clustering", "domainMetadata", "rowTracking", "appendOnly", "invariants", "changeDataFeed"];
    let clustering = json!({"clusteringColumns": [["n"]]}).to_string();
    let properties = json!({"delta.enableRowTracking": "true",
        "delta.rowTracking.materializedRowIdColumnName": "_row-id-1",
        "delta.rowTracking.materializedRowCommitVersionColumnName": "_row-commit-1"});
    hand.commit(
        0,
        &[
            json!({"commitInfo": {"timestamp": 1, "operation": "WRITE", "isBlindAppend": true}}),
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}}),
            metadata(json!([field("n", "long", json!({}))]), &[], properties),
            json!({"domainMetadata": {"domain": "delta.clustering", "configuration": clustering, "removed": false}}),
            json!({"domainMetadata": {"domain": "delta.rowTracking", "configuration": "{\"rowIdHighWaterMark\":9}",
                "removed": false}}),
            json!({"txn": {"appId": "a", "version": 1}}),
            json!({"cdc": {"path": "_change_data/x.parquet", "partitionValues": {}, "size": 1, "dataChange": false}}),
            add,
        ],
    );
    assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_say_when_they_were_made() {
    let features = ["inCommitTimestamp"];
    let at = |millis: i64| Pin::Timestamp(Instant(millis * 1_000));
    let info = |millis: i64| json!({"commitInfo": {"inCommitTimestamp": millis, "operation": "WRITE"}});
    // From the first version on, and from the third on; whatever the times of the files are.
    for since in [0, 2_u64] {
        let hand = Hand::new();
        let mut properties = json!({"delta.enableInCommitTimestamps": "true"});
        if since > 0 {
            properties["delta.inCommitTimestampEnablementVersion"] = since.to_string().into();
            properties["delta.inCommitTimestampEnablementTimestamp"] = "3000".into();
        }
        for version in 0..5_u64 {
            let from = i64::try_from(version).unwrap();
            let add = hand.data(&format!("{version}.parquet"), &numbers(from, from + 1), json!({}));
            let mut actions = Vec::new();
            if version >= since {
                actions.push(info((from + 1) * 1_000));
            }
            if version == 0 {
                actions.push(
                    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}}),
                );
            }
            if version == 0 || version == since {
                let properties = if version == since { properties.clone() } else { json!({}) };
                actions.push(metadata(json!([field("n", "long", json!({}))]), &[], properties));
            }
            actions.push(add);
            hand.commit(version, &actions);
            let written = match version {
                _ if version >= since => Duration::from_secs(2_000_000_000 - version),
                _ => Duration::from_secs(version + 1),
            };
            let file = File::options().append(true).open(hand.log(&format!("{version:020}.json"))).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + written).unwrap();
        }
        let bench = hand.bench();
        for (millis, versions) in [
            (1_000, 1),
            (1_999, 1),
            (2_000, 2),
            (2_999, 2),
            (3_000, 3),
            (3_001, 3),
            (4_999, 4),
            (5_000, 5),
            (9_000_000_000_000, 5),
        ] {
            let read = bench.rows(&hand.source(), &at(millis), &["n"], None).await.unwrap();
            assert_eq!(read.len(), versions, "since {since}, {millis}");
        }
        let error = bench.rows(&hand.source(), &at(999), &["n"], None).await.unwrap_err();
        assert!(matches!(find(error.as_ref()), Some(Error::PinNotFound { .. })), "{error:?}");
        let newest = bench.tables.snapshot(&bench.stores, &hand.source(), &Pin::Latest, None).await.unwrap();
        assert_eq!(newest.timestamp(), Some(Instant(5_000_000)));
        // Commits that were cleaned up are no longer found.
        if since == 0 {
            clean_up_before(&hand, 2).await;
            let error = hand.rows(&at(1_000), &["n"]).await.unwrap_err();
            assert!(matches!(find(error.as_ref()), Some(Error::PinNotFound { .. })), "{error:?}");
            assert_eq!(hand.rows(&at(4_000), &["n"]).await.unwrap().len(), 4);
        }
    }
}

/// A checkpoint of a version; commits before it are gone.
async fn clean_up_before(hand: &Hand, version: u64) {
    let url = url::Url::from_directory_path(hand.directory()).unwrap();
    let mut table = deltalake::DeltaTable::try_from_url(url).await.unwrap();
    table.load_version(version).await.unwrap();
    deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
    (0..version).for_each(|version| fs::remove_file(hand.log(&format!("{version:020}.json"))).unwrap());
}

/// Values as the log has them, and as they are read.
#[tokio::test(flavor = "multi_thread")]
async fn partition_values_have_their_types() {
    let values: [(&str, &str, &str); 16] = [
        ("long", "-9223372036854775808", "-9223372036854775808"),
        ("integer", "-5", "-5"),
        ("short", "32767", "32767"),
        ("byte", "-128", "-128"),
        ("double", "1.5", "1.5"),
        ("float", "-0.25", "-0.25"),
        ("decimal(10,2)", "-12345678.90", "-12345678.90"),
        ("boolean", "true", "true"),
        ("date", "1969-12-31", "1969-12-31"),
        ("timestamp", "2024-02-29 23:59:59.123456", "2024-02-29T23:59:59.123456Z"),
        ("timestamp", "1900-01-01T00:00:00.000001Z", "1900-01-01T00:00:00.000001Z"),
        ("timestamp_ntz", "9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999"),
        ("string", " ", " "),
        ("string", "a/b=c%41&ü 'x' {\"}", "a/b=c%41&ü 'x' {\"}"),
        ("string", "null", "null"),
        ("string", "__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"),
    ];
    for (data_type, value, read) in values {
        let hand = Hand::new();
        let schema = json!([field("p q", data_type, json!({})), field("n", "long", json!({}))]);
        hand.commit(
            0,
            &[
                protocol(&["timestampNtz"]),
                metadata(schema, &["p q"], json!({})),
                hand.data("a.parquet", &numbers(0, 2), json!({"p q": value})),
                hand.data("b.parquet", &numbers(2, 3), json!({"p q": null})),
                hand.data("c.parquet", &numbers(3, 4), json!({"p q": ""})),
            ],
        );
        let found = hand.rows(&Pin::Latest, &["n", "p q"]).await.unwrap();
        let expected = [format!("0|{read}"), format!("1|{read}"), "2|NULL".to_owned(), "3|NULL".to_owned()];
        assert_eq!(found, expected, "{data_type} {value}");
        let null = col("\"p q\"").is_null();
        let found = hand.bench().rows(&hand.source(), &Pin::Latest, &["n", "p q"], Some(null.clone())).await.unwrap();
        assert_eq!(found.len(), 2, "{data_type} {value}");
        assert_eq!(hand.bench().files_read(&hand.source(), &["n", "p q"], Some(null)).await.unwrap(), 2);
        if data_type == "string" {
            let equal = col("\"p q\"").eq(lit(value));
            let found = hand.bench().rows(&hand.source(), &Pin::Latest, &["n", "p q"], Some(equal)).await.unwrap();
            assert_eq!(found.len(), 2, "{value}");
        }
    }
}

/// A checksum file says what the columns are, and so would stand for the commits before.
#[tokio::test(flavor = "multi_thread")]
async fn versions_whose_commits_are_gone_are_not_read_in_part() {
    let hand = versions(&[]);
    let (_, whole) = checkpointed(&versions(&[])).await;
    parquet(&hand.log(&format!("{:020}.checkpoint.parquet", 3)), &[whole]);
    let columns = metadata(json!([field("n", "long", json!({}))]), &[], json!({}));
    let checksum = json!({"tableSizeBytes": 1, "numFiles": 3, "numMetadata": 1, "numProtocol": 1,
        "metadata": columns["metaData"], "protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    for version in 1..3 {
        fs::write(hand.log(&format!("{version:020}.crc")), checksum.to_string()).unwrap();
    }
    let at = |version: u64| Pin::Version(version.to_string());
    assert_eq!(hand.rows(&at(2), &["n"]).await.unwrap().len(), 30, "all is there");
    for (gone, lost) in [(0, vec![0, 1, 2]), (1, vec![0, 1, 2])] {
        fs::remove_file(hand.log(&format!("{gone:020}.json"))).unwrap();
        for version in lost {
            let error = hand.rows(&at(version), &["n"]).await.expect_err("it is not whole");
            assert!(format!("{error:?}").contains("no longer kept"), "{gone} gone, {version}: {error:?}");
        }
        assert_eq!(hand.rows(&Pin::Latest, &["n"]).await.unwrap(), left());
    }
    fs::remove_file(hand.log(&format!("{:020}.checkpoint.parquet", 3))).unwrap();
    fs::write(hand.log(&format!("{:020}.crc", 3)), checksum.to_string()).unwrap();
    let error = hand.rows(&Pin::Latest, &["n"]).await.expect_err("nor is the newest");
    assert!(format!("{error:?}").contains("commits before version 3 are missing"), "{error:?}");
}
