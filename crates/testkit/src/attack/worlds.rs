//! Twin worlds: meshes that differ only in what their reader may not see.
//!
//! The reader has the region `EU`. In all worlds the rows of that region are the same, before masks as far as masks show
//! them, and come in the same order in the same versions. Different is what [`Secrets`] say.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::canary;
use crate::{Column, Product, World, WorldBuilder};

/// How many people of the region `EU` there are: ids 0, 10, 20 and so on.
pub const VISIBLE: usize = 90;
/// The tables of people: the same content in both formats, and once more under a filter on a nested field, which readers of
/// files cannot apply.
pub const PEOPLE: [&str; 3] = ["hr.staff.people", "lake.staff.people", "hr.nest.people"];
/// The tables of their orders.
pub const ORDERS: [&str; 3] = ["hr.staff.orders", "lake.staff.orders", "hr.staff.orders"];
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
}

/// The first world; the others are told from it.
pub const FIRST: Secrets =
    Secrets { values: 1, raw: 1, rows: 400, clustered: false, column: true, forbidden: true, others: true };

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
        (
            "everything",
            Secrets { values: 3, raw: 3, rows: 150, clustered: true, column: false, forbidden: false, others: false },
        ),
    ]
}

const POLICY: &str = r#"
@id("readers-own-region") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.staff.people");
@id("readers-own-region-lake") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"lake.staff.people");

@id("readers-by-city") @rows("length(address.city) < 4")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.nest.people");

@id("orders-of-visible-people")
@rows("person IN (SELECT id FROM hr.staff.people WHERE region = $region)")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.staff.orders");
@id("orders-of-visible-people-lake")
@rows("person IN (SELECT id FROM lake.staff.people WHERE region = $region)")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"lake.staff.orders");

@id("letters") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("letters") };
@id("last") @mask("show-last-4")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("last") };
@id("nothing") @mask("replace-with-null")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("nothing") };
@id("fixed") @mask("mask-to-fixed-value")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("fixed") };
@id("year") @mask("truncate-to-year")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("year") };
@id("hidden")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("hidden") };
"#;

/// What rules for others look like.
const OTHERS: &str = r#"
@id("CNRY-policy-auditors") @rows("region = 'CNRY-policy-text'")
permit (principal in Group::"auditors", action in Action::"access", resource in Table::"hr.staff.people");
@id("CNRY-policy-nobody")
forbid (principal in Group::"CNRY-nobody", action == Action::"query", resource);
"#;

/// For a world that stores only what the reader sees.
const PERMIT_ALL: &str = r#"
@id("all") permit (principal, action in Action::"access", resource);
"#;

struct Person {
    id: i64,
    region: Option<&'static str>,
    team: String,
    salary: Option<i64>,
    score: f64,
    note: Option<String>,
    seen: i64,
    price: i128,
    flag: Option<bool>,
    mail: String,
    code: String,
    bonus: Option<i64>,
    pin: i64,
    birth: i32,
    label: String,
    words: Option<Vec<String>>,
    city: String,
    zip: String,
    secret: String,
}

/// Days from 1970 to the first of January of a year.
fn new_year(year: i32) -> i32 {
    let before = |year: i32| year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    before(year - 1) - before(1969)
}

fn visible(index: usize, raw: &mut StdRng) -> Person {
    let n = i64::try_from(index).expect("a small number");
    let mut letters = |count: usize| (0..count).map(|_| char::from(raw.random_range(b'a'..=b'z'))).collect::<String>();
    let mail = format!("{}{:03}@{}.org", letters(4), (index * 7) % 1000, letters(2));
    let year = 1960 + i32::try_from(index % 40).expect("a small number");
    Person {
        id: n * 10,
        region: Some("EU"),
        team: format!("T{}", n % 5),
        salary: (n % 11 != 0).then_some(1000 + 37 * n),
        score: f64::from(i32::try_from(n).expect("a small number")) * 0.5,
        note: (n % 13 != 0).then(|| (n % 40).to_string()),
        seen: 1_600_000_000_000_000 + n * 3_600_000_000,
        price: i128::from(n) * 125,
        flag: (n % 7 != 0).then_some(n % 2 == 0),
        mail,
        code: format!("{:04}-{:04}", raw.random_range(0..10_000), n),
        bonus: Some(raw.random_range(0..1_000_000)),
        pin: raw.random_range(0..10_000),
        birth: new_year(year) + raw.random_range(0..365),
        label: format!("a label that is long enough to need a buffer of its own {n}"),
        words: (n % 9 != 0).then(|| (0..n % 4).map(|word| format!("w{word}")).collect()),
        city: format!("C{}", n % 6),
        zip: canary::text("zip", raw.random()),
        secret: canary::text("column", raw.random()),
    }
}

fn hidden(index: usize, secrets: Secrets, random: &mut StdRng) -> Person {
    let n = u64::try_from(index).expect("a small number");
    // Among the visible ids, never one of them; or before them all.
    let place = i64::try_from(index % VISIBLE).expect("a small number") * 10;
    let round = i64::try_from(index / VISIBLE).expect("a small number");
    let salaries = [5000, 7777, canary::number(n), i64::MAX, 0];
    Person {
        id: if secrets.clustered { -1 - i64::try_from(index).expect("a small number") } else { place + 1 + round },
        region: [Some("US"), Some("APAC"), None][random.random_range(0..3)],
        team: format!("T{}", random.random_range(0..9)),
        salary: Some(salaries[random.random_range(0..salaries.len())]),
        score: [f64::NAN, 1e300, -1.0][random.random_range(0..3)],
        note: Some(canary::text("row", n ^ secrets.values)),
        seen: random.random_range(0..2_000_000_000_000_000),
        price: i128::from(random.random_range(0..99_999_999)),
        flag: Some(random.random()),
        mail: canary::text("mail", n),
        code: canary::text("code", n),
        bonus: Some(canary::number(n)),
        pin: canary::number(n + 1000),
        birth: random.random_range(-10_000..20_000),
        label: canary::text("label", n ^ secrets.values),
        words: Some(vec![canary::text("word", n), "w1".to_owned()]),
        city: canary::text("city", n),
        zip: canary::text("zip", n),
        secret: canary::text("secret", n),
    }
}

/// Everybody, in the order of storage.
fn people(secrets: Secrets) -> Vec<Person> {
    let mut raw = StdRng::seed_from_u64(secrets.raw);
    let mut random = StdRng::seed_from_u64(secrets.values);
    let visible = (0..VISIBLE).map(|index| visible(index, &mut raw));
    let mut all: Vec<_> = visible.chain((0..secrets.rows).map(|index| hidden(index, secrets, &mut random))).collect();
    all.sort_by_key(|person| person.id);
    all
}

fn people_batch(people: &[Person], with_secret: bool) -> RecordBatch {
    let texts =
        |of: &dyn Fn(&Person) -> &str| Arc::new(StringArray::from_iter_values(people.iter().map(of))) as ArrayRef;
    let ints =
        |of: &dyn Fn(&Person) -> Option<i64>| Arc::new(people.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let mut words = ListBuilder::new(StringBuilder::new());
    for person in people {
        match &person.words {
            Some(list) => words.append_value(list.iter().map(Some)),
            None => words.append_null(),
        }
    }
    let part = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let address = StructArray::new(
        vec![part("city"), part("zip")].into(),
        vec![texts(&|person| &person.city), texts(&|person| &person.zip)],
        None::<NullBuffer>,
    );
    let prices = people.iter().map(|person| Some(person.price)).collect::<Decimal128Array>();
    let seen = TimestampMicrosecondArray::from_iter_values(people.iter().map(|person| person.seen));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", ints(&|person| Some(person.id))),
        ("region", Arc::new(people.iter().map(|person| person.region).collect::<StringArray>())),
        ("team", texts(&|person| &person.team)),
        ("salary", ints(&|person| person.salary)),
        ("score", Arc::new(Float64Array::from_iter_values(people.iter().map(|person| person.score)))),
        ("note", Arc::new(people.iter().map(|person| person.note.as_deref()).collect::<StringArray>())),
        ("seen", Arc::new(seen.with_timezone("UTC"))),
        ("price", Arc::new(prices.with_precision_and_scale(12, 2).expect("it fits"))),
        ("flag", Arc::new(people.iter().map(|person| person.flag).collect::<BooleanArray>())),
        ("mail", texts(&|person| &person.mail)),
        ("code", texts(&|person| &person.code)),
        ("bonus", ints(&|person| person.bonus)),
        ("pin", ints(&|person| Some(person.pin))),
        ("birth", Arc::new(Date32Array::from_iter_values(people.iter().map(|person| person.birth)))),
        ("label", texts(&|person| &person.label)),
        ("words", Arc::new(words.finish())),
        ("address", Arc::new(address)),
    ];
    if with_secret {
        columns.push(("secret", texts(&|person| &person.secret)));
    }
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Three orders of each visible person, two of each hidden one.
fn orders_batch(people: &[Person]) -> RecordBatch {
    let mut rows = Vec::new();
    for person in people {
        let seen = person.region == Some("EU");
        for number in 0..if seen { 3 } else { 2 } {
            let units = if seen { (person.id / 10 + number) % 17 } else { canary::number(number.unsigned_abs()) };
            rows.push((person.id * 10 + number, person.id, units, if seen { "open" } else { "CNRY-order" }));
        }
    }
    let ints =
        |of: fn(&(i64, i64, i64, &str)) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let columns: [(&str, ArrayRef); 4] = [
        ("id", ints(|row| row.0)),
        ("person", ints(|row| row.1)),
        ("units", ints(|row| row.2)),
        ("status", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.3)))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn people_columns(secrets: Secrets) -> Vec<Column> {
    let fields = |zip: bool| {
        let mut text = "properties:\n          - name: city\n            logicalType: string".to_owned();
        if zip {
            text.push_str("\n          - name: zip\n            logicalType: string\n            tags: [hidden]");
        }
        text
    };
    let mut columns = vec![
        Column::new("id", "integer").line("primaryKey: true"),
        Column::new("region", "string"),
        Column::new("team", "string").line("description: The team"),
        Column::new("salary", "integer"),
        Column::new("score", "number"),
        Column::new("note", "string"),
        Column::new("seen", "timestamp"),
        Column::new("price", "number").line("physicalType: decimal(12,2)"),
        Column::new("flag", "boolean"),
        Column::new("mail", "string").tag("letters"),
        Column::new("code", "string").tag("last"),
        Column::new("bonus", "integer").tag("nothing"),
        Column::new("pin", "integer").tag("fixed"),
        Column::new("birth", "date").tag("year"),
        Column::new("label", "string"),
        Column::new("words", "array").line("items:\n          logicalType: string"),
        Column::new("address", "object").line(&fields(secrets.column)),
    ];
    if secrets.column {
        columns.push(Column::new("secret", "string").tag("hidden").line("description: CNRY-description"));
    }
    columns
}

fn orders_columns() -> Vec<Column> {
    ["id", "person", "units"]
        .map(|name| Column::new(name, "integer"))
        .into_iter()
        .chain([Column::new("status", "string")])
        .collect()
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
    let (mut hr, lake) = (product("hr", "delta"), product("lake", "iceberg"));
    let nest = Product::new("hr", "nest").table("people", "delta", "data/hr/people/", people_columns(secrets));
    if secrets.forbidden {
        hr = hr.table("payroll", "delta", "data/hr/payroll/", orders_columns());
    }
    let mut world = WorldBuilder::new()
        .domain("hr")
        .domain("lake")
        .attributes("{ region: string }")
        .file("governance/policies/all.cedar", policy)
        .product(&hr)
        .product(&nest)
        .product(&lake);
    if secrets.others {
        world = world.file("governance/policies/others.cedar", OTHERS);
    }
    let (old, new) = versions(&people);
    if secrets.forbidden {
        let vault = Product::new("hr", "vault").table("chest", "delta", "data/hr/payroll/", orders_columns());
        world = world.product(&vault).delta("hr", "payroll", vec![orders_batch(&people)]).await;
    }
    let staff = || vec![people_batch(old, secrets.column), people_batch(new, secrets.column)];
    let orders = || vec![orders_batch(old), orders_batch(new)];
    for (table, batches) in [("people", staff()), ("orders", orders())] {
        world = world.delta("hr", table, batches.clone()).await;
        for batch in batches {
            world = world.iceberg("lake", table, vec![batch]).await;
        }
    }
    world.start().await.expect("a valid mesh")
}

/// A world of the reader's kind.
pub async fn world(secrets: Secrets) -> World {
    build(people(secrets), secrets, POLICY).await
}

/// The world where what the reader may not see is not stored, and what masks make of values is; everything is permitted.
pub async fn reference() -> World {
    let none = Secrets { rows: 0, column: false, forbidden: false, others: false, ..FIRST };
    let mut people = people(none);
    for person in &mut people {
        person.mail = person.mail.chars().map(letter).collect();
        let cut = person.code.len() - 4;
        person.code = person.code[..cut].chars().map(letter).collect::<String>() + &person.code[cut..];
        person.bonus = None;
        person.pin = 0;
        let year = 1960 + i32::try_from(person.id / 10 % 40).expect("a small number");
        person.birth = new_year(year);
        person.zip.clear();
    }
    build(people, none, PERMIT_ALL).await
}

/// What `mask-alphanum` makes of a character.
fn letter(character: char) -> char {
    match character {
        '(' | ')' | ',' | '.' | '-' | '@' => character,
        digit if digit.is_ascii_digit() => 'n',
        _ => 'x',
    }
}
