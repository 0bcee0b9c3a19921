//! The Open Data Contract Standard: one document to a [`Contract`]. What it means for a mesh is `crate::assemble`'s.

mod fields;
mod schema;
mod servers;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::notes::Notes;
use crate::release::OnBreach;
use crate::shape::{Edition, examine};
use crate::standard::{self, Standard};
use crate::yaml::{Mark, Node, Value, short};

/// Custom property: what happens while the stored table breaks the contract.
pub(crate) const ON_BREACH: &str = "meshgate.onBreach";
/// Custom property: how many seconds old the served snapshot may be.
pub(crate) const MAX_STALENESS: &str = "meshgate.maxStaleness";

pub(crate) static ODCS: Standard = Standard {
    title: "Open Data Contract Standard",
    kind: "DataContract",
    file: "*.odcs.yaml",
    editions: &[("v3.2.0", 320), ("v3.1.0", 310), ("v3.0.2", 302), ("v3.0.1", 301), ("v3.0.0", 300)],
};

/// A contract: its document, examined.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) file: PathBuf,
    pub(crate) node: Arc<Node>,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) settings: Settings,
}

/// Our custom properties of a contract or a schema object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    pub(crate) on_breach: Option<OnBreach>,
    pub(crate) max_staleness_s: Option<u64>,
}

/// Examines the document and, if it can be told what it is, returns it.
pub(crate) fn read(node: Arc<Node>, notes: &mut Notes) -> Option<Contract> {
    let edition = standard::edition(&node, &ODCS, notes)?;
    examine(&node, &fields::CONTRACT, edition, notes);
    check_objects(&node, edition, notes);
    let settings = settings(&node, notes);
    Some(Contract {
        file: notes.file().to_owned(),
        id: node.owned("id")?,
        version: node.owned("version").unwrap_or_default(),
        settings,
        node,
    })
}

/// What the tables of fields cannot say.
fn check_objects(node: &Node, edition: Edition, notes: &mut Notes) {
    let mut tables = Names::default();
    for object in node.list("schema") {
        settings(object, notes);
        unique_name(object, "table", &mut tables, notes);
        check_columns(object, edition, notes);
        for relationship in object.list("relationships") {
            check_lengths(relationship, notes);
        }
        for node in std::iter::once(object).chain(object.list("properties")) {
            node.list("relationships").iter().for_each(|relationship| check_references(relationship, notes));
        }
    }
}

fn check_columns(parent: &Node, edition: Edition, notes: &mut Notes) {
    let mut columns = Names::default();
    for property in parent.list("properties") {
        unique_name(property, "column", &mut columns, notes);
        check_columns(property, edition, notes);
        if let Some(items) = property.get("items") {
            check_columns(items, edition, notes);
        }
    }
    for check in parent.list("quality") {
        check_operator(check, edition, notes);
    }
}

/// A check of the library or in SQL compares with exactly one value; v3.0 did not ask for it.
fn check_operator(check: &Node, edition: Edition, notes: &mut Notes) {
    let compares = !matches!(check.text("type"), Some("text" | "custom"));
    let operators = check.entries().iter().filter(|e| e.key.starts_with("mustBe") || e.key.starts_with("mustNotBe"));
    match operators.count() {
        1 => {}
        0 if compares && edition >= 310 => notes
            .error(check.mark, "bad-check", "a quality check must say what its result is compared with")
            .hint("add one operator, such as `mustBe: 0`"),
        0 => {}
        _ if edition < 310 => {}
        _ => notes
            .error(check.mark, "bad-check", "a quality check has more than one operator")
            .hint("split it into one check for each"),
    }
}

/// Names seen so far: as written, and all in lower case.
#[derive(Default)]
struct Names<'n> {
    exact: HashMap<&'n str, Mark>,
    folded: HashMap<String, &'n str>,
}

fn unique_name<'n>(node: &'n Node, what: &str, known: &mut Names<'n>, notes: &mut Notes) {
    let Some(name) = node.get("name").filter(|name| name.as_text().is_some()) else { return };
    let (mark, text) = (name.mark, name.raw());
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        notes
            .error(mark, "bad-name", format!("a {what} must have a name that is not empty and can be printed"))
            .hint("give it another name");
        return;
    }
    if let Some(first) = known.exact.get(text) {
        let code = if what == "table" { "duplicate-table" } else { "duplicate-column" };
        let message =
            format!("the {what} `{}` stands here a second time; the first is in line {}", short(text), first.line);
        notes.error(mark, code, message).hint("rename one");
    } else if let Some(first) = known.folded.get(&text.to_lowercase()) {
        let message = format!("`{}` and `{}` differ only in upper and lower case", short(first), short(text));
        notes.warning(mark, "similar-names", message).hint("queries must quote such names; rename one");
    }
    known.exact.entry(text).or_insert(mark);
    known.folded.entry(text.to_lowercase()).or_insert(text);
}

fn check_lengths(relationship: &Node, notes: &mut Notes) {
    let (Some(from), Some(to)) = (relationship.get("from"), relationship.get("to")) else { return };
    match (&from.value, &to.value) {
        (Value::List(one), Value::List(other)) if one.len() != other.len() => notes
            .error(
                relationship.mark,
                "bad-relationship",
                format!("`from` has {} columns and `to` has {}", one.len(), other.len()),
            )
            .hint("list as many columns on both sides, in the same order"),
        (Value::Text, Value::List(_)) | (Value::List(_), Value::Text) => notes
            .error(relationship.mark, "bad-relationship", "of `from` and `to` one is a list and the other is not")
            .hint("write both as text, or both as lists"),
        _ => {}
    }
}

/// A column is named together with its table.
fn check_references(relationship: &Node, notes: &mut Notes) {
    for node in ["from", "to"].iter().filter_map(|key| relationship.get(key)).flat_map(Node::one_or_many) {
        let Some(text) = node.as_text() else { continue };
        let inside = text.split_once('#').map_or(text, |(_, inside)| inside);
        if !inside.contains(['.', '/']) {
            notes
                .error(node.mark, "bad-relationship", format!("`{}` names no column of a table", short(text)))
                .hint("write table.column or schema/<id>/properties/<id>");
        }
    }
}

/// Reads our custom properties.
pub(crate) fn settings(node: &Node, notes: &mut Notes) -> Settings {
    let mut settings = Settings::default();
    for custom in node.list("customProperties") {
        let Some(value) = custom.get("value") else { continue };
        match custom.text("property") {
            Some(ON_BREACH) => match value.raw() {
                "block" => settings.on_breach = Some(OnBreach::Block),
                "warn" => settings.on_breach = Some(OnBreach::Warn),
                _ => notes
                    .error(value.mark, "unknown-value", format!("`{ON_BREACH}` cannot be {}", value.describe()))
                    .hint("use block or warn"),
            },
            Some(MAX_STALENESS) => match value.raw().parse() {
                Ok(seconds) => settings.max_staleness_s = Some(seconds),
                Err(_) => notes
                    .error(value.mark, "wrong-type", format!("`{MAX_STALENESS}` cannot be {}", value.describe()))
                    .hint("give a whole number of seconds"),
            },
            _ => {}
        }
    }
    settings
}

impl Contract {
    /// ODCS `status` with its place.
    pub(crate) fn status(&self) -> Option<(&str, Mark)> {
        self.node.get("status").and_then(|node| Some((node.as_text()?, node.mark)))
    }

    /// A finding about the contract itself is reported at its id.
    pub(crate) fn mark(&self) -> Mark {
        self.node.mark_of("id")
    }

    /// `slaProperties` as property and value with unit.
    pub(crate) fn sla(&self) -> Vec<(String, String)> {
        let pair = |sla: &Node| {
            let value = sla.get("value")?.raw();
            let value = match sla.text("unit") {
                Some(unit) => format!("{value} {unit}"),
                None => value.to_owned(),
            };
            Some((sla.owned("property")?, value))
        };
        self.node.list("slaProperties").iter().filter_map(pair).collect()
    }
}
