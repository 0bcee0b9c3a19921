//! Values of partition columns, from the names of directories.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use meshgate_table::{Error, Layout};
use percent_encoding::percent_decode_str;

use crate::listing::File;

/// What Hive calls the directory of NULL.
pub(crate) const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// For each partition column its value in each file. Without partition columns, directories mean nothing.
pub(crate) fn values(layout: &Layout, files: &[File]) -> Result<Vec<ArrayRef>, Error> {
    if layout.partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut texts = vec![Vec::with_capacity(files.len()); layout.partitions.len()];
    for file in files {
        for (texts, text) in texts.iter_mut().zip(texts_of(layout, file)?) {
            texts.push(text);
        }
    }
    let columns = layout.partitions.iter().zip(texts);
    columns.map(|((name, data_type), texts)| typed(layout, name, data_type, texts, files)).collect()
}

/// The text of each partition column of one file.
fn texts_of(layout: &Layout, file: &File) -> Result<Vec<Option<String>>, Error> {
    let wanted = || layout.partitions.iter().map(|(name, _)| format!("{name}=..")).collect::<Vec<_>>().join("/");
    let odd = || misfit(layout, file, format!("its directories are not {}", wanted()));
    if file.directories.len() != layout.partitions.len() {
        return Err(odd());
    }
    let pairs = layout.partitions.iter().zip(&file.directories);
    pairs
        .map(|((name, _), directory)| {
            let (key, value) = directory.split_once('=').ok_or_else(odd)?;
            let decoded = |text| percent_decode_str(text).decode_utf8().map_err(|_| odd());
            if decoded(key)? != name.as_str() {
                return Err(odd());
            }
            if value == NULL { Ok(None) } else { Ok(Some(decoded(value)?.into_owned())) }
        })
        .collect()
}

fn typed(
    layout: &Layout,
    name: &str,
    data_type: &DataType,
    texts: Vec<Option<String>>,
    files: &[File],
) -> Result<ArrayRef, Error> {
    if !is_readable(data_type) {
        return Err(Error::unsupported(format!("a partition column of the type {data_type}")));
    }
    let texts = StringArray::from(texts);
    let texts_as: ArrayRef = Arc::new(texts.clone());
    let values = cast(&texts_as, data_type).map_err(|error| Error::format("reading partition values", error))?;
    let fits = |at: usize| texts.is_null(at) || (values.is_valid(at) && keeps_all(data_type, texts.value(at)));
    match (0..files.len()).find(|at| !fits(*at)) {
        Some(at) => {
            let reason = format!("`{}` is no value of the partition column `{name}`, {data_type}", texts.value(at));
            Err(misfit(layout, &files[at], reason))
        }
        None => Ok(values),
    }
}

fn is_readable(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Decimal128, Decimal256, Timestamp, Utf8View};
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(data_type, Boolean | Date32 | Decimal128(..) | Decimal256(..) | Timestamp(..) | Utf8View)
}

/// Arrow rounds digits away that a decimal type has no room for.
fn keeps_all(data_type: &DataType, text: &str) -> bool {
    let (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) = data_type else { return true };
    let digits = text.split_once('.').map_or("", |(_, after)| after.trim_end_matches('0'));
    usize::try_from(*scale).is_ok_and(|scale| digits.len() <= scale)
}

fn misfit(layout: &Layout, file: &File, reason: String) -> Error {
    Error::Misfit { table: layout.table.clone(), file: file.meta.location.to_string(), reason }
}
