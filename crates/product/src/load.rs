//! Reads a mesh directory into a [`Release`].

pub(crate) mod files;

use std::collections::BTreeMap;
use std::path::Path;

use meshgate_model::{Epoch, Finding, Name, Place, ProductAddress, Scope, Severity};

use crate::assemble::{self, Examined};
use crate::error::Error;
use crate::mesh::{self, Granted, MeshFile};
use crate::notes::Notes;
use crate::release::{Domain, Mesh, Product, Release, ScopeState, Status};
use crate::server::Storage;
use crate::{odcs, odps};

use files::Reader;

/// Schemas that exist in every domain.
const RESERVED_PRODUCTS: [&str; 1] = ["information_schema"];

/// Reads the mesh in a directory. `environment` is the gateway's own: it tells which server of a contract is used.
///
/// A domain or product that is wrong is in the release, out of service, with the reasons among the findings. Without a
/// valid mesh.yaml and readable global policies there is no release.
pub fn load(directory: &Path, environment: Option<&str>, epoch: Epoch) -> Result<Release, Error> {
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let mut reader = Reader::new(&directory);
    let file = read_mesh(&mut reader, &directory);
    let policies = reader.policies(Path::new("governance"), &Scope::Mesh);
    reader.strays_beside(Path::new(""), &Scope::Mesh);
    reader.strays_beside(Path::new("domains"), &Scope::Mesh);
    let domains = match &file {
        Some(file) => domains(&mut reader, file, &directory, environment),
        None => BTreeMap::new(),
    };
    check_ids(&mut reader, &domains);
    let file = file.unwrap_or_default();
    let findings = reader.findings;
    let mesh = Mesh { name: file.name, directory, attributes: file.attributes, purposes: file.purposes, policies };
    Release { epoch, mesh, domains, findings: Vec::new() }.with_findings(findings)
}

impl Release {
    /// Adds what later checks found. An error about a domain or product takes it out of service, with the message as the
    /// reason; an error about the mesh refuses the release.
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Result<Self, Error> {
        self.findings.extend(findings);
        order(&mut self.findings);
        let mut errors: Vec<&Finding> = self.findings.iter().filter(|f| f.severity == Severity::Error).collect();
        if errors.iter().any(|finding| finding.scope == Scope::Mesh) {
            return Err(Error::Invalid(self.findings));
        }
        // Domains first, so that a product's reasons begin with its domain's.
        errors.sort_by(|a, b| a.scope.cmp(&b.scope));
        for finding in errors {
            let hit = |domain: &Name, product: &Name| match &finding.scope {
                Scope::Mesh => true,
                Scope::Domain(name) => name == domain,
                Scope::Product(address) => address.domain == *domain && address.product == *product,
            };
            for domain in self.domains.values_mut() {
                if finding.scope == Scope::Domain(domain.name.clone()) {
                    domain.state.add(&finding.message);
                }
                let name = &domain.name;
                let products = domain.products.iter_mut().filter(|(product, _)| hit(name, product));
                products.for_each(|(_, product)| product.state.add(&finding.message));
            }
        }
        Ok(self)
    }
}

impl ScopeState {
    fn add(&mut self, reason: &str) {
        match self {
            Self::Serving => *self = Self::Unavailable(vec![reason.to_owned()]),
            Self::Unavailable(reasons) if reasons.iter().any(|known| known == reason) => {}
            Self::Unavailable(reasons) => reasons.push(reason.to_owned()),
        }
    }
}

/// mesh.yaml first, then by file, line and column; the same thing said twice is said once.
fn order(findings: &mut Vec<Finding>) {
    findings.sort_by_cached_key(|f| (f.scope != Scope::Mesh, f.place.clone(), f.code, f.message.clone()));
    findings.dedup();
}

fn read_mesh(reader: &mut Reader<'_>, directory: &Path) -> Option<MeshFile> {
    let name = Path::new("mesh.yaml");
    if !directory.join(name).exists() {
        let what = if directory.is_dir() { "the directory has no mesh.yaml" } else { "there is no such directory" };
        reader
            .say(Severity::Error, &Scope::Mesh, name, "missing-document", format!("{what}: {}", directory.display()))
            .hint("name a directory with a mesh.yaml, or write one: `name:` and `domains:` are what it needs");
        return None;
    }
    let (node, mut notes) = reader.document(name, &Scope::Mesh, Severity::Error);
    let file = node.map(|node| mesh::read(&node, directory, &mut notes));
    reader.take(notes);
    file
}

fn domains(
    reader: &mut Reader<'_>,
    mesh: &MeshFile,
    directory: &Path,
    environment: Option<&str>,
) -> BTreeMap<Name, Domain> {
    let parent = Path::new("domains");
    let mut domains = BTreeMap::new();
    let entries = reader.directories(parent, &Scope::Mesh);
    for entry in &entries {
        let place = parent.join(entry);
        let (name, valid) = named(entry, &entries);
        let scope = Scope::Domain(name.clone());
        if !valid {
            reader.misnamed(&place, scope, &name);
            continue;
        }
        let Some(granted) = mesh.domains.get(&name) else {
            reader
                .say(
                    Severity::Error,
                    &scope,
                    &place,
                    "unknown-domain",
                    format!("mesh.yaml does not list the domain `{name}`"),
                )
                .hint(format!("add `{name}:` under `domains` in mesh.yaml"));
            domains.insert(name.clone(), bare(name, &Granted::default()));
            continue;
        };
        let domain = domain(reader, name.clone(), granted, directory, environment);
        domains.insert(name, domain);
    }
    for (name, granted) in mesh.domains.iter().filter(|(name, _)| !parent_has(directory, name)) {
        let mut notes = Notes::new(Scope::Domain(name.clone()), "mesh.yaml");
        notes
            .warning(granted.mark, "missing-domain", format!("there is no directory `domains/{name}`"))
            .hint("make it, or take the domain out of mesh.yaml");
        reader.take(notes);
        domains.entry(name.clone()).or_insert_with(|| bare(name.clone(), granted));
    }
    domains
}

/// The id is what a product keeps when it moves, so no two have the same.
fn check_ids(reader: &mut Reader<'_>, domains: &BTreeMap<Name, Domain>) {
    let mut known: BTreeMap<&str, &ProductAddress> = BTreeMap::new();
    let products = domains.values().flat_map(|domain| domain.products.values());
    for product in products.filter(|product| !product.id.is_empty()) {
        if let Some(first) = known.get(product.id.as_str()) {
            let message = format!("the product has the same id as {first}");
            let scope = Scope::Product(product.address.clone());
            reader
                .say(Severity::Warning, &scope, &product.place.file, "duplicate-id", message)
                .hint("give it an id of its own that never changes");
        } else {
            known.insert(&product.id, &product.address);
        }
    }
}

fn parent_has(directory: &Path, name: &Name) -> bool {
    directory.join("domains").join(name.as_str()).is_dir()
}

fn bare(name: Name, granted: &Granted) -> Domain {
    Domain {
        name,
        owners: granted.owners.clone(),
        storage: granted.storage.clone(),
        cost_centre: granted.cost_centre.clone(),
        title: None,
        description: None,
        policies: Vec::new(),
        products: BTreeMap::new(),
        state: ScopeState::Serving,
    }
}

fn domain(
    reader: &mut Reader<'_>,
    name: Name,
    granted: &Granted,
    directory: &Path,
    environment: Option<&str>,
) -> Domain {
    let place = Path::new("domains").join(name.as_str());
    let scope = Scope::Domain(name.clone());
    let mut domain = bare(name.clone(), granted);
    let (node, mut notes) = reader.document(&place.join("domain.yaml"), &scope, Severity::Warning);
    if let Some(node) = node {
        let file = mesh::read_domain(&node, &name, &mut notes);
        (domain.title, domain.description) = (file.title, file.description);
    }
    reader.take(notes);
    domain.policies = reader.policies(&place, &scope);
    reader.strays_beside(&place.join("products"), &scope);
    let storage = Storage { domain: &name, directory, grants: &granted.storage, environment };
    let parent = place.join("products");
    let entries = reader.directories(&parent, &scope);
    for entry in &entries {
        let (product_name, valid) = named(entry, &entries);
        let address = ProductAddress::new(name.clone(), product_name.clone());
        if !valid {
            reader.misnamed(&parent.join(entry), Scope::Product(address), &product_name);
            continue;
        }
        domain.products.insert(product_name, product(reader, address, &parent.join(entry), storage));
    }
    check_addresses(reader, &domain, &parent);
    domain
}

/// `orders_v2` means the second version of `orders`; a product of that name would hide it.
fn check_addresses(reader: &mut Reader<'_>, domain: &Domain, parent: &Path) {
    for (name, product) in &domain.products {
        let scope = Scope::Product(product.address.clone());
        let place = parent.join(name.as_str());
        let versioned = name.as_str().rsplit_once("_v").filter(|(base, digits)| {
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) && domain.products.contains_key(*base)
        });
        if let Some((base, number)) = versioned {
            let message = format!("`{name}` is also the address of version {number} of the product `{base}`");
            reader
                .say(Severity::Error, &scope, &place, "reserved-name", message)
                .hint("rename the product's directory");
        }
        if RESERVED_PRODUCTS.contains(&name.as_str()) {
            let message = format!("`{name}` is a schema of the gateway itself");
            reader
                .say(Severity::Error, &scope, &place, "reserved-name", message)
                .hint("rename the product's directory");
        }
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

/// The name a directory has, or for one that cannot be a name the nearest that can and that no other has: what is wrong
/// with it is no fault of its neighbour.
fn named(entry: &str, all: &[String]) -> (Name, bool) {
    if let Ok(name) = Name::parse(entry) {
        return (name, true);
    }
    let plain: String = entry
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        // Room for a letter before and a number behind.
        .take(Name::LEN_MAX - 16)
        .collect();
    let plain = if plain.starts_with(|c: char| c.is_ascii_lowercase()) { plain } else { format!("x{plain}") };
    let numbered = (2..).map(|number| format!("{plain}_{number}"));
    let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !all.contains(name));
    let name = Name::parse(&free.unwrap_or(plain));
    (name.expect("a letter and then letters, digits and underscores are a name"), false)
}
