//! Deleting rows in all ways of the format, which the library cannot commit: for tests, as far as they need it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, new_null_array};
use arrow::compute::{cast, concat_batches, filter_record_batch, kernels::aggregate};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use iceberg::metadata_columns::{
    RESERVED_COL_NAME_DELETE_FILE_PATH, RESERVED_COL_NAME_DELETE_FILE_POS, RESERVED_FIELD_ID_DELETE_FILE_PATH,
    RESERVED_FIELD_ID_DELETE_FILE_POS,
};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FormatVersion, PrimitiveType, Struct, Type,
};
use meshgate_table::{Error, FIELD_ID, vector};
use roaring::RoaringTreemap;

use super::commit::{Entry, Table};
use super::io;

/// How deleted rows are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deletion<'a> {
    /// By their positions, in one file for each partition.
    Positions,
    /// By their positions, in one file for each data file, which the manifest names.
    PositionsByFile,
    /// By deletion vectors. The table is of version 3 from then on.
    Vectors,
    /// By the values of these columns, in one file for each data file: other rows of its partition that have the same
    /// are deleted, too.
    Equality(&'a [&'a str]),
    /// The same in all partitions, if the table was ever without.
    EqualityEverywhere(&'a [&'a str]),
}

/// A live data file and which of its rows are to be deleted.
type Marked<'a> = (&'a Entry, RoaringTreemap, Vec<RecordBatch>);

/// Deletes rows of a table on the local disk in one snapshot. `which` is asked with the rows of each live data file,
/// columns as they are in the file, in as many batches as it takes.
///
/// # Errors
/// If files cannot be read or written, or the table's version does not allow it.
pub async fn delete(
    directory: &Path,
    how: Deletion<'_>,
    mut which: impl FnMut(&RecordBatch) -> BooleanArray,
) -> Result<PathBuf, Error> {
    let mut table = Table::open(directory)?;
    let is_v3 = table.metadata.format_version() == FormatVersion::V3;
    match how {
        Deletion::Vectors if !is_v3 => {
            table.change(|builder| builder.upgrade_format_version(FormatVersion::V3))?;
            table = Table::open(directory)?;
        }
        Deletion::Positions | Deletion::PositionsByFile if is_v3 => {
            return Err(Error::malformed("tables of version 3 have deletion vectors instead of positional deletes"));
        }
        _ => {}
    }
    let manifests = table.manifests().await?;
    let entries = || manifests.iter().flat_map(|(_, entries)| entries);
    let mut marked = Vec::new();
    for entry in entries().filter(|entry| entry.file.content_type() == DataContentType::Data) {
        let (positions, rows) = matching(&entry.file, &mut which)?;
        if !positions.is_empty() {
            marked.push((entry, positions, rows));
        }
    }
    let is_delete = |entry: &&Entry| entry.file.content_type() == DataContentType::PositionDeletes;
    let old: Vec<&Entry> = entries().filter(is_delete).collect();
    let added = match how {
        Deletion::Positions => by_positions(&table, &marked, false)?,
        Deletion::PositionsByFile => by_positions(&table, &marked, true)?,
        Deletion::Vectors => by_vectors(&table, &marked, &old)?,
        Deletion::Equality(columns) => by_values(&table, &marked, columns, false)?,
        Deletion::EqualityEverywhere(columns) => by_values(&table, &marked, columns, true)?,
    };
    let new: Vec<String> = match how {
        Deletion::Vectors => added.iter().filter_map(|(_, file)| file.referenced_data_file()).collect(),
        _ => Vec::new(),
    };
    drop(marked);
    let is_replaced = |file: &DataFile| {
        let vector = file.file_format() == DataFileFormat::Puffin;
        vector && file.referenced_data_file().is_some_and(|path| new.contains(&path))
    };
    table.commit(manifests, added, is_replaced).await
}

fn by_positions(table: &Table, marked: &[Marked<'_>], named: bool) -> Result<Vec<(i32, DataFile)>, Error> {
    let column = |name: &str, data_type, id: i32| {
        Field::new(name, data_type, false).with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())]))
    };
    let schema = Arc::new(Schema::new(vec![
        column(RESERVED_COL_NAME_DELETE_FILE_PATH, DataType::Utf8, RESERVED_FIELD_ID_DELETE_FILE_PATH),
        column(RESERVED_COL_NAME_DELETE_FILE_POS, DataType::Int64, RESERVED_FIELD_ID_DELETE_FILE_POS),
    ]));
    // Rows of one file: sorted by path.
    let mut files: BTreeMap<String, (&Entry, BTreeMap<&str, &RoaringTreemap>)> = BTreeMap::new();
    for (entry, positions, _) in marked {
        let key = match named {
            true => entry.file.file_path().to_owned(),
            false => format!("{} {:?}", entry.spec, entry.file.partition()),
        };
        files.entry(key).or_insert_with(|| (entry, BTreeMap::new())).1.insert(entry.file.file_path(), positions);
    }
    let written = files.into_values().map(|(entry, by_path)| {
        let rows = || by_path.iter().flat_map(|(path, positions)| positions.iter().map(move |at| (*path, at)));
        let at: Vec<i64> = rows().map(|(_, at)| i64::try_from(at)).collect::<Result<_, _>>().map_err(other)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(rows().map(|(path, _)| path).collect::<Vec<_>>())),
            Arc::new(Int64Array::from(at)),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns).map_err(other)?;
        let mut file = written(table, &batch, entry)?;
        let path = |path: Option<(&&str, _)>| Datum::string(path.map_or("", |(path, _)| *path));
        let id = RESERVED_FIELD_ID_DELETE_FILE_PATH;
        file.content(DataContentType::PositionDeletes)
            .lower_bounds(HashMap::from([(id, path(by_path.first_key_value()))]))
            .upper_bounds(HashMap::from([(id, path(by_path.last_key_value()))]))
            .referenced_data_file(named.then(|| entry.file.file_path().to_owned()));
        Ok((entry.spec, file.build().map_err(other)?))
    });
    written.collect()
}

fn by_vectors(table: &Table, marked: &[Marked<'_>], old: &[&Entry]) -> Result<Vec<(i32, DataFile)>, Error> {
    let mut puffin = b"PFA1".to_vec();
    let mut vectors = Vec::new();
    for (entry, positions, _) in marked {
        let path = entry.file.file_path();
        let mut all = positions.clone();
        let in_force = |old: &&&Entry| old.sequence >= entry.sequence;
        for old in old.iter().filter(in_force) {
            all |= read_old(&old.file, path)?;
        }
        let blob = vector::framed(&vector::vector(&all).map_err(io)?).map_err(other)?;
        vectors.push((*entry, puffin.len(), blob.len(), all.len()));
        puffin.extend(blob);
    }
    let blobs: Vec<_> = vectors
        .iter()
        .map(|(entry, offset, length, rows)| {
            serde_json::json!({"type": "deletion-vector-v1", "fields": [RESERVED_FIELD_ID_DELETE_FILE_POS],
                "snapshot-id": -1, "sequence-number": -1, "offset": offset, "length": length,
                "properties": {"referenced-data-file": entry.file.file_path(), "cardinality": rows.to_string()}})
        })
        .collect();
    let footer = serde_json::json!({"blobs": blobs, "properties": {}}).to_string();
    puffin.extend(b"PFA1");
    puffin.extend(footer.as_bytes());
    puffin.extend(u32::try_from(footer.len()).map_err(other)?.to_le_bytes());
    puffin.extend([0; 4]);
    puffin.extend(b"PFA1");
    let path = table.path("data", "deletes.puffin");
    fs::write(&path, &puffin).map_err(io)?;
    let described = vectors.into_iter().map(|(entry, offset, length, rows)| {
        let file = builder(&path, puffin.len() as u64, rows, entry)
            .content(DataContentType::PositionDeletes)
            .file_format(DataFileFormat::Puffin)
            .referenced_data_file(Some(entry.file.file_path().to_owned()))
            .content_offset(Some(i64::try_from(offset).map_err(other)?))
            .content_size_in_bytes(Some(i64::try_from(length).map_err(other)?))
            .build();
        Ok((entry.spec, file.map_err(other)?))
    });
    described.collect()
}

/// What an older vector or positional delete file, which this module wrote, says of a data file.
fn read_old(file: &DataFile, path: &str) -> Result<RoaringTreemap, Error> {
    if file.file_format() == DataFileFormat::Puffin {
        if file.referenced_data_file().as_deref() != Some(path) {
            return Ok(RoaringTreemap::new());
        }
        let number = |number: Option<i64>| usize::try_from(number.unwrap_or(0)).map_err(other);
        let (offset, length) = (number(file.content_offset())?, number(file.content_size_in_bytes())?);
        let bytes = fs::read(local(file)).map_err(io)?;
        let blob = bytes.get(offset..offset + length).unwrap_or_default();
        let found = vector::unframed(blob, blob.len() as u64 - vector::FRAME_LEN).and_then(vector::positions);
        return found.map_err(Error::malformed);
    }
    let mut positions = RoaringTreemap::new();
    for batch in read(file)? {
        let paths = batch.column(0).as_string::<i32>();
        let at = batch.column(1).as_primitive::<Int64Type>();
        let own = paths.iter().zip(at).filter(|(named, _)| *named == Some(path));
        positions.extend(own.filter_map(|(_, at)| u64::try_from(at?).ok()));
    }
    Ok(positions)
}

fn by_values(
    table: &Table,
    marked: &[Marked<'_>],
    columns: &[&str],
    everywhere: bool,
) -> Result<Vec<(i32, DataFile)>, Error> {
    let schema = table.metadata.current_schema();
    let ids = columns.iter().map(|name| schema.field_id_by_name(name));
    let ids: Vec<i32> = ids.collect::<Option<_>>().ok_or_else(|| Error::malformed("an unknown column"))?;
    let mut specs = table.metadata.partition_specs_iter();
    let without = specs.find(|spec| spec.is_unpartitioned()).map(|spec| spec.spec_id());
    let mut files = Vec::new();
    for (entry, _, rows) in marked {
        let known = concat_batches(&rows[0].schema(), rows).map_err(other)?;
        let mut fields = Vec::new();
        let mut keys = Vec::new();
        for id in &ids {
            let at = known
                .schema()
                .fields()
                .iter()
                .position(|field| field.metadata().get(FIELD_ID) == Some(&id.to_string()));
            let (data_type, key) = match at {
                Some(at) => (known.column(at).data_type().clone(), known.column(at).clone()),
                None => (DataType::Int64, new_null_array(&DataType::Int64, known.num_rows())),
            };
            let metadata = HashMap::from([(FIELD_ID.to_owned(), id.to_string())]);
            fields.push(Field::new(format!("c{id}"), data_type, true).with_metadata(metadata));
            keys.push(key);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), keys).map_err(other)?;
        let mut file = written(table, &batch, entry)?;
        file.content(DataContentType::EqualityDeletes).equality_ids(Some(ids.clone()));
        let nulls = ids.iter().zip(batch.columns()).map(|(id, column)| (*id, column.null_count() as u64));
        let bounds = || ids.iter().zip(batch.columns());
        let bound = |max: bool| {
            let known = bounds().filter_map(|(id, column)| Some((*id, extreme(schema, *id, column, max)?)));
            known.collect::<HashMap<_, _>>()
        };
        file.null_value_counts(nulls.collect()).lower_bounds(bound(false)).upper_bounds(bound(true));
        let spec = match without.filter(|_| everywhere) {
            Some(without) => {
                file.partition(Struct::empty()).partition_spec_id(without);
                without
            }
            None => entry.spec,
        };
        files.push((spec, file.build().map_err(other)?));
    }
    Ok(files)
}

/// The smallest or greatest value of a column of whole numbers.
fn extreme(schema: &iceberg::spec::Schema, id: i32, column: &ArrayRef, max: bool) -> Option<Datum> {
    let Type::Primitive(primitive) = schema.field_by_id(id)?.field_type.as_ref() else { return None };
    let values = cast(column, &DataType::Int64).ok().filter(|_| column.data_type().is_integer())?;
    let values = values.as_primitive::<Int64Type>();
    let value = if max { aggregate::max(values) } else { aggregate::min(values) }?;
    match primitive {
        PrimitiveType::Int => Some(Datum::int(i32::try_from(value).ok()?)),
        PrimitiveType::Long => Some(Datum::long(value)),
        _ => None,
    }
}

/// Which rows of a data file are to be deleted.
fn matching(
    file: &DataFile,
    which: &mut impl FnMut(&RecordBatch) -> BooleanArray,
) -> Result<(RoaringTreemap, Vec<RecordBatch>), Error> {
    let (mut positions, mut rows, mut first) = (RoaringTreemap::new(), Vec::new(), 0);
    for batch in read(file)? {
        let deleted = which(&batch);
        positions.extend((first..).zip(&deleted).filter(|(_, deleted)| *deleted == Some(true)).map(|(at, _)| at));
        rows.push(filter_record_batch(&batch, &deleted).map_err(other)?);
        first += batch.num_rows() as u64;
    }
    Ok((positions, rows))
}

fn read(file: &DataFile) -> Result<Vec<RecordBatch>, Error> {
    let file = File::open(local(file)).map_err(io)?;
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).map_err(other)?;
    rows.collect::<Result<_, _>>().map_err(other)
}

fn local(file: &DataFile) -> &str {
    file.file_path().strip_prefix("file://").unwrap_or(file.file_path())
}

/// Writes a delete file, and begins to describe it: in the partition of a data file.
fn written(table: &Table, batch: &RecordBatch, entry: &Entry) -> Result<DataFileBuilder, Error> {
    let path = table.path("data", "deletes.parquet");
    let mut writer = ArrowWriter::try_new(File::create_new(&path).map_err(io)?, batch.schema(), None).map_err(other)?;
    writer.write(batch).map_err(other)?;
    writer.close().map_err(other)?;
    let size = fs::metadata(&path).map_err(io)?.len();
    Ok(builder(&path, size, batch.num_rows() as u64, entry))
}

fn builder(path: &Path, size: u64, rows: u64, entry: &Entry) -> DataFileBuilder {
    let mut file = DataFileBuilder::default();
    file.file_path(format!("file://{}", path.display()))
        .file_format(DataFileFormat::Parquet)
        .file_size_in_bytes(size)
        .record_count(rows)
        .partition(entry.file.partition().clone())
        .partition_spec_id(entry.spec);
    file
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::format("deleting rows of an Iceberg table", error)
}
