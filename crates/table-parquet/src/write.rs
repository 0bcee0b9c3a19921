//! Writing Parquet files into directories.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::path::Path;

use arrow::array::{Array, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use meshgate_table::Error;
use parquet::arrow::ArrowWriter;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::partitions::NULL;

/// What Hive does not leave in the name of a directory.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// Adds a file `<name>.parquet` to a directory of the local disk, which is made if it does not exist; with partition
/// columns, one to a directory for each of their values.
pub fn append(directory: &Path, name: &str, batch: &RecordBatch, partition_by: &[&str]) -> Result<(), Error> {
    let index = |name: &&str| batch.schema().index_of(name).map_err(|error| Error::format("writing Parquet", error));
    let keys = partition_by.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let mut parts: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
    for (row, number) in (0..batch.num_rows()).zip(0..) {
        let folder = |(key, index): (&&str, &usize)| Ok(format!("{key}={}", text(batch.column(*index), row)?));
        let folders = partition_by.iter().zip(&keys).map(folder).collect::<Result<Vec<_>, Error>>()?;
        parts.entry(folders).or_default().push(number);
    }
    let kept: Vec<usize> = (0..batch.num_columns()).filter(|index| !keys.contains(index)).collect();
    for (folders, rows) in parts {
        let rows = take_record_batch(batch, &UInt32Array::from(rows)).and_then(|rows| rows.project(&kept));
        let rows = rows.map_err(|error| Error::format("writing Parquet", error))?;
        let folder = folders.iter().fold(directory.to_owned(), |path, folder| path.join(folder));
        write(&folder, name, &rows)?;
    }
    Ok(())
}

fn text(column: &dyn Array, row: usize) -> Result<String, Error> {
    if column.is_null(row) {
        return Ok(NULL.to_owned());
    }
    let text = array_value_to_string(column, row).map_err(|error| Error::format("writing Parquet", error))?;
    Ok(utf8_percent_encode(&text, ESCAPED).to_string())
}

fn write(directory: &Path, name: &str, rows: &RecordBatch) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::format("writing Parquet", error);
    create_dir_all(directory).map_err(io)?;
    let file = File::create(directory.join(format!("{name}.parquet"))).map_err(io)?;
    let failed = |error: parquet::errors::ParquetError| Error::format("writing Parquet", error);
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(())
}
