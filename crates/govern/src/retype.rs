//! Types without what formats note inside them.
//!
//! Fields inside structs, lists and maps carry ids and stored names as metadata, and Arrow prints it with the type: in
//! DESCRIBE, in errors, by `arrow_typeof`. Gaps in the ids tell of hidden columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

/// The type without metadata, all the way down.
pub(crate) fn bare(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bare_field).collect()),
        DataType::List(item) => DataType::List(bare_field(item)),
        DataType::LargeList(item) => DataType::LargeList(bare_field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(bare_field(item), *length),
        DataType::Map(entries, sorted) => DataType::Map(bare_field(entries), *sorted),
        other => other.clone(),
    }
}

fn bare_field(field: &FieldRef) -> FieldRef {
    let bare = bare(field.data_type());
    if field.metadata().is_empty() && &bare == field.data_type() {
        return field.clone();
    }
    Arc::new(field.as_ref().clone().with_data_type(bare).with_metadata(Default::default()))
}

/// The same values under a type that differs in metadata only. No value is copied.
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

    use arrow::array::{Array, ArrayRef, Int32Array, ListArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field};

    use super::{bare, retyped};

    #[test]
    fn values_stay_and_notes_go() {
        let noted = |field: Field| Arc::new(field.with_metadata([("id".to_owned(), "19".to_owned())].into()));
        let numbers = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])) as ArrayRef;
        let structs = StructArray::from(vec![(noted(Field::new("n", DataType::Int32, true)), numbers)]);
        let item = noted(Field::new("item", structs.data_type().clone(), true));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 1]), Arc::new(structs), None);
        let lists = Arc::new(lists) as ArrayRef;
        let to = bare(lists.data_type());
        assert!(format!("{}", lists.data_type()).contains("19") && !format!("{to}").contains("19"), "{to}");
        let plain = retyped(&lists, &to).expect("the same values");
        assert_eq!(plain.data_type(), &to);
        assert_eq!(format!("{:?}", plain.as_ref()), format!("{:?}", lists.as_ref()));
        assert!(Arc::ptr_eq(&plain, &retyped(&plain, &to).expect("nothing to do")));
    }
}
