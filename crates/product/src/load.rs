//! Reads a mesh directory into a [`Release`].

mod each;
pub(crate) mod files;
mod names;
mod product;

use std::collections::BTreeMap;
use std::path::Path;

use meshgate_model::{Epoch, Finding, Name, ProductAddress, Scope, Severity};

use crate::documents::{Documents, Parser};
use crate::error::Error;
use crate::mesh::{self, Granted, MeshFile};
use crate::notes::Notes;
use crate::release::{Domain, Mesh, Release, ScopeState};
use crate::server::Storage;

use each::each;
use files::Reader;
use names::{check_addresses, named};
use product::Home;

/// Reads the mesh in a directory. `environment` is the gateway's own: it tells which server of a contract is used.
///
/// A domain or product that is wrong is in the release, out of service, with the reasons among the findings. Without a
/// valid mesh.yaml and readable global policies there is no release.
pub fn load(directory: &Path, environment: Option<&str>, epoch: Epoch) -> Result<Release, Error> {
    reload(directory, environment, epoch, &Documents::default()).map(|(release, _)| release)
}

/// The same with the documents of the load before; gives those to hand in next time.
pub fn reload(
    directory: &Path,
    environment: Option<&str>,
    epoch: Epoch,
    before: &Documents,
) -> Result<(Release, Documents), Error> {
    let parser = Parser::new(before);
    let release = read(directory, environment, epoch, &parser)?;
    Ok((release, parser.documents()))
}

fn read(directory: &Path, environment: Option<&str>, epoch: Epoch, parser: &Parser<'_>) -> Result<Release, Error> {
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let mut reader = Reader::new(&directory, parser);
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
    /// Adds what later checks found. An error about a domain or product takes it out of service, with place and message as
    /// the reason; an error about the mesh refuses the release.
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
            let reason = format!("{}: {}", finding.place, finding.message);
            let hit = |domain: &Name, product: &Name| match &finding.scope {
                Scope::Mesh => true,
                Scope::Domain(name) => name == domain,
                Scope::Product(address) => address.domain == *domain && address.product == *product,
            };
            for domain in self.domains.values_mut() {
                if finding.scope == Scope::Domain(domain.name.clone()) {
                    domain.state.add(&reason);
                }
                let name = &domain.name;
                let products = domain.products.iter_mut().filter(|(product, _)| hit(name, product));
                products.for_each(|(_, product)| product.state.add(&reason));
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
    let mut homes = Vec::new();
    let entries = reader.directories(parent, &Scope::Mesh);
    for entry in &entries {
        let place = parent.join(entry);
        let (name, valid) = named(entry, &entries);
        let scope = Scope::Domain(name.clone());
        if !valid {
            reader.misnamed(&place, scope, &name);
            continue;
        }
        let Some((known, granted)) = mesh.domains.get_key_value(&name) else {
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
        let storage = Storage { domain: known, directory, grants: &granted.storage, environment };
        domains.insert(name, domain(reader, granted, storage, &mut homes));
    }
    let read = each(&homes, |home| {
        let mut reader = reader.another();
        (home.read(&mut reader), reader.findings)
    });
    for (product, findings) in read {
        reader.findings.extend(findings);
        if let Some(domain) = domains.get_mut(&product.address.domain) {
            domain.products.insert(product.address.product.clone(), product);
        }
    }
    domains.values().for_each(|domain| check_addresses(reader, domain));
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

/// A domain without its products, whose directories are added to `homes`.
fn domain<'a>(reader: &mut Reader<'_>, granted: &Granted, storage: Storage<'a>, homes: &mut Vec<Home<'a>>) -> Domain {
    let name = storage.domain;
    let place = Path::new("domains").join(name.as_str());
    let scope = Scope::Domain(name.clone());
    let mut domain = bare(name.clone(), granted);
    let (node, mut notes) = reader.document(&place.join("domain.yaml"), &scope, Severity::Warning);
    if let Some(node) = node {
        let file = mesh::read_domain(&node, name, &mut notes);
        (domain.title, domain.description) = (file.title, file.description);
    }
    reader.take(notes);
    domain.policies = reader.policies(&place, &scope);
    let parent = place.join("products");
    reader.strays_beside(&parent, &scope);
    let entries = reader.directories(&parent, &scope);
    for entry in &entries {
        let (product, valid) = named(entry, &entries);
        let (address, place) = (ProductAddress::new(name.clone(), product.clone()), parent.join(entry));
        if valid {
            homes.push(Home { address, place, storage });
        } else {
            reader.misnamed(&place, Scope::Product(address), &product);
        }
    }
    domain
}
