//! Where a stored table does not keep what its contract promises.

use std::fmt;

use arrow::datatypes::{DataType, Fields, Schema};
use meshgate_model::mutant;
use meshgate_policy::{ColumnVerdict, Reading};
use meshgate_product::{Column, LogicalType, Table};

use crate::promise::sql_type;

/// One promise that is not kept. For owners and operators; a client is told only that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// The stored table has no such column or field.
    Missing {
        /// The promised column, with its path inside a nested one.
        column: String,
        /// The stored name that was looked for.
        physical: String,
    },
    /// The stored type cannot be read as promised.
    Mistyped {
        /// The promised column, with its path inside a nested one.
        column: String,
        /// What the contract says.
        promised: String,
        /// What is stored.
        stored: String,
    },
}

impl Breach {
    /// Whether it is about something that these verdicts let be read, masked or not.
    pub(crate) fn concerns(&self, verdicts: &[ColumnVerdict]) -> bool {
        let (Self::Missing { column, .. } | Self::Mistyped { column, .. }) = self;
        let mut verdicts = verdicts;
        for name in column.split(['.', '[']) {
            match verdicts.iter().find(|verdict| verdict.name == name.trim_end_matches(']')) {
                Some(verdict) if verdict.reading == Reading::Hidden => {
                    return mutant("hidden columns take tables away");
                }
                Some(verdict) => verdicts = &verdict.fields,
                // Nothing inside has a rule of its own.
                None => return true,
            }
        }
        true
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { column, physical } => {
                write!(f, "column `{column}` is promised, but the stored table has no `{physical}`")
            }
            Self::Mistyped { column, promised, stored } => {
                write!(f, "column `{column}` is promised as {promised}, but {stored} is stored")
            }
        }
    }
}

/// All breaches of a contract by a stored schema, in the contract's order.
pub fn breaches(table: &Table, stored: &Schema) -> Vec<Breach> {
    let mut found = Vec::new();
    fields(&table.columns, stored.fields(), "", &mut found);
    found
}

fn fields(columns: &[Column], stored: &Fields, path: &str, found: &mut Vec<Breach>) {
    for column in columns {
        let name = format!("{path}{}", column.name);
        match stored.iter().find(|field| field.name() == &column.physical_name) {
            None => found.push(Breach::Missing { column: name, physical: column.physical_name.clone() }),
            Some(field) => types(column, field.data_type(), &name, found),
        }
    }
}

fn types(column: &Column, stored: &DataType, name: &str, found: &mut Vec<Breach>) {
    let mistyped = |promised: &str| Breach::Mistyped {
        column: name.to_owned(),
        promised: promised.to_owned(),
        stored: stored.to_string(),
    };
    if let Some(logical) = column.logical_type
        && !fits_logical(logical, stored)
    {
        found.push(mistyped(logical.as_str()));
        return;
    }
    if let Some(written) = &column.physical_type
        && let Some(promised) = sql_type(written)
        && column.fields.is_empty()
        && column.items.is_none()
        && !reads_as(stored, &promised)
    {
        found.push(mistyped(written));
        return;
    }
    match (stored, &column.items, column.fields.as_slice()) {
        (DataType::Map(entries, _), _, [key, value]) if column.logical_type == Some(LogicalType::Map) => {
            if let DataType::Struct(pair) = entries.data_type()
                && let [stored_key, stored_value] = &pair[..]
            {
                types(key, stored_key.data_type(), &format!("{name}.{}", key.name), found);
                types(value, stored_value.data_type(), &format!("{name}.{}", value.name), found);
            }
        }
        (DataType::Struct(inner), None, promised) => fields(promised, inner, &format!("{name}."), found),
        (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _), Some(promised), _) => {
            types(promised, item.data_type(), &format!("{name}[]"), found)
        }
        // Fields are promised and what is stored has none by name.
        (_, None, [_, ..]) => found.push(mistyped(column.logical_type.map_or("object", LogicalType::as_str))),
        (_, Some(_), _) => found.push(mistyped(column.logical_type.map_or("array", LogicalType::as_str))),
        _ => {}
    }
}

fn fits_logical(logical: LogicalType, stored: &DataType) -> bool {
    match logical {
        LogicalType::String => is_text(stored) || is_binary(stored) || matches!(stored, DataType::FixedSizeBinary(_)),
        LogicalType::Date => matches!(stored, DataType::Date32 | DataType::Date64),
        LogicalType::Timestamp => matches!(stored, DataType::Timestamp(_, _)),
        LogicalType::Time => matches!(stored, DataType::Time32(_) | DataType::Time64(_)),
        LogicalType::Number => stored.is_numeric(),
        LogicalType::Integer => stored.is_integer() || matches!(stored, DataType::Decimal128(_, 0)),
        LogicalType::Boolean => matches!(stored, DataType::Boolean),
        LogicalType::Object => matches!(stored, DataType::Struct(_) | DataType::Map(_, _)),
        LogicalType::Array | LogicalType::Vector => {
            matches!(stored, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _))
        }
        LogicalType::Map => matches!(stored, DataType::Map(_, _)),
    }
}

/// Whether every stored value is a value of the promised type: the same kind, and no wider.
fn reads_as(stored: &DataType, promised: &DataType) -> bool {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or_default();
    match promised {
        DataType::Utf8View => is_text(stored),
        DataType::BinaryView => is_binary(stored) || matches!(stored, DataType::FixedSizeBinary(_)),
        DataType::Timestamp(_, _) => matches!(stored, DataType::Timestamp(_, _)),
        DataType::Time64(_) => matches!(stored, DataType::Time32(_) | DataType::Time64(_)),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => match stored {
            DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => s == scale && p <= precision,
            other => *scale >= 0 && other.is_integer(),
        },
        _ if promised.is_integer() => stored.is_integer() && width(stored) <= width(promised),
        _ if promised.is_floating() => stored.is_floating() && width(stored) <= width(promised),
        other => stored == other,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};
    use meshgate_product::LogicalType::{self, Integer, Map, Object, String};

    use super::types;
    use crate::testing::column;

    fn map(value: DataType) -> DataType {
        let entry = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", value, true)];
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into()), false)), false)
    }

    #[test]
    fn promises_inside_nested_columns_are_checked() {
        let structure = || DataType::Struct(vec![Field::new("a", DataType::Utf8, true)].into());
        let pair = |key, value| vec![column("key", Some(key), Vec::new()), value];
        let leaf = |name: &str, kind: LogicalType| column(name, Some(kind), Vec::new());
        let cases = [
            (Some(Map), pair(String, leaf("value", Integer)), map(DataType::Int32), vec![]),
            (Some(Map), pair(String, leaf("value", Integer)), map(DataType::Utf8), vec!["m.value"]),
            (Some(Map), pair(Integer, leaf("value", Integer)), map(DataType::Utf8), vec!["m.key", "m.value"]),
            (
                Some(Map),
                pair(String, column("value", Some(Object), vec![leaf("b", String)])),
                map(structure()),
                vec!["m.value.b"],
            ),
            (Some(Object), vec![leaf("a", String)], structure(), vec![]),
            (Some(Object), vec![leaf("a", String)], map(DataType::Utf8), vec!["m"]),
            (None, vec![leaf("a", String)], map(DataType::Utf8), vec!["m"]),
            (None, vec![leaf("a", String)], DataType::Utf8, vec!["m"]),
            (None, Vec::new(), map(DataType::Utf8), vec![]),
        ];
        for (kind, fields, stored, expected) in cases {
            let mut found = Vec::new();
            types(&column("m", kind, fields), &stored, "m", &mut found);
            let told: Vec<_> = found.iter().map(ToString::to_string).collect();
            let named = expected.iter().map(|name| format!("column `{name}` is promised")).collect::<Vec<_>>();
            let fits = told.len() == named.len() && told.iter().zip(&named).all(|(text, name)| text.starts_with(name));
            assert!(fits, "{kind:?} {stored}: {told:?}");
        }
    }
}
