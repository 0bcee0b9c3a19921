//! Who sees what in the catalog, and who manages it.

use cedar_policy::{Entity, EntityUid};
use meshgate_identity::Principal;
use meshgate_model::{Name, ProductAddress, TableAddress};
use meshgate_product::{Product, Release, Status};

use super::inquiry::Inquiry;
use super::{admitted, owns};
use crate::entities;
use crate::refusal::Refusal;
use crate::schema::Kind;
use crate::slice::{Action, Slice};
use crate::{Policies, RequestContext};

impl Policies {
    /// Whether a product may be seen in the catalog by the action `discover`. (Who may query one of its tables sees it
    /// there too: ask [`Policies::decide`].) Owners of the domain see all its products.
    pub fn discover_product(
        &self,
        principal: &Principal,
        release: &Release,
        address: &ProductAddress,
        request: &RequestContext,
    ) -> bool {
        let Some(product) = release.product(address) else { return false };
        let out = |status: Status| matches!(status, Status::Active | Status::Deprecated);
        owns(principal, release, &address.domain)
            || product.versions.iter().any(|version| out(version.status))
                && self.product_allows(principal, release, product, request, Action::Discover)
    }

    /// Whether a table may be seen in the catalog by the action `discover`; never a reason to show it in SQL.
    pub fn discover_table(
        &self,
        principal: &Principal,
        release: &Release,
        address: &TableAddress,
        request: &RequestContext,
    ) -> bool {
        let Some((product, version, table)) = release.table(address) else { return false };
        let domain = &address.product.domain;
        if owns(principal, release, domain) {
            return true;
        }
        if admitted(principal, release, domain, version).is_err() {
            return false;
        }
        let described = entities::product(product, Some(version))
            .and_then(|product| Ok(vec![entities::domain(domain), product, entities::table(table, version)?]));
        let Some(slice) = self.products.get(&address.product).filter(|slice| !slice.broken) else { return false };
        let resource = Kind::Table.uid(address.policy_id());
        self.allows(principal, release, request, slice, Action::Discover, &resource, described.map_err(Refusal::failed))
    }

    /// Whether the principal manages a product: its domain's owners do.
    pub fn manages_product(
        &self,
        principal: &Principal,
        release: &Release,
        address: &ProductAddress,
        request: &RequestContext,
    ) -> bool {
        let Some(product) = release.product(address) else { return false };
        owns(principal, release, &address.domain)
            || self.product_allows(principal, release, product, request, Action::Manage)
    }

    /// Whether the principal manages a domain: its owners do.
    pub fn manages_domain(
        &self,
        principal: &Principal,
        release: &Release,
        domain: &Name,
        request: &RequestContext,
    ) -> bool {
        if owns(principal, release, domain) {
            return true;
        }
        let Some(slice) = self.domains.get(domain).filter(|slice| !slice.broken) else { return false };
        let described = Ok(vec![entities::domain(domain)]);
        self.allows(principal, release, request, slice, Action::Manage, &Kind::Domain.uid(domain.as_str()), described)
    }

    fn product_allows(
        &self,
        principal: &Principal,
        release: &Release,
        product: &Product,
        request: &RequestContext,
        action: Action,
    ) -> bool {
        let Some(slice) = self.products.get(&product.address).filter(|slice| !slice.broken) else { return false };
        let version = product.current().or(product.versions.last());
        let described = entities::product(product, version)
            .map(|entity| vec![entities::domain(&product.address.domain), entity])
            .map_err(Refusal::failed);
        let resource = Kind::Product.uid(product.address.to_string());
        self.allows(principal, release, request, slice, action, &resource, described)
    }

    #[expect(clippy::too_many_arguments, reason = "one question, all of whose parts are needed, with one caller each")]
    fn allows(
        &self,
        principal: &Principal,
        release: &Release,
        request: &RequestContext,
        slice: &Slice,
        action: Action,
        resource: &EntityUid,
        described: Result<Vec<Entity>, Refusal>,
    ) -> bool {
        let asked = described.and_then(|described| {
            if release.epoch() != self.epoch {
                return Err(Refusal::OtherRelease);
            }
            Inquiry::new(self, principal, release, request, described)?.permits(slice, action, resource)
        });
        asked.unwrap_or_else(|refusal| {
            tracing::error!(%resource, action = action.as_str(), principal = principal.name(), %refusal, "denied");
            false
        })
    }
}
