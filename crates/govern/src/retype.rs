//! Types without what formats note inside them.
//!
//! Fields inside structs, lists and maps carry ids and stored names as metadata, and Arrow prints it with the type: in
//! DESCRIBE, in errors, by `arrow_typeof`. Gaps in the ids tell of hidden columns.
//!
//! Formats call the items of lists differently (`element`) and may say that there are no NULLs among them, and to Arrow
//! that is another type: DataFusion's functions panic where such a list meets one that the query made. So lists and maps
//! are of the types that queries make.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::error::ArrowError;

/// The type without metadata, all the way down, and with the names that DataFusion gives to what has none in SQL.
pub(crate) fn bare(data_type: &DataType) -> DataType {
    let item = |item: &FieldRef| Arc::new(Field::new("item", bare(item.data_type()), true));
    match data_type {
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| Arc::new(Field::new(field.name(), bare(field.data_type()), true));
            DataType::Struct(fields.iter().map(field).collect())
        }
        DataType::List(inner) => DataType::List(item(inner)),
        DataType::LargeList(inner) => DataType::LargeList(item(inner)),
        DataType::FixedSizeList(inner, length) => DataType::FixedSizeList(item(inner), *length),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                let key = Field::new("key", bare(pair[0].data_type()), false);
                let value = Field::new("value", bare(pair[1].data_type()), true);
                let pair = DataType::Struct(Fields::from(vec![key, value]));
                DataType::Map(Arc::new(Field::new("entries", pair, false)), *sorted)
            }
            _ => data_type.clone(),
        },
        other => other.clone(),
    }
}

/// The same values under their bare type. No value is copied.
pub(crate) fn retyped(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    Ok(match to {
        DataType::Struct(fields) => Arc::new(structure(array.as_struct(), fields)?),
        DataType::List(item) => list::<i32>(array, item)?,
        DataType::LargeList(item) => list::<i64>(array, item)?,
        DataType::FixedSizeList(item, length) => {
            let given = array.as_fixed_size_list();
            let values = retyped(given.values(), item.data_type())?;
            Arc::new(FixedSizeListArray::try_new(item.clone(), *length, values, given.nulls().cloned())?)
        }
        DataType::Map(entries, sorted) => {
            let given = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return Ok(array.clone()) };
            let pairs = structure(given.entries(), fields)?;
            let (offsets, nulls) = (given.offsets().clone(), given.nulls().cloned());
            Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?)
        }
        _ => array.clone(),
    })
}

fn structure(given: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let columns = given.columns().iter().zip(fields).map(|(column, field)| retyped(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(fields.clone(), columns, given.nulls().cloned(), given.len())
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let given = array.as_list::<O>();
    let values = retyped(given.values(), item.data_type())?;
    let (offsets, nulls) = (given.offsets().clone(), given.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(item.clone(), offsets, values, nulls)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, MapBuilder, StringBuilder, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field};

    use super::{bare, retyped};

    #[test]
    fn values_stay_and_notes_go() {
        let noted = |field: Field| Arc::new(field.with_metadata([("id".to_owned(), "19".to_owned())].into()));
        let numbers = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])) as ArrayRef;
        let structs = StructArray::from(vec![(noted(Field::new("n", DataType::Int32, true)), numbers)]);
        let item = noted(Field::new("element", structs.data_type().clone(), false));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 1]), Arc::new(structs), None);
        let lists = Arc::new(lists) as ArrayRef;
        let to = bare(lists.data_type());
        assert!(format!("{}", lists.data_type()).contains("19") && !format!("{to}").contains("19"), "{to}");
        let plain = retyped(&lists, &to).expect("the same values");
        assert_eq!(plain.data_type(), &to);
        let made = DataType::Struct(vec![Field::new("n", DataType::Int32, true)].into());
        assert_eq!(to, DataType::List(Arc::new(Field::new("item", made, true))), "as queries make them");
        assert_eq!(format!("{:?}", plain.as_ref()), format!("{:?}", lists.as_ref()));
        assert!(Arc::ptr_eq(&plain, &retyped(&plain, &to).expect("nothing to do")));
    }

    #[test]
    fn maps_are_as_queries_make_them() {
        let names =
            arrow::array::MapFieldNames { entry: "key_value".to_owned(), key: "k".to_owned(), value: "v".to_owned() };
        let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        maps.keys().append_value("a");
        maps.values().append_value("1");
        maps.append(true).expect("a map");
        let maps = Arc::new(maps.finish()) as ArrayRef;
        let plain = retyped(&maps, &bare(maps.data_type())).expect("the same values");
        let DataType::Map(entries, false) = plain.data_type() else { panic!("{}", plain.data_type()) };
        let DataType::Struct(pair) = entries.data_type() else { panic!("{entries}") };
        let names = [entries, &pair[0], &pair[1]].map(|field| (field.name().as_str(), field.is_nullable()));
        assert_eq!(names, [("entries", false), ("key", false), ("value", true)]);
        assert_eq!(plain.as_map().entries().column(0).as_string::<i32>().value(0), "a");
    }
}
