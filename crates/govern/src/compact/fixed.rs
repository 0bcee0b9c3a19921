//! Values of fixed width: zeros under the nulls.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, BooleanArray, make_array};
use arrow::buffer::{Buffer, MutableBuffer, NullBuffer};

use super::nulls;

pub(super) fn fixed_width(array: &ArrayRef, width: usize) -> Option<ArrayRef> {
    let data = array.to_data();
    let (from, len) = (data.offset() * width, data.len() * width);
    let values = &data.buffers()[0].as_slice()[from..from + len];
    let exact = data.buffers()[0].len() == len;
    let zeroed = data.nulls().is_none_or(|nulls| zero_under_nulls(values, width, nulls));
    if exact && zeroed && nulls::tight(data.nulls()) {
        return None;
    }
    let buffer = if exact && zeroed { data.buffers()[0].clone() } else { copied(values, width, data.nulls()) };
    let rebuilt = ArrayData::builder(array.data_type().clone())
        .len(array.len())
        .nulls(nulls::tightened(data.nulls()))
        .add_buffer(buffer)
        .build()
        .expect("the type, length and width are those of the array");
    Some(make_array(rebuilt))
}

fn zero_under_nulls(values: &[u8], width: usize, nulls: &NullBuffer) -> bool {
    nulls.null_count() == 0
        || nulls::null_slots(nulls).set_indices().all(|at| values[at * width..][..width].iter().all(|byte| *byte == 0))
}

fn copied(values: &[u8], width: usize, nulls: Option<&NullBuffer>) -> Buffer {
    let mut copy = MutableBuffer::new(values.len());
    copy.extend_from_slice(values);
    if let Some(nulls) = nulls {
        for at in nulls::null_slots(nulls).set_indices() {
            copy.as_slice_mut()[at * width..][..width].fill(0);
        }
    }
    copy.into()
}

pub(super) fn booleans(array: &BooleanArray) -> Option<ArrayRef> {
    let values = array.values();
    let is_hidden = |nulls: &NullBuffer| {
        nulls.null_count() > 0 && nulls::null_slots(nulls).set_indices().any(|at| values.value(at))
    };
    let zeroed = !array.nulls().is_some_and(is_hidden);
    if zeroed && nulls::tight_bits(values) && nulls::tight(array.nulls()) {
        return None;
    }
    let values = match array.nulls() {
        Some(nulls) => nulls::tightened_bits(&(values & nulls.inner())),
        None => nulls::tightened_bits(values),
    };
    Some(Arc::new(BooleanArray::new(values, nulls::tightened(array.nulls()))))
}
