//! The Open Data Product Standard: one document, examined.

mod fields;

use crate::notes::Notes;
use crate::shape::{Edition, examine};
use crate::standard::{self, Standard};
use crate::yaml::{Node, Value};

const V10: Edition = 100;

pub(crate) static ODPS: Standard = Standard {
    title: "Open Data Product Standard",
    kind: "DataProduct",
    file: "product.odps.yaml",
    editions: &[("v1.0.0", V10), ("v0.9.0", 90)],
};

/// Examines the document and says whether it can be told what it is.
pub(crate) fn examined(node: &Node, notes: &mut Notes) -> bool {
    let Some(edition) = standard::edition(node, &ODPS, notes) else { return false };
    examine(node, &fields::PRODUCT, edition, notes);
    if let Some(team) = node.get("team").filter(|team| edition >= V10 && matches!(team.value, Value::List(_))) {
        notes
            .error(team.mark, "wrong-type", "`team` must be a mapping that describes a team, not a list")
            .hint("put the list under `members:`; only v0.9.0 had it here");
    }
    let mut ports: Vec<(&str, &str)> = Vec::new();
    for port in node.list("outputPorts") {
        let (Some(name), Some(version)) = (port.text("name"), port.text("version")) else { continue };
        if ports.contains(&(name, version)) {
            let message = format!("the output port `{name}` with version `{version}` stands here a second time");
            notes.error(port.mark, "duplicate-port", message).hint("each (name, version) is listed once");
        }
        ports.push((name, version));
    }
    true
}
