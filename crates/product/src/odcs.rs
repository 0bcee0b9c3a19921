//! The Open Data Contract Standard: one document to a [`Contract`]. What it means for a mesh is `crate::assemble`'s.

mod fields;
mod servers;

use std::path::PathBuf;

use crate::notes::Notes;
use crate::release::OnBreach;
use crate::shape::{Edition, examine};
use crate::standard::{self, Standard};
use crate::yaml::{Mark, Node, Value};

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
    pub(crate) node: Node,
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
pub(crate) fn read(node: Node, notes: &mut Notes) -> Option<Contract> {
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
    let mut tables = Vec::new();
    for object in node.list("schema") {
        settings(object, notes);
        unique_name(object, "table", &mut tables, notes);
        check_columns(object, edition, notes);
        for relationship in object.list("relationships") {
            check_lengths(relationship, notes);
        }
    }
}

fn check_columns(parent: &Node, edition: Edition, notes: &mut Notes) {
    let mut columns = Vec::new();
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
    let operators = check.entries().iter().filter(|e| e.key.starts_with("mustBe") || e.key.starts_with("mustNotBe"));
    if operators.count() > 1 && edition >= 310 {
        notes
            .error(check.mark, "bad-check", "a quality check has more than one operator")
            .hint("split it into one check for each");
    }
}

fn unique_name<'n>(node: &'n Node, what: &str, known: &mut Vec<&'n Node>, notes: &mut Notes) {
    let Some(name) = node.get("name").filter(|name| name.as_text().is_some()) else { return };
    let (mark, text) = (name.mark, name.raw());
    if text.trim().is_empty() {
        notes.error(mark, "bad-name", format!("a {what} must have a name that is not empty")).hint("give it a name");
        return;
    }
    let same = |other: &&&Node| other.raw() == text;
    let similar = |other: &&&Node| other.raw().to_lowercase() == text.to_lowercase();
    if let Some(first) = known.iter().find(same) {
        let message =
            format!("the {what} `{text}` stands here a second time; the first is in line {}", first.mark.line);
        notes
            .error(mark, if what == "table" { "duplicate-table" } else { "duplicate-column" }, message)
            .hint("rename one");
    } else if let Some(first) = known.iter().find(similar) {
        let message = format!("`{text}` and `{}` differ only in upper and lower case", first.raw());
        notes.warning(mark, "similar-names", message).hint("queries must quote such names; rename one");
    }
    known.push(name);
}

fn check_lengths(relationship: &Node, notes: &mut Notes) {
    let length = |key: &str| match relationship.get(key).map(|node| &node.value) {
        Some(Value::List(elements)) => Some(elements.len()),
        Some(Value::Text) => Some(1),
        _ => None,
    };
    if let (Some(from), Some(to)) = (length("from"), length("to"))
        && from != to
    {
        notes
            .error(relationship.mark, "bad-relationship", format!("`from` has {from} columns and `to` has {to}"))
            .hint("list as many columns on both sides, in the same order");
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
