//! Column mapping inside of structs, lists and maps, after columns were renamed, dropped and added.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, ListArray, MapArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{col, lit};
use meshgate_table::{FIELD_ID, Pin};
use serde_json::{Value, json};

use super::hand::{Hand, field, metadata, protocol};

/// How a file names a column: in name mode its physical name counts, in id mode its id.
fn named(mode: &str, id: i32, data_type: DataType) -> FieldRef {
    let (name, id) = match mode {
        "name" => (format!("col-{id}"), None),
        _ => (format!("whatever {}", 100 - id), Some((FIELD_ID.to_owned(), id.to_string()))),
    };
    Arc::new(Field::new(name, data_type, true).with_metadata(HashMap::from_iter(id)))
}

fn mapped(id: i32) -> Value {
    json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": format!("col-{id}")})
}

fn numbers(from: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(from..from + 3))
}

fn words(letter: char) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..3).map(|n| format!("{letter}{n}"))))
}

/// Columns 1: id; 2: struct of 3, 4 and 5; 6: list of structs of 7 and 8; 9: map to structs of 10 and 11. `gone` are fields that
/// the file lacks, as it is younger or older than they are.
fn rows(mode: &str, gone: &[i32]) -> RecordBatch {
    let some = |fields: Vec<(i32, ArrayRef)>| {
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = fields
            .into_iter()
            .filter(|(id, _)| !gone.contains(id))
            .map(|(id, array)| (named(mode, id, array.data_type().clone()), array))
            .unzip();
        Arc::new(StructArray::new(Fields::from(fields), arrays, None)) as ArrayRef
    };
    let inner = some(vec![(3, numbers(10)), (4, words('d')), (5, numbers(20))]);
    let items = some(vec![(7, words('i')), (8, numbers(30))]);
    let item = Arc::new(Field::new("element", items.data_type().clone(), true));
    let list: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1, 0, 2]), items, None));
    let values = some(vec![(10, numbers(40)), (11, words('v'))]);
    let key = Arc::new(Field::new("key", DataType::Utf8, false));
    let value = Arc::new(Field::new("value", values.data_type().clone(), true));
    let entries = StructArray::new(Fields::from(vec![key, value]), vec![words('k'), values], None);
    let entry = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
    let map: ArrayRef = Arc::new(MapArray::new(entry, OffsetBuffer::from_lengths([1, 1, 1]), entries, None, false));
    let columns = [(1, numbers(0)), (2, inner), (6, list), (9, map)];
    let (fields, arrays): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(id, array)| (named(mode, id, array.data_type().clone()), array)).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The table of today: 3 is called `d`, as 4 was once, which was dropped; 5 came later, as did 8 and 11.
fn schema() -> Value {
    let structure = |fields: Value| json!({"type": "struct", "fields": fields});
    let inner = structure(json!([field("five", "long", mapped(5)), field("d", "long", mapped(3))]));
    let item = structure(json!([field("eight", "long", mapped(8)), field("seven", "string", mapped(7))]));
    let value = structure(json!([field("eleven", "string", mapped(11)), field("ten", "long", mapped(10))]));
    let list = json!({"type": "array", "elementType": item, "containsNull": true});
    let map = json!({"type": "map", "keyType": "string", "valueType": value, "valueContainsNull": true});
    json!([
        field("map", map, mapped(9)),
        field("inner", inner, mapped(2)),
        field("list", list, mapped(6)),
        field("number", "long", mapped(1)),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_columns_are_found_after_they_were_renamed_dropped_and_added() {
    for mode in ["name", "id"] {
        let hand = Hand::new();
        let properties = json!({"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "11"});
        hand.commit(
            0,
            &[
                protocol(&["columnMapping"]),
                metadata(schema(), &[], properties),
                hand.data("old.parquet", &rows(mode, &[5, 8, 11]), json!({})),
                hand.data("new.parquet", &rows(mode, &[4]), json!({})),
            ],
        );
        let found = hand.rows(&Pin::Latest, &["number", "inner", "list", "map"]).await.unwrap();
        let mut expected = Vec::new();
        for new in [false, true] {
            let told = |text: String| if new { text } else { String::new() };
            for n in 0..3 {
                let item = |n: i32| format!("{{eight: {}, seven: i{n}}}", told(format!("{}", 30 + n)));
                let list =
                    [item(0), String::new(), format!("{}, {}", item(1), item(2))][usize::try_from(n).unwrap()].clone();
                expected.push(format!(
                    "{n}|{{five: {}, d: {}}}|[{list}]|{{k{n}: {{eleven: {}, ten: {}}}}}",
                    told(format!("{}", 20 + n)),
                    10 + n,
                    told(format!("v{n}")),
                    40 + n
                ));
            }
        }
        expected.sort();
        assert_eq!(found, expected, "{mode}");
        let filter = col("number").gt(lit(1_i64));
        let found = hand.bench().rows(&hand.source(), &Pin::Latest, &["number"], Some(filter)).await.unwrap();
        assert_eq!(found, ["2", "2"], "{mode}");
    }
}

/// Whoever may read `a` may read what is called so today, in no version what was called so once.
#[tokio::test(flavor = "multi_thread")]
async fn versions_from_before_a_mapping_was_removed_are_refused() {
    let named = |name: &str, id: i32, physical: &str| {
        let mapping = json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical});
        field(name, "string", mapping)
    };
    let rows = |columns: [(&str, &str); 2]| {
        RecordBatch::try_from_iter(
            columns.map(|(name, value)| (name, Arc::new(StringArray::from(vec![value])) as ArrayRef)),
        )
        .unwrap()
    };
    let by_name = || json!({"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"});
    let none = || json!({"delta.columnMapping.mode": "none"});
    let hand = Hand::new();
    let old = hand.data("old.parquet", &rows([("a", "was a"), ("b", "was b")]), json!({}));
    hand.commit(
        0,
        &[
            protocol(&["columnMapping"]),
            metadata(json!([named("a", 1, "a"), named("b", 2, "b")]), &[], by_name()),
            old.clone(),
        ],
    );
    // They change their names: what is `a` today was `b`, at every version.
    hand.commit(1, &[metadata(json!([named("b", 1, "a"), named("a", 2, "b")]), &[], by_name())]);
    let first = Pin::Version("0".to_owned());
    assert_eq!(hand.rows(&first, &["a"]).await.unwrap(), ["was b"]);
    // The mapping goes, and the file is written anew.
    let new = hand.data("new.parquet", &rows([("b", "was a"), ("a", "was b")]), json!({}));
    let gone =
        json!({"remove": {"path": "old.parquet", "dataChange": false, "deletionTimestamp": 1_700_000_000_000_i64}});
    let plain = json!([field("b", "string", json!({})), field("a", "string", json!({}))]);
    hand.commit(2, &[metadata(plain, &[], none()), gone, new]);
    assert_eq!(hand.rows(&Pin::Latest, &["a"]).await.unwrap(), ["was b"]);
    let refused = |found: Result<Vec<String>, _>| {
        let error = format!("{:?}", found.expect_err("nothing says which column is which"));
        assert!(error.contains("before a column mapping was removed"), "{error}");
    };
    refused(hand.rows(&first, &["a"]).await);
    // A new one has other physical names for them.
    hand.commit(3, &[metadata(json!([named("b", 1, "b"), named("a", 2, "a")]), &[], by_name())]);
    assert_eq!(hand.rows(&Pin::Latest, &["a"]).await.unwrap(), ["was b"]);
    refused(hand.rows(&first, &["a"]).await);
}
