//! Row filters and SQL masks as a small tree of our own: what `sqlparser` reads, after everything that is not allowed
//! was refused. `govern` types it and turns it into something that runs.

mod display;
mod walk;

use meshgate_model::{AttributeType, TableAddress};

/// An expression over the columns of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column of the contract; a struct's field is a longer path.
    Column(Vec<String>),
    /// `$value` of a `sql:` mask: the column's own stored value.
    MaskedValue,
    /// A constant as written.
    Literal(Literal),
    /// A parameter whose value comes from the principal or the request.
    Parameter(Parameter),
    /// `NOT e`
    Not(Box<Expr>),
    /// `-e`
    Negate(Box<Expr>),
    /// `a op b`
    Binary(Box<Expr>, BinaryOp, Box<Expr>),
    /// `e IS [NOT] NULL`
    IsNull {
        /// What is tested.
        expr: Box<Expr>,
        /// `IS NOT NULL`
        negated: bool,
    },
    /// `e IS [NOT] TRUE` or `e IS [NOT] FALSE`
    IsBoolean {
        /// What is tested.
        expr: Box<Expr>,
        /// Against which value.
        value: bool,
        /// With `NOT`.
        negated: bool,
    },
    /// `e [NOT] IN (a, b, ...)`; an element may be a set parameter, which stands for all its values.
    InList {
        /// What is looked for.
        expr: Box<Expr>,
        /// Where.
        list: Vec<Expr>,
        /// `NOT IN`
        negated: bool,
    },
    /// `e [NOT] IN (SELECT column FROM domain.product.table WHERE filter)`
    InEntitlement {
        /// What is looked for.
        expr: Box<Expr>,
        /// Where.
        entitlement: Box<Entitlement>,
        /// `NOT IN`
        negated: bool,
    },
    /// `e [NOT] BETWEEN low AND high`
    Between {
        /// What is tested.
        expr: Box<Expr>,
        /// Lower bound, included.
        low: Box<Expr>,
        /// Upper bound, included.
        high: Box<Expr>,
        /// `NOT BETWEEN`
        negated: bool,
    },
    /// `e [NOT] [I]LIKE pattern`
    Like {
        /// What is tested.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// `ESCAPE`
        escape: Option<char>,
        /// `ILIKE`
        case_insensitive: bool,
        /// `NOT LIKE`
        negated: bool,
    },
    /// `CASE [operand] WHEN .. THEN .. [ELSE ..] END`
    Case {
        /// The operand, if the short form is used.
        operand: Option<Box<Expr>>,
        /// Conditions and results.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(e AS type)` or `TRY_CAST`
    Cast {
        /// What is cast.
        expr: Box<Expr>,
        /// To what, in SQL's words, as `sqlparser` prints them.
        to: String,
        /// `TRY_CAST`: NULL instead of an error.
        lenient: bool,
    },
    /// A scalar function of the allow-list, lower case.
    Function {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<Expr>,
    },
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, as written.
    Number(String),
    /// `'text'`
    String(String),
    /// `DATE '2026-01-31'`, as written.
    Date(String),
    /// `TIMESTAMP '2026-01-31 12:00:00'`, as written.
    Timestamp(String),
    /// A set: the value of a set parameter.
    StringSet(Vec<String>),
    /// A set of integers.
    IntegerSet(Vec<i64>),
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// `$user`: text.
    User,
    /// `$groups`: a set of texts.
    Groups,
    /// `$purpose`: text, NULL if the session declared none.
    Purpose,
    /// `$now`: a timestamp with time zone, UTC. Stays a parameter in a decision; bound when the query starts.
    Now,
    /// `$<attribute>` of mesh.yaml.
    Attribute(String, AttributeType),
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||`
    Concat,
    /// `IS DISTINCT FROM`
    IsDistinctFrom,
    /// `IS NOT DISTINCT FROM`
    IsNotDistinctFrom,
}

/// An uncorrelated sub-select over an entitlement table, evaluated with the gateway's own rights.
#[derive(Debug, Clone, PartialEq)]
pub struct Entitlement {
    /// The table, always a specific version.
    pub table: TableAddress,
    /// The one column selected.
    pub column: String,
    /// `WHERE`, over that table's columns; may itself hold entitlements.
    pub filter: Option<Expr>,
}

impl Parameter {
    /// Whether its value is a set, which only an IN list can take.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Groups => true,
            Self::User | Self::Purpose | Self::Now => false,
            Self::Attribute(_, kind) => matches!(kind, AttributeType::StringSet | AttributeType::IntegerSet),
        }
    }
}
