//! The live files of a snapshot, from its manifests.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{
    DataContentType, DataFile as IcebergFile, DataFileFormat, Datum, Literal, Manifest, ManifestContentType,
    ManifestFile, ManifestList, ManifestStatus, SnapshotRef, TableMetadata, Transform,
};
use meshgate_table::{ColumnStats, DataFile, DomainStores, Error, FileList, FileSet};
use object_store::ObjectStoreExt;

use crate::container;
use crate::deletes::{Index, Live};
use crate::values::scalar;

/// How many manifests are read at the same time.
const MANIFESTS_AT_ONCE: usize = 16;

/// Lists the files of one snapshot.
#[derive(Debug)]
pub(crate) struct IcebergFiles {
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) snapshot: Option<SnapshotRef>,
    pub(crate) schema: iceberg::spec::SchemaRef,
    pub(crate) arrow: SchemaRef,
    pub(crate) stores: Arc<DomainStores>,
}

#[async_trait]
impl FileList for IcebergFiles {
    async fn load(&self) -> Result<FileSet, Error> {
        let files = match &self.snapshot {
            Some(snapshot) => self.live_files(snapshot).await?,
            None => Vec::new(),
        };
        let is_data = |file: &Live| file.data().content_type() == DataContentType::Data;
        let (live, deletes): (Vec<_>, Vec<_>) = files.into_iter().partition(is_data);
        let oldest = live.iter().map(|file| file.sequence).min().unwrap_or(i64::MAX);
        let deletes = Index::new(&deletes, oldest, &self.metadata, &self.stores)?;
        let files = live.iter().map(|live| {
            let data = live.data();
            let located = self.stores.locate_literal(data.file_path())?;
            let mut file = DataFile::new(&located, data.file_size_in_bytes(), Some(data.record_count()));
            file.deletes = deletes.of(live, &file)?;
            Ok(file)
        });
        let files = files.collect::<Result<Vec<_>, Error>>()?;
        let mut constants = Vec::new();
        let mut stats = Vec::new();
        for (index, (field, arrow)) in self.schema.as_struct().fields().iter().zip(self.arrow.fields()).enumerate() {
            stats.push(None);
            let data_type = arrow.data_type();
            if data_type.is_nested() {
                continue;
            }
            let told = live.iter().filter(|file| file.identity.contains_key(&field.id)).count();
            let of_partition = |file: &Live| -> Result<Option<ScalarValue>, Error> {
                let Some(position) = file.identity.get(&field.id) else { return Ok(None) };
                partition_value(file.data(), *position, data_type).map(Some)
            };
            if told == live.len() && told > 0 {
                let values = live.iter().map(|file| of_partition(file)?.ok_or_else(|| broken("a partition value")));
                constants.push((index, column(values.collect::<Result<_, Error>>()?, data_type)?));
                continue;
            }
            let partitions = live.iter().map(of_partition).collect::<Result<Vec<_>, Error>>()?;
            stats[index] = Some(column_stats(&live, &partitions, field.id, data_type)?);
        }
        FileSet::new(&self.arrow, files, constants, stats)
    }
}

impl IcebergFiles {
    async fn live_files(&self, snapshot: &SnapshotRef) -> Result<Vec<Live>, Error> {
        let bytes = self.read(snapshot.manifest_list()).await?;
        let list = ManifestList::parse_with_version(&bytes, self.metadata.format_version())
            .map_err(|error| Error::format("reading an Iceberg manifest list", error))?;
        let live = |manifest: &&ManifestFile| manifest.has_added_files() || manifest.has_existing_files();
        let manifests: Vec<ManifestFile> = list.entries().iter().filter(live).cloned().collect();
        let read = futures::stream::iter(manifests).map(|manifest| async move { self.manifest(&manifest).await });
        let files: Vec<Vec<Live>> = read.buffered(MANIFESTS_AT_ONCE).try_collect().await?;
        Ok(files.into_iter().flatten().collect())
    }

    async fn manifest(&self, file: &ManifestFile) -> Result<Vec<Live>, Error> {
        if file.key_metadata.is_some() {
            return Err(Error::unsupported("encryption"));
        }
        let bytes = self.read(&file.manifest_path).await?;
        let manifest =
            Manifest::parse_avro(&bytes).map_err(|error| Error::format("reading an Iceberg manifest", error))?;
        let (entries, _) = manifest.into_parts();
        let live: Vec<_> = entries.into_iter().filter(|entry| entry.is_alive()).collect();
        live.iter().try_for_each(|entry| refuse(file.content, entry.data_file()))?;
        let identity = Arc::new(self.identity_columns(file.partition_spec_id)?);
        let live = live.into_iter().map(|entry| {
            let added = entry.status() == ManifestStatus::Added;
            // An entry that is only carried on tells its own number, unless the table was of version 1 then.
            let inherited = (added || file.sequence_number == 0).then_some(file.sequence_number);
            let sequence = entry.sequence_number().or(inherited);
            let sequence = sequence.ok_or_else(|| broken("a file without a sequence number"))?;
            Ok(Live { entry, sequence, spec: file.partition_spec_id, identity: identity.clone() })
        });
        live.collect()
    }

    /// Columns that a spec partitions by as they are, with their position in partition values.
    fn identity_columns(&self, spec: i32) -> Result<HashMap<i32, usize>, Error> {
        let spec = self.metadata.partition_spec_by_id(spec).ok_or_else(|| broken("an unknown partition spec"))?;
        let fields = spec.fields().iter().enumerate();
        let identity = fields.filter(|(_, field)| field.transform == Transform::Identity);
        Ok(identity.map(|(position, field)| (field.source_id, position)).collect())
    }

    /// A manifest or a list of them.
    async fn read(&self, path: &str) -> Result<Bytes, Error> {
        let located = self.stores.locate_literal(path)?;
        let found = located.store.get(&located.path).await?;
        if found.meta.size > container::BYTES_MAX {
            return Err(broken("a manifest that is far too large"));
        }
        let bytes = found.bytes().await?;
        container::check(&bytes)?;
        Ok(bytes)
    }
}

/// Fails closed on whatever would make more or other rows visible than the table has.
fn refuse(content: ManifestContentType, file: &IcebergFile) -> Result<(), Error> {
    let kind = match (content, file.content_type()) {
        (ManifestContentType::Data, DataContentType::Data) => "data files",
        (ManifestContentType::Deletes, DataContentType::PositionDeletes) => "positional delete files",
        (ManifestContentType::Deletes, DataContentType::EqualityDeletes) => "equality delete files",
        (ManifestContentType::Deletes, DataContentType::Data) => {
            return Err(Error::unsupported("deletes of an unknown kind"));
        }
        (ManifestContentType::Data, _) => return Err(broken("deletes in a manifest of data files")),
    };
    match file.file_format() {
        _ if file.key_metadata().is_some() => Err(Error::unsupported("encryption")),
        DataFileFormat::Parquet => Ok(()),
        // Deletion vectors.
        DataFileFormat::Puffin if file.content_type() == DataContentType::PositionDeletes => Ok(()),
        other => Err(Error::unsupported(format!("{other} {kind}"))),
    }
}

type DataType = arrow::datatypes::DataType;

/// The value of a partition's column.
pub(crate) fn partition_value(file: &IcebergFile, position: usize, data_type: &DataType) -> Result<ScalarValue, Error> {
    match &file.partition().fields().get(position) {
        Some(Some(Literal::Primitive(value))) => {
            scalar(value, data_type).ok_or_else(|| broken("a partition value of another type"))
        }
        Some(None) => Ok(ScalarValue::try_from(data_type)?),
        _ => Err(broken("a file without partition values")),
    }
}

fn column_stats(
    live: &[Live],
    partitions: &[Option<ScalarValue>],
    id: i32,
    data_type: &DataType,
) -> Result<ColumnStats, Error> {
    let unknown = ScalarValue::try_from(data_type)?;
    let bound = |file: &IcebergFile, bounds: &HashMap<i32, Datum>| {
        // NaN is greater than every bound, and bounds do not tell of it.
        let floats = data_type.is_floating() && file.nan_value_counts().get(&id).is_none_or(|count| *count > 0);
        if floats {
            return unknown.clone();
        }
        bounds.get(&id).and_then(|bound| scalar(bound.literal(), data_type)).unwrap_or_else(|| unknown.clone())
    };
    let mut min = Vec::with_capacity(live.len());
    let mut max = Vec::with_capacity(live.len());
    let mut nulls = Vec::with_capacity(live.len());
    for (file, partition) in live.iter().zip(partitions) {
        let data = file.data();
        match partition {
            Some(value) => {
                min.push(value.clone());
                max.push(value.clone());
                nulls.push(Some(if value.is_null() { data.record_count() } else { 0 }));
            }
            None => {
                min.push(bound(data, data.lower_bounds()));
                max.push(bound(data, data.upper_bounds()));
                nulls.push(data.null_value_counts().get(&id).copied());
            }
        }
    }
    let constant: BooleanArray = partitions.iter().map(|value| Some(value.is_some())).collect();
    Ok(ColumnStats {
        min: column(min, data_type)?,
        max: column(max, data_type)?,
        nulls: UInt64Array::from(nulls),
        constant: Some(constant),
    })
}

fn column(values: Vec<ScalarValue>, data_type: &DataType) -> Result<ArrayRef, Error> {
    if values.is_empty() {
        return Ok(arrow::array::new_empty_array(data_type));
    }
    Ok(ScalarValue::iter_to_array(values)?)
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("Iceberg manifest: {what}"))
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, ManifestContentType, Struct};
    use meshgate_table::Error;

    use super::refuse;

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        use ManifestContentType::{Data, Deletes};
        for (manifest, content, format, expected) in [
            (Data, DataContentType::Data, DataFileFormat::Parquet, None),
            (Data, DataContentType::Data, DataFileFormat::Orc, Some("orc data files")),
            (Data, DataContentType::Data, DataFileFormat::Avro, Some("avro data files")),
            (Data, DataContentType::Data, DataFileFormat::Puffin, Some("puffin data files")),
            (Deletes, DataContentType::PositionDeletes, DataFileFormat::Parquet, None),
            (Deletes, DataContentType::PositionDeletes, DataFileFormat::Puffin, None),
            (Deletes, DataContentType::PositionDeletes, DataFileFormat::Avro, Some("avro positional delete files")),
            (Deletes, DataContentType::PositionDeletes, DataFileFormat::Orc, Some("orc positional delete files")),
            (Deletes, DataContentType::EqualityDeletes, DataFileFormat::Parquet, None),
            (Deletes, DataContentType::EqualityDeletes, DataFileFormat::Puffin, Some("puffin equality delete files")),
            (Deletes, DataContentType::EqualityDeletes, DataFileFormat::Avro, Some("avro equality delete files")),
            (Deletes, DataContentType::Data, DataFileFormat::Parquet, Some("deletes of an unknown kind")),
        ] {
            let made = |key: Option<Vec<u8>>| {
                DataFileBuilder::default()
                    .content(content)
                    .key_metadata(key)
                    .file_path("file:///t/a".to_owned())
                    .file_format(format)
                    .partition(Struct::empty())
                    .partition_spec_id(0)
                    .record_count(1)
                    .file_size_in_bytes(1)
                    .build()
                    .unwrap()
            };
            let encrypted = refuse(manifest, &made(Some(vec![1]))).expect_err("a key");
            assert!(expected.is_some() || matches!(encrypted, Error::UnsupportedFeature { .. }), "{encrypted}");
            let file = made(None);
            let refused = match refuse(manifest, &file) {
                Ok(()) => None,
                Err(Error::UnsupportedFeature { feature }) => Some(feature),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(refused.as_deref(), expected);
        }
        for content in [DataContentType::PositionDeletes, DataContentType::EqualityDeletes] {
            let file = DataFileBuilder::default()
                .content(content)
                .file_path("file:///t/a".to_owned())
                .file_format(DataFileFormat::Parquet)
                .record_count(1)
                .file_size_in_bytes(1)
                .build()
                .unwrap();
            assert!(matches!(refuse(Data, &file), Err(Error::Malformed { .. })));
        }
    }
}
