//! Columns and fields of a contract by their path. Names are matched exactly, quoted or not.

use meshgate_product::{Column, LogicalType};

use crate::suggest;

/// The fields inside a column: those of a struct, or of the structs in a list.
pub(crate) fn fields(column: &Column) -> &[Column] {
    column.items.as_deref().map_or(&column.fields, fields)
}

/// The fields that have one value of their own in each row: not those inside lists, nor the key and value of a map,
/// whose names would be taken for keys.
fn addressable(column: &Column) -> &[Column] {
    if column.logical_type == Some(LogicalType::Map) { &[] } else { &column.fields }
}

/// The column or field at a path, if it has a single value.
pub(crate) fn find<'a>(columns: &'a [Column], path: &[String]) -> Option<&'a Column> {
    let (first, rest) = path.split_first()?;
    let column = columns.iter().find(|column| column.name == *first)?;
    if rest.is_empty() { Some(column) } else { find(addressable(column), rest) }
}

/// A path near to one that is not there.
pub(crate) fn hint(columns: &[Column], path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    match columns.iter().find(|column| column.name == *first) {
        Some(column) => hint(addressable(column), rest),
        None => suggest::hint(first, columns.iter().map(|column| column.name.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use meshgate_model::Place;
    use meshgate_product::{Column, LogicalType};

    use super::{fields, find, hint};

    fn column(name: &str, logical_type: LogicalType, fields: Vec<Column>) -> Column {
        Column {
            name: name.to_owned(),
            physical_name: name.to_owned(),
            logical_type: Some(logical_type),
            physical_type: None,
            format: None,
            timezone: false,
            required: false,
            unique: false,
            classification: None,
            tags: Vec::new(),
            critical: false,
            business_name: None,
            description: None,
            examples: Vec::new(),
            fields,
            items: None,
            place: Place::file("c.odcs.yaml"),
        }
    }

    #[test]
    fn what_is_inside_a_map_has_rules_but_no_value() {
        let inner = || {
            let value = column("value", LogicalType::Object, vec![column("zip", LogicalType::String, Vec::new())]);
            vec![column("key", LogicalType::String, Vec::new()), value]
        };
        for (kind, found) in [(LogicalType::Object, true), (LogicalType::Map, false)] {
            let columns = [column("m", kind, inner())];
            let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
            assert!(find(&columns, &path("m")).is_some());
            assert_eq!(find(&columns, &path("m.value")).is_some(), found, "{kind:?}");
            assert_eq!(find(&columns, &path("m.value.zip")).is_some(), found, "{kind:?}");
            assert_eq!(hint(&columns, &path("m.valeu")).is_some(), found, "{kind:?}");
            assert_eq!(fields(&columns[0]).len(), 2, "{kind:?}");
        }
    }
}
