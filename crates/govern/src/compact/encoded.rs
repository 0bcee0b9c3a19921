//! Encoded arrays: a dictionary holds the values its keys name, runs begin and end with the array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RunArray, UInt64Array, make_array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, RunEndIndexType};

use super::{compact, tighten};

/// Values in the order in which the keys name them first.
pub(super) fn dictionary(array: &ArrayRef) -> Option<ArrayRef> {
    let DataType::Dictionary(key_type, _) = array.data_type() else { return None };
    let dictionary = array.as_any_dictionary();
    if dictionary.values().is_empty() || array.null_count() == array.len() {
        return (!dictionary.values().is_empty() || tighten_keys(dictionary.keys()).is_some())
            .then(|| new_null_array(array.data_type(), array.len()));
    }
    let old_keys = dictionary.normalized_keys();
    let mut places: Vec<Option<u64>> = vec![None; dictionary.values().len()];
    let mut used: Vec<u64> = Vec::new();
    let mut keys: Vec<Option<u64>> = Vec::with_capacity(array.len());
    for (at, old) in old_keys.into_iter().enumerate() {
        keys.push(dictionary.keys().is_valid(at).then(|| {
            *places[old].get_or_insert_with(|| {
                used.push(old as u64);
                used.len() as u64 - 1
            })
        }));
    }
    let in_order = used.len() == dictionary.values().len() && used.is_sorted();
    let values = if in_order {
        let values = tighten(dictionary.values());
        if values.is_none() && tighten_keys(dictionary.keys()).is_none() {
            return None;
        }
        values.unwrap_or_else(|| Arc::clone(dictionary.values()))
    } else {
        let used = UInt64Array::from(used);
        compact(&take(dictionary.values(), &used, None).expect("keys name values that exist"))
    };
    let keys = cast(&UInt64Array::from(keys), key_type).expect("there are no more values than before");
    let rebuilt = keys.to_data().into_builder().data_type(array.data_type().clone()).add_child_data(values.to_data());
    Some(make_array(rebuilt.build().expect("the keys are those of the values used")))
}

fn tighten_keys(keys: &dyn Array) -> Option<ArrayRef> {
    tighten(&keys.slice(0, keys.len()))
}

pub(super) fn runs<R: RunEndIndexType>(array: &RunArray<R>) -> Option<ArrayRef> {
    let ends = array.run_ends();
    let whole = ends.offset() == 0 && ends.len() == ends.max_value() && ends.values().len() == array.values().len();
    if whole {
        let values = tighten(array.values())?;
        return Some(Arc::new(array.with_values(values)));
    }
    let new_ends: PrimitiveArray<R> = ends.sliced_values().map(Some).collect();
    let values = if array.is_empty() {
        array.values().slice(0, 0)
    } else {
        let first = ends.get_start_physical_index();
        array.values().slice(first, ends.get_end_physical_index() - first + 1)
    };
    Some(Arc::new(RunArray::<R>::try_new(&new_ends, &compact(&values)).expect("each run keeps its value")))
}
