//! Arrays in the types of the wire's schema, recursively.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, ListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StructArray, UInt64Array, UnionArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, SchemaRef, Time64NanosecondType, TimeUnit};
use arrow::error::ArrowError;

use crate::Error;

/// The same rows under the wire's schema.
pub(crate) fn adapt_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| adapt(column, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)?)
}

/// The same values as `to`, which is the type that `types::wire_type` gives for theirs.
pub(crate) fn adapt(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Error> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(array.clone()),
        (DataType::Dictionary(_, values), _) => adapt(&cast(array, values)?, to),
        (DataType::RunEndEncoded(_, values), _) => adapt(&cast(array, values.data_type())?, to),
        (DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item), DataType::List(_)) => {
            adapt(&cast(&narrow(array)?, &DataType::List(item.clone()))?, to)
        }
        (DataType::List(_), DataType::List(item)) => {
            let (offsets, values) = window(array.as_list::<i32>());
            let values = adapt(&values, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, array.nulls().cloned())?))
        }
        (DataType::LargeList(_), DataType::LargeList(item)) => {
            let (offsets, values) = window(array.as_list::<i64>());
            let values = adapt(&values, item.data_type())?;
            Ok(Arc::new(GenericListArray::<i64>::try_new(item.clone(), offsets, values, array.nulls().cloned())?))
        }
        (DataType::FixedSizeList(_, _), DataType::FixedSizeList(item, size)) => {
            let values = adapt(array.as_fixed_size_list().values(), item.data_type())?;
            let nulls = array.nulls().cloned();
            // A list of no items has no values to tell how many lists there are.
            let list = FixedSizeListArray::try_new_with_length(item.clone(), *size, values, nulls, array.len())?;
            Ok(Arc::new(list))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| adapt(column, field.data_type())).collect::<Result<_, _>>()?;
            let nulls = array.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?))
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let (offsets, start, len) = rebase(map.offsets());
            let values: ArrayRef = Arc::new(map.entries().slice(start, len));
            let values = adapt(&values, entries.data_type())?.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, values, array.nulls().cloned(), *sorted)?))
        }
        (DataType::Union(_, _), DataType::Union(fields, _)) => {
            let union = array.as_union();
            let children = fields.iter().map(|(id, field)| adapt(union.child(id), field.data_type()));
            let (ids, offsets) = (union.type_ids().clone(), union.offsets().cloned());
            Ok(Arc::new(UnionArray::try_new(fields.clone(), ids, offsets, children.collect::<Result<_, _>>()?)?))
        }
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(TimeUnit::Microsecond)) => {
            let exact = array.as_primitive::<Time64NanosecondType>().iter().flatten().all(|ns| ns % 1000 == 0);
            if exact { cast(array, to) } else { Err(inexact(array.data_type(), to)) }
        }
        // By way of microseconds, of which every date is a count: nanoseconds are then checked.
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            adapt(&cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?, to)
        }
        (DataType::Timestamp(_, _), DataType::Timestamp(TimeUnit::Nanosecond, _)) => {
            cast(array, to).map_err(|_| inexact(array.data_type(), to))
        }
        (DataType::LargeUtf8 | DataType::LargeBinary, _) => cast(&narrow(array)?, to),
        _ => cast(array, to),
    }
}

/// An array whose offsets begin so late that they do not fit 32 bits is copied, so that they begin at 0.
fn narrow(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let last = match array.data_type() {
        DataType::LargeUtf8 => array.as_string::<i64>().offsets().last().copied(),
        DataType::LargeBinary => array.as_binary::<i64>().offsets().last().copied(),
        DataType::LargeList(_) => array.as_list::<i64>().offsets().last().copied(),
        _ => None,
    };
    if last.is_none_or(|last| i32::try_from(last).is_ok()) {
        return Ok(array.clone());
    }
    take(array, &UInt64Array::from_iter_values(0..array.len() as u64), None)
}

/// The part of a list's values that its rows are made of.
fn window<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> (OffsetBuffer<O>, ArrayRef) {
    let (offsets, start, len) = rebase(list.offsets());
    (offsets, list.values().slice(start, len))
}

/// Offsets that begin at 0, and where in the values that is.
fn rebase<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let (start, len) = (first.as_usize(), (last - first).as_usize());
    if start == 0 {
        return (offsets.clone(), start, len);
    }
    (OffsetBuffer::new(offsets.iter().map(|offset| *offset - first).collect()), start, len)
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Error> {
    Ok(cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() })?)
}

fn inexact(from: &DataType, to: &DataType) -> Error {
    Error::Inexact { from: from.to_string(), to: to.to_string() }
}

#[cfg(test)]
mod tests;
