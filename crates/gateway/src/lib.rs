//! The use-cases of the gate, one readable function each.
//!
//! [`Gateway`] is what every wire calls: authenticate, describe, plan, execute, change a session, list, reload, drain. It
//! knows the order of the steps and nothing of gRPC or HTTP. A query's way: [`Gateway::plan`] and [`Gateway::execute`].
//!
//! * [`Parts`], [`MeshSource`], [`Limits`] with [`StrangerLimits`]: what a gateway is made of.
//! * [`Caller`], [`SessionOptions`], [`Statement`]: what a wire hands in; [`Planned`], [`Description`], [`QueryStream`],
//!   [`TableEntry`] and the key entries: what it gets back.
//! * [`Snapshots`] of [`Settled`] tables: which versions of tables several statements read; [`Part`]: a share of a result.
//! * [`Readiness`]: whether new work can be done.
//! * [`Error`]: everything that can go wrong, with its public text.

mod api;
mod caller;
mod catalog;
mod error;
mod flow;
mod gateway;
mod kept;
mod listings;
mod mesh;
mod options;
mod record;
mod results;
mod running;
mod share;
mod snapshots;
mod strangers;
mod system;

pub use api::{
    Caller, Description, ForeignKeyEntry, Part, Planned, PrimaryKeyEntry, QueryStream, Statement, StatementKind,
    TableEntry,
};
pub use error::Error;
pub use gateway::{Gateway, Parts, Readiness};
pub use kept::Limits;
pub use mesh::MeshSource;
pub use options::{Compression, SessionOptions, WireTypes};
pub use snapshots::{Settled, Snapshots};
pub use strangers::StrangerLimits;
