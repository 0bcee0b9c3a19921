//! Nested arrays: the nulls of a parent go into its children, and children hold no more than their parents show.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, GenericListViewArray, MapArray, OffsetSizeTrait,
    StructArray, UInt64Array, UnionArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, UnionFields};

use super::{nulls, tighten};

pub(super) fn structs(array: &StructArray) -> Option<ArrayRef> {
    let children: Vec<_> = array.columns().iter().map(|child| under(child, array.nulls())).collect();
    if children.iter().all(Option::is_none) && nulls::tight(array.nulls()) {
        return None;
    }
    let nulls = nulls::tightened(array.nulls());
    let children = children.into_iter().zip(array.columns()).map(|(new, old)| new.unwrap_or_else(|| Arc::clone(old)));
    let rebuilt = StructArray::try_new_with_length(array.fields().clone(), children.collect(), nulls, array.len());
    Some(Arc::new(rebuilt.expect("the children keep their types and lengths")))
}

/// A child below a parent of the same length.
fn under(child: &ArrayRef, parent: Option<&NullBuffer>) -> Option<ArrayRef> {
    match nulls::pushed(child, parent) {
        Some(pushed) => Some(tighten(&pushed).unwrap_or(pushed)),
        None => tighten(child),
    }
}

pub(super) fn fixed_size_lists(array: &FixedSizeListArray) -> Option<ArrayRef> {
    let DataType::FixedSizeList(field, width) = array.data_type() else { return None };
    let count = usize::try_from(*width).unwrap_or(0);
    let expanded = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.expand(count));
    let values = under(array.values(), expanded.as_ref());
    if values.is_none() && nulls::tight(array.nulls()) {
        return None;
    }
    let values = values.unwrap_or_else(|| Arc::clone(array.values()));
    let nulls = nulls::tightened(array.nulls());
    let rebuilt = FixedSizeListArray::try_new_with_length(Arc::clone(field), *width, values, nulls, array.len());
    Some(Arc::new(rebuilt.expect("the values keep their type and length")))
}

pub(super) fn lists<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> Option<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field)) = array.data_type() else { return None };
    let ranges = || shown(array.offsets(), array.nulls());
    let (offsets, values) = match gathered(array.values(), ranges) {
        Some(values) => (offsets(ranges()), values),
        None if nulls::tight(array.nulls()) => return None,
        None => (array.offsets().clone(), Arc::clone(array.values())),
    };
    let nulls = nulls::tightened(array.nulls());
    let rebuilt = GenericListArray::<O>::try_new(Arc::clone(field), offsets, values, nulls);
    Some(Arc::new(rebuilt.expect("the offsets are those of the values gathered")))
}

pub(super) fn maps(array: &MapArray) -> Option<ArrayRef> {
    let DataType::Map(field, sorted) = array.data_type() else { return None };
    let entries: ArrayRef = Arc::new(array.entries().clone());
    let ranges = || shown(array.offsets(), array.nulls());
    let (offsets, entries) = match gathered(&entries, ranges) {
        Some(entries) => (offsets(ranges()), entries),
        None if nulls::tight(array.nulls()) => return None,
        None => (array.offsets().clone(), entries),
    };
    let entries = entries.as_struct().clone();
    let nulls = nulls::tightened(array.nulls());
    let rebuilt = MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted);
    Some(Arc::new(rebuilt.expect("the offsets are those of the entries gathered")))
}

pub(super) fn list_views<O: OffsetSizeTrait>(array: &GenericListViewArray<O>) -> Option<ArrayRef> {
    let (DataType::ListView(field) | DataType::LargeListView(field)) = array.data_type() else { return None };
    let ranges = || {
        (0..array.len()).map(|at| {
            let from = array.value_offset(at).as_usize();
            if array.is_null(at) { from..from } else { from..from + array.value_size(at).as_usize() }
        })
    };
    // Always rebuilt: what a compact one looks like is not worth telling, no table format has them.
    let values = gathered(array.values(), ranges).unwrap_or_else(|| Arc::clone(array.values()));
    let offsets: OffsetBuffer<O> = offsets(ranges());
    let sizes = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect::<ScalarBuffer<O>>();
    let starts = offsets[..array.len()].iter().copied().collect::<ScalarBuffer<O>>();
    let nulls = nulls::tightened(array.nulls());
    let rebuilt = GenericListViewArray::<O>::try_new(Arc::clone(field), starts, sizes, values, nulls);
    Some(Arc::new(rebuilt.expect("the offsets are those of the values gathered")))
}

/// What each row of a list shows of its values: nothing if it is null.
fn shown<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    nulls: Option<&NullBuffer>,
) -> impl Iterator<Item = Range<usize>> {
    offsets.windows(2).enumerate().map(move |(at, pair)| {
        let from = pair[0].as_usize();
        if nulls.is_some_and(|nulls| nulls.is_null(at)) { from..from } else { from..pair[1].as_usize() }
    })
}

fn offsets<O: OffsetSizeTrait>(ranges: impl Iterator<Item = Range<usize>>) -> OffsetBuffer<O> {
    OffsetBuffer::from_lengths(ranges.map(|range| range.len()))
}

/// The values of the ranges, compact; `None` if that is the array as it is.
fn gathered<I: Iterator<Item = Range<usize>>>(values: &ArrayRef, ranges: impl Fn() -> I) -> Option<ArrayRef> {
    let mut covered: Option<Range<usize>> = None;
    let mut contiguous = true;
    for range in ranges().filter(|range| !range.is_empty()) {
        covered = Some(match covered {
            None => range,
            Some(before) => {
                contiguous &= before.end == range.start;
                before.start..range.end
            }
        });
    }
    if !contiguous {
        let indices: UInt64Array = ranges().flatten().map(|at| at as u64).collect();
        let taken = take(values, &indices, None).expect("lists show only values that exist");
        return Some(tighten(&taken).unwrap_or(taken));
    }
    let covered = covered.unwrap_or(0..0);
    if covered == (0..values.len()) {
        return tighten(values);
    }
    let slice = values.slice(covered.start, covered.len());
    Some(tighten(&slice).unwrap_or(slice))
}

/// Unions are always rebuilt: no table format has them.
pub(super) fn unions(array: &UnionArray) -> Option<ArrayRef> {
    let DataType::Union(fields, _) = array.data_type() else { return None };
    let rows: UInt64Array = (0..array.len() as u64).collect();
    let array = take(array, &rows, None).expect("every row exists");
    let array = array.as_union();
    let children = fields.iter().map(|(id, _)| union_child(array, id)).collect();
    let rebuilt =
        UnionArray::try_new(UnionFields::clone(fields), array.type_ids().clone(), array.offsets().cloned(), children);
    Some(Arc::new(rebuilt.expect("the children keep their types and lengths")))
}

fn union_child(array: &UnionArray, id: i8) -> ArrayRef {
    let child = array.child(id);
    if array.is_dense() {
        return super::compact(child);
    }
    let chosen = BooleanBuffer::collect_bool(array.len(), |at| array.type_id(at) == id);
    under(child, Some(&NullBuffer::new(chosen))).unwrap_or_else(|| Arc::clone(child))
}
