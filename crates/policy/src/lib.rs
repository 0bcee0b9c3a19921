//! Cedar over a release, lifted to rows and columns.

mod decision;
mod expr;

pub use decision::{Access, ColumnVerdict, Decision, Mask, PolicyRef, Reading, Rows};
pub use expr::{BinaryOp, Entitlement, Expr, Literal, Parameter};
