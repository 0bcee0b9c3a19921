//! Data product documents: ODPS products, ODCS contracts and mesh.yaml, parsed and validated into one immutable
//! [`Release`].
//!
//! * [`load`]: a mesh directory to a [`Release`]; [`Error`] says why there is none.
//! * [`reload`], [`Documents`]: the same again, without parsing again what did not change.
//! * [`check_file`]: one document on its own.
//! * [`Watcher`]: tells when a mesh directory has changed.
//! * [`diff`]: what differs between two releases, and what of it breaks consumers.
//! * [`Release`], [`Domain`], [`Product`], [`Version`], [`Table`], [`Column`], [`Location`]: what a release says.
//!
//! Inside, from text to release: `yaml` (positions) -> `shape` (tables of fields) -> `odcs`, `odps`, `mesh` (the
//! documents) -> `server`, `location` (where data is) -> `assemble` (a product) -> `load` (a mesh).
//!
//! Besides the standards' documents and mesh.yaml there is one more, domain.yaml, all of it optional: `name` (the
//! directory's), `title`, `description` (text, or `purpose`, `limitations`, `usage`), `tags`, `contact` (`name`, `email`,
//! `channel`, `url`) and `links` (`url`, `title`).
//!
//! Not here: opening tables, evaluating policies, rendering findings.
//!
//! A release cannot be made outside of this crate:
//!
//! ```compile_fail,E0451
//! let release = meshgate_product::Release {
//!     epoch: meshgate_model::Epoch(1),
//!     mesh: todo!(),
//!     domains: Default::default(),
//!     findings: Vec::new(),
//! };
//! ```

mod assemble;
mod check;
mod diff;
mod documents;
mod error;
mod load;
mod location;
mod mesh;
mod notes;
mod odcs;
mod odps;
mod release;
mod server;
mod shape;
mod standard;
mod watch;
mod yaml;

pub use check::check_file;
pub use diff::{Change, diff};
pub use documents::Documents;
pub use error::Error;
pub use load::{load, reload};
pub use release::{
    Column, Domain, Location, LogicalType, Mesh, OnBreach, PolicySource, Product, Relationship, Release, ScopeState,
    Status, StorageGrant, Table, Version,
};
pub use watch::Watcher;

#[cfg(test)]
mod tests;
