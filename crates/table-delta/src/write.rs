//! Writing tables with the library's own writer.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use deltalake::DeltaTable;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use meshgate_table::Error;
use url::Url;

/// What becomes of rows that are there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They stay; columns that are new are added to the table.
    Append,
    /// They go.
    Overwrite,
}

/// Writes one version of a table on the local disk. The directory is made if it does not exist.
pub async fn write(
    directory: &Path,
    batches: impl IntoIterator<Item = RecordBatch>,
    partition_by: &[&str],
    mode: Mode,
) -> Result<(), Error> {
    let place = directory.display().to_string();
    let failed = |error: deltalake::DeltaTableError| Error::format("writing a Delta table", error);
    std::fs::create_dir_all(directory).map_err(|error| Error::format("making a table's directory", error))?;
    let real = directory.canonicalize().map_err(|error| Error::format("finding a table's directory", error))?;
    let url = Url::from_directory_path(&real).map_err(|()| Error::malformed(format!("{place} is no absolute path")))?;
    let table = DeltaTable::try_from_url(url).await.map_err(failed)?;
    let mut write = table.write(batches).with_save_mode(match mode {
        Mode::Append => SaveMode::Append,
        Mode::Overwrite => SaveMode::Overwrite,
    });
    if mode == Mode::Append {
        write = write.with_schema_mode(SchemaMode::Merge);
    }
    if !partition_by.is_empty() {
        write = write.with_partition_columns(partition_by.iter().copied());
    }
    write.await.map_err(failed)?;
    Ok(())
}
