//! Values that metadata holds: bounds, partition values, defaults.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use iceberg::spec::PrimitiveLiteral;

/// The value as a column of the type holds it; none if it is no value of that type. Narrower integers, floats and
/// timestamps are widened: statistics may be older than the column's type.
pub(crate) fn scalar(value: &PrimitiveLiteral, to: &DataType) -> Option<ScalarValue> {
    use PrimitiveLiteral as Value;
    Some(match (value, to) {
        (Value::Boolean(value), DataType::Boolean) => ScalarValue::Boolean(Some(*value)),
        (Value::Int(value), DataType::Int32) => ScalarValue::Int32(Some(*value)),
        (Value::Int(value), DataType::Int64) => ScalarValue::Int64(Some(i64::from(*value))),
        (Value::Int(value), DataType::Date32) => ScalarValue::Date32(Some(*value)),
        (Value::Long(value), DataType::Int64) => ScalarValue::Int64(Some(*value)),
        (Value::Long(value), DataType::Time64(TimeUnit::Microsecond)) => ScalarValue::Time64Microsecond(Some(*value)),
        (Value::Long(value), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), zone.clone())
        }
        (Value::Long(value), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
            ScalarValue::TimestampNanosecond(Some(*value), zone.clone())
        }
        (Value::Float(value), DataType::Float32) => ScalarValue::Float32(Some(value.0)),
        (Value::Float(value), DataType::Float64) => ScalarValue::Float64(Some(f64::from(value.0))),
        (Value::Double(value), DataType::Float64) => ScalarValue::Float64(Some(value.0)),
        (Value::Int128(value), DataType::Decimal128(precision, scale)) => {
            ScalarValue::Decimal128(Some(*value), *precision, *scale)
        }
        (Value::String(value), DataType::Utf8View) => ScalarValue::Utf8View(Some(value.clone())),
        (Value::Binary(value), DataType::BinaryView) => ScalarValue::BinaryView(Some(value.clone())),
        (Value::Binary(value), DataType::FixedSizeBinary(length))
            if value.len() == usize::try_from(*length).ok()? =>
        {
            ScalarValue::FixedSizeBinary(*length, Some(value.clone()))
        }
        (Value::UInt128(value), DataType::FixedSizeBinary(16)) => {
            ScalarValue::FixedSizeBinary(16, Some(value.to_be_bytes().to_vec()))
        }
        _ => return None,
    })
}
