//! The governed table: the one door through which rows leave.
//!
//! * [`Governor::govern`]: a contract, a decision of policy and a snapshot become a [`GovernedTable`]: the only table
//!   provider that an engine accepts. What it hides does not exist above it.
//! * [`GovernedTable::listing`]: rows that the gateway made itself for one principal (system tables); [`Listing`], [`Wanted`]:
//!   those that it makes only when they are read.
//! * [`check`]: the same translation and typing at load time, against the contract's types.
//! * [`breaches`], [`promised_type`], [`told_type`]: what a contract promises, and where the stored table does not keep it.
//! * [`functions`]: the allow-list of functions.
//!
//! From the bottom up a governed scan is: the format's scan of the columns needed; the policy filter; and
//! `GovernedExec`, which masks, drops what only the filter needed, rebuilds arrays that still carry hidden bytes, hides
//! statistics and lets only leakproof filters of the query pass below.
//!
//! Not here: Cedar (`policy`), formats and stores (`table`), sessions (`engine`).
//!
//! A governed table cannot be made without a decision:
//! ```compile_fail
//! let table = meshgate_govern::GovernedTable { schema: todo!(), body: todo!(), lineage: None };
//! ```

mod binder;
mod breach;
mod check;
mod compact;
mod entitlement;
mod error;
mod even;
pub mod functions;
mod governor;
mod leakproof;
mod masks;
mod operator;
mod promise;
mod retype;
mod shape;
mod statistics;
mod table;
#[cfg(test)]
mod testing;
mod total;
mod translate;
mod wanted;

#[cfg(test)]
mod fixture;

pub use breach::{Breach, breaches};
pub use check::check;
pub use entitlement::{EntitlementTable, Entitlements};
pub use error::Error;
pub use governor::{GovernRequest, Governor, QueryScope};
pub use promise::{promised_type, told_type};
pub use table::{GovernedTable, Lineage, Listing};
pub use wanted::Wanted;

/// The session that a query is planned in; crates that only pass it on need no name of the library.
pub use datafusion::catalog::Session as PlanningSession;
