//! B5: the types of results, and how their buffers are compressed.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampNanosecondType};
use arrow::ipc::root_as_message;
use meshgate_testkit::rows_text;
use tonic::Code;

use super::{Got, Raw, sessions, shop};

/// What is asked for, the type that every client reads, and the engine's own.
fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("arrow_cast('x', 'Utf8View')", "Utf8", "Utf8View"),
        ("arrow_cast('x', 'LargeUtf8')", "Utf8", "LargeUtf8"),
        ("arrow_cast('x', 'BinaryView')", "Binary", "BinaryView"),
        ("arrow_cast('x', 'LargeBinary')", "Binary", "LargeBinary"),
        ("arrow_cast('x', 'Dictionary(Int32, Utf8View)')", "Utf8", "Dictionary(Int32, Utf8View)"),
        ("arrow_cast(1.25, 'Decimal32(7, 2)')", "Decimal128(7, 2)", "Decimal32(7, 2)"),
        ("arrow_cast(1.25, 'Decimal64(17, 2)')", "Decimal128(17, 2)", "Decimal64(17, 2)"),
        ("arrow_cast(1.25, 'Decimal256(38, 2)')", "Decimal128(38, 2)", "Decimal256(38, 2)"),
        ("arrow_cast(1.25, 'Decimal256(50, 2)')", "Utf8", "Decimal256(50, 2)"),
        ("arrow_cast(1.5, 'Float16')", "Float32", "Float16"),
        ("arrow_cast('12:34:56.000001', 'Time64(ns)')", "Time64(µs)", "Time64(ns)"),
    ]
}

async fn typed(client: &Raw, expression: &str) -> (DataType, Vec<String>) {
    let got = client.query(&format!("SELECT {expression} AS x")).await;
    let got = got.unwrap_or_else(|status| panic!("{expression}: {status}"));
    (got.schema.field(0).data_type().clone(), rows_text(&got.batches))
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_compatible_types_unless_native_ones_are_asked_for() {
    let shop = shop::open().await;
    let native = shop.clerk.with("meshgate-wire-types", "native");
    for (expression, compatible, own) in cases() {
        let (given, value) = typed(&shop.clerk, expression).await;
        assert_eq!(given.to_string(), compatible, "{expression}");
        let (given, same) = typed(&native, expression).await;
        assert_eq!(given.to_string(), own, "{expression}");
        assert_eq!(value, same, "{expression}");
        // Wherever they are nested.
        for (outside, inside) in [
            (format!("make_array({expression})"), "List"),
            (format!("arrow_cast(make_array({expression}), 'LargeList({own})')"), "List"),
            (format!("named_struct('a', make_array({expression}))"), "Struct"),
            (format!("map(['k'], [{expression}])"), "Map"),
        ] {
            if own.contains("Dictionary") && outside.starts_with("arrow_cast") {
                continue;
            }
            let (given, _) = typed(&shop.clerk, &outside).await;
            let text = given.to_string();
            assert!(text.starts_with(inside), "{outside}: {text}");
            let strange = ["View", "Large", "Dictionary", "Decimal32", "Decimal64", "Decimal256", "Float16", "(ns)"];
            assert!(strange.iter().all(|word| !text.contains(word)), "{outside}: {text}");
        }
    }
    // A value that has no place in the compatible type is refused, and says what to do.
    let refused = shop.clerk.query("SELECT arrow_cast('12:34:56.000000001', 'Time64(ns)') AS x").await;
    let refused = refused.expect_err("a nanosecond");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("wire_types"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_native_types_by_session_option() {
    let shop = shop::open().await;
    let strings = "arrow_cast('x', 'Utf8View')";
    shop.clerk.query("SET meshgate.wire_types = 'native'").await.expect("an option");
    assert_eq!(typed(&shop.clerk, strings).await.0, DataType::Utf8View);
    assert_eq!(typed(&shop.clerk.with("meshgate-wire-types", "compatible"), strings).await.0, DataType::Utf8);
    let errors = sessions::set(&shop.clerk, &[("wire_types", "compatible")]).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(typed(&shop.clerk, strings).await.0, DataType::Utf8);
    let refused = shop.clerk.with("meshgate-wire-types", "best").query("SELECT 1").await.expect_err("no such types");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// Formats call the items of lists otherwise than queries do, which to Arrow is another type.
#[tokio::test(flavor = "multi_thread")]
async fn b5_lists_of_tables_meet_lists_of_queries() {
    let shop = shop::open().await;
    let of = |expression: &str| format!("SELECT {expression} FROM shop.orders.order_lines ORDER BY order_id, line");
    for (expression, expected) in [
        ("array_concat(tags, [9, 10])", ["[1, NULL, 9, 10]", "[9, 10]", "[9, 10]"]),
        ("array_repeat(tags, 2)", ["[[1, NULL], [1, NULL]]", "[NULL, NULL]", "[[], []]"]),
        ("coalesce(tags, [7])", ["[1, NULL]", "[7]", "[]"]),
        ("arrow_typeof(tags)", ["List(Int32)"; 3]),
    ] {
        assert_eq!(shop.clerk.text(&of(expression)).await, expected, "{expression}");
    }
}

/// How the buffers of the rows are compressed: a number of the IPC format, one for all messages.
fn codec(got: &Got) -> Option<i8> {
    let mut codecs = got.messages[1..].iter().map(|message| {
        let header = root_as_message(&message.data_header).expect("an IPC message");
        let batch = header.header_as_record_batch().expect("rows");
        batch.compression().map(|compression| compression.codec().0)
    });
    let first = codecs.next().expect("rows");
    assert!(codecs.all(|codec| codec == first));
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_compression_by_header_or_session_option() {
    const LZ4: Option<i8> = Some(0);
    const ZSTD: Option<i8> = Some(1);
    let shop = shop::open().await;
    let sql = "SELECT repeat('x', 60000) AS text";
    let plain = shop.clerk.query(sql).await.expect("rows");
    assert_eq!(codec(&plain), None, "some drivers cannot read it");
    let size = |got: &Got| got.messages.iter().map(|message| message.data_body.len()).sum::<usize>();
    for (name, expected) in [("none", None), ("lz4", LZ4), ("zstd", ZSTD), ("ZSTD", ZSTD)] {
        let got = shop.clerk.with("meshgate-ipc-compression", name).query(sql).await.expect("rows");
        assert_eq!(codec(&got), expected, "{name}");
        assert_eq!(rows_text(&got.batches), rows_text(&plain.batches), "{name}");
        assert_eq!(size(&got) * 10 < size(&plain), expected.is_some(), "{name}");
    }
    for (name, expected) in [("lz4", LZ4), ("zstd", ZSTD), ("none", None)] {
        shop.clerk.query(&format!("SET meshgate.ipc_compression = '{name}'")).await.expect("an option");
        assert_eq!(codec(&shop.clerk.query(sql).await.expect("rows")), expected, "{name}");
        let header = shop.clerk.with("meshgate-ipc-compression", "lz4");
        assert_eq!(codec(&header.query(sql).await.expect("rows")), LZ4, "the call comes before the session");
    }
    let refused = shop.clerk.with("meshgate-ipc-compression", "gzip").query(sql).await.expect_err("not offered");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_grafana_reads_timestamps_as_nanoseconds() {
    let shop = shop::open().await;
    shop.clerk.query("SET meshgate.wire_types = 'grafana'").await.expect("an option");
    let sql = "SELECT at, day, total, order_id, label FROM shop.orders.order_lines ORDER BY order_id, line";
    let got = shop.clerk.query(sql).await.expect("rows");
    let types = got.schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    assert_eq!(types[0], DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
    assert_eq!(types[1..4], [DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Float64, DataType::Int64]);
    let batch = &got.batches[0];
    let nanos = |column: usize| batch.column(column).as_primitive::<TimestampNanosecondType>().values().to_vec();
    assert_eq!(nanos(0), [0, 1_000_000_000, 1_700_000_000_123_456_000]);
    assert_eq!(nanos(1), [0, 86_400_000_000_000, 1_728_000_000_000_000_000]);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values().to_vec(), [10.5, 2.5, 9.99]);
    let far = shop.clerk.query("SELECT DATE '9999-12-31' AS never").await.expect_err("no count of nanoseconds");
    assert_eq!(far.code(), Code::InvalidArgument, "{far}");
    assert_eq!(shop.clerk.text("SELECT TIME '12:30:00' AS t").await, ["12:30:00"]);
}
