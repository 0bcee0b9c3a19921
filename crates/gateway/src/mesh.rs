//! The mesh in force: a release, its policies, and the stores of its domains; replaced as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use meshgate_engine::TableName;
use meshgate_identity::Principal;
use meshgate_model::{Epoch, Finding, Name, Place, ProductAddress, Scope, Severity, TableAddress, mutant};
use meshgate_policy::{Decision, Policies, RequestContext};
use meshgate_product::{Documents, Domain, Location, Product, Release, ScopeState, StorageGrant, Table, Version};
use meshgate_table::{
    CatalogGrant, CatalogRef, Credentials, DomainStores, Format, Grant, Layout, Source, StoreOptions,
};

use crate::Error;

/// Where a mesh is read from, and with what its stores are opened.
#[derive(Debug, Clone)]
pub struct MeshSource {
    /// The mesh directory.
    pub directory: PathBuf,
    /// Which `servers[].environment` of a contract is used.
    pub environment: Option<String>,
    /// The config's `[credentials.<name>]`.
    pub credentials: BTreeMap<String, Credentials>,
    /// Retries, timeouts and limits of stores.
    pub stores: StoreOptions,
}

/// One state of the mesh.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) release: Release,
    pub(crate) policies: Policies,
    stores: BTreeMap<Name, (Vec<StorageGrant>, Arc<DomainStores>)>,
    /// For each product that is out of service now, the mesh in which it was last served: it says who may know of it.
    last_served: BTreeMap<ProductAddress, Arc<Mesh>>,
    /// For the next load, which parses only what has changed since.
    documents: Documents,
}

/// A table of a version, found by its SQL name.
pub(crate) struct Found<'a> {
    pub(crate) address: TableAddress,
    pub(crate) table: &'a Table,
}

impl MeshSource {
    /// Reads, compiles and checks everything. Whatever is wrong in a domain or product takes that out of service;
    /// whatever is wrong in the global part is an error.
    pub(crate) fn load(&self, epoch: Epoch, before: Option<&Arc<Mesh>>) -> Result<Mesh, Error> {
        let documents = before.map(|mesh| mesh.documents.clone()).unwrap_or_default();
        let (release, documents) =
            meshgate_product::reload(&self.directory, self.environment.as_deref(), epoch, &documents)
                .map_err(Error::below)?;
        let (policies, mut findings) = Policies::compile(&release);
        findings.extend(meshgate_govern::check(&release, &policies));
        let mut stores = BTreeMap::new();
        for domain in release.domains().values() {
            match self.stores_of(domain, before.map(Arc::as_ref)) {
                Ok(opened) => {
                    stores.insert(domain.name.clone(), (domain.storage.clone(), opened));
                }
                Err(reason) => findings.push(Finding::new(
                    Severity::Error,
                    Scope::Domain(domain.name.clone()),
                    Place::file("mesh.yaml"),
                    "storage",
                    reason,
                )),
            }
        }
        let release = release.with_findings(findings).map_err(Error::below)?;
        let mut mesh = Mesh { release, policies, stores, last_served: BTreeMap::new(), documents };
        mesh.last_served = before.map(|before| before.remembered(&mesh)).unwrap_or_default();
        Ok(mesh)
    }

    fn stores_of(&self, domain: &Domain, before: Option<&Mesh>) -> Result<Arc<DomainStores>, String> {
        // Unchanged grants keep their stores, and so everything that is open through them.
        if let Some((grants, stores)) = before.and_then(|mesh| mesh.stores.get(&domain.name))
            && grants == &domain.storage
        {
            return Ok(stores.clone());
        }
        let mut grants = Vec::new();
        let mut catalogs = Vec::new();
        for grant in &domain.storage {
            match grant {
                StorageGrant::Prefix { url, credentials } => {
                    let credentials = credentials.as_ref().map(|name| self.named(name)).transpose()?;
                    grants.push(Grant { prefix_url: url.clone(), credentials });
                }
                StorageGrant::Catalog { url, credentials } => {
                    let credentials = match credentials.as_ref().map(|name| self.named(name)).transpose()? {
                        Some(Credentials::Catalog(credentials)) => Some(credentials),
                        Some(_) => return Err(format!("the catalog {url} needs credentials of the type iceberg-rest")),
                        None => None,
                    };
                    catalogs.push(CatalogGrant { url: url.clone(), credentials });
                }
            }
        }
        DomainStores::new(domain.name.as_str(), grants, catalogs, self.stores).map_err(|error| error.to_string())
    }

    fn named(&self, name: &str) -> Result<Credentials, String> {
        self.credentials
            .get(name)
            .cloned()
            .ok_or_else(|| format!("the gateway's configuration has no [credentials.{name}]"))
    }
}

impl Mesh {
    /// The table that `schema` and `table` mean in a domain. `schema` is a product, which stands for its highest active
    /// version, or a product with `_v<major>`.
    pub(crate) fn find(&self, catalog: &str, schema: &str, table: &str) -> Option<Found<'_>> {
        let domain = self.release.domains().get(catalog)?;
        let (product, version) = find_version(domain, schema)?;
        let table = version.tables.iter().find(|known| known.name == table)?;
        Some(Found { address: product.address.table(version.major, &table.name), table })
    }

    /// What a mesh that follows remembers of this one: where its products that are out of service were last served.
    fn remembered(self: &Arc<Self>, next: &Self) -> BTreeMap<ProductAddress, Arc<Self>> {
        let served = self.release.domains().values().flat_map(|domain| domain.products.values());
        let served = served.filter(|product| self.is_serving(&product.address));
        let served = served.map(|product| (product.address.clone(), self.clone()));
        let known = self.last_served.iter().map(|(address, mesh)| (address.clone(), mesh.clone()));
        known.chain(served).filter(|(address, _)| !next.is_serving(address)).collect()
    }

    /// Whether somebody could query this table when its product was last served.
    ///
    /// SECURITY: rules of a product that is out of service are not known, so those it had last decide who learns that it
    /// exists; to all others it is as absent as a name that never was.
    pub(crate) fn knew(&self, principal: &Principal, request: &RequestContext, name: &TableName) -> bool {
        if mutant("an outage tells who is not to know") {
            return true;
        }
        self.last_served.values().any(|mesh| {
            let found = mesh.find(&name.catalog, &name.schema, &name.table);
            found.is_some_and(|found| {
                self.last_served.contains_key(&found.address.product)
                    && mesh.decide(principal, &found.address, request).is_visible()
            })
        })
    }

    /// Why nothing of this name can be served, if its domain or product is out of service.
    pub(crate) fn outage(&self, catalog: &str, schema: &str) -> Option<(Scope, &[String])> {
        let domain = self.release.domains().get(catalog)?;
        if let ScopeState::Unavailable(reasons) = &domain.state {
            return Some((Scope::Domain(domain.name.clone()), reasons));
        }
        let product = find_product(domain, schema)?;
        match &product.state {
            ScopeState::Serving => None,
            ScopeState::Unavailable(reasons) => Some((Scope::Product(product.address.clone()), reasons)),
        }
    }

    /// Whether the product's documents and rules are in order.
    pub(crate) fn is_serving(&self, address: &ProductAddress) -> bool {
        let domain = self.release.domains().get(&address.domain);
        let product = self.release.product(address);
        domain.is_some_and(|domain| domain.state == ScopeState::Serving)
            && product.is_some_and(|product| product.state == ScopeState::Serving)
    }

    /// What policy says.
    pub(crate) fn decide(
        &self,
        principal: &Principal,
        address: &TableAddress,
        request: &RequestContext,
    ) -> Arc<Decision> {
        self.policies.decide(principal, &self.release, address, request)
    }

    /// The stores of a domain.
    pub(crate) fn stores(&self, domain: &Name) -> Option<&Arc<DomainStores>> {
        self.stores.get(domain).map(|(_, stores)| stores)
    }

    /// Every version of every product in service, under the schema name by which it is listed: the product's own name for
    /// the one that it stands for, a suffixed one for the others.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&Domain, &Product, &Version, String)> {
        self.release.domains().values().flat_map(move |domain| {
            let products = domain.products.values().filter(|product| self.is_serving(&product.address));
            products.flat_map(move |product| {
                product.versions.iter().map(move |version| {
                    let current = product.current().is_some_and(|current| current.major == version.major);
                    let schema = if current {
                        product.address.product.to_string()
                    } else {
                        format!("{}_v{}", product.address.product, version.major)
                    };
                    (domain, product, version, schema)
                })
            })
        })
    }
}

fn find_product<'a>(domain: &'a Domain, schema: &str) -> Option<&'a Product> {
    domain.products.get(schema).or_else(|| {
        let (product, _) = suffixed(schema)?;
        domain.products.get(product)
    })
}

fn find_version<'a>(domain: &'a Domain, schema: &str) -> Option<(&'a Product, &'a Version)> {
    if let Some(product) = domain.products.get(schema) {
        return Some((product, product.current()?));
    }
    let (product, major) = suffixed(schema)?;
    let product = domain.products.get(product)?;
    Some((product, product.versions.iter().find(|version| version.major == major)?))
}

fn suffixed(schema: &str) -> Option<(&str, u32)> {
    let (product, major) = schema.rsplit_once("_v")?;
    Some((product, major.parse().ok()?))
}

/// Where a contract says that its table is, in the words of the table crates; `Err` names the kind of server that is not
/// read.
pub(crate) fn source_of(table: &Table) -> Result<Source, &str> {
    match &table.location {
        Location::Delta { url } => Ok(Source::at(Format::Delta, url)),
        Location::Iceberg { url } => Ok(Source::at(Format::Iceberg, url)),
        Location::Parquet { url } => Ok(Source::at(Format::Parquet, url).with_layout(layout(table))),
        Location::IcebergCatalog { url, catalog, namespace, warehouse, table } => Ok(Source::in_catalog(
            Format::Iceberg,
            CatalogRef {
                url: url.clone(),
                catalog: catalog.clone(),
                namespace: namespace.clone(),
                warehouse: warehouse.clone(),
                table: table.clone(),
            },
        )),
        Location::Foreign { kind } => Err(kind),
    }
}

/// What a contract tells of files without a log.
fn layout(table: &Table) -> Layout {
    let of = |name: &String| table.columns.iter().find(|column| column.name == *name);
    let partitions = table.partition_by.iter().filter_map(of);
    let partitions =
        partitions.map(|column| (column.physical_name.clone(), meshgate_govern::promised_type(column))).collect();
    let in_files = table.columns.iter().filter(|column| !table.partition_by.contains(&column.name));
    let columns = in_files.map(|column| (column.physical_name.clone(), meshgate_govern::told_type(column))).collect();
    Layout { table: table.address.policy_id(), partitions, columns }
}
