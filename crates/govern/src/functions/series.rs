//! How many elements `range` and `generate_series` would make.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;
/// No month is shorter, so no series of months is longer than this makes it.
const DAYS_PER_MONTH_MIN: i128 = 28;

/// The number of elements of a series at most; without end if the step is none or not understood.
pub(super) fn len(arguments: &[ScalarValue], inclusive: bool) -> u64 {
    let (start, stop, step) = match arguments {
        [stop] => (Some(0), point(stop), Some(1)),
        [start, stop] => (point(start), point(stop), Some(1)),
        [start, stop, by] => (point(start), point(stop), step(by)),
        _ => return u64::MAX,
    };
    let (Some(start), Some(stop), Some(step)) = (start, stop, step) else { return u64::MAX };
    // A series that runs away from its end has no elements, and one without a step is an error of the function's own.
    if step == 0 || (stop - start).signum() * step.signum() < 0 {
        return 0;
    }
    let (span, step) = ((stop - start).unsigned_abs(), step.unsigned_abs());
    let len = if inclusive { span / step + 1 } else { span.div_ceil(step) };
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A whole number, or an instant in nanoseconds.
fn point(value: &ScalarValue) -> Option<i128> {
    match value.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            match value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()? {
                ScalarValue::TimestampNanosecond(nanos, _) => nanos.map(i128::from),
                _ => None,
            }
        }
        _ => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(value) => value.map(i128::from),
            _ => None,
        },
    }
}

/// A step of the same measure, no longer than the shortest it can be.
fn step(value: &ScalarValue) -> Option<i128> {
    let ScalarValue::IntervalMonthDayNano(interval) = value else { return point(value) };
    let IntervalMonthDayNano { months, days, nanoseconds } = (*interval)?;
    let parts = [
        i128::from(months) * DAYS_PER_MONTH_MIN * NANOS_PER_DAY,
        i128::from(days) * NANOS_PER_DAY,
        i128::from(nanoseconds),
    ];
    // Parts that pull in different directions can make a step as short as one likes.
    let opposed = parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
    (!opposed).then(|| parts.iter().sum())
}
