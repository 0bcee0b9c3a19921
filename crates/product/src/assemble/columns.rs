//! The columns a schema object promises.

use crate::notes::Notes;
use crate::release::{Column, Location, LogicalType};
use crate::yaml::{Node, Value, short};

/// The columns in order, and the names of those that make the primary key.
pub(super) fn read(object: &Node, notes: &Notes) -> (Vec<Column>, Vec<String>) {
    let properties = object.list("properties");
    let key = positioned(object, "primaryKey", "primaryKeyPosition");
    let mut columns: Vec<Column> =
        properties.iter().filter_map(|property| Some(column(property, property.text("name")?, notes))).collect();
    if let [(_, only)] = key.as_slice() {
        columns.iter_mut().filter(|column| column.name == *only).for_each(|column| column.unique = true);
    }
    (columns, key.into_iter().map(|(_, name)| name.to_owned()).collect())
}

/// The names of the partition columns from the outermost. A directory of Parquet files is read by them; of tables with a
/// log they are mere words.
pub(super) fn partition_by(object: &Node, location: Option<&Location>, notes: &mut Notes) -> Vec<String> {
    let columns = positioned(object, PARTITIONED, PARTITION_POSITION);
    if matches!(location, Some(Location::Parquet { .. })) {
        check_partitions(object, &columns, notes);
    }
    columns.into_iter().map(|(_, name)| name.to_owned()).collect()
}

fn check_partitions(object: &Node, columns: &[(i64, &str)], notes: &mut Notes) {
    for property in object.list("properties").iter().filter(|property| property.flag(PARTITIONED)) {
        let kind = property.text("logicalType").unwrap_or_default();
        if ["object", "array", "map", "vector", "time"].contains(&kind) {
            let message = format!("the name of a directory cannot hold a value of the type `{kind}`");
            notes
                .error(property.mark_of(PARTITIONED), "bad-partition", message)
                .hint("a column that partitions Parquet files is text, a number, a boolean, a date or a timestamp");
        }
    }
    for pair in columns.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].0 != i64::MAX) {
        let message = format!("`{}` and `{}` have the same partitionKeyPosition", short(pair[0].1), short(pair[1].1));
        notes.error(object.mark, "bad-partition", message).hint("number them as their directories lie in each other");
    }
}

const PARTITIONED: &str = "partitioned";
const PARTITION_POSITION: &str = "partitionKeyPosition";

/// The names of the properties with a flag, by a position; those without one last.
fn positioned<'n>(object: &'n Node, flag: &str, position: &str) -> Vec<(i64, &'n str)> {
    let flagged = object.list("properties").iter().filter(|property| property.flag(flag));
    let mut columns: Vec<(i64, &str)> = flagged
        .filter_map(|property| {
            let position = match property.get(position).map(|node| &node.value) {
                Some(Value::Integer(position)) if *position > 0 => *position,
                _ => i64::MAX,
            };
            Some((position, property.text("name")?))
        })
        .collect();
    // Stable, so that columns without a position keep the order of the document.
    columns.sort_by_key(|(position, _)| *position);
    columns
}

fn column(property: &Node, name: &str, notes: &Notes) -> Column {
    let inner = |node: &Node, name: &str| column(node, node.text("name").unwrap_or(name), notes);
    let mut fields: Vec<Column> = property
        .list("properties")
        .iter()
        .filter_map(|field| Some(column(field, field.text("name")?, notes)))
        .collect();
    if let Some(map) = property.get("map") {
        fields.extend(["key", "value"].iter().filter_map(|part| Some(column(map.get(part)?, part, notes))));
    }
    let options = property.get("logicalTypeOptions");
    Column {
        name: name.to_owned(),
        physical_name: property.text("physicalName").unwrap_or(name).to_owned(),
        logical_type: property.text("logicalType").and_then(logical_type),
        physical_type: property.owned("physicalType"),
        format: options.and_then(|options| options.owned("format")),
        timezone: options.is_some_and(|options| options.flag("timezone")),
        required: property.flag("required"),
        unique: property.flag("unique"),
        classification: property.owned("classification"),
        tags: property.texts("tags"),
        critical: property.flag("criticalDataElement"),
        business_name: property.owned("businessName"),
        description: property.owned("description"),
        examples: property.list("examples").iter().map(|example| example.raw().to_owned()).collect(),
        fields,
        items: property.get("items").map(|items| Box::new(inner(items, "item"))),
        place: notes.place(property.mark),
    }
}

fn logical_type(word: &str) -> Option<LogicalType> {
    use LogicalType::{Array, Boolean, Date, Integer, Map, Number, Object, String, Time, Timestamp, Vector};
    [String, Date, Timestamp, Time, Number, Integer, Object, Array, Boolean, Map, Vector]
        .into_iter()
        .find(|known| known.as_str() == word)
}
