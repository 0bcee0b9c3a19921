//! The columns of a table whose files are all that tells of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use meshgate_table::{DataFile, DomainStores, Error, Layout, loses_nothing, stored_columns};

/// In how many files a column is looked for that the contract promises and the first file lacks.
const FILES_ASKED_MAX: usize = 64;

/// The columns of the first file, with those of the contract that only other files have, and last the partition columns. The
/// contract's types count where they only widen.
pub(crate) async fn read(layout: &Layout, stores: &Arc<DomainStores>, files: &[DataFile]) -> Result<SchemaRef, Error> {
    let Some((first, others)) = files.split_first() else { return Err(Error::malformed("a table without files")) };
    let columns = async |file: &DataFile| stored_columns(&layout.table, stores, file.clone()).await;
    let is_partition = |field: &FieldRef| layout.partitions.iter().any(|(name, _)| name == field.name());
    // A writer may leave partition columns in the files as well: the directory counts.
    let mut fields: Vec<FieldRef> =
        columns(first).await?.fields().iter().filter(|field| !is_partition(field)).cloned().collect();
    let mut missing: Vec<&str> = layout.columns.iter().map(|(name, _)| name.as_str()).collect();
    missing.retain(|name| !fields.iter().any(|field| field.name() == name));
    // Names tend to grow with time: the last file is the likeliest to have a new column.
    for file in others.iter().rev().take(FILES_ASKED_MAX) {
        if missing.is_empty() {
            break;
        }
        let found = columns(file).await?;
        missing.retain(|name| {
            let field = found.fields().iter().find(|field| field.name() == name);
            fields.extend(field.cloned());
            field.is_none()
        });
    }
    let told = |field: &FieldRef| {
        let told = layout.columns.iter().find(|(name, _)| name == field.name())?.1.as_ref()?;
        widens(field.data_type(), told).then(|| Arc::new(field.as_ref().clone().with_data_type(told.clone())))
    };
    let fields = fields.into_iter().map(|field| told(&field).unwrap_or(field));
    let partitions =
        layout.partitions.iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type.clone(), true)));
    Ok(Arc::new(Schema::new(fields.chain(partitions).collect::<Vec<_>>())))
}

/// Whether a type in the contract is meant to widen what is stored. Of times it does not tell how fine they are: a stored
/// one stays as it is.
fn widens(stored: &DataType, told: &DataType) -> bool {
    let is_time = matches!(stored, DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_));
    stored != told && !is_time && loses_nothing(stored, told)
}
