//! Every mask on every kind of value through every operator: what is behind it is in no received byte.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field};
use meshgate_testkit::attack::canary;
use meshgate_testkit::{Client, Column, Product, Wire, World, WorldBuilder};

/// Rows that the reader sees, and as many of others.
const VISIBLE: i64 = 150;

/// Kinds of values: name, logical type, further lines of the contract.
const KINDS: &[(&str, &str, &str)] = &[
    ("text", "string", ""),
    ("bytes", "string", "physicalType: binary"),
    ("whole", "integer", ""),
    ("exact", "number", "physicalType: decimal(20,2)"),
    ("real", "number", "physicalType: double"),
    ("list", "array", "items:\n          logicalType: string"),
    (
        "parts",
        "object",
        "properties:\n          - name: a\n            logicalType: string\n          - name: b\n            logicalType: integer",
    ),
];

/// Masks: name, words of the policy, kinds that they are for.
const MASKS: &[(&str, &str, &[&str])] = &[
    ("null", "replace-with-null", &["text", "bytes", "whole", "exact", "real", "list", "parts"]),
    ("fixed", "mask-to-fixed-value", &["text", "bytes", "whole", "exact", "real", "list", "parts"]),
    ("alphanum", "mask-alphanum", &["text"]),
    ("first", "show-first-4", &["text"]),
    ("last", "show-last-4", &["text"]),
    ("global", "sha-256-global", &["text", "bytes", "whole"]),
    ("local", "sha-256-query-local", &["text", "bytes", "whole"]),
    ("keyed", "hmac-sha-256", &["text", "bytes", "whole"]),
    ("short", "sql:substr($value, 1, 3)", &["text"]),
    ("rest", "sql:$value % 7", &["whole"]),
];

/// What is done to a masked column `{c}`.
const OPERATORS: &[&str] = &[
    "SELECT {c} FROM d.p.t",
    "SELECT id, {c} FROM d.p.t ORDER BY id LIMIT 20 OFFSET 3",
    "SELECT id FROM d.p.t WHERE {c} IS NOT NULL",
    "SELECT {c}, label FROM d.p.t ORDER BY {c}, id",
    "SELECT a.{c}, b.{c} FROM d.p.t a JOIN d.p.t b ON a.{c} = b.{c} AND a.id = b.id",
    "SELECT a.{c}, b.label FROM d.p.t a LEFT JOIN d.p.t b ON a.id = b.id + 10",
    "SELECT {c}, count(*) FROM d.p.t GROUP BY {c}",
    "SELECT DISTINCT {c} FROM d.p.t",
    "SELECT min({c}), max({c}), count(DISTINCT {c}) FROM d.p.t",
    "SELECT team, array_agg({c} ORDER BY id) FROM d.p.t GROUP BY team",
    "SELECT id, first_value({c}) OVER (PARTITION BY team ORDER BY id), lag({c}) OVER (ORDER BY id) FROM d.p.t",
    "SELECT {c} FROM d.p.t UNION ALL SELECT {c} FROM d.p.t",
    "SELECT {c} FROM d.p.t UNION SELECT {c} FROM d.p.t",
    "SELECT {c} FROM d.p.t EXCEPT SELECT {c} FROM d.p.t WHERE id > 50",
    "SELECT unnest([{c}, {c}]) FROM d.p.t",
    "SELECT CASE WHEN id % 2 = 0 THEN {c} END, coalesce({c}, {c}), CAST({c} AS VARCHAR) FROM d.p.t",
    "WITH w AS (SELECT {c}, team FROM d.p.t) SELECT {c} FROM w WHERE team IN (SELECT team FROM w WHERE {c} IS NULL)",
    "SELECT CAST({c} AS BIGINT) FROM d.p.t",
    "EXPLAIN SELECT {c} FROM d.p.t WHERE {c} IS NOT NULL",
];

fn values(kind: &str) -> ArrayRef {
    let number = |n: i64| canary::number(n.unsigned_abs());
    let text = |n: i64| format!("pre-{}", canary::text("raw", n.unsigned_abs()));
    let all = 0..VISIBLE * 2;
    match kind {
        "text" => Arc::new(StringArray::from_iter_values(all.map(text))),
        "bytes" => Arc::new(BinaryArray::from_iter_values(all.map(text))),
        "whole" => Arc::new(Int64Array::from_iter_values(all.map(number))),
        "exact" => {
            let exact = Decimal128Array::from_iter_values(all.map(|n| i128::from(number(n))));
            Arc::new(exact.with_precision_and_scale(20, 2).expect("it fits"))
        }
        "real" => Arc::new(Float64Array::from_iter_values(all.map(|n| f64::from_bits(number(n).unsigned_abs())))),
        "list" => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            all.for_each(|n| lists.append_value([Some(text(n)), None, Some(text(n + 1))]));
            Arc::new(lists.finish())
        }
        "parts" => {
            let fields = vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Int64, true)];
            Arc::new(StructArray::new(fields.into(), vec![values("text"), values("whole")], None))
        }
        other => panic!("{other} is no kind"),
    }
}

/// The masked columns: name, kind and mask.
fn masked() -> Vec<(String, &'static str, &'static str)> {
    let of = |(name, words, kinds): &(&str, &'static str, &'static [&'static str])| {
        kinds.iter().map(|kind| (format!("{kind}_{name}"), *kind, *words)).collect::<Vec<_>>()
    };
    MASKS.iter().flat_map(of).collect()
}

async fn world(threads: usize, memory: usize) -> World {
    let seen = |n: i64| n % 2 == 0;
    let all = || 0..VISIBLE * 2;
    let hidden = |n: i64, plain: String| if seen(n) { plain } else { canary::text("row", n.unsigned_abs()) };
    let mut arrays: Vec<(String, ArrayRef)> = vec![
        ("id".to_owned(), Arc::new(Int64Array::from_iter_values(all()))),
        (
            "region".to_owned(),
            Arc::new(StringArray::from_iter_values(all().map(|n| if seen(n) { "EU" } else { "US" }))),
        ),
        ("team".to_owned(), Arc::new(StringArray::from_iter_values(all().map(|n| hidden(n, format!("T{}", n % 5)))))),
        (
            "label".to_owned(),
            Arc::new(StringArray::from_iter_values(
                all().map(|n| hidden(n, format!("a label in a buffer of its own, {n}"))),
            )),
        ),
    ];
    let mut columns = ["id", "region", "team", "label"]
        .map(|name| Column::new(name, if name == "id" { "integer" } else { "string" }))
        .to_vec();
    let mut policy = "@id(\"rows\") @rows(\"region = 'EU'\")\npermit (principal in Group::\"readers\", action in Action::\"access\", resource in Table::\"d.p.t\");\n\
         @id(\"all\") permit (principal in Group::\"stewards\", action in Action::\"access\", resource);\n".to_owned();
    for (name, kind, mask) in masked() {
        arrays.push((name.clone(), values(kind)));
        let (_, logical, more) = KINDS.iter().find(|(known, ..)| *known == kind).expect("a kind");
        let column = Column::new(&name, logical);
        columns.push(if more.is_empty() { column } else { column.line(more) });
        policy += &format!(
            "@id(\"{name}\") @mask(\"{mask}\") forbid (principal in Group::\"readers\", action == Action::\"read\", resource == Column::\"d.p.t.{name}\");\n"
        );
    }
    let batch = RecordBatch::try_from_iter(arrays).expect("columns of one length");
    WorldBuilder::new()
        .domain("d")
        .file("governance/policies/all.cedar", &policy)
        .engine(|options| {
            (options.threads, options.memory_bytes, options.memory_bytes_per_query) = (threads, memory, memory);
        })
        .product(&Product::new("d", "p").table("t", "delta", "data/d/t/", columns))
        .delta("d", "t", vec![batch])
        .await
        .start()
        .await
        .expect("a valid mesh")
}

/// Whether a query succeeds; panics if a canary arrives.
async fn succeeds(client: &Client, sql: &str) -> bool {
    let reply = client.query(sql).await;
    for bytes in &reply.received {
        assert!(canary::find(bytes).is_none(), "{:?} in the answer to {sql}", canary::find(bytes));
    }
    reply.failure.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_mask_arrives() {
    let world = world(4, 512 << 20).await;
    let wire = Wire::open(&world).await;
    let reader = wire.client(Some(&world.token("reader", &["readers"], &[]).await)).await;
    let steward = wire.client(Some(&world.token("steward", &["stewards"], &[]).await)).await;
    let clients = [
        reader.clone(),
        reader.clone().with_header("meshgate-wire-types", "native"),
        reader.with_header("meshgate-wire-types", "native").with_header("meshgate-ipc-compression", "zstd"),
    ];
    let (mut asked, mut succeeded) = (0, 0);
    for (column, kind, mask) in masked() {
        // There is something to find, and it can be found.
        let plain = steward.query(&format!("SELECT {column} FROM d.p.t")).await;
        assert!(plain.received.iter().any(|bytes| canary::find(bytes).is_some()), "{column}: {:?}", plain.failure);
        let mut of_column = 0;
        for sql in OPERATORS.iter().map(|sql| sql.replace("{c}", &column)) {
            for client in &clients {
                asked += 1;
                of_column += usize::from(succeeds(client, &sql).await);
            }
        }
        assert!(of_column * 2 > OPERATORS.len() * clients.len(), "{mask} on {kind}: only {of_column} queries succeed");
        succeeded += of_column;
    }
    for client in &clients {
        for sql in ["SELECT * FROM d.p.t", "SELECT * FROM d.p.t ORDER BY id DESC"] {
            assert!(succeeds(client, sql).await, "{sql}");
        }
    }
    println!("{} masked columns, {asked} answers, {succeeded} with rows, no canary", masked().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_mask_is_in_what_was_spilled_and_read_again() {
    let memory = 64 << 20;
    let world = world(1, memory).await;
    let wire = Wire::open(&world).await;
    let reader = wire.client(Some(&world.token("reader", &["readers"], &[]).await)).await;
    let times = "(SELECT unnest(range(0, 600)) AS n)";
    // 90,000 rows of more than a kilobyte do not fit.
    let sql = format!(
        "SELECT t.*, repeat('y', 800) AS y, s.n FROM d.p.t AS t CROSS JOIN {times} AS s ORDER BY s.n * 7919 % 600, t.id DESC"
    );
    let reply = reader.query(&sql).await;
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    let bytes = reply.received.iter().map(Vec::len).sum::<usize>();
    assert!(2 * bytes > 3 * memory, "{bytes} bytes fit into memory");
    for bytes in &reply.received {
        assert!(canary::find(bytes).is_none(), "{:?}", canary::find(bytes));
    }
}
