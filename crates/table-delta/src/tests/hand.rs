//! Tables whose log is made by hand, action by action.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use deltalake::parquet::arrow::ArrowWriter;
use meshgate_table::conformance::{Bench, Failed};
use meshgate_table::{Format, Pin, Source};
use serde_json::{Value, json};

use super::Machine;
use crate::DeltaFormat;

/// A table of one column of its own domain.
pub(super) struct Hand {
    root: tempfile::TempDir,
}

impl Hand {
    pub(super) fn new() -> Self {
        let hand = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(hand.directory().join("_delta_log")).unwrap();
        hand
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("table")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory().join("_delta_log").join(name)
    }

    pub(super) fn commit(&self, version: u64, actions: &[Value]) {
        let lines: Vec<_> = actions.iter().map(Value::to_string).collect();
        fs::write(self.log(&format!("{version:020}.json")), lines.join("\n")).unwrap();
    }

    /// Writes a data file; gives its action.
    pub(super) fn data(&self, name: &str, rows: &RecordBatch, partition: Value) -> Value {
        let path = self.directory().join(name);
        parquet(&path, std::slice::from_ref(rows));
        json!({"add": {"path": name, "partitionValues": partition, "size": fs::metadata(&path).unwrap().len(),
            "modificationTime": 1_700_000_000_000_i64, "dataChange": true,
            "stats": json!({"numRecords": rows.num_rows()}).to_string()}})
    }

    pub(super) fn source(&self) -> Source {
        Source::at(Format::Delta, url::Url::from_directory_path(self.directory()).unwrap())
    }

    pub(super) fn bench(&self) -> Bench {
        let domain = self.directory().parent().unwrap().to_path_buf();
        Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &domain).unwrap()
    }

    /// What a gateway that has not seen the table before reads.
    pub(super) async fn rows(&self, pin: &Pin, columns: &[&str]) -> Result<Vec<String>, Failed> {
        self.bench().rows(&self.source(), pin, columns, None).await
    }
}

pub(super) fn parquet(path: &Path, batches: &[RecordBatch]) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

pub(super) fn protocol(features: &[&str]) -> Value {
    json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features,
        "writerFeatures": features}})
}

pub(super) fn metadata(fields: Value, partition_by: &[&str], properties: Value) -> Value {
    json!({"metaData": {"id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "format": {"provider": "parquet", "options": {}},
        "schemaString": json!({"type": "struct", "fields": fields}).to_string(), "partitionColumns": partition_by,
        "configuration": properties, "createdTime": 1_700_000_000_000_i64}})
}

/// A field of a type that is a word, or a type as JSON.
pub(super) fn field(name: &str, data_type: impl Into<Value>, metadata: Value) -> Value {
    json!({"name": name, "type": data_type.into(), "nullable": true, "metadata": metadata})
}
