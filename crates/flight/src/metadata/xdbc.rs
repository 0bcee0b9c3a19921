//! The types that JDBC and ODBC tools may use in casts and see in table schemas.

use arrow::array::{Int32Array, RecordBatch, Scalar};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::eq;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

use crate::Error;

/// All types, sorted by data type and name.
pub(super) fn all_types() -> Result<RecordBatch, Error> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let numbers = [
        ("TINYINT", XdbcDataType::XdbcTinyint, 3, Some(false)),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 5, Some(false)),
        ("INTEGER", XdbcDataType::XdbcInteger, 10, Some(false)),
        ("BIGINT", XdbcDataType::XdbcBigint, 19, Some(false)),
        ("TINYINT UNSIGNED", XdbcDataType::XdbcTinyint, 3, Some(true)),
        ("SMALLINT UNSIGNED", XdbcDataType::XdbcSmallint, 5, Some(true)),
        ("INTEGER UNSIGNED", XdbcDataType::XdbcInteger, 10, Some(true)),
        ("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, 20, Some(true)),
        ("REAL", XdbcDataType::XdbcReal, 7, Some(false)),
        ("DOUBLE", XdbcDataType::XdbcDouble, 15, Some(false)),
    ];
    for (name, data_type, digits, unsigned) in numbers {
        types.append(XdbcTypeInfo {
            unsigned_attribute: unsigned,
            num_prec_radix: Some(10),
            ..plain(name, data_type, digits)
        });
    }
    types.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        unsigned_attribute: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        num_prec_radix: Some(10),
        ..plain("DECIMAL", XdbcDataType::XdbcDecimal, 38)
    });
    types.append(plain("BOOLEAN", XdbcDataType::XdbcBit, 1));
    types.append(XdbcTypeInfo { case_sensitive: true, ..quoted("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX, "'") });
    types.append(quoted("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX, "X'"));
    let times = [
        ("DATE", XdbcDataType::XdbcDate, 10, "DATE '", XdbcDatetimeSubcode::XdbcSubcodeYear),
        ("TIME", XdbcDataType::XdbcTime, 15, "TIME '", XdbcDatetimeSubcode::XdbcSubcodeTime),
        ("TIMESTAMP", XdbcDataType::XdbcTimestamp, 29, "TIMESTAMP '", XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        (
            "TIMESTAMP WITH TIME ZONE",
            XdbcDataType::XdbcTimestamp,
            35,
            "TIMESTAMP '",
            XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
        ),
    ];
    for (name, data_type, size, prefix, subcode) in times {
        types.append(XdbcTypeInfo {
            sql_data_type: XdbcDataType::XdbcDatetime,
            datetime_subcode: Some(subcode),
            minimum_scale: (data_type != XdbcDataType::XdbcDate).then_some(0),
            maximum_scale: (data_type != XdbcDataType::XdbcDate).then_some(9),
            ..quoted(name, data_type, size, prefix)
        });
    }
    types.append(XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcInterval,
        ..quoted("INTERVAL", XdbcDataType::XdbcInterval, 64, "INTERVAL '")
    });
    Ok(types.build()?.record_batch(None)?)
}

/// The types with this code, or all.
pub(super) fn of_type(all: &RecordBatch, data_type: Option<i32>) -> Result<RecordBatch, Error> {
    let Some(code) = data_type else { return Ok(all.clone()) };
    let wanted = eq(all.column(1), &Scalar::new(Int32Array::from(vec![code])))?;
    Ok(filter_record_batch(all, &wanted)?)
}

fn plain(name: &str, data_type: XdbcDataType, column_size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        local_type_name: Some(name.to_owned()),
        data_type,
        sql_data_type: data_type,
        column_size: Some(column_size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        auto_increment: Some(false),
        ..Default::default()
    }
}

fn quoted(name: &str, data_type: XdbcDataType, column_size: i32, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..plain(name, data_type, column_size)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Int32Type, IntervalUnit, TimeUnit};

    use super::super::column::type_name;
    use super::{all_types, of_type};

    #[test]
    fn lists_in_order_every_type_that_tables_have() {
        let all = all_types().expect("builds");
        let codes = all.column(1).as_primitive::<Int32Type>().values().to_vec();
        let names: Vec<_> = all.column(0).as_string::<i32>().iter().flatten().collect();
        let rows: Vec<_> = codes.iter().zip(&names).collect();
        assert!(rows.is_sorted());
        let listed: BTreeSet<_> = names.iter().copied().collect();
        assert_eq!(listed.len(), names.len());
        for data_type in [
            DataType::Boolean,
            DataType::Int8,
            DataType::UInt64,
            DataType::Float16,
            DataType::Float64,
            DataType::Decimal128(9, 2),
            DataType::Utf8View,
            DataType::Binary,
            DataType::Date32,
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
            DataType::Interval(IntervalUnit::MonthDayNano),
        ] {
            assert!(listed.contains(type_name(&data_type)), "{data_type}");
        }
        let some = of_type(&all, Some(93)).expect("filters");
        assert_eq!(some.num_rows(), codes.iter().filter(|code| **code == 93).count());
        assert_eq!(some.schema(), all.schema());
        assert_eq!(of_type(&all, Some(12345)).expect("filters").num_rows(), 0);
    }
}
