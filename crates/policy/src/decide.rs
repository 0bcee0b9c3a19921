//! One principal, one table: which rows, and how each column may be read.

mod catalog;
mod columns;
mod inquiry;
mod parameters;

use std::sync::Arc;

use cedar_policy::{Effect, EntityUid};
use meshgate_identity::Principal;
use meshgate_model::{Name, TableAddress, mutant};
use meshgate_product::{Release, Status, Version};

use self::columns::Columns;
use self::inquiry::Inquiry;
use self::parameters::Parameters;
use crate::cache::Key;
use crate::entities::{self, status_word};
use crate::refusal::Refusal;
use crate::schema::Kind;
use crate::slice::{Action, Slice};
use crate::{Access, Decision, Expr, Policies, PolicyRef, RequestContext, compose};

impl Policies {
    /// Decides what a principal may see of a table. Whatever goes wrong on the way, the answer is
    /// [`Access::Absent`].
    pub fn decide(
        &self,
        principal: &Principal,
        release: &Release,
        table: &TableAddress,
        request: &RequestContext,
    ) -> Arc<Decision> {
        let key = self.products.get(&table.product).filter(|_| release.epoch() == self.epoch);
        let key = key.and_then(|slice| Key::new(principal, table, request, slice.mentions));
        if let Some(known) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return known;
        }
        let decision = match self.evaluate(principal, release, table, request) {
            Ok(decision) => decision,
            Err(refusal) => {
                if refusal.is_fault() {
                    tracing::error!(%table, principal = principal.name(), %refusal, "denied");
                } else {
                    tracing::debug!(%table, principal = principal.name(), %refusal, "denied");
                }
                self.absent(table, &refusal)
            }
        };
        let decision = Arc::new(decision);
        if let Some(key) = key {
            self.cache.insert(key, Arc::clone(&decision));
        }
        decision
    }

    /// The decision as such, or why there is nothing to see.
    pub(crate) fn evaluate(
        &self,
        principal: &Principal,
        release: &Release,
        address: &TableAddress,
        request: &RequestContext,
    ) -> Result<Decision, Refusal> {
        let slice = self.slice(release, address)?;
        let no_table = || Refusal::NoTable(address.clone());
        let (product, version, table) = release.table(address).ok_or_else(no_table)?;
        admitted(principal, release, &address.product.domain, version)?;

        let resource = Kind::Table.uid(address.policy_id());
        if !slice.looks_inside_tables {
            // Most principals see few of a mesh's tables: no need to describe the columns of the others.
            let around = entities::around_table(product, version, table).map_err(Refusal::failed)?;
            let inquiry = Inquiry::new(self, principal, release, request, around)?;
            if inquiry.satisfied(slice, Effect::Permit, Action::Query, &resource)?.is_empty()
                && !mutant("no permit is needed")
            {
                return Err(Refusal::NotPermitted);
            }
        }
        let apart = |column: &EntityUid| slice.looks_inside_tables || slice.tells_apart(column);
        let described = entities::of_table(product, version, table, &apart).map_err(Refusal::failed)?;
        let inquiry = Inquiry::new(self, principal, release, request, described)?;
        let parameters = Parameters { principal, request };
        let permits = inquiry.satisfied(slice, Effect::Permit, Action::Query, &resource)?;
        let forbids = inquiry.satisfied(slice, Effect::Forbid, Action::Query, &resource)?;
        if permits.is_empty() && !mutant("no permit is needed") {
            return Err(Refusal::NotPermitted);
        }
        let outright: Vec<_> = forbids.iter().filter(|rule| rule.rows.is_none()).map(|rule| rule.id.clone()).collect();
        if !outright.is_empty() && !mutant("a forbidden table is permitted") {
            return Err(Refusal::Forbidden(outright.sorted()));
        }
        let bound = |rule: &&Arc<crate::rule::Rule>| rule.rows.as_ref().map(|rows| parameters.bind(&rows.expr));
        let rows = compose::rows(permits.iter().map(bound).collect(), forbids.iter().filter_map(bound).collect());
        let rows = if mutant("rows are not limited") { crate::Rows::All } else { rows };
        let columns = Columns::new(&inquiry, slice, &parameters).all(table)?;
        Ok(Decision {
            table: address.clone(),
            epoch: self.epoch,
            access: Access::Visible { rows, columns },
            determining: permits.iter().chain(&forbids).map(|rule| rule.id.clone()).collect::<Vec<_>>().sorted(),
        })
    }

    /// An expression with the values that parameters have for a principal and a request.
    pub(crate) fn bound(expr: &Expr, principal: &Principal, request: &RequestContext) -> Expr {
        Parameters { principal, request }.bind(expr)
    }

    fn slice(&self, release: &Release, address: &TableAddress) -> Result<&Slice, Refusal> {
        // INVARIANT: policies speak of the release they were checked against and of no other.
        if release.epoch() != self.epoch {
            return Err(Refusal::OtherRelease);
        }
        let slice = self.products.get(&address.product).ok_or_else(|| Refusal::NoTable(address.clone()))?;
        if slice.broken && !mutant("broken policies are left out") {
            Err(Refusal::Broken(address.product.clone()))
        } else {
            Ok(slice)
        }
    }

    fn absent(&self, table: &TableAddress, refusal: &Refusal) -> Decision {
        Decision { table: table.clone(), epoch: self.epoch, access: Access::Absent, determining: refusal.policies() }
    }
}

/// Whether the principal is in a group that owns the domain.
fn owns(principal: &Principal, release: &Release, domain: &Name) -> bool {
    let owners = release.domains().get(domain).map(|domain| domain.owners.as_slice()).unwrap_or_default();
    owners.iter().any(|group| principal.groups().contains(group))
}

/// Versions that are not out yet are for their owners, who then need a permit like everybody else.
fn admitted(principal: &Principal, release: &Release, domain: &Name, version: &Version) -> Result<(), Refusal> {
    match version.status {
        Status::Active | Status::Deprecated => Ok(()),
        Status::Draft | Status::Proposed if owns(principal, release, domain) || mutant("drafts are for everybody") => {
            Ok(())
        }
        Status::Draft | Status::Proposed | Status::Retired => Err(Refusal::OwnersOnly(status_word(version.status))),
    }
}

/// Policy ids in the order in which they are shown.
trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<PolicyRef> {
    fn sorted(mut self) -> Self {
        self.sort_unstable();
        self.dedup();
        self
    }
}
