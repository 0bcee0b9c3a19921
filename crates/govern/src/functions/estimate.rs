//! How large an argument is, row by row, without copying it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

/// Bytes assumed of a value whose type says nothing.
const UNKNOWN_BYTES: u64 = 16;

/// One argument of a call: a column, or a constant that stands for every row.
pub(super) struct Argument {
    array: ArrayRef,
    constant: bool,
}

impl Argument {
    pub(super) fn new(value: &ColumnarValue) -> Result<Self> {
        let (array, constant) = match value {
            ColumnarValue::Array(array) => (ArrayRef::clone(array), false),
            ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
        };
        let array = match array.data_type() {
            DataType::Dictionary(_, values) => cast(&array, values)?,
            _ => array,
        };
        Ok(Self { array, constant })
    }

    fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        is_null(&self.array, self.at(row))
    }

    /// The text of a row; `None` if it is NULL or the argument is no text.
    pub(super) fn text(&self, row: usize) -> Option<&str> {
        let at = self.at(row);
        if is_null(&self.array, at) {
            return None;
        }
        match self.array.data_type() {
            DataType::Utf8 => Some(self.array.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => Some(self.array.as_string::<i64>().value(at)),
            DataType::Utf8View => Some(self.array.as_string_view().value(at)),
            _ => None,
        }
    }

    /// The number of a row, as large as it can be if it is no number that fits.
    pub(super) fn count(&self, row: usize) -> u64 {
        let at = self.at(row);
        if is_null(&self.array, at) {
            return 0;
        }
        match self.array.data_type() {
            DataType::Int64 => u64::try_from(self.array.as_primitive::<Int64Type>().value(at)).unwrap_or(0),
            DataType::UInt64 => self.array.as_primitive::<UInt64Type>().value(at),
            _ => match ScalarValue::try_from_array(&self.array, at).and_then(|v| v.cast_to(&DataType::Int64)) {
                Ok(ScalarValue::Int64(value)) => u64::try_from(value.unwrap_or(0)).unwrap_or(0),
                _ => u64::MAX,
            },
        }
    }

    /// The value of a row.
    pub(super) fn scalar(&self, row: usize) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.array, self.at(row))
    }

    /// Bytes of a row's value.
    pub(super) fn bytes(&self, row: usize) -> u64 {
        weight(&self.array, self.at(row)).bytes
    }

    /// Elements of a row's value, also of lists within lists; 1 for what is no list.
    pub(super) fn elements(&self, row: usize) -> u64 {
        weight(&self.array, self.at(row)).elements
    }
}

#[derive(Debug, Clone, Copy)]
struct Weight {
    bytes: u64,
    elements: u64,
}

impl Weight {
    fn one(bytes: usize) -> Self {
        Self { bytes: bytes as u64, elements: 1 }
    }

    fn sum(parts: impl Iterator<Item = Self>) -> Self {
        parts.fold(Self { bytes: 0, elements: 0 }, |sum, part| Self {
            bytes: sum.bytes.saturating_add(part.bytes),
            elements: sum.elements.saturating_add(part.elements),
        })
    }
}

/// Arrays of type NULL have no bitmap.
fn is_null(array: &dyn Array, at: usize) -> bool {
    array.is_null(at) || array.data_type().is_null()
}

fn weight(array: &dyn Array, at: usize) -> Weight {
    if is_null(array, at) {
        return Weight { bytes: UNKNOWN_BYTES, elements: 1 };
    }
    match array.data_type() {
        DataType::Utf8 => Weight::one(array.as_string::<i32>().value(at).len()),
        DataType::LargeUtf8 => Weight::one(array.as_string::<i64>().value(at).len()),
        DataType::Utf8View => Weight::one(array.as_string_view().value(at).len()),
        DataType::Binary => Weight::one(array.as_binary::<i32>().value(at).len()),
        DataType::LargeBinary => Weight::one(array.as_binary::<i64>().value(at).len()),
        DataType::BinaryView => Weight::one(array.as_binary_view().value(at).len()),
        DataType::FixedSizeBinary(width) => Weight::one(usize::try_from(*width).unwrap_or(0)),
        DataType::List(_) => all(&array.as_list::<i32>().value(at)),
        DataType::LargeList(_) => all(&array.as_list::<i64>().value(at)),
        DataType::ListView(_) => all(&array.as_list_view::<i32>().value(at)),
        DataType::LargeListView(_) => all(&array.as_list_view::<i64>().value(at)),
        DataType::FixedSizeList(..) => all(&array.as_fixed_size_list().value(at)),
        DataType::Map(..) => all(&(Arc::new(array.as_map().value(at)) as ArrayRef)),
        DataType::Struct(_) => {
            Weight { elements: 1, ..Weight::sum(array.as_struct().columns().iter().map(|child| weight(child, at))) }
        }
        // Within lists and structs only: no value is larger than all of them.
        DataType::Dictionary(..) => Weight::one(array.as_any_dictionary().values().get_array_memory_size()),
        other => Weight { bytes: other.primitive_width().map_or(UNKNOWN_BYTES, |width| width as u64), elements: 1 },
    }
}

fn all(values: &ArrayRef) -> Weight {
    match values.data_type().primitive_width() {
        Some(width) => Weight { bytes: (values.len() * width) as u64, elements: values.len() as u64 },
        None => Weight::sum((0..values.len()).map(|at| weight(values, at))),
    }
}
