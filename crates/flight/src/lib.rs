//! Flight SQL: the gate as Arrow clients see it.
//!
//! This crate turns commands into calls of [`meshgate_gateway::Gateway`] and answers into messages. It neither plans nor
//! authorises; it knows nothing of products, policies or tables. The HTTP wire is `http`.
//!
//! * [`serve`], [`Settings`], [`Tls`]: a listener with the Flight, health and reflection services until the shutdown.
//! * [`FlightServer`]: the Flight service itself; `server/` has one file for each kind of call.
//! * `seal`, `ticket`, `prepared`: claims that leave the house sealed and are checked when they come back.
//! * `transaction`: statements that read the same versions of tables; `handle`: sealed ids of what is kept here.
//! * `parameters`, `binding`: values bound to parameters, decoded and held within limits.
//! * `session`: options that last longer than a call, and how a call finds its session.
//! * `wire/`: the schema and the bytes of results: compatible types, message sizes, encoding.
//! * `metadata/`: catalogs, schemas, tables, keys, SqlInfo, type info.
//! * [`Error`], `status`: what goes wrong, and the one place that says which gRPC code it is.

mod binding;
mod connection;
mod error;
mod handle;
mod metadata;
mod parameters;
mod prepared;
mod reflection;
mod running;
mod seal;
mod serve;
mod server;
mod session;
mod settings;
mod shelf;
mod status;
mod ticket;
mod tls;
mod transaction;
mod wire;

#[cfg(test)]
mod fuzz;

pub use error::Error;
pub use serve::serve;
pub use server::{FlightServer, service};
pub use settings::Settings;
pub use tls::Tls;
