//! Writing tables with the library's own writers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use arrow58::ipc::reader::StreamReader;
use arrow58::record_batch::RecordBatch as RecordBatch58;
use iceberg::arrow::{RecordBatchPartitionSplitter, arrow_schema_to_schema_auto_assign_ids, schema_to_arrow_schema};
use iceberg::io::LocalFsStorageFactory;
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::spec::{DataFile, DataFileFormat, PartitionKey, Struct, Transform, UnboundPartitionSpec};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::writer::base_writer::data_file_writer::DataFileWriterBuilder;
use iceberg::writer::file_writer::ParquetWriterBuilder;
use iceberg::writer::file_writer::location_generator::{DefaultFileNameGenerator, DefaultLocationGenerator};
use iceberg::writer::file_writer::rolling_writer::RollingFileWriterBuilder;
use iceberg::writer::partitioning::PartitioningWriter;
use iceberg::writer::partitioning::fanout_writer::FanoutWriter;
use iceberg::writer::{IcebergWriter, IcebergWriterBuilder};
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, TableCreation, TableIdent};
use meshgate_table::Error;
use parquet58::basic::{Compression, ZstdLevel};
use parquet58::file::properties::WriterProperties;

mod commit;
mod delete;

pub use delete::{Deletion, delete};

/// Changes a table's metadata otherwise than by a snapshot.
#[cfg(test)]
pub(crate) fn change(
    directory: &Path,
    change: impl FnOnce(iceberg::spec::TableMetadataBuilder) -> iceberg::Result<iceberg::spec::TableMetadataBuilder>,
) -> Result<PathBuf, Error> {
    commit::Table::open(directory)?.change(change)
}

/// Describes all delete files of the newest snapshot otherwise, in another snapshot. They are as the specification's JSON
/// form of data files has them.
#[cfg(test)]
pub(crate) async fn redescribe(
    directory: &Path,
    mut change: impl FnMut(&mut serde_json::Value),
) -> Result<PathBuf, Error> {
    use iceberg::spec::{deserialize_data_file_from_json, serialize_data_file_to_json};
    let table = commit::Table::open(directory)?;
    let manifests = table.manifests().await?;
    let (schema, version) = (table.metadata.current_schema().clone(), table.metadata.format_version());
    let mut changed = Vec::new();
    for entry in manifests.iter().flat_map(|(_, entries)| entries) {
        if entry.file.content_type() == iceberg::spec::DataContentType::Data {
            continue;
        }
        let spec = table.metadata.partition_spec_by_id(entry.spec).ok_or_else(|| Error::malformed("no spec"))?;
        let partition = spec.partition_type(&schema).map_err(failed)?;
        let text = serialize_data_file_to_json(entry.file.clone(), &partition, version).map_err(failed)?;
        let mut described = serde_json::from_str(&text).map_err(bridging)?;
        change(&mut described);
        let file = deserialize_data_file_from_json(&described.to_string(), entry.spec, &partition, &schema);
        changed.push((entry.spec, file.map_err(failed)?));
    }
    table.commit(manifests, changed, |_| true).await
}

/// Appends one snapshot to the table in a directory of the local disk, which is made if it does not exist, partitioned
/// by the values of columns; without rows there is no snapshot. Returns the new metadata file.
pub async fn write(
    directory: &Path,
    batches: impl IntoIterator<Item = RecordBatch>,
    partition_by: &[&str],
) -> Result<PathBuf, Error> {
    let mut batches = batches.into_iter().peekable();
    let first = batches.peek().ok_or_else(|| Error::malformed("a table needs at least one batch, be it empty"))?;
    let schema = bridge(&RecordBatch::new_empty(first.schema()))?.schema();
    std::fs::create_dir_all(directory.join("metadata")).map_err(io)?;
    let root = directory.canonicalize().map_err(io)?;
    let location = format!("file://{}", root.display());
    let catalog = MemoryCatalogBuilder::default()
        .with_storage_factory(Arc::new(LocalFsStorageFactory))
        .load("local", HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_owned(), location.clone())]))
        .await
        .map_err(failed)?;
    let namespace = NamespaceIdent::new("local".to_owned());
    catalog.create_namespace(&namespace, HashMap::new()).await.map_err(failed)?;
    let name = TableIdent::new(namespace.clone(), "table".to_owned());
    let table = match newest(&root)? {
        Some(metadata) => catalog.register_table(&name, format!("file://{}", metadata.display())).await,
        None => {
            let schema = arrow_schema_to_schema_auto_assign_ids(&schema).map_err(failed)?;
            let mut spec = UnboundPartitionSpec::builder();
            for column in partition_by {
                let id = schema.field_id_by_name(column);
                let id = id.ok_or_else(|| Error::malformed(format!("no column {column} to partition by")))?;
                spec = spec.add_partition_field(id, (*column).to_owned(), Transform::Identity).map_err(failed)?;
            }
            let creation = TableCreation::builder().name(name.name().to_owned()).location(location).schema(schema);
            catalog.create_table(&namespace, creation.partition_spec(spec.build()).build()).await
        }
    };
    let table = table.map_err(failed)?;
    let files = write_files(&table, batches).await?;
    let table = if files.is_empty() {
        table
    } else {
        let transaction = Transaction::new(&table);
        let append = transaction.fast_append().add_data_files(files);
        append.apply(transaction).map_err(failed)?.commit(&catalog).await.map_err(failed)?
    };
    let metadata = table.metadata_location().ok_or_else(|| Error::malformed("a commit without metadata"))?;
    let metadata = PathBuf::from(metadata.strip_prefix("file://").unwrap_or(metadata));
    let hint = metadata.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".metadata.json"));
    std::fs::write(root.join("metadata/version-hint.text"), hint.unwrap_or_default()).map_err(io)?;
    Ok(metadata)
}

async fn write_files(table: &Table, batches: impl Iterator<Item = RecordBatch>) -> Result<Vec<DataFile>, Error> {
    let metadata = table.metadata();
    let schema = metadata.current_schema().clone();
    let target = Arc::new(schema_to_arrow_schema(&schema).map_err(failed)?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let prefix = format!("{:05}", metadata.snapshots().len());
    let files = RollingFileWriterBuilder::new_with_default_file_size(
        ParquetWriterBuilder::new(properties, schema.clone()),
        table.file_io().clone(),
        DefaultLocationGenerator::new(metadata).map_err(failed)?,
        DefaultFileNameGenerator::new(prefix, None, DataFileFormat::Parquet),
    );
    let writers = DataFileWriterBuilder::new(files);
    let spec = metadata.default_partition_spec();
    if spec.is_unpartitioned() {
        // A table that was partitioned once has another specification without partitions than the first.
        let key = PartitionKey::new(spec.as_ref().clone(), schema, Struct::empty());
        let mut writer = writers.build(Some(key)).await.map_err(failed)?;
        for batch in batches.filter(|batch| batch.num_rows() > 0) {
            writer.write(conform(&bridge(&batch)?, &target)?).await.map_err(failed)?;
        }
        return writer.close().await.map_err(failed);
    }
    let splitter = RecordBatchPartitionSplitter::try_new_with_computed_values(schema, spec.clone()).map_err(failed)?;
    let mut writer = FanoutWriter::new(writers);
    for batch in batches.filter(|batch| batch.num_rows() > 0) {
        for (key, part) in splitter.split(&conform(&bridge(&batch)?, &target)?).map_err(failed)? {
            writer.write(key, part).await.map_err(failed)?;
        }
    }
    writer.close().await.map_err(failed)
}

/// Gives the columns the types and field ids that the library's writer wants.
fn conform(batch: &RecordBatch58, target: &arrow58::datatypes::SchemaRef) -> Result<RecordBatch58, Error> {
    let columns = target.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => arrow58::compute::cast(column, field.data_type()),
        None => Ok(arrow58::array::new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(bridging)?;
    RecordBatch58::try_new(target.clone(), columns).map_err(bridging)
}

/// From one Arrow to the other, as the bytes both agree on.
fn bridge(batch: &RecordBatch) -> Result<RecordBatch58, Error> {
    let fields: Vec<FieldRef> = batch.schema().fields().iter().map(plain).collect();
    let columns = batch.columns().iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(bridging)?;
    let schema = Arc::new(Schema::new(fields));
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(bridging)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(bridging)?;
    writer.write(&batch).map_err(bridging)?;
    let bytes = writer.into_inner().map_err(bridging)?;
    let mut reader = StreamReader::try_new(bytes.as_slice(), None).map_err(bridging)?;
    reader.next().ok_or_else(|| Error::malformed("a batch lost between two versions of Arrow"))?.map_err(bridging)
}

/// The field with types that the library knows.
fn plain(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::Binary => DataType::LargeBinary,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::Dictionary(_, values) => {
            return plain(&Arc::new(Field::new(field.name(), values.as_ref().clone(), field.is_nullable())));
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::List(element) | DataType::LargeList(element) => DataType::List(plain(element)),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

fn newest(root: &Path) -> Result<Option<PathBuf>, Error> {
    let names = std::fs::read_dir(root.join("metadata")).map_err(io)?;
    let mut files = Vec::new();
    for name in names {
        let path = name.map_err(io)?.path();
        if path.to_str().is_some_and(|path| path.ends_with(".metadata.json")) {
            files.push(path);
        }
    }
    // `00001-<uuid>.metadata.json`: numbers of one width, written by this function alone.
    Ok(files.into_iter().max())
}

fn failed(error: iceberg::Error) -> Error {
    Error::format("writing an Iceberg table", error)
}

fn bridging(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::format("handing rows from one version of Arrow to the other", error)
}

fn io(error: std::io::Error) -> Error {
    Error::format("writing an Iceberg table's directory", error)
}
