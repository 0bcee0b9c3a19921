//! Masks that leave the year or the month of an instant, in UTC.
//!
//! Own arithmetic over the proleptic Gregorian calendar, because a mask may not fail: the range of the types is far
//! wider than that of calendar libraries.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use meshgate_model::mutant;

use super::unsuited;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01, where eras begin, to 1970-01-01.
const EPOCH_FROM_ERA: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;
const YEARS_PER_ERA: i64 = 400;

/// What remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Year,
    Month,
}

pub(super) fn applies(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

pub(super) fn apply(array: &ArrayRef, unit: Unit) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Date32 => {
            Ok(each::<Date32Type>(array, |days| i32::try_from(first_day(i64::from(days), unit)).unwrap_or(i32::MIN)))
        }
        DataType::Date64 => Ok(each::<Date64Type>(array, |value| floor(value, 1_000, unit))),
        DataType::Timestamp(TimeUnit::Second, _) => {
            Ok(each::<TimestampSecondType>(array, |value| floor(value, 1, unit)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(each::<TimestampMillisecondType>(array, |value| floor(value, 1_000, unit)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(each::<TimestampMicrosecondType>(array, |value| floor(value, 1_000_000, unit)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Ok(each::<TimestampNanosecondType>(array, |value| floor(value, 1_000_000_000, unit)))
        }
        _ => Err(unsuited(array)),
    }
}

/// Not `unary`: that would also work on what lies under the nulls, and share their bitmap.
fn each<T: ArrowPrimitiveType>(array: &ArrayRef, floor: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    let floored: PrimitiveArray<T> = array.as_primitive::<T>().iter().map(|value| value.map(&floor)).collect();
    Arc::new(floored.with_data_type(array.data_type().clone()))
}

/// The first instant of the year or month; where the type cannot hold it, the type's first instant.
fn floor(value: i64, per_second: i64, unit: Unit) -> i64 {
    let per_day = per_second * SECONDS_PER_DAY;
    first_day(value.div_euclid(per_day), unit).saturating_mul(per_day)
}

/// The first day of the year or month, both as days from 1970-01-01.
fn first_day(days: i64, unit: Unit) -> i64 {
    let (year, month) = year_and_month(days);
    day_of_first(year, if unit == Unit::Year && !mutant("the month is not cut off") { 1 } else { month })
}

/// Year and month of a day. Years are counted from March here, which puts the leap day last.
fn year_and_month(days: i64) -> (i64, i64) {
    let shifted = days + EPOCH_FROM_ERA;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day = shifted.rem_euclid(DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * YEARS_PER_ERA + carry, month)
}

/// The first day of a month.
fn day_of_first(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(YEARS_PER_ERA);
    let of_era = year.rem_euclid(YEARS_PER_ERA);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5;
    era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - EPOCH_FROM_ERA
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn agrees_with_chrono_on_every_day_of_a_thousand_years() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let from = NaiveDate::from_ymd_opt(1599, 12, 1).unwrap();
        for date in from.iter_days().take(366_000) {
            let days = (date - epoch).num_days();
            let year = (date.with_day(1).unwrap().with_month(1).unwrap() - epoch).num_days();
            let month = (date.with_day(1).unwrap() - epoch).num_days();
            assert_eq!((first_day(days, Unit::Year), first_day(days, Unit::Month)), (year, month), "{date}");
        }
    }

    #[test]
    fn has_an_answer_at_the_ends_of_the_range() {
        for per_second in [1, 1_000, 1_000_000, 1_000_000_000] {
            for value in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
                let first = floor(value, per_second, Unit::Year);
                assert!(first <= value && value.wrapping_sub(first) < 366 * SECONDS_PER_DAY * per_second, "{value}");
            }
        }
    }
}
