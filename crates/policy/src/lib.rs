//! Cedar over a release, lifted to rows and columns.

mod cache;
mod check;
mod compile;
mod compose;
mod decide;
mod decision;
mod entities;
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

pub use decision::{Access, ColumnVerdict, Decision, Mask, PolicyRef, Reading, Rows};
pub use expr::{BinaryOp, Entitlement, Expr, Literal, Parameter};
pub use functions::ROW_FUNCTIONS;
pub use policies::{Policies, RequestContext, Use, Used};
