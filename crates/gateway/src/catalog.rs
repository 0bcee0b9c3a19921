//! The tables of one principal, as the engine asks for them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;

use meshgate_engine::{Catalog, TableName};
use meshgate_govern::{
    EntitlementTable, Entitlements, GovernRequest, GovernedTable, Governor, PlanningSession, QueryScope,
};
use meshgate_model::{Failure, TableAddress};
use meshgate_product::Table;
use meshgate_table::{Pin, Snapshot, Source, Tables};

use crate::caller::View;
use crate::mesh::{Found, Mesh, source_of};
use crate::snapshots::Version;
use crate::system;
use crate::{Error, SessionOptions, Snapshots};

/// What one query of one principal may reach.
pub(crate) struct Reach {
    pub(crate) view: View,
    pub(crate) options: SessionOptions,
    pub(crate) scope: QueryScope,
    pub(crate) tables: Arc<Tables>,
    pub(crate) governor: Arc<Governor>,
    /// What this statement reads.
    pub(crate) snapshots: Arc<Snapshots>,
}

#[async_trait]
impl Catalog for Reach {
    async fn table(
        &self,
        session: &dyn PlanningSession,
        name: &TableName,
        pin: &Pin,
    ) -> Result<Option<Arc<GovernedTable>>, Box<dyn Failure>> {
        let listing = system::table(&self.view, &self.options, name).map(GovernedTable::listing).or_else(|| {
            let versions = system::Versions::asked(&self.view, &self.tables, name)?;
            Some(GovernedTable::asked(Arc::new(versions)))
        });
        if let Some(listing) = listing {
            if *pin != Pin::Latest {
                return Err(Box::new(Error::NoHistory { name: name.to_string() }));
            }
            return Ok(Some(Arc::new(listing)));
        }
        self.product_table(session, name, pin).await.map_err(|error| Box::new(error) as Box<dyn Failure>)
    }
}

impl Reach {
    async fn product_table(
        &self,
        session: &dyn PlanningSession,
        name: &TableName,
        pin: &Pin,
    ) -> Result<Option<Arc<GovernedTable>>, Error> {
        let mesh = &self.view.mesh;
        if let Some((scope, reasons)) = mesh.outage(&name.catalog, &name.schema) {
            let owner = self.is_owner(&name.catalog);
            if owner || mesh.knew(&self.view.principal, &self.view.request, name) {
                return Err(Error::OutOfService { scope, reasons: reasons.to_vec(), owner });
            }
            return Ok(None);
        }
        let Some(Found { address, table, .. }) = mesh.find(&name.catalog, &name.schema, &name.table) else {
            return Ok(None);
        };
        // SECURITY: a table that policy does not show is answered as one that was never there.
        let Some(decision) = self.view.visible(&address) else { return Ok(None) };
        let snapshot = self.snapshot(&address, table, pin).await?;
        let entitlements = MeshEntitlements { mesh, tables: &self.tables };
        let request = GovernRequest {
            contract: table,
            product_version: &table.version,
            decision: &decision,
            snapshot,
            scope: self.scope,
            entitlements: &entitlements,
            for_owner: self.is_owner(&name.catalog),
        };
        let governed = self.governor.govern(session, request).await.map_err(Error::below)?;
        Ok(Some(Arc::new(governed)))
    }

    /// The version that was settled for this statement, or the one that is asked for, which is settled with it.
    async fn snapshot(&self, address: &TableAddress, table: &Table, asked: &Pin) -> Result<Arc<Snapshot>, Error> {
        let source =
            source_of(table).map_err(|kind| Error::NotReadable { table: address.clone(), kind: kind.to_owned() })?;
        let has_versions = source.format.has_versions();
        if *asked != Pin::Latest && !has_versions {
            return Err(Error::NoVersions { table: address.clone() });
        }
        let place = place(&source);
        let settle = |version: Version| {
            let version = self.snapshots.settle(address, asked, version)?;
            if version.place == place { Ok(version.version) } else { Err(Error::Moved { table: address.clone() }) }
        };
        let open = async |pin: &Pin| snapshot(&self.view.mesh, &self.tables, address, table, &source, pin).await;
        if let Some(known) = self.snapshots.find(address, asked) {
            let version = settle(known)?;
            let found = open(&Pin::Version(version)).await;
            return found
                .map_err(|error| if has_versions { error } else { Error::FilesChanged { table: address.clone() } });
        }
        let found = open(asked).await?;
        let version = settle(Version { version: found.version().to_owned(), place })?;
        // Another statement of the transaction was faster, and saw an older one.
        if version == found.version() { Ok(found) } else { open(&Pin::Version(version)).await }
    }

    fn is_owner(&self, catalog: &str) -> bool {
        let domain = self.view.mesh.release.domains().get(catalog);
        domain.is_some_and(|domain| domain.owners.iter().any(|group| self.view.principal.groups().contains(group)))
    }
}

/// Entitlement tables, found in the mesh alone and read with the gateway's own rights.
struct MeshEntitlements<'a> {
    mesh: &'a Mesh,
    tables: &'a Tables,
}

#[async_trait]
impl Entitlements for MeshEntitlements<'_> {
    async fn table(&self, address: &TableAddress) -> Result<EntitlementTable, meshgate_govern::Error> {
        let refused =
            |reason: &str| meshgate_govern::Error::Policy { table: address.clone(), reason: reason.to_owned() };
        if !self.mesh.is_serving(&address.product) {
            return Err(refused("an entitlement table is out of service"));
        }
        let (_, _, table) =
            self.mesh.release.table(address).ok_or_else(|| refused("an entitlement table is not there"))?;
        let source = source_of(table).map_err(|_| refused("an entitlement table cannot be read"))?;
        let stores = self.mesh.stores(&address.product.domain).ok_or_else(|| refused("its domain has no storage"))?;
        let snapshot = self.tables.snapshot(stores, &source, &Pin::Latest, staleness(table)).await?;
        Ok(EntitlementTable { contract: Arc::new(table.clone()), snapshot })
    }
}

async fn snapshot(
    mesh: &Mesh,
    tables: &Tables,
    address: &TableAddress,
    table: &Table,
    source: &Source,
    pin: &Pin,
) -> Result<Arc<Snapshot>, Error> {
    let stores = mesh
        .stores(&address.product.domain)
        .ok_or_else(|| Error::NotReadable { table: address.clone(), kind: "a domain without storage".to_owned() })?;
    tables.snapshot(stores, source, pin, staleness(table)).await.map_err(Error::below)
}

/// What tells a table from one that takes its place in a contract. It travels in tickets, so it is no name.
fn place(source: &Source) -> u64 {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    hasher.finish()
}

fn staleness(table: &Table) -> Option<std::time::Duration> {
    table.max_staleness_s.map(std::time::Duration::from_secs)
}
