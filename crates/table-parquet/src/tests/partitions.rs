//! Values in the names of directories.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{col, lit};
use meshgate_table::{Error, Pin};

use super::{Place, assert_misfit, doubles, find, ints, texts};
use arrow::record_batch::RecordBatch;

#[tokio::test(flavor = "multi_thread")]
async fn directories_hold_values() {
    let place = Place::new().partitions(&[("day", DataType::Date32), ("_where", DataType::Utf8View)]);
    for (directories, id) in [
        ("day=2024-02-29/_where=EU", 1),
        ("day=2024-02-29/_where=a%2Fb%3D%25 %C3%BC", 2),
        ("day=__HIVE_DEFAULT_PARTITION__/_where=", 3),
        ("d%61y=2025-01-01/_where=__HIVE_DEFAULT_PARTITION__", 4),
    ] {
        place.ids(&format!("{directories}/part-0.parquet"), [id]);
    }
    place.ids("_spark_metadata/0", [99]);
    let rows = place.rows(&["id", "day", "_where"]).await.unwrap();
    assert_eq!(rows, ["1|2024-02-29|EU", "2|2024-02-29|a/b=% ü", "3|NULL|", "4|2025-01-01|NULL"]);
    let day = lit(ScalarValue::Date32(Some(20_089)));
    for (filter, files, rows) in [
        (col("day").eq(day.clone()), 1, 1),
        (col("day").lt(day), 2, 2),
        (col("day").is_null(), 1, 1),
        (col("day").is_not_null(), 3, 3),
        (col("_where").eq(lit("EU")), 1, 1),
        (col("id").eq(lit(2)), 4, 1),
    ] {
        let columns = ["id", "day", "_where"];
        let bench = place.bench();
        let found = bench.rows(&place.source(), &Pin::Latest, &columns, Some(filter.clone())).await.unwrap();
        assert_eq!(found.len(), rows, "{filter}");
        let read = bench.files_read(&place.source(), &columns, Some(filter.clone())).await.unwrap();
        assert_eq!(read, files, "files read for {filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_of_the_type_that_the_contract_says() {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for (data_type, text, value) in [
        (DataType::Int32, "-7", Some("-7")),
        (DataType::Int32, "07", Some("7")),
        (DataType::Int32, "7.0", None),
        (DataType::Int32, "", None),
        (DataType::Int32, "3000000000", None),
        (DataType::Int64, "3000000000", Some("3000000000")),
        (DataType::Float64, "1.5", Some("1.5")),
        (DataType::Decimal128(5, 2), "1.5", Some("1.50")),
        (DataType::Decimal128(5, 2), "1.500", Some("1.50")),
        (DataType::Decimal128(5, 2), "1.505", None),
        (DataType::Decimal128(5, 2), "1234.5", None),
        (DataType::Boolean, "true", Some("true")),
        (DataType::Boolean, "maybe", None),
        (DataType::Date32, "2024-02-30", None),
        (instant, "2024-02-29 10%3A00%3A00", Some("2024-02-29T10:00:00Z")),
        (DataType::Utf8View, "x%FFy", None),
    ] {
        let place = Place::new().partitions(&[("k", data_type.clone())]);
        place.ids("k=__HIVE_DEFAULT_PARTITION__/a.parquet", [1]);
        let file = format!("k={text}/b.parquet");
        place.ids(&file, [2]);
        let found = place.rows(&["id", "k"]).await;
        match value {
            Some(value) => {
                assert_eq!(found.unwrap(), ["1|NULL".to_owned(), format!("2|{value}")], "{data_type} {text}")
            }
            None if data_type == DataType::Utf8View => assert_misfit(found, &file, "its directories are not k=.."),
            None => assert_misfit(found, &file, "is no value of the partition column `k`"),
        }
    }
    let place = Place::new().partitions(&[("k", DataType::Binary)]);
    place.ids("k=1/a.parquet", [1]);
    let error = place.rows(&["id"]).await.unwrap_err();
    assert!(matches!(find(error.as_ref()), Some(Error::UnsupportedFeature { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_those_that_the_contract_says() {
    for odd in ["a.parquet", "k=1/a.parquet", "l=1/k=1/a.parquet", "k=1/l=2/m=3/a.parquet", "k/l/a.parquet"] {
        let place = Place::new().partitions(&[("k", DataType::Int32), ("l", DataType::Int32)]);
        place.ids("k=1/l=2/a.parquet", [1]);
        place.ids(odd, [2]);
        assert_misfit(place.rows(&["id"]).await, odd, "its directories are not k=../l=..");
    }
    // Without partition columns, directories mean nothing.
    let place = Place::new();
    place.ids("k=1/a.parquet", [1]);
    assert_eq!(place.rows(&["id"]).await.unwrap(), ["1"]);
    assert!(place.rows(&["k"]).await.is_err());
    // One file is in no directory of its table.
    let mut place = Place::new().partitions(&[("k", DataType::Int32)]);
    place.ids("a.parquet", [1]);
    place.table = place.table.join("a.parquet");
    let mut source = place.source();
    source.url.pop();
    assert_misfit(place.bench().rows(&source, &Pin::Latest, &["id"], None).await, "a.parquet", "no partitions");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_counts_where_files_have_the_column_too() {
    let place = Place::new().partitions(&[("k", DataType::Int32)]);
    let both = RecordBatch::try_from_iter([("k", texts(&["x"])), ("id", ints(&[1])), ("v", doubles(&[0.5]))]).unwrap();
    place.batch("k=7/a.parquet", &both);
    place.ids("k=8/a.parquet", [2]);
    assert_eq!(place.rows(&["id", "k", "v"]).await.unwrap(), ["1|7|0.5", "2|8|NULL"]);
    let found = place.bench().rows(&place.source(), &Pin::Latest, &["id"], Some(col("k").eq(lit(7)))).await;
    assert!(found.is_err() || found.unwrap() == ["1"], "the filter is over columns that are read");
}
