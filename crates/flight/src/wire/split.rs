//! Batches cut so that every message is about as large as is good, whatever their rows look like.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// The size that messages should have: large enough to be fast, and with room for padding and headers below the 4 MiB
/// that many clients take at most.
pub(crate) const TARGET_BYTES: usize = 1792 * 1024;

/// Cuts a batch into slices whose encoded size is at most the target, as far as rows can be parted: a row that is larger
/// travels alone.
pub(crate) fn split(batch: &RecordBatch, target_bytes: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let mut costs = Costs { each: 0, varying: Vec::new() };
    for column in batch.columns() {
        cost(column, &mut costs, rows);
    }
    if costs.varying.is_empty() && costs.each.saturating_mul(rows) <= target_bytes {
        return vec![batch.clone()];
    }
    let mut slices = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for row in 0..rows {
        let row_bytes = costs.each + costs.varying.get(row).copied().unwrap_or(0);
        if row > start && bytes + row_bytes > target_bytes {
            slices.push(batch.slice(start, row - start));
            (start, bytes) = (row, 0);
        }
        bytes += row_bytes;
    }
    if start < rows || rows == 0 {
        slices.push(batch.slice(start, rows - start));
    }
    slices
}

/// The encoded size of rows, never too low but for padding: what they all have, and what each has beyond that.
struct Costs {
    each: usize,
    varying: Vec<usize>,
}

impl Costs {
    fn add(&mut self, rows: usize, bytes_of_row: impl Fn(usize) -> usize) {
        self.varying.resize(rows, 0);
        self.varying.iter_mut().enumerate().for_each(|(row, bytes)| *bytes += bytes_of_row(row));
    }
}

/// Adds what an array costs. Types that are adapted count with the larger of their sizes.
fn cost(array: &dyn Array, costs: &mut Costs, rows: usize) {
    // A byte instead of a bit: sizes below that do not matter.
    costs.each += usize::from(array.nulls().is_some());
    match array.data_type() {
        DataType::Null => {}
        DataType::Utf8 => offsets(array.as_string::<i32>().value_offsets(), costs, rows),
        DataType::Binary => offsets(array.as_binary::<i32>().value_offsets(), costs, rows),
        DataType::LargeUtf8 => offsets(array.as_string::<i64>().value_offsets(), costs, rows),
        DataType::LargeBinary => offsets(array.as_binary::<i64>().value_offsets(), costs, rows),
        DataType::Utf8View => views(array.as_string_view().views(), costs, rows),
        DataType::BinaryView => views(array.as_binary_view().views(), costs, rows),
        DataType::Decimal32(_, _) | DataType::Decimal64(_, _) => costs.each += 16,
        // As text if it is wide.
        DataType::Decimal256(_, _) => costs.each += 84,
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| cost(column, costs, rows)),
        DataType::Map(_, _) => {
            let map = array.as_map();
            ranges(map.entries(), costs, rows, |row| bounds(map.value_offsets(), row));
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            ranges(list.values(), costs, rows, |row| bounds(list.value_offsets(), row));
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            ranges(list.values(), costs, rows, |row| bounds(list.value_offsets(), row));
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let (starts, sizes) = (list.value_offsets(), list.value_sizes());
            ranges(list.values(), costs, rows, |row| (starts[row] as usize, (starts[row] + sizes[row]) as usize));
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let (starts, sizes) = (list.value_offsets(), list.value_sizes());
            ranges(list.values(), costs, rows, |row| (starts[row] as usize, (starts[row] + sizes[row]) as usize));
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            ranges(array.as_fixed_size_list().values(), costs, rows, |row| (row * size, (row + 1) * size));
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            costs.each += 8;
            // Without values all keys are null.
            if let Some(last) = dictionary.values().len().checked_sub(1) {
                let keys = dictionary.normalized_keys();
                ranges(dictionary.values(), costs, rows, |row| (keys[row].min(last), keys[row].min(last) + 1));
            }
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs(array.as_run::<arrow::datatypes::Int16Type>(), costs, rows),
            DataType::Int32 => runs(array.as_run::<arrow::datatypes::Int32Type>(), costs, rows),
            _ => runs(array.as_run::<arrow::datatypes::Int64Type>(), costs, rows),
        },
        DataType::Union(fields, _) => {
            let union = array.as_union();
            costs.each += 5;
            let children: Vec<_> = fields.iter().map(|(id, _)| (id, prefix(union.child(id)))).collect();
            costs.add(rows, |row| {
                let (id, at) = (union.type_id(row), union.value_offset(row));
                children.iter().find(|child| child.0 == id).map_or(0, |(_, sums)| sums[at + 1] - sums[at])
            });
        }
        DataType::Boolean => costs.each += 1,
        DataType::Float16 => costs.each += 4,
        DataType::FixedSizeBinary(size) => costs.each += usize::try_from(*size).unwrap_or(0),
        other => costs.each += other.primitive_width().unwrap_or(16),
    }
}

fn offsets<O: arrow::array::OffsetSizeTrait>(offsets: &[O], costs: &mut Costs, rows: usize) {
    costs.each += size_of::<O>();
    costs.add(rows, |row| (offsets[row + 1] - offsets[row]).as_usize());
}

fn bounds<O: arrow::array::OffsetSizeTrait>(offsets: &[O], row: usize) -> (usize, usize) {
    (offsets[row].as_usize(), offsets[row + 1].as_usize())
}

fn views(views: &[u128], costs: &mut Costs, rows: usize) {
    costs.each += 16;
    // The lower half of the lowest word of a view is the length of its value.
    costs.add(rows, |row| views[row] as u32 as usize);
}

fn runs<R: arrow::datatypes::RunEndIndexType>(array: &arrow::array::RunArray<R>, costs: &mut Costs, rows: usize) {
    costs.each += 8;
    let sums = prefix(array.values());
    costs.add(rows, |row| {
        let at = array.get_physical_index(row);
        sums[at + 1] - sums[at]
    });
}

/// Adds the cost of the values that each row is made of.
fn ranges(values: &dyn Array, costs: &mut Costs, rows: usize, of_row: impl Fn(usize) -> (usize, usize)) {
    costs.each += 16;
    let sums = prefix(values);
    costs.add(rows, |row| {
        let (start, end) = of_row(row);
        sums[end] - sums[start]
    });
}

/// The cost of the first n values, for every n.
fn prefix(values: &dyn Array) -> Vec<usize> {
    let mut costs = Costs { each: 0, varying: Vec::new() };
    cost(values, &mut costs, values.len());
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0);
    let mut sum = 0;
    for row in 0..values.len() {
        sum += costs.each + costs.varying.get(row).copied().unwrap_or(0);
        sums.push(sum);
    }
    sums
}

#[cfg(test)]
mod tests;
