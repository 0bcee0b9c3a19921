//! Values of variable width: one stretch of bytes, in the order of the rows, without gaps.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, GenericByteArray, GenericByteBuilder, GenericByteViewArray, builder::GenericByteViewBuilder,
};
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType};

use super::nulls;

/// Values up to this length lie inside their view.
const INLINE_LEN_MAX: usize = 12;
/// Above this size equal values of a view array are stored once, so that an array whose views all show the same long
/// value does not explode.
///
/// INVARIANT: the choice depends on the visible values alone, never on how the source happened to share them.
const PLAIN_LEN_MAX: usize = 16 << 20;
/// The block size of larger arrays.
const BLOCK_LEN: u32 = 16 << 20;

pub(super) fn by_offsets<T: ByteArrayType>(array: &GenericByteArray<T>) -> Option<ArrayRef> {
    if tight_offsets(array) && nulls::tight(array.nulls()) {
        return None;
    }
    let used = array.iter().flatten().map(|value| AsRef::<[u8]>::as_ref(value).len()).sum();
    let mut builder = GenericByteBuilder::<T>::with_capacity(array.len(), used);
    array.iter().for_each(|value| builder.append_option(value));
    Some(Arc::new(builder.finish()))
}

fn tight_offsets<T: ByteArrayType>(array: &GenericByteArray<T>) -> bool {
    let offsets = array.value_offsets();
    let empty = |at: usize| offsets[at] == offsets[at + 1];
    offsets[0].as_usize() == 0
        && offsets[array.len()].as_usize() == array.values().len()
        && array.nulls().is_none_or(|nulls| nulls::null_slots(nulls).set_indices().all(empty))
}

pub(super) fn by_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Option<ArrayRef> {
    if tight_views(array) && nulls::tight(array.nulls()) {
        return None;
    }
    let long =
        array.iter().flatten().map(|value| AsRef::<[u8]>::as_ref(value).len()).filter(|len| *len > INLINE_LEN_MAX);
    let used: usize = long.sum();
    let builder = GenericByteViewBuilder::<T>::with_capacity(array.len());
    let mut builder = match u32::try_from(used.max(1)) {
        Ok(one_block) if used <= PLAIN_LEN_MAX => builder.with_fixed_block_size(one_block),
        _ => builder.with_fixed_block_size(BLOCK_LEN).with_deduplicate_strings(),
    };
    array.iter().for_each(|value| builder.append_option(value));
    Some(Arc::new(builder.finish()))
}

/// Whether the views cover one buffer in their order, without gap or overlap.
///
/// SECURITY: comparing the sum of the views' lengths with the length of the buffers is not enough. Views may share
/// bytes (of a Parquet dictionary, of a join), and then the sum is right although there are bytes no view shows.
fn tight_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> bool {
    let total = match array.data_buffers() {
        [] => 0,
        [only] if !only.is_empty() && only.len() <= PLAIN_LEN_MAX => only.len(),
        _ => return false,
    };
    let mut covered = 0;
    for (at, view) in array.views().iter().enumerate() {
        if array.is_null(at) {
            if *view != 0 {
                return false;
            }
            continue;
        }
        // The layout of a view, little-endian: length, prefix, buffer, offset, 32 bits each.
        let len = (*view as u32) as usize;
        if len > INLINE_LEN_MAX {
            if (*view >> 96) as usize != covered {
                return false;
            }
            covered += len;
        }
    }
    covered == total
}
