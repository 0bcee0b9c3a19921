//! Twin worlds: meshes that differ only in what their reader may not see.
//!
//! The reader has the region `EU`. In all worlds the rows of that region are the same, before masks as far as masks show
//! them, and come in the same order in the same versions. Different is what [`Secrets`] say.

mod documents;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use meshgate_table_delta::VectorStorage;
use meshgate_table_iceberg::Deletion;

use super::canary;
use crate::{Product, World, WorldBuilder, rows_text};
use documents::{OTHERS, PERMIT_ALL, POLICY, in_directories, orders_columns, people_columns};
use people::{Person, deleted, masked, orders_batch, people, people_batch};

/// How many people of the region `EU` there are: ids 0, 10, 20 and so on.
pub const VISIBLE: usize = 90;
/// The tables of people: the same content in both formats; once more under a filter on a nested field, which readers of
/// files cannot apply; in both formats with a partition for each region, and as Parquet files without a log.
pub const PEOPLE: [&str; 6] = [
    "hr.staff.people",
    "lake.staff.people",
    "hr.nest.people",
    "hr.parts.people",
    "lake.parts.people",
    "hr.loose.people",
];
/// The tables of their orders.
pub const ORDERS: [&str; 6] = [
    "hr.staff.orders",
    "lake.staff.orders",
    "hr.staff.orders",
    "hr.staff.orders",
    "lake.staff.orders",
    "hr.staff.orders",
];
/// The groups of the reader.
pub const GROUPS: [&str; 1] = ["readers"];

/// What the reader may not see, and in what worlds differ.
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    /// Where hidden values come from.
    pub values: u64,
    /// Where raw values behind masks come from.
    pub raw: u64,
    /// How many hidden rows there are.
    pub rows: usize,
    /// Whether hidden rows stand before all others instead of among them.
    pub clustered: bool,
    /// Whether the hidden column exists.
    pub column: bool,
    /// Whether the forbidden table and product exist.
    pub forbidden: bool,
    /// Whether there are rules for others.
    pub others: bool,
    /// Which rows of the reader's own were deleted.
    pub deleted: u64,
    /// Whether others have asked before.
    pub asked: bool,
}

/// The first world; the others are told from it.
pub const FIRST: Secrets = Secrets {
    values: 1,
    raw: 1,
    rows: 400,
    clustered: false,
    column: true,
    forbidden: true,
    others: true,
    deleted: 1,
    asked: false,
};

/// Worlds that differ from the first in one thing each, and one that differs in everything.
pub fn twins() -> Vec<(&'static str, Secrets)> {
    vec![
        ("hidden values", Secrets { values: 2, ..FIRST }),
        ("raw values behind masks", Secrets { raw: 2, ..FIRST }),
        ("the number of hidden rows", Secrets { rows: 7, ..FIRST }),
        ("no hidden rows", Secrets { rows: 0, ..FIRST }),
        ("where hidden rows stand", Secrets { clustered: true, ..FIRST }),
        ("the hidden column", Secrets { column: false, ..FIRST }),
        ("forbidden names", Secrets { forbidden: false, ..FIRST }),
        ("rules for others", Secrets { others: false, ..FIRST }),
        ("deleted rows", Secrets { deleted: 9, ..FIRST }),
        ("queries of others", Secrets { asked: true, ..FIRST }),
        (
            "everything",
            Secrets {
                values: 3,
                raw: 3,
                rows: 150,
                clustered: true,
                column: false,
                forbidden: false,
                others: false,
                deleted: 5,
                asked: false,
            },
        ),
    ]
}

/// Two versions: the first ends with the same visible row in all worlds.
fn versions(people: &[Person]) -> (&[Person], &[Person]) {
    let middle = people.iter().position(|person| person.id == 400).expect("a visible person");
    people.split_at(middle)
}

async fn build(people: Vec<Person>, secrets: Secrets, policy: &str) -> World {
    let product = |domain: &str, format: &str| {
        let at = |table: &str| format!("data/{domain}/{table}/");
        Product::new(domain, "staff").table("people", format, &at("people"), people_columns(secrets)).table(
            "orders",
            format,
            &at("orders"),
            orders_columns(),
        )
    };
    let one = |domain: &str, name: &str, format: &str, path: &str| {
        Product::new(domain, name).table("people", format, path, people_columns(secrets))
    };
    let (mut hr, lake) = (product("hr", "delta"), product("lake", "iceberg"));
    if secrets.forbidden {
        hr = hr.table("payroll", "delta", "data/hr/payroll/", orders_columns());
    }
    let mut world = WorldBuilder::new()
        .domain("hr")
        .domain("lake")
        .attributes("{ region: string }")
        .file("governance/policies/all.cedar", policy)
        .product(&hr)
        .product(&one("hr", "nest", "delta", "data/hr/people/"))
        .product(&one("hr", "parts", "delta", "data/hr/parts/"))
        .product(&Product::new("hr", "loose").table("people", "parquet", "data/hr/loose/", in_directories(secrets)))
        .product(&lake)
        .product(&one("lake", "parts", "iceberg", "data/lake/parts/"));
    if secrets.others {
        world = world.file("governance/policies/others.cedar", OTHERS);
    }
    let (old, new) = versions(&people);
    if secrets.forbidden {
        let vault = Product::new("hr", "vault").table("chest", "delta", "data/hr/payroll/", orders_columns());
        world = world.product(&vault).delta("hr", "payroll", vec![orders_batch(&people)]).await;
    }
    let batch = |people: &[Person]| people_batch(people, secrets.column);
    for (table, batches) in [("people", [batch(old), batch(new)]), ("orders", [orders_batch(old), orders_batch(new)])] {
        world = world.delta("hr", table, batches.to_vec()).await;
        for batch in batches {
            world = world.iceberg("lake", table, vec![batch]).await;
        }
    }
    let parts = |path: &Path, batch: RecordBatch| {
        let path = path.to_owned();
        async move { meshgate_table_delta::append(&path, [batch], &["region"]).await.expect("a Delta table") }
    };
    // Some of the deleted rows had files of their own, others are in those of rows that are left.
    let gone = deleted(secrets);
    world = world.parquet("hr", "loose", vec![batch(old), batch(new)], &["region"]);
    // Files that are on their way in or out of the table.
    world = world.parquet("hr", "loose/_temporary", vec![batch(&gone)], &[]);
    let (apart, among) = gone.split_at(gone.len() / 2);
    let path = world.data("hr", "parts");
    parts(&path, batch(old)).await;
    parts(&path, batch(apart)).await;
    remove_last(&path);
    parts(&path, batch(&[new, among].concat())).await;
    delete_among(&path, among);
    let path = world.data("lake", "parts");
    for people in [batch(old), batch(apart), batch(&[new, among].concat())] {
        meshgate_table_iceberg::write(&path, [people], &["region"]).await.expect("an Iceberg table");
    }
    erase(&path, apart, among).await;
    let world = world.start().await.expect("a valid mesh");
    if secrets.asked {
        ask_as_others(&world).await;
    }
    world
}

/// Deletes people of a Delta table with deletion vectors.
fn delete_among(table: &Path, people: &[Person]) {
    let ids: BTreeSet<i64> = people.iter().map(|person| person.id).collect();
    let is_gone = |batch: &RecordBatch| {
        let known = batch.column_by_name("id").expect("a column").as_primitive::<Int64Type>();
        known.iter().map(|id| id.map(|id| ids.contains(&id))).collect()
    };
    meshgate_table_delta::delete(table, VectorStorage::Relative, is_gone).expect("a version");
}

/// Deletes people of an Iceberg table in all ways of the format, some of them in two.
async fn erase(table: &Path, apart: &[Person], among: &[Person]) {
    let third = among.len() / 3;
    let ways: [(Deletion<'_>, &[Person]); 5] = [
        (Deletion::Positions, apart),
        (Deletion::PositionsByFile, &among[..third]),
        (Deletion::Equality(&["id"]), &among[third..2 * third]),
        (Deletion::Vectors, &among[2 * third..]),
        (Deletion::Equality(&["id", "region"]), among),
    ];
    for (way, people) in ways {
        let ids: BTreeSet<i64> = people.iter().map(|person| person.id).collect();
        let is_gone = |batch: &RecordBatch| {
            let known = batch.column_by_name("id").expect("a column").as_primitive::<Int64Type>();
            known.iter().map(|id| id.map(|id| ids.contains(&id))).collect()
        };
        meshgate_table_iceberg::delete(table, way, is_gone).await.expect("a snapshot");
    }
}

/// Deletes all rows of the last version of a Delta table: the next version removes its files.
fn remove_last(table: &Path) {
    let log = table.join("_delta_log");
    let versions = std::fs::read_dir(&log).expect("a log").filter_map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_str()?.strip_suffix(".json")?.parse::<u64>().ok()
    });
    let last = versions.max().expect("a version");
    let text = std::fs::read_to_string(log.join(format!("{last:020}.json"))).expect("a commit");
    let paths = text.split("\"add\":{\"path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let removals = paths
        .map(|path| {
            format!(r#"{{"remove":{{"path":"{path}","deletionTimestamp":1600000000000,"dataChange":true}}}}"#) + "\n"
        })
        .collect::<String>();
    assert!(!removals.is_empty(), "{text}");
    std::fs::write(log.join(format!("{:020}.json", last + 1)), removals).expect("a commit");
}

/// Questions of somebody who sees all rows, to whatever keeps things between queries.
async fn ask_as_others(world: &World) {
    let steward = world.user(&canary::text("user", 1), &["CNRY-stewards"], &[("region", "CNRY-region")]).await;
    for table in PEOPLE {
        for sql in [
            "SELECT * FROM {t}",
            "SELECT count(*), min(salary), max(salary), min(note) FROM {t}",
            "SELECT id FROM {t} WHERE note = 'CNRY-query' ORDER BY salary DESC LIMIT 3",
            "SELECT region, count(*) FROM {t} GROUP BY region",
            "SELECT sum(CAST(note AS INT)) FROM {t}",
            "SELECT p.id FROM {t} AS p JOIN hr.staff.orders AS o ON p.id = o.person",
            "EXPLAIN SELECT id FROM {t} WHERE salary > 7000",
            "DESCRIBE {t}",
        ] {
            let answer = world.text(&steward, &sql.replace("{t}", table)).await;
            assert!(!answer.is_empty() || sql.contains("'CNRY-query'"), "{sql} {table}");
        }
    }
}

/// A world of the reader's kind.
pub async fn world(secrets: Secrets) -> World {
    build(people(secrets), secrets, POLICY).await
}

/// The world where what the reader may not see is not stored, and what masks make of values is; everything is permitted.
pub async fn reference() -> World {
    let none = Secrets { rows: 0, column: false, forbidden: false, others: false, ..FIRST };
    build(masked(people(none)), none, PERMIT_ALL).await
}

/// How many different values are planted in the first world, by where they are.
pub fn planted() -> BTreeMap<String, usize> {
    let everybody = people(FIRST);
    let mut texts = vec![POLICY.to_owned(), OTHERS.to_owned()];
    for batch in [people_batch(&everybody, true), people_batch(&deleted(FIRST), true), orders_batch(&everybody)] {
        texts.extend(rows_text(&[batch]));
    }
    let columns = Product::new("hr", "staff").table("people", "delta", "", people_columns(FIRST));
    texts.extend(columns.odcs().into_iter().map(|(_, text)| text));
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for word in texts.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')) {
        if let Some((_, rest)) = word.split_once(canary::TEXT) {
            let area = rest.strip_prefix('-').and_then(|rest| rest.split('-').next()).unwrap_or("behind masks");
            found.entry(area.to_owned()).or_default().insert(word.to_owned());
        } else if word.parse().is_ok_and(canary::is_number) {
            found.entry("numbers".to_owned()).or_default().insert(word.to_owned());
        }
    }
    found.into_iter().map(|(area, words)| (area, words.len())).collect()
}
