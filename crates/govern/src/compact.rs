//! Compaction: an array's buffers hold its visible values and nothing else.
//!
//! Arrow's kernels share buffers: a filtered string view keeps the rows that were filtered out, a nulled value keeps
//! its bytes under the null bit, a null struct keeps its children, a dictionary keeps all its values, a slice keeps
//! what is around it. All of that would be sent. [`compact`] gives an array that is logically equal and whose buffers
//! are a function of its visible values; one that already is so comes back as it is.
//!
//! * [`fixed`]: values of fixed width, booleans
//! * [`bytes`]: strings and binary values, by offsets and by views
//! * [`nested`]: structs, lists, maps, unions
//! * [`encoded`]: dictionaries, runs
//! * [`nulls`]: null bitmaps

mod bytes;
mod encoded;
mod fixed;
mod nested;
mod nulls;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    BinaryType, BinaryViewType, DataType, Int16Type, Int32Type, Int64Type, LargeBinaryType, LargeUtf8Type,
    StringViewType, Utf8Type,
};

/// The same values in buffers that hold nothing else.
pub(crate) fn compact(array: &ArrayRef) -> ArrayRef {
    tighten(array).unwrap_or_else(|| Arc::clone(array))
}

/// The compact array, or `None` if the array is compact as it is.
fn tighten(array: &ArrayRef) -> Option<ArrayRef> {
    use DataType as D;
    match array.data_type() {
        D::Null => None,
        D::Boolean => fixed::booleans(array.as_boolean()),
        D::FixedSizeBinary(width) => fixed::fixed_width(array, usize::try_from(*width).unwrap_or(0)),
        D::Utf8 => bytes::by_offsets::<Utf8Type>(array.as_bytes()),
        D::LargeUtf8 => bytes::by_offsets::<LargeUtf8Type>(array.as_bytes()),
        D::Binary => bytes::by_offsets::<BinaryType>(array.as_bytes()),
        D::LargeBinary => bytes::by_offsets::<LargeBinaryType>(array.as_bytes()),
        D::Utf8View => bytes::by_views::<StringViewType>(array.as_byte_view()),
        D::BinaryView => bytes::by_views::<BinaryViewType>(array.as_byte_view()),
        D::Struct(_) => nested::structs(array.as_struct()),
        D::List(_) => nested::lists::<i32>(array.as_list()),
        D::LargeList(_) => nested::lists::<i64>(array.as_list()),
        D::ListView(_) => nested::list_views::<i32>(array.as_list_view()),
        D::LargeListView(_) => nested::list_views::<i64>(array.as_list_view()),
        D::FixedSizeList(..) => nested::fixed_size_lists(array.as_fixed_size_list()),
        D::Map(..) => nested::maps(array.as_map()),
        D::Union(..) => nested::unions(array.as_union()),
        D::Dictionary(..) => encoded::dictionary(array),
        D::RunEndEncoded(ends, _) => match ends.data_type() {
            D::Int16 => encoded::runs::<Int16Type>(array.as_run()),
            D::Int32 => encoded::runs::<Int32Type>(array.as_run()),
            _ => encoded::runs::<Int64Type>(array.as_run()),
        },
        primitive => {
            let width = primitive.primitive_width().expect("all types that are not primitive are above");
            fixed::fixed_width(array, width)
        }
    }
}
