//! One product's directory.

use std::path::{Path, PathBuf};

use meshgate_model::{Place, ProductAddress, Scope, Severity};

use super::files::Reader;
use crate::assemble::{self, Examined};
use crate::release::{Product, ScopeState, Status};
use crate::server::Storage;
use crate::{mesh, odcs, odps};

/// A directory that holds a product.
pub(super) struct Home<'a> {
    pub(super) address: ProductAddress,
    pub(super) place: PathBuf,
    pub(super) storage: Storage<'a>,
}

impl Home<'_> {
    /// Reads the product. Products have nothing to do with each other until all are read.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Product {
        product(reader, self.address.clone(), &self.place, self.storage)
    }
}

fn product(reader: &mut Reader<'_>, address: ProductAddress, place: &Path, storage: Storage<'_>) -> Product {
    let scope = Scope::Product(address.clone());
    let document = place.join("product.odps.yaml");
    let (node, mut notes) = reader.document(&document, &scope, Severity::Error);
    let policies = reader.policies(place, &scope);
    let mut contracts = contracts(reader, place, &scope);
    let mut product = Product {
        id: String::new(),
        title: None,
        description: None,
        tags: Vec::new(),
        status: Status::Draft,
        policies,
        versions: Vec::new(),
        state: ScopeState::Serving,
        place: Place::file(document),
        address,
    };
    if let Some(node) = node.filter(|node| odps::examined(node, &mut notes)) {
        product.id = node.owned("id").unwrap_or_default();
        product.title = node.owned("name");
        product.description = mesh::description(&node);
        product.tags = node.texts("tags");
        product.place = notes.place(node.mark);
        product.status = assemble::status(&node, &mut notes);
        product.versions =
            assemble::versions(&node, product.status, &product.address, &mut contracts, storage, &mut notes);
    }
    reader.take(notes);
    contracts.into_iter().for_each(|examined| reader.take(examined.notes));
    product
}

fn contracts(reader: &mut Reader<'_>, place: &Path, scope: &Scope) -> Vec<Examined> {
    let mut contracts = Vec::new();
    for name in reader.files(place, scope) {
        let file = place.join(&name);
        if name.ends_with(".odcs.yaml") {
            let (node, mut notes) = reader.document(&file, scope, Severity::Error);
            match node.and_then(|node| odcs::read(node, &mut notes)) {
                Some(contract) => contracts.push(Examined { contract, notes }),
                None => reader.take(notes),
            }
        } else if name != "product.odps.yaml" && (name.ends_with(".yaml") || name.ends_with(".yml")) {
            reader
                .say(Severity::Warning, scope, &file, "unread-file", format!("`{name}` is not read"))
                .hint("a product is product.odps.yaml and contracts that end in .odcs.yaml");
        }
    }
    contracts
}
