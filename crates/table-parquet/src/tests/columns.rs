//! One set of columns for all files.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampNanosecondArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use meshgate_table::Pin;

use super::{Place, assert_misfit, doubles, id_is, ints, longs, texts};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_file_tells_the_columns() {
    let place = Place::new();
    place.column("1.parquet", "id", longs(&[1]));
    place.column("2.parquet", "id", ints(&[2]));
    let wider = RecordBatch::try_from_iter([("more", texts(&["x"])), ("id", ints(&[3]))]).unwrap();
    place.batch("3.parquet", &wider);
    assert_eq!(place.rows(&["id"]).await.unwrap(), ["1", "2", "3"]);
    assert!(place.rows(&["more"]).await.is_err(), "nobody has promised it");
    // A file that would have to be narrowed.
    let place = Place::new();
    place.column("1.parquet", "id", ints(&[1]));
    place.column("2.parquet", "id", longs(&[2]));
    assert_misfit(place.rows(&["id"]).await, "2.parquet", "column `id`: ");
    // It does not matter which of the columns is read, nor that no row of the file would be.
    let place = Place::new();
    place.ids("1.parquet", [1]);
    let other = RecordBatch::try_from_iter([("id", ints(&[2])), ("v", texts(&["x"]))]).unwrap();
    let first = RecordBatch::try_from_iter([("id", ints(&[1])), ("v", doubles(&[1.0]))]).unwrap();
    place.batch("1.parquet", &first);
    place.batch("2.parquet", &other);
    let found = place.bench().rows(&place.source(), &Pin::Latest, &["id"], id_is(1)).await;
    assert_misfit(found, "2.parquet", "column `v`: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_tells_more() {
    let decimal = DataType::Decimal128(10, 2);
    let place = Place::new().columns(&[
        ("id", Some(DataType::Int64)),
        ("new", None),
        ("middle", Some(DataType::Float64)),
        ("never", Some(DataType::Utf8View)),
        ("text", Some(decimal)),
    ]);
    let rows = |columns: Vec<(&str, ArrayRef)>| RecordBatch::try_from_iter(columns).unwrap();
    place.batch("1.parquet", &rows(vec![("id", ints(&[1])), ("text", texts(&["a"]))]));
    place.batch("2.parquet", &rows(vec![("id", longs(&[2])), ("middle", ints(&[5]))]));
    place.batch("3.parquet", &rows(vec![("id", ints(&[3])), ("new", texts(&["n"]))]));
    let found = place.rows(&["id", "new", "middle", "text"]).await.unwrap();
    assert_eq!(found, ["1|NULL|NULL|a", "2|NULL|5.0|NULL", "3|n|NULL|NULL"]);
    let bench = place.bench();
    let snapshot = bench.tables.snapshot(&bench.stores, &place.source(), &Pin::Latest, None).await.unwrap();
    let types = |name: &str| snapshot.schema().field_with_name(name).map(|field| field.data_type().clone()).ok();
    assert_eq!(types("id"), Some(DataType::Int64));
    assert_eq!(types("middle"), Some(DataType::Float64));
    assert_eq!(types("text"), Some(DataType::Utf8View), "what cannot be widened is a breach, not a cast");
    assert_eq!(types("never"), None, "a column that no file has is missing, not NULL");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_stay_as_fine_as_they_are() {
    let place =
        Place::new().columns(&[("at", Some(DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)))]);
    place.column("1.parquet", "at", Arc::new(TimestampNanosecondArray::from(vec![1])));
    assert_eq!(place.rows(&["at"]).await.unwrap(), ["1970-01-01T00:00:00.000000001"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_of_one_name_are_not_told_apart() {
    let twice = |place: &Place, file: &str| {
        let fields = ["id", "id"].map(|name| arrow::datatypes::Field::new(name, DataType::Int32, true));
        let schema = Arc::new(arrow::datatypes::Schema::new(fields.to_vec()));
        place.batch(file, &RecordBatch::try_new(schema, vec![ints(&[1]), ints(&[2])]).unwrap());
    };
    let place = Place::new();
    twice(&place, "1.parquet");
    assert_misfit(place.rows(&[]).await, "1.parquet", "two columns `id`");
    let place = Place::new();
    place.ids("1.parquet", [1]);
    twice(&place, "2.parquet");
    assert_misfit(place.rows(&["id"]).await, "2.parquet", "two columns `id`");
}
