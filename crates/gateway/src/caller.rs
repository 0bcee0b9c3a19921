//! Who asks, in one place: the principal under the mesh in force.

use std::sync::Arc;

use meshgate_identity::Principal;
use meshgate_model::{Fingerprint, Instant, TableAddress};
use meshgate_policy::{Access, Decision, RequestContext};

use crate::mesh::Mesh;
use crate::{Caller, Error, SessionOptions};

/// One principal looking at one state of the mesh, for one purpose.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) principal: Arc<Principal>,
    pub(crate) request: RequestContext,
}

impl View {
    pub(crate) fn new(mesh: Arc<Mesh>, caller: &Caller, options: &SessionOptions, now: Instant) -> Result<Self, Error> {
        if let Some(purpose) = &options.purpose
            && !mesh.release.mesh().purposes.contains(purpose)
        {
            return Err(Error::UnknownPurpose { purpose: purpose.clone() });
        }
        let request = RequestContext { purpose: options.purpose.clone(), client_ip: caller.client.address, now };
        Ok(Self { mesh, principal: caller.principal.clone(), request })
    }

    pub(crate) fn decide(&self, address: &TableAddress) -> Arc<Decision> {
        self.mesh.decide(&self.principal, address, &self.request)
    }

    /// The decision, if the table exists for the principal and is in service.
    pub(crate) fn visible(&self, address: &TableAddress) -> Option<Arc<Decision>> {
        if !self.mesh.is_serving(&address.product) {
            return None;
        }
        Some(self.decide(address)).filter(|decision| decision.is_visible())
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.principal.fingerprint()
    }
}

/// Whether two decisions about the same table give the same rights.
pub(crate) fn same_rights(one: &Decision, other: &Decision) -> bool {
    match (one.access(), other.access()) {
        (Access::Absent, Access::Absent) => true,
        (Access::Visible { rows: a, columns: x }, Access::Visible { rows: b, columns: y }) => {
            a == b && x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_reading(x, y))
        }
        _ => false,
    }
}

fn same_reading(one: &meshgate_policy::ColumnVerdict, other: &meshgate_policy::ColumnVerdict) -> bool {
    one.name == other.name
        && one.reading == other.reading
        && one.fields.len() == other.fields.len()
        && one.fields.iter().zip(&other.fields).all(|(x, y)| same_reading(x, y))
}
