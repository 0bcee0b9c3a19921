//! All policies of a release, ready to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use cedar_policy::Entity;
use meshgate_model::{Epoch, Finding, Instant, Name, Place, ProductAddress, Scope, TableAddress};
use meshgate_product::Release;

use crate::cache::Cache;
use crate::slice::{Rules, Slice};
use crate::{Expr, Mask, PolicyRef};

/// The policies of one release: compiled once, asked for every query.
#[derive(Debug)]
pub struct Policies {
    pub(crate) epoch: Epoch,
    pub(crate) rules: Rules,
    pub(crate) products: BTreeMap<ProductAddress, Slice>,
    pub(crate) domains: BTreeMap<Name, Slice>,
    pub(crate) broken: BTreeSet<Scope>,
    pub(crate) uses: Vec<Use>,
    pub(crate) actions: Vec<Entity>,
    pub(crate) cache: Cache,
}

/// What a request adds to the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// The purpose the session declared; one of mesh.yaml's, which the gateway checks.
    pub purpose: Option<String>,
    /// Where the request came from. A policy that asks for it denies without it.
    pub client_ip: Option<IpAddr>,
    /// When.
    pub now: Instant,
}

/// A row filter or mask and a table it may come to be used on: what `govern` types when a release is checked.
#[derive(Debug, Clone)]
pub struct Use {
    /// The policy that says it.
    pub policy: PolicyRef,
    /// What an error takes out of service: the table's product. A policy of a wider scope stays in force elsewhere.
    pub scope: Scope,
    /// Where it is written.
    pub place: Place,
    /// The table.
    pub table: TableAddress,
    /// The filter or the mask, with its parameters.
    pub what: Used,
}

/// What is used.
#[derive(Debug, Clone)]
pub enum Used {
    /// A row filter: must be boolean.
    Rows(Arc<Expr>),
    /// A mask on a column, or on a field inside one: must fit the type.
    Mask {
        /// The column, and the field's path inside it; lists are passed through without a name of their own.
        column: Vec<String>,
        /// The mask.
        mask: Arc<Mask>,
    },
}

impl Policies {
    /// Reads and checks all policies of a release. An error among the findings takes its scope out of service:
    /// decisions about anything in that scope are [`crate::Access::Absent`].
    pub fn compile(release: &Release) -> (Self, Vec<Finding>) {
        crate::compile::compile(release)
    }

    /// The release they were compiled from.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether errors in its own, its domain's or the global policies keep a product from being served.
    pub fn is_broken(&self, product: &ProductAddress) -> bool {
        self.products.get(product).is_none_or(|slice| slice.broken)
    }

    /// Every row filter and mask with every table (and column) it may come to be used on.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }
}
