//! Sessions over governed tables: parse, plan, admit, execute.
//!
//! * [`Request`]: a statement read once and found to be of a kind that is served.
//! * [`Engine::plan`]: a request and a [`Catalog`] of governed tables become a [`Plan`].
//! * [`Engine::execute`]: a plan runs on a runtime of its own, within limits of time, memory and number, and stops when
//!   its [`Rows`] are dropped.
//! * [`Options`]: every limit, with its default and unit.
//! * [`Error`]: what went wrong, with a public text that holds no cell value, path or plan.
//!
//! The engine never sees a table that is not a [`meshgate_govern::GovernedTable`]; it makes the only DataFusion session
//! of the house, over functions of the allow-list. Not here: policy, documents, wires, audit.

mod admission;
mod allow;
mod cancel;
mod catalog;
mod context;
mod engine;
mod error;
mod execute;
mod explain;
mod fault;
mod fenced;
mod in_turn;
mod memory;
mod options;
mod parameters;
mod parts;
mod plan;
mod reads;
mod recursion;
mod request;
mod show;
mod text;
mod twins;

#[cfg(test)]
mod fuzz;

pub use catalog::{Catalog, TableName};
pub use engine::Engine;
pub use error::Error;
pub use execute::{QueryLimits, Rows};
pub use options::Options;
pub use plan::{Plan, PlanInput};
pub use request::{Request, SessionChange};
