//! One product: its ODPS document and its contracts, cross-checked, to the versions and tables that are served.

mod columns;
mod merged;
pub(crate) mod relationships;

use std::collections::BTreeMap;

use meshgate_model::ProductAddress;

use crate::notes::{Notes, nearest};
use crate::odcs::{self, Contract};
use crate::release::{OnBreach, Status, Table, Version};
use crate::server::{self, Storage};
use crate::standard;
use crate::yaml::{Node, short};

use merged::Merged;

/// A contract with what there is to say about it.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) contract: Contract,
    pub(crate) notes: Notes,
}

/// An output port that is served: one version of the product.
#[derive(Debug, Clone)]
pub(crate) struct Port<'n> {
    node: &'n Node,
    major: u32,
    version: &'n str,
    status: Status,
    /// Its place in the list of contracts.
    contract: usize,
}

/// The status the product's document has.
pub(crate) fn status(product: &Node, notes: &mut Notes) -> Status {
    product.text("status").map_or(Status::Draft, |text| standard::status(text, product.mark_of("status"), notes))
}

/// All served versions by ascending major. What is wrong goes to `notes` (the product's) and the contracts' own.
pub(crate) fn versions(
    product: &Node,
    status: Status,
    address: &ProductAddress,
    contracts: &mut [Examined],
    storage: Storage<'_>,
    notes: &mut Notes,
) -> Vec<Version> {
    let mut used = vec![false; contracts.len()];
    let ports = ports(product, status, contracts, &mut used, notes);
    for (examined, _) in contracts.iter_mut().zip(used).filter(|(_, used)| !used) {
        let mark = examined.contract.mark();
        let message = format!("no output port names the contract `{}`", short(&examined.contract.id));
        examined
            .notes
            .warning(mark, "unused-contract", message)
            .hint("add an output port with this contractId, or remove the file");
    }
    let mut versions: BTreeMap<u32, Merged> = BTreeMap::new();
    for port in &ports {
        let Some(Examined { contract, notes: contract_notes }) = contracts.get_mut(port.contract) else { continue };
        let merged = versions.entry(port.major).or_insert_with(|| Merged::new(port));
        merged.lower(port, notes);
        // Two ports may show one contract under two names; its tables are there once.
        if !merged.contracts.contains(&port.contract) {
            let tables = tables(contract, address, port, storage, contract_notes);
            merged.add(port, contract, tables, notes);
        }
    }
    let mut versions: Vec<Version> = versions.into_values().map(|merged| merged.version).collect();
    relationships::resolve(&mut versions, &ports, address, contracts);
    versions
}

/// What both allow: the most careful of the two counts.
fn lowest(one: Status, other: Status) -> Status {
    let rank = |status: Status| match status {
        Status::Retired => 0,
        Status::Draft => 1,
        Status::Proposed => 2,
        Status::Deprecated => 3,
        Status::Active => 4,
    };
    if rank(one) <= rank(other) { one } else { other }
}

/// The ports that are served, in the order of the document.
fn ports<'n>(
    product: &'n Node,
    status: Status,
    contracts: &mut [Examined],
    used: &mut [bool],
    notes: &mut Notes,
) -> Vec<Port<'n>> {
    let mut ports = Vec::new();
    for node in product.list("outputPorts") {
        let Some(version) = node.text("version") else { continue };
        let Some(id) = node.get("contractId") else {
            notes
                .warning(node.mark, "port-without-contract", "an output port without a contract is not served")
                .hint("add `contractId:`");
            continue;
        };
        let major = version.strip_prefix(['v', 'V']).unwrap_or(version).split('.').next().unwrap_or_default().parse();
        if major.is_err() {
            let message = format!("`{}` is no version this gateway can tell a major version of", short(version));
            notes.error(node.mark_of("version"), "bad-version", message).hint("write it like \"1.0.0\"");
        }
        let Some(contract) = contract_of(id, version, contracts, notes) else { continue };
        if let Some(used) = used.get_mut(contract) {
            *used = true;
        }
        let Some(Examined { contract: document, notes: contract_notes }) = contracts.get_mut(contract) else {
            continue;
        };
        let own = document.status().map(|(text, mark)| standard::status(text, mark, contract_notes));
        let status = lowest(status, own.unwrap_or(Status::Active));
        if let (Ok(major), true) = (major, status != Status::Retired) {
            ports.push(Port { node, major, version, status, contract });
        }
    }
    ports
}

/// Several documents may have one id if they are versions of one contract; the port's version tells them apart.
fn contract_of(id: &Node, version: &str, contracts: &[Examined], notes: &mut Notes) -> Option<usize> {
    let wanted = id.as_text()?;
    let found: Vec<usize> = (0..contracts.len()).filter(|index| contracts[*index].contract.id == wanted).collect();
    let exact = || found.iter().copied().filter(|index| contracts[*index].contract.version == version);
    match (found.as_slice(), exact().count()) {
        ([], _) => {
            let note = notes.error(
                id.mark,
                "unknown-contract",
                format!("no contract in the product's directory has the id `{}`", short(wanted)),
            );
            match nearest(wanted, contracts.iter().map(|examined| examined.contract.id.as_str())) {
                Some(id) => note.suggest(Some(id)),
                None => note.hint("put the contract beside product.odps.yaml as a file that ends in .odcs.yaml"),
            }
            None
        }
        ([only], _) => Some(*only),
        (_, 1) => exact().next(),
        (several, _) => {
            let message =
                format!("{} contracts in the product's directory have the id `{}`", several.len(), short(wanted));
            notes
                .error(id.mark, "ambiguous-contract", message)
                .hint(format!("exactly one of them must have `version: {}`, like the port", short(version)));
            None
        }
    }
}

/// The tables of a contract for one version of the product.
fn tables(
    contract: &Contract,
    address: &ProductAddress,
    port: &Port<'_>,
    storage: Storage<'_>,
    notes: &mut Notes,
) -> Vec<Table> {
    let objects = contract.node.list("schema");
    if objects.is_empty() {
        notes
            .error(contract.node.mark_of("schema"), "no-properties", "the contract promises no table")
            .hint("list the tables under `schema` and their columns under `properties`");
    }
    let server = server::choose(&contract.node, storage.environment, notes);
    match server {
        Ok(Some(server)) => server::remark(server, notes),
        Ok(None) => notes
            .warning(contract.mark(), "no-server", "the contract does not say where its data is")
            .hint("add `servers:`; until then queries on it fail as unavailable"),
        Err(()) => {}
    }
    let home = Home { server, alone: objects.len() == 1, storage };
    objects.iter().filter_map(|object| table(object, contract, address, port, home, notes)).collect()
}

/// Where the tables of a contract are.
#[derive(Clone, Copy)]
struct Home<'n> {
    server: Result<Option<&'n Node>, ()>,
    /// Whether it has one table only.
    alone: bool,
    storage: Storage<'n>,
}

fn table(
    object: &Node,
    contract: &Contract,
    product: &ProductAddress,
    port: &Port<'_>,
    home: Home<'_>,
    notes: &mut Notes,
) -> Option<Table> {
    let name = object.text("name")?;
    if object.list("properties").is_empty() {
        let message = format!("the contract promises no columns of `{}`", short(name));
        notes
            .error(object.mark, "no-properties", message)
            .hint("only columns under `properties` are served; list them");
    }
    let physical_name = object.text("physicalName").unwrap_or(name);
    let location = match home.server {
        Ok(Some(server)) => server::locate(server, physical_name, home.alone, home.storage, notes),
        Ok(None) => Some(crate::release::Location::Foreign { kind: "none".to_owned() }),
        Err(()) => None,
    };
    let own = odcs::settings(object, &mut Notes::new(meshgate_model::Scope::Mesh, ""));
    let (columns, primary_key) = columns::read(object, notes);
    let partition_by = columns::partition_by(object, location.as_ref(), notes);
    Some(Table {
        address: product.table(port.major, name),
        name: name.to_owned(),
        version: port.version.to_owned(),
        contract_id: contract.id.clone(),
        sla: contract.sla(),
        // A table whose location was refused belongs to a product that is out of service; it must lead nowhere.
        location: location.unwrap_or_else(|| crate::release::Location::Foreign { kind: "refused".to_owned() }),
        columns,
        tags: tags(object, &contract.node),
        business_name: object.owned("businessName"),
        description: object.owned("description"),
        primary_key,
        partition_by,
        relationships: Vec::new(),
        on_breach: own.on_breach.or(contract.settings.on_breach).unwrap_or(OnBreach::Block),
        max_staleness_s: own.max_staleness_s.or(contract.settings.max_staleness_s),
        place: notes.place(object.mark),
    })
}

/// SECURITY: what a contract says of all its tables is said of each, so that a rule about the tag meets every one of them,
/// whatever other contracts the version has.
fn tags(object: &Node, contract: &Node) -> Vec<String> {
    let mut tags = object.texts("tags");
    for tag in contract.texts("tags") {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}
