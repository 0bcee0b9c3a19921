//! Cedar over a release, lifted to rows and columns.
//!
//! * [`Policies`]: all policies of a release. [`Policies::compile`] reads and checks them, [`Policies::decide`] asks
//!   them, [`Policies::explain`] says why.
//! * [`Decision`], [`Access`], [`Rows`], [`ColumnVerdict`], [`Mask`]: the answer about one table for one principal.
//! * [`Expr`]: row filters and SQL masks, parsed and cleared of everything that policies may not say.
//! * [`Use`]: a filter or mask on a table it may come to be used on, for `govern` to type.
//! * [`run_tests`], [`diff`]: the tools for those who write policies.
//!
//! Inside, from text to answer: `source` (statements and places) -> `rule` (one policy; `sql` reads its annotations)
//! -> `check` (policies against documents) -> `compile` (slices for each product) -> `decide` (`entities`, Cedar,
//! `compose`).
//!
//! Not here: types of stored columns and anything that runs (`govern`), credentials (`identity`), reading the mesh
//! directory (`product`). There is no default that allows: whatever goes wrong, the table is absent.
//!
//! A decision cannot be made outside of this crate:
//!
//! ```compile_fail,E0451
//! # fn forge(table: meshgate_model::TableAddress) {
//! let decision = meshgate_policy::Decision {
//!     table,
//!     epoch: meshgate_model::Epoch(1),
//!     access: meshgate_policy::Access::Absent,
//!     determining: Vec::new(),
//! };
//! # }
//! ```

mod cache;
mod check;
mod compile;
mod compose;
mod decide;
mod decision;
mod diff;
mod entities;
mod expectation;
mod explain;
mod expr;
mod functions;
mod mask;
mod path;
mod policies;
mod refusal;
mod rule;
mod schema;
mod shape;
mod slice;
mod source;
mod sql;
mod suggest;
mod testing;

pub use decision::{Access, ColumnVerdict, Decision, Mask, PolicyRef, Reading, Rows};
pub use diff::{Change, Difference, diff};
pub use explain::{ExplainedColumn, Explanation};
pub use expr::{BinaryOp, Entitlement, Expr, Literal, Parameter};
pub use functions::ROW_FUNCTIONS;
pub use policies::{Policies, RequestContext, Use, Used};
pub use testing::{TestOutcome, run_test_file, run_tests};

#[cfg(test)]
mod tests;
