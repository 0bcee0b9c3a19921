//! Null bitmaps. A compact one has a null, starts at its first bit and ends with zeros.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::nullif;

/// Whether the bitmap says nothing but which values are null.
pub(super) fn tight(nulls: Option<&NullBuffer>) -> bool {
    nulls.is_none_or(|nulls| nulls.null_count() > 0 && tight_bits(nulls.inner()))
}

/// A compact copy.
pub(super) fn tightened(nulls: Option<&NullBuffer>) -> Option<NullBuffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
    if tight_bits(nulls.inner()) { Some(nulls.clone()) } else { Some(NullBuffer::new(tightened_bits(nulls.inner()))) }
}

/// Whether there are no bits around those of the values.
pub(super) fn tight_bits(bits: &BooleanBuffer) -> bool {
    let bytes = bits.inner().as_slice();
    let last = bits.len() % 8;
    bits.offset() == 0
        && bytes.len() == bits.len().div_ceil(8)
        && (last == 0 || bytes.last().is_none_or(|byte| byte >> last == 0))
}

pub(super) fn tightened_bits(bits: &BooleanBuffer) -> BooleanBuffer {
    BooleanBuffer::collect_bool(bits.len(), |at| bits.value(at))
}

/// The slots that are null.
pub(super) fn null_slots(nulls: &NullBuffer) -> BooleanBuffer {
    !nulls.inner()
}

/// A child that is null wherever its parent is, or `None` if it is so already.
pub(super) fn pushed(child: &ArrayRef, parent: Option<&NullBuffer>) -> Option<ArrayRef> {
    let parent = parent.filter(|nulls| nulls.null_count() > 0)?;
    if child.nulls().is_some_and(|own| own.contains(parent)) || !has_own_nulls(child) {
        return None;
    }
    let hidden = BooleanArray::new(null_slots(parent), None);
    Some(nullif(child, &hidden).expect("parent and child have the same length"))
}

/// Unions and runs have no bitmap of their own.
fn has_own_nulls(array: &ArrayRef) -> bool {
    use arrow::datatypes::DataType as D;
    !matches!(array.data_type(), D::Null | D::Union(..) | D::RunEndEncoded(..))
}
