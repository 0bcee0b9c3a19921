//! Foreign keys: what `relationships` of schema objects and properties point to.

use meshgate_model::ProductAddress;

use super::{Examined, Port};
use crate::notes::{Notes, nearest};
use crate::release::{Relationship, Version};
use crate::yaml::{Node, short};

/// A column of a contract.
#[derive(Clone, Copy, PartialEq)]
struct Target<'n> {
    contract: usize,
    table: &'n str,
    column: &'n str,
}

/// What a reference leads to.
enum Found<'n> {
    Column(Target<'n>),
    /// A field inside a column: right, but no foreign key of a table.
    Nested,
    /// Not in this product.
    Elsewhere,
    /// The table is there, the column is not.
    NoColumn(&'n Node),
}

/// Fills in the relationships of all tables.
pub(crate) fn resolve(
    versions: &mut [Version],
    ports: &[Port<'_>],
    address: &ProductAddress,
    contracts: &mut [Examined],
) {
    let mut remarks: Vec<(usize, Notes)> = Vec::new();
    for port in ports {
        let Some(examined) = contracts.get(port.contract) else { continue };
        let mut notes = examined.notes.sibling();
        for object in examined.contract.node.list("schema") {
            let Some(name) = object.text("name") else { continue };
            let mut found = Vec::new();
            let mut read = |relationship: &Node, implicit: Option<&str>| {
                found.extend(foreign_key(relationship, name, implicit, port, ports, address, contracts, &mut notes));
            };
            object.list("relationships").iter().for_each(|relationship| read(relationship, None));
            for property in object.list("properties") {
                property
                    .list("relationships")
                    .iter()
                    .for_each(|relationship| read(relationship, property.text("name")));
            }
            let version = versions.iter_mut().find(|version| version.major == port.major);
            if let Some(table) = version.and_then(|v| v.tables.iter_mut().find(|table| table.name == name)) {
                table.relationships = found;
            }
        }
        remarks.push((port.contract, notes));
    }
    for (contract, notes) in remarks {
        contracts[contract].notes.absorb(notes);
    }
}

/// Checks what a contract alone can tell: that references to its own tables name columns these have.
pub(crate) fn check_alone(contracts: &mut [Examined; 1]) {
    let [examined] = &*contracts;
    let mut notes = examined.notes.sibling();
    let objects = examined.contract.node.list("schema");
    let properties = objects.iter().flat_map(|object| object.list("properties"));
    for relationship in objects.iter().chain(properties).flat_map(|node| node.list("relationships")) {
        for node in ["from", "to"].iter().filter_map(|key| relationship.get(key)).flat_map(Node::one_or_many) {
            if let Some(Found::NoColumn(object)) = node.as_text().map(|text| find(text, 0, contracts)) {
                no_column(node, object, &mut notes);
            }
        }
    }
    let [examined] = contracts;
    examined.notes.absorb(notes);
}

#[expect(clippy::too_many_arguments, reason = "all of them are one relationship and what it may point to")]
fn foreign_key(
    relationship: &Node,
    table: &str,
    implicit: Option<&str>,
    port: &Port<'_>,
    ports: &[Port<'_>],
    address: &ProductAddress,
    contracts: &[Examined],
    notes: &mut Notes,
) -> Option<Relationship> {
    let mut from: Vec<String> = implicit.iter().map(|column| (*column).to_owned()).collect();
    for node in relationship.get("from").filter(|_| implicit.is_none()).map(Node::one_or_many).unwrap_or_default() {
        let target = lookup(node, port.contract, contracts, notes)?;
        if target.contract != port.contract || target.table != table {
            let message = format!("`from` names the table `{}`, but this is `{}`", short(target.table), short(table));
            notes.error(node.mark, "bad-relationship", message).hint("put the relationship into the other table");
            return None;
        }
        from.push(target.column.to_owned());
    }
    let mut to: Vec<Target<'_>> = Vec::new();
    for node in relationship.get("to").map(Node::one_or_many).unwrap_or_default() {
        let target = lookup(node, port.contract, contracts, notes)?;
        if to.first().is_some_and(|first| (first.contract, first.table) != (target.contract, target.table)) {
            notes
                .error(node.mark, "bad-relationship", "a relationship points to columns of more than one table")
                .hint("write one relationship for each table");
            return None;
        }
        to.push(target);
    }
    let first = to.first()?;
    let major = major_of(first.contract, port, ports)?;
    (from.len() == to.len()).then(|| Relationship {
        from,
        to: address.table(major, first.table),
        to_columns: to.iter().map(|target| target.column.to_owned()).collect(),
    })
}

/// The version a reference to another contract means: the referring one if it has the contract, else the highest.
fn major_of(contract: usize, port: &Port<'_>, ports: &[Port<'_>]) -> Option<u32> {
    let serving = || ports.iter().filter(|other| other.contract == contract).map(|other| other.major);
    serving().find(|major| *major == port.major).or_else(|| serving().max())
}

fn lookup<'n>(node: &Node, own: usize, contracts: &'n [Examined], notes: &mut Notes) -> Option<Target<'n>> {
    let text = node.as_text()?;
    match find(text, own, contracts) {
        Found::Column(target) => return Some(target),
        Found::Nested => {}
        Found::Elsewhere => notes
            .warning(node.mark, "unresolved-relationship", format!("`{}` is not in this product", short(text)))
            .hint("the relationship is not shown to clients"),
        Found::NoColumn(object) => no_column(node, object, notes),
    }
    None
}

fn no_column(node: &Node, object: &Node, notes: &mut Notes) {
    let names = object.list("properties").iter().filter_map(|property| property.text("name"));
    let (text, table) = (node.raw(), object.text("name").unwrap_or_default());
    let column = text.rsplit(['.', '/']).next().unwrap_or_default();
    let message = format!("`{}`: the table `{}` has no such column", short(text), short(table));
    notes.error(node.mark, "unknown-column", message).suggest(nearest(column, names));
}

/// `table.column`, `/schema/<id>/properties/<id>` or either after `file.odcs.yaml#`. A file in another place is another
/// contract, whatever it is called.
fn find<'n>(text: &str, own: usize, contracts: &'n [Examined]) -> Found<'n> {
    let (file, reference) = text.split_once('#').map_or((None, text), |(file, rest)| (Some(file), rest));
    let named = |examined: &Examined, file: &str| {
        let name = file.strip_prefix("./").unwrap_or(file);
        examined.contract.file.file_name().is_some_and(|known| known == name)
    };
    let candidates: Vec<usize> = match file {
        Some(file) => (0..contracts.len()).filter(|index| named(&contracts[*index], file)).collect(),
        None => std::iter::once(own).chain((0..contracts.len()).filter(|index| *index != own)).collect(),
    };
    for contract in candidates {
        let objects = contracts[contract].contract.node.list("schema");
        let pointer: Vec<&str> = reference.trim_start_matches('/').split('/').collect();
        let (object, column, rest) = match pointer.as_slice() {
            ["schema", table, "properties", column, rest @ ..] => {
                (objects.iter().find(|object| is(object, table)), *column, rest.len())
            }
            _ => {
                let rest_of = |object: &Node| -> Option<usize> {
                    let name = object.text("name")?;
                    reference.strip_prefix(name)?.strip_prefix('.').map(|_| name.len() + 1)
                };
                match objects.iter().find_map(|object| Some((object, rest_of(object)?))) {
                    Some((object, start)) => (Some(object), &reference[start..], 0),
                    None => (None, reference, 0),
                }
            }
        };
        let Some(object) = object else { continue };
        let by = |column: &str| object.list("properties").iter().find(|property| is(property, column));
        return match (by(column), column.split_once('.').and_then(|(outer, _)| by(outer))) {
            (Some(property), _) if rest == 0 => match (object.text("name"), property.text("name")) {
                (Some(table), Some(column)) => Found::Column(Target { contract, table, column }),
                _ => Found::Nested,
            },
            (Some(_), _) | (None, Some(_)) => Found::Nested,
            (None, None) => Found::NoColumn(object),
        };
    }
    Found::Elsewhere
}

fn is(node: &Node, reference: &str) -> bool {
    node.text("id") == Some(reference) || node.text("name") == Some(reference)
}
