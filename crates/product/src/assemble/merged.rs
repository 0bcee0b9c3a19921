//! The ports of one major version become one version.

use super::{Port, lowest};
use crate::notes::Notes;
use crate::odcs::Contract;
use crate::release::{Table, Version};
use crate::yaml::short;

/// A version, and what it was made of so far.
pub(super) struct Merged {
    pub(super) version: Version,
    /// Contracts by their place in the list.
    pub(super) contracts: Vec<usize>,
}

impl Merged {
    /// A version of a port, without anything in it.
    pub(super) fn new(port: &Port<'_>) -> Self {
        let version = Version {
            major: port.major,
            version: port.version.to_owned(),
            status: port.status,
            contract_ids: Vec::new(),
            contract_title: None,
            tags: Vec::new(),
            sla: Vec::new(),
            tables: Vec::new(),
        };
        Self { version, contracts: Vec::new() }
    }

    /// The version is as careful as each of its ports.
    pub(super) fn lower(&mut self, port: &Port<'_>, notes: &mut Notes) {
        let version = &mut self.version;
        if version.status != port.status {
            let message = format!("two output ports of major version {} have different status", port.major);
            notes.warning(port.node.mark, "mixed-status", message).hint("the lower status counts for both");
            version.status = lowest(version.status, port.status);
        }
    }

    /// Adds a contract with its tables.
    pub(super) fn add(&mut self, port: &Port<'_>, contract: &Contract, tables: Vec<Table>, notes: &mut Notes) {
        let tags = contract.node.texts("tags");
        let version = &mut self.version;
        if self.contracts.is_empty() {
            version.contract_title = contract.node.owned("name");
            version.tags = tags;
        } else {
            // SECURITY: what one contract says must not be believed of another's tables: a permit may ask for it.
            version.tags.retain(|tag| tags.contains(tag));
        }
        self.contracts.push(port.contract);
        version.contract_ids.push(contract.id.clone());
        for promise in contract.sla() {
            if !version.sla.contains(&promise) {
                version.sla.push(promise);
            }
        }
        for table in tables {
            if !version.tables.iter().any(|known| known.name == table.name) {
                version.tables.push(table);
            } else if self.contracts.len() > 1 {
                let message = format!(
                    "the table `{}` is served by two output ports of major version {}",
                    short(&table.name),
                    port.major
                );
                notes
                    .error(port.node.mark, "duplicate-table", message)
                    .hint("retire the older contract, or give the newer port a new major version");
            }
        }
    }
}
