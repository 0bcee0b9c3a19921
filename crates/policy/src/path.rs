//! Columns and fields of a contract by their path. Names are matched exactly, quoted or not.

use meshgate_product::Column;

use crate::suggest;

/// The fields inside a column: those of a struct, or of the structs in a list.
pub(crate) fn fields(column: &Column) -> &[Column] {
    column.items.as_deref().map_or(&column.fields, fields)
}

/// The column or field at a path. Fields inside lists have no single value and are not found.
pub(crate) fn find<'a>(columns: &'a [Column], path: &[String]) -> Option<&'a Column> {
    let (first, rest) = path.split_first()?;
    let column = columns.iter().find(|column| column.name == *first)?;
    if rest.is_empty() { Some(column) } else { find(&column.fields, rest) }
}

/// A path near to one that is not there.
pub(crate) fn hint(columns: &[Column], path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    match columns.iter().find(|column| column.name == *first) {
        Some(column) => hint(&column.fields, rest),
        None => suggest::hint(first, columns.iter().map(|column| column.name.as_str())),
    }
}
