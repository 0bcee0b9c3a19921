//! How the bytes of what is hidden lie in files tells nothing: neither where batches and partitions end, nor what limits,
//! approximate functions and expressions that fail make of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field};
use futures::StreamExt;
use meshgate_gateway::{Caller, SessionOptions, Statement};
use meshgate_model::Failure;
use meshgate_testkit::{Column, Product, World, WorldBuilder, delta_in_row_groups, rows_text};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Rows that the reader sees, ids 0 to 19,999.
const VISIBLE: i64 = 20_000;
const ROW_GROUP: usize = 3_000;

const POLICY: &str = r#"
@id("rows") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"d.p.flat");
@id("nested") @rows("st.region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"d.p.nested");
@id("columns")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"d.p.columns");
@id("fallible") @rows("CAST(level AS INT) < 5")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"d.p.fallible");
@id("pins") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("hidden") };
@id("share") @mask("sql:100 / ($value - 50)")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("share") };
"#;

/// What differs.
#[derive(Clone, Copy)]
struct Hidden {
    /// Rows of others.
    rows: usize,
    /// Characters of the hidden column in each row.
    column: usize,
    /// Whether the struct has a hidden field.
    field: bool,
    /// Whether some hidden rows have values that cannot be cast.
    odd: bool,
    /// Whether the hidden column is stored as it is promised.
    promised: bool,
}

const NOTHING: Hidden = Hidden { rows: 0, column: 2, field: true, odd: false, promised: true };

fn rows(hidden: Hidden) -> RecordBatch {
    let mut random = StdRng::seed_from_u64(7);
    let others = i64::try_from(hidden.rows).expect("a small number");
    let mut all = (0..VISIBLE).map(|n| (n * 2, true)).collect::<Vec<_>>();
    all.extend((0..others).map(|n| (n * VISIBLE * 2 / others.max(1) + 1, false)));
    all.sort_unstable();
    let ids = |of: &dyn Fn(i64, bool) -> i64| {
        Arc::new(Int64Array::from_iter_values(all.iter().map(|(n, seen)| of(*n, *seen)))) as ArrayRef
    };
    let texts = |of: &mut dyn FnMut(i64, bool) -> String| {
        Arc::new(StringArray::from_iter_values(all.iter().map(|(n, seen)| of(*n, *seen)))) as ArrayRef
    };
    let region = || texts(&mut |_, seen| if seen { "EU" } else { "US" }.to_owned());
    let level = texts(&mut |n, seen| match (seen, hidden.odd && n % 100 < 20) {
        (true, _) => (n % 4).to_string(),
        (false, true) => "x9".to_owned(),
        (false, false) => "9".to_owned(),
    });
    let pin = texts(&mut |_, _| (0..hidden.column).map(|_| char::from(random.random_range(b'!'..b'~'))).collect());
    let pin = if hidden.promised { pin } else { ids(&|n, _| n) };
    let mut parts = vec![("region", region())];
    if hidden.field {
        parts.push(("secret", texts(&mut |n, _| format!("s{n}"))));
    }
    let (names, columns): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let fields = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>();
    let st = StructArray::new(fields.into(), columns, None);
    let far = |n: i64, seen: bool| if seen || !hidden.odd { 1_600_000_000_000 + n } else { 1 << 62 };
    let ts = TimestampMillisecondArray::from_iter_values(all.iter().map(|(n, seen)| far(*n, *seen)));
    RecordBatch::try_from_iter([
        ("id", ids(&|n, _| n / 2)),
        ("region", region()),
        ("level", level),
        ("pin", pin),
        ("share", ids(&|n, seen| if seen || !hidden.odd { 51 + n } else { 50 })),
        ("ts", Arc::new(ts.with_timezone("UTC")) as ArrayRef),
        ("st", Arc::new(st)),
    ])
    .expect("columns of one length")
}

fn table(product: Product, name: &str, field: bool) -> Product {
    let mut inside = "properties:\n          - name: region\n            logicalType: string".to_owned();
    if field {
        inside += "\n          - name: secret\n            logicalType: string\n            tags: [hidden]";
    }
    let columns = vec![
        Column::new("id", "integer"),
        Column::new("region", "string"),
        Column::new("level", "string"),
        Column::new("pin", "string").tag("hidden"),
        Column::new("share", "integer").tag("share"),
        Column::new("ts", "timestamp"),
        Column::new("st", "object").line(&inside),
    ];
    product.table(name, "delta", "data/d/t/", columns)
}

async fn world(hidden: Hidden, threads: usize) -> World {
    let product = ["flat", "nested", "columns", "fallible"]
        .iter()
        .fold(Product::new("d", "p"), |product, name| table(product, name, hidden.field));
    let world = WorldBuilder::new()
        .domain("d")
        .attributes("{ region: string }")
        .file("governance/policies/all.cedar", POLICY)
        .engine(|options| options.threads = threads)
        .product(&product);
    delta_in_row_groups(&world.data("d", "t"), &rows(hidden), ROW_GROUP);
    world.start().await.expect("a valid mesh")
}

const TABLES: &[&str] = &["d.p.flat", "d.p.nested", "d.p.columns", "d.p.fallible"];

/// `{t}` is a table with all visible rows.
const QUERIES: &[&str] = &[
    "SELECT count(*) FROM {t} WHERE id % 8000 < 1500 AND 1 / (id - 3999) >= 0",
    "SELECT count(*) FROM {t} WHERE id % 50 = 7 AND 1 / (id - 4001) >= 0",
    "SELECT sum(octet_length(repeat(substr('xx', 1, 1 + CAST(id * 0 AS INT)), 40000))) FROM {t} WHERE id < 8000",
    "SELECT approx_percentile_cont(0.37) WITHIN GROUP (ORDER BY id * id % 7919) FROM {t}",
    "SELECT approx_median(id * 7919 % 30011) FROM {t}",
    "SELECT approx_distinct(id * 7919 % 30011) FROM {t}",
    "SELECT id, 1 / (id - 7000) AS x FROM {t} ORDER BY id LIMIT 1",
    "SELECT id, 1 / (id - 15000) AS x FROM {t} ORDER BY id LIMIT 1",
    "SELECT id, 1 / (id - 2) AS x FROM {t} ORDER BY id DESC LIMIT 2",
    "SELECT min(id), max(1 / (id - 15000)) FROM {t}",
    "SELECT id FROM {t} ORDER BY id % 977, id LIMIT 7",
    "SELECT array_agg(id) FROM (SELECT id FROM {t} LIMIT 20)",
    "SELECT first_value(id ORDER BY id % 977, id), last_value(id ORDER BY id % 977, id) FROM {t}",
    "SELECT count(*), sum(id), max(ts) FROM {t}",
    "SELECT count(*) FROM {t} a JOIN {t} b ON a.id = b.id WHERE b.id < 100 AND 1 / (a.id - 15000) > -1",
    "SELECT sum(share), count(share), max(share) FROM {t} WHERE id <= 2500",
    "SELECT count(*) FROM {t} WHERE id = 2000",
    "SELECT id FROM {t} WHERE 1 / (id - 4000) IS NULL AND level = '9'",
    "SELECT id FROM {t} WHERE 1 / (id - 4000) IS NULL AND (level > '3' OR region = 'US')",
    "SELECT count(*), sum(x) FROM (SELECT unnest([id, id + 1]) AS x FROM {t} WHERE id < 15000)",
    "EXPLAIN SELECT id FROM {t} WHERE st IS NOT NULL AND id > 5",
    "EXPLAIN SELECT id FROM {t} WHERE st['region'] = 'EU' ORDER BY id LIMIT 3",
    "DESCRIBE {t}",
];

/// Queries that only filter and compute: their rows come in one order, with any number of threads, and as many before an
/// error.
const IN_TURN: &[&str] = &[
    "SELECT id, 1 / (id - 18000) AS x FROM {t}",
    "SELECT id, 1 / (id - 9000) AS x FROM {t} WHERE id % 3 > 0",
    "SELECT id FROM {t} WHERE id % 7 < 5",
    "SELECT id FROM {t} LIMIT 9000",
    "SELECT id FROM {t} WHERE id % 2 = 0 LIMIT 5000 OFFSET 2000",
];

/// How a world answers: sizes of batches, rows, errors.
async fn answer(world: &World, reader: &Caller, sql: &str) -> String {
    let (options, statement) = (SessionOptions::default(), Statement { sql: sql.to_owned(), ..Statement::default() });
    let answered = async {
        let planned = world.gateway.plan(reader, &options, &statement).await?;
        let mut rows = world.gateway.execute(reader, &options, planned.id, &statement).await?.batches;
        let (mut sizes, mut batches) = (Vec::new(), Vec::new());
        while let Some(batch) = rows.next().await {
            match batch {
                Ok(batch) => {
                    sizes.push(batch.num_rows());
                    batches.push(batch);
                }
                Err(error) => return Ok(format!("{sizes:?} {}", error.public())),
            }
        }
        let mut text = rows_text(&batches);
        if !sql.contains("ORDER BY") && !is_in_turn(sql) {
            text.sort_unstable();
        }
        Ok::<_, meshgate_gateway::Error>(format!("{sizes:?} {}", text.join("\n")))
    };
    answered.await.unwrap_or_else(|error| error.public().to_string())
}

fn is_in_turn(sql: &str) -> bool {
    TABLES.iter().any(|table| IN_TURN.iter().any(|query| query.replace("{t}", table) == sql))
}

/// What two worlds answer, if they never answer alike. Of several threads one may be first or the other.
async fn different(worlds: [(&World, &Caller); 2], sql: &str, times: usize) -> Option<[BTreeSet<String>; 2]> {
    let [one, two] = worlds;
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..times {
        let (here, there) = tokio::join!(answer(one.0, one.1, sql), answer(two.0, two.1, sql));
        seen[0].insert(here);
        seen[1].insert(there);
        if !seen[0].is_disjoint(&seen[1]) {
            return None;
        }
    }
    Some(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_hidden_bytes_lie_tells_nothing() {
    let twins = [
        ("hidden rows", Hidden { rows: 25_000, ..NOTHING }),
        ("few hidden rows", Hidden { rows: 700, odd: true, ..NOTHING }),
        ("a long hidden column", Hidden { column: 700, ..NOTHING }),
        ("a hidden field", Hidden { field: false, ..NOTHING }),
        ("the type of a hidden column", Hidden { promised: false, ..NOTHING }),
    ];
    let mut wrong = Vec::new();
    for (threads, times) in [(1, 1), (2, 5)] {
        let here = world(NOTHING, threads).await;
        let reader_here = here.user("reader", &["readers"], &[("region", "EU")]).await;
        for (what, hidden) in twins {
            let there = world(hidden, threads).await;
            let reader_there = there.user("reader", &["readers"], &[("region", "EU")]).await;
            for table in TABLES {
                // Without a row filter, rows of others are nobody's secret.
                if *table == "d.p.columns" && hidden.rows > 0 {
                    continue;
                }
                for sql in QUERIES.iter().chain(IN_TURN).map(|sql| sql.replace("{t}", table)) {
                    let times = if is_in_turn(&sql) { 1 } else { times };
                    let worlds = [(&here, &reader_here), (&there, &reader_there)];
                    if let Some(seen) = different(worlds, &sql, times).await {
                        let short = |text: &String| text.chars().take(300).collect::<String>();
                        let seen = seen.map(|answers| answers.iter().map(short).collect::<Vec<_>>());
                        wrong.push(format!("{what}, {threads} threads: {sql}\n  {:?}\n  {:?}", seen[0], seen[1]));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
