//! Random meshes, policies and principals, biased towards those that meet.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_identity::Authentication;
use meshgate_model::AttributeValue;

use super::asker::Asker;
use super::dice::Dice;
use super::mesh::{Column, Domain, LOOKED_AT, Mesh, Product, Row, Table, Value, Version};

pub(super) const GROUPS: [&str; 5] = ["analysts", "legal", "auditors", "sales-data", "hr-data"];
pub(super) const USERS: [&str; 3] = ["ann", "bob", "eve"];
pub(super) const TEXTS: [&str; 4] = ["EU", "US", "ann", "legal"];
pub(super) const TAGS: [&str; 3] = ["pii", "gold", "internal"];
pub(super) const CLASSES: [&str; 2] = ["restricted", "public"];
pub(super) const PURPOSES: [&str; 2] = ["fraud-review", "marketing"];
/// 2026-01-15 and 2026-06-15, at noon.
pub(super) const MOMENTS: [i64; 2] = [1_768_478_400, 1_781_524_800];
/// Between the two.
pub(super) const MIDDLE: i64 = 1_775_000_000;

const ROWS: usize = 14;

impl Mesh {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let mut domains = Vec::new();
        let shapes: [(&str, &str, &[&str]); 3] = [
            ("sales", "sales-data", &["orders", "returns"]),
            ("hr", "hr-data", &["people"]),
            ("rights", "legal", &["grants"]),
        ];
        for (name, owners, products) in shapes {
            let products = products.iter().map(|product| random_product(product, dice)).collect();
            domains.push(Domain { name, owners, products });
        }
        Self { domains }
    }
}

fn random_product(name: &'static str, dice: &mut Dice) -> Product {
    let version = |major, dice: &mut Dice| {
        let names: &[&str] = match (name, major) {
            ("grants", _) => &["given"],
            ("orders", 1) => &["lines", "parcels"],
            ("people", _) => &["staff"],
            _ => &["lines"],
        };
        let tables = names.iter().map(|name| random_table(name, dice)).collect();
        let status = if major == 1 {
            dice.pick(&["active", "active", "active", "deprecated"])
        } else {
            dice.pick(&["active", "draft", "proposed"])
        };
        // Somebody has to be able to name the entitlement table by its product.
        let status = if name == "grants" { "active" } else { status };
        Version { major, status, tags: dice.some(&TAGS, 15), tables }
    };
    let mut versions = vec![version(1, dice)];
    if name == "orders" && dice.chance(60) {
        versions.push(version(2, dice));
    }
    Product { name, tags: dice.some(&TAGS, 30), versions }
}

fn random_table(name: &'static str, dice: &mut Dice) -> Table {
    let mut columns = Vec::new();
    for (name, kind) in [("id", "integer"), ("level", "integer"), ("region", "string"), ("flag", "boolean")] {
        columns.push(described(Column::bare(name, kind), dice));
    }
    let mut place = described(Column::bare("place", "object"), dice);
    place.fields =
        vec![described(Column::bare("city", "string"), dice), described(Column::bare("zip", "string"), dice)];
    columns.push(place);
    let more = dice.below(4);
    columns.extend((0..more).map(|number| random_column(&format!("c{number}"), 0, dice)));
    let columns = dice.shuffled(columns);
    let rows = (0..ROWS).map(|_| random_row(dice)).collect();
    Table { name, tags: dice.some(&TAGS, 25), columns, rows }
}

impl Column {
    fn bare(name: &str, kind: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            tags: Vec::new(),
            classification: None,
            critical: false,
            fields: Vec::new(),
            items: None,
        }
    }
}

fn described(mut column: Column, dice: &mut Dice) -> Column {
    column.tags = dice.some(&TAGS, 14);
    column.classification = dice.chance(25).then(|| dice.pick(&CLASSES));
    column.critical = dice.chance(12);
    column
}

fn random_column(name: &str, depth: usize, dice: &mut Dice) -> Column {
    let kinds: &[&str] =
        if depth < 3 { &["string", "date", "object", "array", "array"] } else { &["string", "integer"] };
    let mut column = described(Column::bare(name, dice.pick(kinds)), dice);
    match column.kind {
        "object" => {
            let fields = 1 + dice.below(3);
            column.fields = (0..fields).map(|field| random_column(&format!("f{field}"), depth + 1, dice)).collect();
        }
        "array" => column.items = Some(Box::new(random_column("item", depth + 1, dice))),
        _ => {}
    }
    column
}

fn random_row(dice: &mut Dice) -> Row {
    let number = |dice: &mut Dice| {
        if dice.chance(20) { Value::Null } else { Value::Integer(dice.number(0, 4)) }
    };
    let text = |dice: &mut Dice| {
        if dice.chance(20) { Value::Null } else { Value::Text(dice.pick(&TEXTS).to_owned()) }
    };
    let flag = dice.pick(&[Value::Null, Value::Boolean(true), Value::Boolean(false)]);
    let row = vec![number(dice), number(dice), text(dice), text(dice), flag];
    assert_eq!(row.len(), LOOKED_AT.len());
    row
}

impl Asker {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let mut attributes = BTreeMap::new();
        let text = |dice: &mut Dice| dice.pick(&TEXTS).to_owned();
        if dice.chance(65) {
            let value = if dice.chance(3) { AttributeValue::Integer(1) } else { AttributeValue::String(text(dice)) };
            attributes.insert("region", value);
        }
        if dice.chance(65) {
            let clearance = if dice.chance(20) { i64::MAX } else { dice.number(0, 5) };
            attributes.insert("clearance", AttributeValue::Integer(clearance));
        }
        if dice.chance(60) {
            attributes.insert("vip", AttributeValue::Boolean(dice.chance(60)));
        }
        if dice.chance(50) {
            let countries: BTreeSet<String> = dice.some(&TEXTS, 40).into_iter().map(str::to_owned).collect();
            attributes.insert("countries", AttributeValue::StringSet(countries));
        }
        if dice.chance(50) {
            let levels: BTreeSet<i64> = dice.some(&[0, 1, 2, 3], 40).into_iter().collect();
            attributes.insert("levels", AttributeValue::IntegerSet(levels));
        }
        if dice.chance(5) {
            // The mesh knows nothing of it.
            attributes.insert("shoe-size", AttributeValue::Integer(dice.number(36, 46)));
        }
        Self {
            service: dice.chance(25),
            name: dice.pick(&USERS),
            groups: dice.some(&GROUPS, 35).into_iter().collect(),
            attributes,
            authentication: dice.pick(&[
                Authentication::Token,
                Authentication::Token,
                Authentication::Password,
                Authentication::Anonymous,
            ]),
            purpose: dice.chance(50).then(|| dice.pick(&PURPOSES)),
            client_ip: dice.chance(85).then(|| dice.pick(&[[10, 0, 0, 1], [10, 9, 9, 9], [192, 168, 0, 1]])),
            now: dice.pick(&MOMENTS),
        }
    }

    /// Somebody who differs in one thing: what is kept for one must not be told the other.
    pub(super) fn alike(&self, dice: &mut Dice) -> Self {
        let other = Self::random(dice);
        let mut alike = self.clone();
        match dice.below(8) {
            0 => alike.service = !alike.service,
            1 => alike.name = other.name,
            2 => alike.groups = other.groups,
            3 => alike.attributes = other.attributes,
            4 => alike.authentication = other.authentication,
            5 => alike.purpose = other.purpose,
            6 => alike.client_ip = other.client_ip,
            _ => alike.now = other.now,
        }
        alike
    }
}
