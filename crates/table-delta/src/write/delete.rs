//! Deleting rows with deletion vectors, which the library cannot write: for tests, as far as they need it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use meshgate_table::{Error, vector};
use percent_encoding::percent_decode_str;
use roaring::RoaringTreemap;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::vector::FILE_VERSION;

const FEATURE: &str = "deletionVectors";

/// Where a deletion vector is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VectorStorage {
    /// In the log.
    Inline,
    /// In a file below the table's directory.
    Relative,
    /// In a file that the log names by its URL.
    Absolute,
}

/// Deletes rows of a table on the local disk: one version, in which files of which rows are deleted have a new deletion
/// vector with what was deleted before. `which` is asked with the rows of each data file, columns as they are in the
/// file, in as many batches as it takes.
///
/// # Errors
/// If the log has checkpoints only, or files cannot be read or written.
pub fn delete(
    directory: &Path,
    storage: VectorStorage,
    mut which: impl FnMut(&RecordBatch) -> BooleanArray,
) -> Result<(), Error> {
    let table = Log::read(directory)?;
    let mut file = vec![FILE_VERSION];
    let mut actions = table.with_feature();
    let mut vectors = Vec::new();
    for (path, add) in &table.live {
        let before = table.deleted.get(path).cloned().unwrap_or_default();
        let deleted = &before | &matching(&directory.join(decoded(path)?), &mut which)?;
        if deleted.len() > before.len() {
            let offset = file.len();
            let vector = vector::vector(&deleted).map_err(failed)?;
            file.extend(vector::framed(&vector).map_err(failed)?);
            vectors.push((add, vector, offset, deleted.len()));
        }
    }
    // The name depends on the content, so that a seed repeats.
    let hash = u128::from(crc32fast::hash(&file));
    let id = Uuid::from_u128(u128::from(table.next) << 64 | hash);
    let path = format!("dv/deletion_vector_{id}.bin");
    if storage != VectorStorage::Inline && !vectors.is_empty() {
        fs::create_dir_all(directory.join("dv")).map_err(failed)?;
        fs::write(directory.join(&path), &file).map_err(failed)?;
    }
    for (add, vector, offset, rows) in vectors {
        let mut described = json!({"sizeInBytes": vector.len(), "cardinality": rows});
        let (kind, place) = match storage {
            VectorStorage::Inline => ("i", z85::encode(padded(vector))),
            VectorStorage::Relative => ("u", format!("dv{}", z85::encode(id.as_bytes()))),
            VectorStorage::Absolute => {
                let real = directory.join(&path).canonicalize().map_err(failed)?;
                let url = Url::from_file_path(real).map_err(|()| Error::malformed("no absolute path"))?;
                ("p", url.to_string())
            }
        };
        described["storageType"] = kind.into();
        described["pathOrInlineDv"] = place.into();
        if storage != VectorStorage::Inline {
            described["offset"] = offset.into();
        }
        actions.push(json!({"remove": {"path": add["path"], "dataChange": true, "extendedFileMetadata": true,
            "partitionValues": add["partitionValues"], "size": add["size"],
            "deletionTimestamp": add["modificationTime"], "deletionVector": add.get("deletionVector")}}));
        let mut added = add.clone();
        added["deletionVector"] = described;
        if let Some(text) = add["stats"].as_str() {
            let mut stats: Value = serde_json::from_str(text).map_err(failed)?;
            stats["tightBounds"] = false.into();
            added["stats"] = stats.to_string().into();
        }
        actions.push(json!({ "add": added }));
    }
    table.commit(directory, &actions)
}

/// What the commits of a log say together.
struct Log {
    /// Actions `add`, by path.
    live: BTreeMap<String, Value>,
    /// By path.
    deleted: BTreeMap<String, RoaringTreemap>,
    protocol: Value,
    metadata: Value,
    /// The next version.
    next: u64,
}

impl Log {
    fn read(directory: &Path) -> Result<Self, Error> {
        let mut log = Self {
            live: BTreeMap::new(),
            deleted: BTreeMap::new(),
            protocol: Value::Null,
            metadata: Value::Null,
            next: 0,
        };
        while let Ok(text) = fs::read_to_string(commit(directory, log.next)) {
            log.next += 1;
            for line in text.lines() {
                let mut action: Value = serde_json::from_str(line).map_err(failed)?;
                let mut take = |kind: &str| action.get_mut(kind).map(Value::take);
                if let Some(removed) = take("remove") {
                    log.live.remove(removed["path"].as_str().unwrap_or_default());
                }
                if let Some(add) = take("add") {
                    let path = add["path"].as_str().unwrap_or_default().to_owned();
                    log.live.insert(path, add);
                }
                log.protocol = take("protocol").unwrap_or_else(|| log.protocol.take());
                log.metadata = take("metaData").unwrap_or_else(|| log.metadata.take());
            }
        }
        for (path, add) in &log.live {
            if let Some(vector) = add.get("deletionVector").filter(|vector| !vector.is_null()) {
                log.deleted.insert(path.clone(), decode(directory, vector)?);
            }
        }
        Ok(log)
    }

    /// What has to be said before the first deletion vector.
    fn with_feature(&self) -> Vec<Value> {
        let named = |features: &Value| features.as_array().is_some_and(|features| features.contains(&FEATURE.into()));
        if named(&self.protocol["readerFeatures"]) {
            return Vec::new();
        }
        let with = |features: &Value| {
            let mut features = features.as_array().cloned().unwrap_or_default();
            features.push(FEATURE.into());
            features
        };
        let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": with(&self.protocol["readerFeatures"]),
            "writerFeatures": with(&self.protocol["writerFeatures"])});
        let mut metadata = self.metadata.clone();
        metadata["configuration"]["delta.enableDeletionVectors"] = "true".into();
        vec![json!({ "protocol": protocol }), json!({ "metaData": metadata })]
    }

    fn commit(&self, directory: &Path, actions: &[Value]) -> Result<(), Error> {
        let mut file = File::create_new(commit(directory, self.next)).map_err(failed)?;
        actions.iter().try_for_each(|action| writeln!(file, "{action}")).map_err(failed)
    }
}

fn commit(directory: &Path, version: u64) -> std::path::PathBuf {
    directory.join(format!("_delta_log/{version:020}.json"))
}

fn matching(file: &Path, which: &mut impl FnMut(&RecordBatch) -> BooleanArray) -> Result<RoaringTreemap, Error> {
    let file = File::open(file).map_err(failed)?;
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).map_err(failed)?;
    let (mut positions, mut first) = (RoaringTreemap::new(), 0);
    for batch in rows {
        let batch = batch.map_err(failed)?;
        let deleted = which(&batch);
        positions.extend((first..).zip(&deleted).filter(|(_, deleted)| *deleted == Some(true)).map(|(at, _)| at));
        first += batch.num_rows() as u64;
    }
    Ok(positions)
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// What this module wrote.
fn decode(directory: &Path, vector: &Value) -> Result<RoaringTreemap, Error> {
    let text = vector["pathOrInlineDv"].as_str().unwrap_or_default();
    let in_file = |path: &Path| -> Result<Vec<u8>, Error> {
        let start = usize::try_from(vector["offset"].as_u64().unwrap_or(1) + 4).map_err(failed)?;
        let length = usize::try_from(vector["sizeInBytes"].as_u64().unwrap_or(0)).map_err(failed)?;
        let bytes = fs::read(path).map_err(failed)?;
        Ok(bytes.get(start..start + length).unwrap_or_default().to_vec())
    };
    let bytes = match vector["storageType"].as_str() {
        Some("i") => z85::decode(text).map_err(failed)?,
        Some("u") => {
            let bytes = z85::decode(text.strip_prefix("dv").unwrap_or(text)).map_err(failed)?;
            let id = Uuid::from_slice(&bytes).map_err(failed)?;
            in_file(&directory.join(format!("dv/deletion_vector_{id}.bin")))?
        }
        _ => in_file(Path::new(decoded(text.strip_prefix("file://").unwrap_or(text))?.as_str()))?,
    };
    RoaringTreemap::deserialize_from(bytes.get(4..).unwrap_or_default()).map_err(failed)
}

fn decoded(path: &str) -> Result<String, Error> {
    Ok(percent_decode_str(path).decode_utf8().map_err(failed)?.into_owned())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::format("deleting rows of a Delta table", error)
}
