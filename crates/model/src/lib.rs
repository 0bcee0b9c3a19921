//! The words of the house, and nothing else.
//!
//! * [`Name`], [`ProductAddress`], [`TableAddress`], [`Urn`]: what things are called.
//! * [`Epoch`], [`QueryId`], [`Fingerprint`]: what identifies one release, one query, one set of rights.
//! * [`Fault`], [`Failure`], [`PublicText`]: how every error of every crate says what kind it is and what a client may
//!   be told of it.
//! * [`AttributeType`], [`AttributeValue`]: the typed attributes of principals that policies use.
//! * [`Finding`], [`Scope`], [`Place`]: what validation of documents and policies reports.
//! * [`Clock`], [`Entropy`]: the outside world, which only the binary passes in.
//! * [`mutant`]: seeded bugs for tests; none outside of them.
//! * [`Secret`]: text that is never printed.
//!
//! Not here: gRPC, HTTP, Arrow, DataFusion, I/O of any kind.

mod address;
mod ambient;
mod attribute;
mod fault;
mod finding;
mod ids;
mod mutants;
mod name;
mod secret;

pub use address::{ProductAddress, TableAddress, Urn};
pub use ambient::{Clock, Entropy, Instant};
pub use attribute::{AttributeError, AttributeType, AttributeTypes, AttributeValue};
pub use fault::{Failure, Fault, PublicText};
pub use finding::{Finding, Place, Scope, Severity};
pub use ids::{Epoch, Fingerprint, QueryId};
pub use mutants::mutant;
pub use name::{Name, NameError};
pub use secret::Secret;
