//! What a principal may see of a table. Made by [`crate::Policies::decide`] only.

use std::fmt;

use meshgate_model::{Epoch, TableAddress};

use crate::Expr;

/// The answer for one principal, table and release: a proof that policy was asked. Principals whom no policy can tell
/// apart share one.
#[derive(Debug, Clone)]
pub struct Decision {
    pub(crate) table: TableAddress,
    pub(crate) epoch: Epoch,
    pub(crate) access: Access,
    pub(crate) determining: Vec<PolicyRef>,
}

/// Whether the table exists for the principal.
#[derive(Debug, Clone)]
pub enum Access {
    /// It does not: no satisfied permit, an unconditional forbid, or an error on the way.
    Absent,
    /// It does, in part or whole.
    Visible {
        /// Which rows. All parameters but `$now` are bound.
        rows: Rows,
        /// One verdict for each column of the contract, in its order.
        columns: Vec<ColumnVerdict>,
    },
}

/// Which rows are visible.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// All.
    All,
    /// Those for which the predicate is true (neither false nor NULL).
    Where(Expr),
}

/// How one column, or one field inside it, may be read.
#[derive(Debug, Clone)]
pub struct ColumnVerdict {
    /// The column's or field's own name.
    pub name: String,
    /// Plain, masked or hidden.
    pub reading: Reading,
    /// Verdicts of a struct's fields (or of the struct elements of a list), in the contract's order; empty where
    /// all fields have the column's own verdict. Fields are only asked for if the column is [`Reading::Plain`].
    pub fields: Vec<ColumnVerdict>,
    /// The policies that decided.
    pub determining: Vec<PolicyRef>,
}

/// How a column may be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// As stored.
    Plain,
    /// Through a mask.
    Masked(Mask),
    /// Not at all: it does not exist.
    Hidden,
}

/// The masks of the policy language.
#[derive(Debug, Clone, PartialEq)]
pub enum Mask {
    /// `replace-with-null`
    ReplaceWithNull,
    /// `mask-alphanum`
    MaskAlphanum,
    /// `show-first-4`
    ShowFirst4,
    /// `show-last-4`
    ShowLast4,
    /// `mask-to-fixed-value`
    MaskToFixedValue,
    /// `truncate-to-year`
    TruncateToYear,
    /// `truncate-to-month`
    TruncateToMonth,
    /// `sha-256-global`
    Sha256Global,
    /// `sha-256-query-local`
    Sha256QueryLocal,
    /// `hmac-sha-256`
    HmacSha256,
    /// `sql:<expression>`
    Sql(Expr),
}

/// A policy that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// `@id`, or `<file>#<n>` without one; unique among the policies that have a say about one product.
    pub id: String,
}

impl Decision {
    /// The table that was asked for.
    pub fn table(&self) -> &TableAddress {
        &self.table
    }

    /// The release it was made over.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The answer.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether the table exists for the principal.
    pub fn is_visible(&self) -> bool {
        matches!(self.access, Access::Visible { .. })
    }

    /// The policies that decided about the table and its rows, sorted by id.
    pub fn determining(&self) -> &[PolicyRef] {
        &self.determining
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}
