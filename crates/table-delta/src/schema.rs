//! The table's columns as `meshgate-table` wants them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use meshgate_table::{Binding, Error, FIELD_ID, PHYSICAL_NAME};

const MAPPING_ID: &str = "delta.columnMapping.id";
const MAPPING_NAME: &str = "delta.columnMapping.physicalName";
const TYPE_CHANGES: &str = "delta.typeChanges";

/// How the table's columns are named in its files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mapping {
    /// As in the table.
    None,
    /// By a physical name that never changes.
    Name,
    /// By id.
    Id,
}

impl Mapping {
    /// By the table's properties.
    pub(crate) fn read(properties: &HashMap<String, String>) -> Result<Self, Error> {
        match properties.get("delta.columnMapping.mode").map(String::as_str) {
            None | Some("none") => Ok(Self::None),
            Some("name") => Ok(Self::Name),
            Some("id") => Ok(Self::Id),
            Some(_) => Err(Error::unsupported("an unknown mode of column mapping")),
        }
    }

    /// The rule for files.
    pub(crate) fn binding(self) -> Binding {
        match self {
            Self::None | Self::Name => Binding::Name,
            Self::Id => Binding::ids(),
        }
    }
}

/// The logical schema with views inside, physical names and ids in the metadata.
pub(crate) fn convert(schema: &Schema, mapping: Mapping) -> Result<SchemaRef, Error> {
    let fields = schema.fields().iter().map(|field| convert_field(field, mapping));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, Error>>()?)))
}

fn convert_field(field: &FieldRef, mapping: Mapping) -> Result<FieldRef, Error> {
    let given = field.metadata();
    if given.contains_key(TYPE_CHANGES) {
        return Err(Error::unsupported("type widening"));
    }
    let mut metadata = HashMap::new();
    if mapping != Mapping::None {
        if let Some(id) = given.get(MAPPING_ID) {
            metadata.insert(FIELD_ID.to_owned(), id.clone());
        }
        if let Some(name) = given.get(MAPPING_NAME).filter(|name| *name != field.name()) {
            metadata.insert(PHYSICAL_NAME.to_owned(), name.clone());
        }
    }
    let inner = |field: &FieldRef| convert_field(field, mapping);
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Result<_, Error>>()?),
        DataType::List(element) => DataType::List(inner(element)?),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries)?, *sorted),
        other => other.clone(),
    };
    Ok(Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata)))
}

/// The name of a column in files and statistics.
pub(crate) fn physical_name(field: &Field) -> &str {
    field.metadata().get(PHYSICAL_NAME).unwrap_or_else(|| field.name())
}

/// Whether no physical name is that of one column then and of another one today.
pub(crate) fn are_the_same(then: &Fields, today: &Fields) -> bool {
    today.iter().all(|field| {
        let before = then.iter().find(|before| physical_name(before) == physical_name(field));
        before.is_none_or(|before| {
            let ids = before.metadata().get(FIELD_ID).zip(field.metadata().get(FIELD_ID));
            ids.is_none_or(|(before, today)| before == today) && are_the_same(inside(before), inside(field))
        })
    })
}

/// What a column is made of.
fn inside(field: &Field) -> &Fields {
    static NOTHING: LazyLock<Fields> = LazyLock::new(Fields::empty);
    match field.data_type() {
        DataType::Struct(fields) => fields,
        DataType::List(element) | DataType::Map(element, _) => inside(element),
        _ => &NOTHING,
    }
}
