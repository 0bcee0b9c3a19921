//! `mask-to-fixed-value`: the one table of fixed values.
//!
//! A value that is not NULL becomes its type's fixed value whatever is inside it: a struct's fields are fixed too, also
//! those that were NULL.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray,
    GenericListArray, GenericListViewArray, LargeBinaryArray, LargeStringArray, MapArray, NullArray, OffsetSizeTrait,
    StringArray, StringViewArray, StructArray, UInt32Array, make_array, new_empty_array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};
use arrow::error::ArrowError;
use meshgate_model::mutant;

use super::unsuited;

const TEXT: &str = "XXXXXXXX";
/// 9999-12-31 in days and in seconds from 1970-01-01.
const LAST_DAY: i128 = 2_932_896;
const LAST_DAY_SECONDS: i128 = LAST_DAY * 86_400;
/// 2261-12-31 in seconds from 1970-01-01: the last full year that fits into 64 bits of nanoseconds.
const LAST_NANOSECOND_DAY_SECONDS: i128 = 9_214_560_000;

/// The fixed value of all types that are stored as a number. Numbers, times of day, durations and intervals are 0.
fn number(data_type: &DataType) -> i128 {
    match data_type {
        DataType::Date32 => LAST_DAY,
        DataType::Date64 => LAST_DAY_SECONDS * 1_000,
        DataType::Timestamp(TimeUnit::Second, _) => LAST_DAY_SECONDS,
        DataType::Timestamp(TimeUnit::Millisecond, _) => LAST_DAY_SECONDS * 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => LAST_DAY_SECONDS * 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => LAST_NANOSECOND_DAY_SECONDS * 1_000_000_000,
        _ => 0,
    }
}

/// One row of the fixed value, or `None` for types that have none.
fn row(data_type: &DataType) -> Option<ArrayRef> {
    Some(match data_type {
        DataType::Null => Arc::new(NullArray::new(1)),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![TEXT])),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![TEXT])),
        DataType::Utf8View => Arc::new(StringViewArray::from(vec![TEXT])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![&b""[..]])),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from(vec![&b""[..]])),
        DataType::BinaryView => Arc::new(BinaryViewArray::from(vec![&b""[..]])),
        DataType::FixedSizeBinary(width) => fixed_size_binary(*width)?,
        DataType::Struct(fields) => structure(fields)?,
        DataType::List(field) => empty_list::<i32>(field)?,
        DataType::LargeList(field) => empty_list::<i64>(field)?,
        DataType::ListView(field) => empty_list_view::<i32>(field)?,
        DataType::LargeListView(field) => empty_list_view::<i64>(field)?,
        DataType::FixedSizeList(field, width) => fixed_size_list(field, *width)?,
        DataType::Map(field, sorted) => empty_map(field, *sorted)?,
        DataType::Dictionary(_, values) => cast(&row(values)?, data_type).ok()?,
        DataType::Union(..) | DataType::RunEndEncoded(..) => return None,
        primitive => stored_number(primitive)?,
    })
}

pub(super) fn applies(data_type: &DataType) -> bool {
    row(data_type).is_some()
}

pub(super) fn apply(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if mutant("fixed values are the raw ones") {
        return Ok(array.clone());
    }
    let row = row(array.data_type()).ok_or_else(|| unsuited(array))?;
    let nulls = array.logical_nulls();
    let indices: UInt32Array = match &nulls {
        Some(nulls) => nulls.iter().map(|valid| valid.then_some(0)).collect(),
        None => std::iter::repeat_n(Some(0), array.len()).collect(),
    };
    take(&row, &indices, None)
}

fn stored_number(data_type: &DataType) -> Option<ArrayRef> {
    let width = data_type.primitive_width()?;
    // No fixed value is negative, so the bytes beyond those of the number are zeros.
    let mut bytes = number(data_type).to_le_bytes().to_vec();
    bytes.resize(width, 0);
    let data = ArrayData::builder(data_type.clone()).len(1).add_buffer(Buffer::from_slice_ref(bytes)).build().ok()?;
    Some(make_array(data))
}

fn fixed_size_binary(width: i32) -> Option<ArrayRef> {
    let zeros = vec![0; usize::try_from(width).ok()?];
    Some(Arc::new(FixedSizeBinaryArray::try_new(width, Buffer::from_vec(zeros), None).ok()?))
}

fn structure(fields: &Fields) -> Option<ArrayRef> {
    if fields.is_empty() {
        return Some(Arc::new(StructArray::new_empty_fields(1, None)));
    }
    let children = fields.iter().map(|field| row(field.data_type())).collect::<Option<_>>()?;
    Some(Arc::new(StructArray::try_new(fields.clone(), children, None).ok()?))
}

fn empty_list<O: OffsetSizeTrait>(field: &FieldRef) -> Option<ArrayRef> {
    let values = new_empty_array(field.data_type());
    let offsets = OffsetBuffer::from_lengths([0]);
    Some(Arc::new(GenericListArray::<O>::try_new(Arc::clone(field), offsets, values, None).ok()?))
}

fn empty_list_view<O: OffsetSizeTrait>(field: &FieldRef) -> Option<ArrayRef> {
    let values = new_empty_array(field.data_type());
    let zeros = ScalarBuffer::from(vec![O::zero()]);
    let list = GenericListViewArray::<O>::try_new(Arc::clone(field), zeros.clone(), zeros, values, None);
    Some(Arc::new(list.ok()?))
}

fn fixed_size_list(field: &FieldRef, width: i32) -> Option<ArrayRef> {
    if width == 0 {
        return None;
    }
    let indices = UInt32Array::from(vec![0; usize::try_from(width).ok()?]);
    let values = take(&row(field.data_type())?, &indices, None).ok()?;
    Some(Arc::new(FixedSizeListArray::try_new(Arc::clone(field), width, values, None).ok()?))
}

fn empty_map(field: &FieldRef, sorted: bool) -> Option<ArrayRef> {
    let DataType::Struct(entries) = field.data_type() else { return None };
    let children = entries.iter().map(|entry| new_empty_array(entry.data_type())).collect();
    let entries = StructArray::try_new(entries.clone(), children, None).ok()?;
    let offsets = OffsetBuffer::from_lengths([0]);
    Some(Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, None, sorted).ok()?))
}
