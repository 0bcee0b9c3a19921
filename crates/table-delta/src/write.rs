//! Writing tables with the library's own writer.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, StructType, normalize_for_delta};
use deltalake::operations::create::CreateBuilder;
use deltalake::writer::{DeltaWriter, RecordBatchWriter, WriteMode};
use deltalake::{DeltaResult, DeltaTable};
use meshgate_table::Error;
use url::Url;

mod delete;

pub use delete::{VectorStorage, delete};

/// Appends one version to a table on the local disk. The table is made, by the first batch's schema and partitioned as
/// given, if it does not exist; columns that are new are added to a table without partitions.
pub async fn append(
    directory: &Path,
    batches: impl IntoIterator<Item = RecordBatch>,
    partition_by: &[&str],
) -> Result<(), Error> {
    let place = directory.display().to_string();
    std::fs::create_dir_all(directory).map_err(|error| Error::format("making a table's directory", error))?;
    let real = directory.canonicalize().map_err(|error| Error::format("finding a table's directory", error))?;
    let url = Url::from_directory_path(&real).map_err(|()| Error::malformed(format!("{place} is no absolute path")))?;
    let written = async {
        let mut table = DeltaTable::try_from_url(url).await?;
        match table.version() {
            Some(_) => add(&mut table, batches).await,
            None => create(&table, batches, partition_by).await,
        }
    };
    written.await.map_err(|error| Error::format("writing a Delta table", error))
}

async fn add(table: &mut DeltaTable, batches: impl IntoIterator<Item = RecordBatch>) -> DeltaResult<()> {
    let mut writer = RecordBatchWriter::for_table(table)?;
    let partitioned = !table.snapshot()?.metadata().partition_columns().is_empty();
    // The library cannot add columns to a table with partitions.
    let mode = if partitioned { WriteMode::Default } else { WriteMode::MergeSchema };
    for batch in batches {
        writer.write_with_mode(batch, mode).await?;
    }
    writer.flush_and_commit(table).await?;
    Ok(())
}

/// The table and its first files in one version.
async fn create(
    table: &DeltaTable,
    batches: impl IntoIterator<Item = RecordBatch>,
    partition_by: &[&str],
) -> DeltaResult<()> {
    let mut batches = batches.into_iter().peekable();
    let Some(first) = batches.peek() else { return Ok(()) };
    let schema = normalize_for_delta(&first.schema());
    let fields: StructType = schema.as_ref().try_into_kernel()?;
    let partitions = || partition_by.iter().map(|&name| name.to_owned());
    let mut writer = RecordBatchWriter::try_new(table.table_url(), schema, Some(partitions().collect()), None)?;
    for batch in batches {
        writer.write(batch).await?;
    }
    let files = writer.flush().await?;
    CreateBuilder::new()
        .with_log_store(table.log_store())
        .with_columns(fields.fields().cloned())
        .with_partition_columns(partitions())
        .with_actions(files.into_iter().map(Action::Add))
        .await?;
    Ok(())
}
