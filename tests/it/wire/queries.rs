//! B1 to B4, B6 and B7: rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use futures::StreamExt;
use meshgate_testkit::{Wire, WorldBuilder, rows_text};
use prost::Message;
use tonic::Code;

use super::{Ahead, ENDLESS, Raw, decoded, descriptor, eventually, numbers, prepared, shop, statement, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn b1_flight_info_promises_and_does_not_execute() {
    let shop = shop::open().await;
    let command = statement("SELECT 1 / (order_id - 1) AS x FROM shop.orders.order_lines");
    let info = shop.clerk.info(&command).await.expect("it can be planned").into_inner();
    assert_eq!(info.flight_descriptor, Some(descriptor(&command)));
    assert_eq!(decoded(&info.schema).fields().len(), 1);
    assert_eq!((info.total_records, info.total_bytes), (-1, -1));
    assert_eq!(info.endpoint.len(), 1);
    let endpoint = &info.endpoint[0];
    assert!(endpoint.location.is_empty() && endpoint.ticket.is_some() && endpoint.expiration_time.is_some());
    // Executing it would have failed.
    let failed = shop.clerk.get(ticket(&info)).await.expect_err("division by zero");
    assert_eq!(failed.code(), Code::InvalidArgument, "{failed}");

    // DoGet takes the plan that was made: planned again, it would find no table.
    let command = statement("SELECT id FROM shop.orders.customers ORDER BY id");
    let info = shop.clerk.info(&command).await.expect("a plan").into_inner();
    let log = shop.world.mesh().join("data/shop/customers/_delta_log");
    std::fs::rename(&log, log.with_extension("away")).expect("the log is moved away");
    let rows = shop.clerk.get(ticket(&info)).await.expect("the rows of the plan");
    assert_eq!(rows_text(&rows.batches), ["7", "8"]);
    assert!(shop.clerk.get(ticket(&info)).await.is_err(), "a plan is used once");
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_the_schema_is_the_same_wherever_it_is_told() {
    let shop = shop::open().await;
    let table = "shop.orders.order_lines";
    let statements = [
        format!("SELECT count(*), min(order_id), max(line), sum(total) FROM {table}"),
        format!("SELECT count(*) AS n FROM {table} WHERE day > DATE '1970-01-01'"),
        format!("SELECT a.order_id, b.total FROM {table} a LEFT JOIN {table} b ON a.order_id = b.order_id + 1"),
        format!("SELECT a.order_id, b.id FROM {table} a FULL JOIN shop.orders.customers b ON a.customer = b.id"),
        format!("SELECT order_id FROM {table} UNION ALL SELECT NULL UNION ALL SELECT 5"),
        format!("SELECT * FROM {table}"),
        format!("SELECT tags, label, label['text'] FROM {table} ORDER BY order_id, line"),
        "SELECT 1 AS one, NULL AS nothing, 'a' AS text, true AS yes".to_owned(),
        "SELECT make_array(named_struct('a', 1, 'b', 'x')) AS nested, map(['k'], [1]) AS m".to_owned(),
        "SELECT arrow_cast('x', 'Utf8View') AS v, arrow_cast(1.5, 'Decimal256(50,2)') AS d".to_owned(),
        "VALUES (1, 'a'), (2, NULL)".to_owned(),
        "SELECT row_number() OVER () AS r, now() AS t".to_owned(),
        "SHOW TABLES".to_owned(),
        format!("DESCRIBE {table}"),
        format!("EXPLAIN SELECT * FROM {table}"),
    ];
    for sql in statements {
        for client in [&shop.steward, &shop.steward.with("meshgate-wire-types", "native")] {
            let info =
                client.info(&statement(&sql)).await.unwrap_or_else(|status| panic!("{sql}: {status}")).into_inner();
            let promised = decoded(&info.schema);
            let told = |schema: &Schema| Schema::new(schema.fields().clone());
            let given = client.get(ticket(&info)).await.unwrap_or_else(|status| panic!("{sql}: {status}"));
            assert_eq!(told(&given.schema), told(&promised), "DoGet: {sql}");
            assert_eq!(given.schema.metadata(), promised.metadata(), "DoGet: {sql}");
            let asked = client.schema(&statement(&sql)).await.unwrap_or_else(|status| panic!("{sql}: {status}"));
            assert_eq!(told(&asked), told(&promised), "GetSchema: {sql}");
            let made = prepared::create(client, &sql).await;
            assert_eq!(told(&decoded(&made.dataset_schema)), told(&promised), "dataset_schema: {sql}");
            for batch in &given.batches {
                assert_eq!(told(&batch.schema()), told(&promised), "a batch: {sql}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_no_rows_have_a_schema() {
    let shop = shop::open().await;
    for sql in
        ["SELECT * FROM shop.orders.order_lines WHERE false", "SELECT id FROM shop.orders.customers WHERE id > 99"]
    {
        let got = shop.clerk.query(sql).await.expect("no rows");
        assert_eq!(got.messages.len(), 1, "{sql}");
        assert!(!got.schema.fields().is_empty() && got.batches.is_empty(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_messages_fit_every_client() {
    const MIB: usize = 1 << 20;
    let shop = shop::open().await;
    // A few rows are a thousand times as long as the others.
    for length in
        ["CASE WHEN n % 4000 = 0 THEN 1000000 ELSE 100 END", "n % 1000", "CASE WHEN n < 5 THEN 1048576 ELSE 1 END"]
    {
        let sql = format!("SELECT n, repeat('x', {length}) AS text FROM ({}) t", numbers(20));
        let got = shop.clerk.query(&sql).await.expect("rows");
        assert_eq!(got.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
        for (message, batch) in got.messages[1..].iter().zip(&got.batches) {
            assert!(message.encoded_len() < 4 * MIB || batch.num_rows() == 1, "{} bytes", message.encoded_len());
        }
    }
    // Where rows allow it, messages are neither small nor large.
    let sql = format!("SELECT n, repeat('x', 1000) AS text FROM ({}) t", "SELECT unnest(range(0, 10000)) AS n");
    let got = shop.clerk.query(&sql).await.expect("rows");
    let sizes = got.messages[1..].iter().map(Message::encoded_len).collect::<Vec<_>>();
    let good = sizes.iter().filter(|size| (3 * MIB / 2..=2 * MIB).contains(*size)).count();
    assert!(sizes.len() >= 5 && good * 3 >= sizes.len() * 2, "{sizes:?}");
    // One row that is larger than that comes all the same.
    let many = ["repeat('x', n)"; 6].iter().enumerate().map(|(at, text)| format!("{text} AS t{at}"));
    let sql = format!("SELECT {} FROM (SELECT 1000000 AS n UNION ALL SELECT 1) t", many.collect::<Vec<_>>().join(", "));
    let got = shop.clerk.query(&sql).await.expect("a large row and a small one");
    let longest = got.messages.iter().map(Message::encoded_len).max().expect("messages");
    assert!(longest > 6_000_000, "{longest}");

    // And what comes in may be larger.
    let made = prepared::create(&shop.clerk, "SELECT octet_length(?) AS n").await;
    let text = |bytes: usize| {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(bytes)]));
        RecordBatch::try_from_iter([("0", column)]).expect("a value")
    };
    prepared::bind(&shop.clerk, &made, &text(60 * MIB)).await.expect("60 MiB");
    let got = prepared::execute(&shop.clerk, &made.prepared_statement_handle).await.expect("its length");
    assert_eq!(rows_text(&got.batches), [(60 * MIB).to_string()]);
    let refused = prepared::bind(&shop.clerk, &made, &text(65 * MIB)).await.expect_err("65 MiB");
    assert!(matches!(refused.code(), Code::ResourceExhausted | Code::OutOfRange), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_order_is_kept_in_one_endpoint() {
    let shop = shop::open().await;
    let sql = format!("SELECT n, repeat('x', 200) FROM ({}) t ORDER BY (n * 7919) % 100003", numbers(100));
    let got = shop.clerk.query(&sql).await.expect("rows, from the only endpoint");
    assert!(got.batches.len() > 4, "{}", got.batches.len());
    let numbers = got.batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    let keys = numbers.map(|n| (n * 7919) % 100_003).collect::<Vec<_>>();
    assert_eq!(keys.len(), 100_000);
    assert!(keys.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_dropping_doget_stops_and_frees() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let batch = RecordBatch::try_from_iter([("id", numbers)]).expect("numbers");
    let product = meshgate_testkit::Product::new("d", "p").table(
        "t",
        "delta",
        "data/d/t/",
        vec![meshgate_testkit::Column::new("id", "integer")],
    );
    let all = "@id(\"all\") permit (principal, action in Action::\"access\", resource);";
    let world = WorldBuilder::new()
        .domain("d")
        .file("governance/policies/all.cedar", all)
        .product(&product)
        .delta("d", "t", vec![batch])
        .await
        .engine(|engine| (engine.memory_bytes, engine.memory_bytes_per_query) = (96 << 20, 96 << 20))
        .start()
        .await
        .expect("a valid mesh");
    let wire = Wire::open(&world).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("sam", &[], &[]).await);
    // The build side of each takes more than half of the memory.
    let large = format!(
        "SELECT t.id, repeat(CAST(t.id AS VARCHAR), 30) AS r, c.n FROM d.p.t t JOIN ({ENDLESS}) c ON t.id = c.n % 7"
    );
    for sql in [ENDLESS, &large, &large, &large] {
        let info = client.info(&statement(sql)).await.expect("a plan").into_inner();
        let mut stream = client.open(ticket(&info)).await.expect("a stream").into_inner();
        stream.next().await.expect("a schema").expect("no error");
        stream.next().await.expect("rows").expect("no error");
        assert_eq!(world.gateway.running(), 1);
        drop(stream);
        eventually("it stops", Duration::from_secs(1), || world.gateway.running() == 0).await;
    }
    assert_eq!(client.text("SELECT count(DISTINCT id) FROM d.p.t").await, ["200000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_tickets_expire_and_can_be_redeemed_twice() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    let clock = Arc::new(Ahead::default());
    let set = clock.clone();
    let wire = Wire::open_with(&world, |settings| settings.clock = set).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("sam", &["stewards"], &[]).await);
    let info = client.info(&statement("SELECT id FROM shop.orders.customers ORDER BY id")).await.expect("a plan");
    let info = info.into_inner();
    let expiration = info.endpoint[0].expiration_time.expect("an end").seconds;
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    assert!((595..=605).contains(&(expiration - i64::try_from(now).expect("small"))), "{expiration} and {now}");
    assert_eq!(rows_text(&client.get(ticket(&info)).await.expect("once").batches), ["7", "8"]);
    // What a ticket promised is what it gives, whatever was added meanwhile.
    let more: ArrayRef = Arc::new(Int64Array::from(vec![9]));
    let more = RecordBatch::try_from_iter([("id", more)]).expect("one more");
    world.append("shop", "customers", more).await;
    assert_eq!(client.text("SELECT id FROM shop.orders.customers ORDER BY id").await, ["7", "8", "9"]);
    clock.by(599);
    assert_eq!(rows_text(&client.get(ticket(&info)).await.expect("twice").batches), ["7", "8"]);
    clock.by(601);
    assert_eq!(client.get(ticket(&info)).await.expect_err("expired").code(), Code::NotFound);
}
