//! What can go wrong in a use-case.

use meshgate_model::{Failure, Fault, PublicText, QueryId, Scope, TableAddress};

use crate::SessionOptions;

/// Why a use-case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gateway is shutting down.
    #[error("the gateway is draining")]
    Draining,
    /// An option that does not exist.
    #[error("unknown session option `{name}`")]
    UnknownOption {
        /// As given.
        name: String,
    },
    /// An option's value that does not fit.
    #[error("session option `{name}` cannot be `{value}`: expected {expected}")]
    InvalidOption {
        /// The option.
        name: String,
        /// As given, cut.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// A purpose that mesh.yaml does not list.
    #[error("unknown purpose `{purpose}`")]
    UnknownPurpose {
        /// As given.
        purpose: String,
    },
    /// A statement that changes no session where one was expected.
    #[error("not a session statement")]
    NoSessionStatement,
    /// Time travel on a table that has no versions.
    #[error("{name} has no versions")]
    NoHistory {
        /// The table.
        name: String,
    },
    /// Time travel on a product's table that keeps no log.
    #[error("{table} has no versions")]
    NoVersions {
        /// The table.
        table: TableAddress,
    },
    /// A table without a log whose files are no longer those that a transaction or a query began with.
    #[error("the files of {table} have changed")]
    FilesChanged {
        /// The table.
        table: TableAddress,
    },
    /// A domain or product whose documents or rules are broken.
    #[error("{scope} is out of service: {}", reasons.join("; "))]
    OutOfService {
        /// Which.
        scope: Scope,
        /// Why.
        reasons: Vec<String>,
        /// Whether the caller owns it and may read the reasons.
        owner: bool,
    },
    /// A table whose contract names another place since its version was settled.
    #[error("{table} has moved")]
    Moved {
        /// The table.
        table: TableAddress,
    },
    /// More tables in one transaction than are kept track of.
    #[error("more than {max} tables in one transaction")]
    TooManySnapshots {
        /// The limit.
        max: usize,
    },
    /// More tables whose versions are listed than are opened for one query.
    #[error("versions of more than {max} tables in one query")]
    TooManyTables {
        /// The limit.
        max: usize,
    },
    /// A table on a kind of server that the gateway does not read.
    #[error("{table} is stored as `{kind}`, which the gateway does not read")]
    NotReadable {
        /// The table.
        table: TableAddress,
        /// The kind.
        kind: String,
    },
    /// The principal lost the right, or its rules changed, while the query ran.
    #[error("rights changed while the query ran")]
    Revoked,
    /// A fault of ours.
    #[error("internal: {what}")]
    Internal {
        /// What happened, for the operator.
        what: String,
    },
    /// A failure of one of the crates below.
    #[error("{0}")]
    Below(Box<dyn Failure>),
    /// Any of these, of a statement that stands in the audit trail under this id.
    #[error("{source}")]
    InQuery {
        /// The query.
        id: QueryId,
        /// What happened.
        source: Box<Error>,
    },
}

impl Error {
    /// Wraps a failure of a crate below.
    pub fn below(error: impl Failure) -> Self {
        Self::Below(Box::new(error))
    }

    /// The query in which it happened, if there was one.
    pub fn query(&self) -> Option<QueryId> {
        match self {
            Self::InQuery { id, .. } => Some(*id),
            _ => None,
        }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Draining => Fault::Unavailable,
            Self::UnknownOption { .. } | Self::InvalidOption { .. } => Fault::Invalid,
            Self::UnknownPurpose { .. } | Self::NoSessionStatement | Self::NoHistory { .. } => Fault::Invalid,
            Self::NoVersions { .. } => Fault::Invalid,
            Self::OutOfService { .. } | Self::NotReadable { .. } => Fault::Unavailable,
            Self::Revoked => Fault::Denied,
            Self::Moved { .. } | Self::FilesChanged { .. } => Fault::Conflict,
            Self::TooManySnapshots { .. } | Self::TooManyTables { .. } => Fault::Limited,
            Self::Internal { .. } => Fault::Internal,
            Self::Below(error) => error.fault(),
            Self::InQuery { source, .. } => source.fault(),
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Draining => PublicText::new("the gateway is shutting down").hint("connect again in a moment"),
            Self::UnknownOption { .. } => {
                PublicText::new(self.to_string()).hint(format!("options are {}", SessionOptions::NAMES.join(", ")))
            }
            Self::InvalidOption { .. } => PublicText::new(self.to_string()),
            Self::UnknownPurpose { purpose } => {
                PublicText::new(format!("`{purpose}` is no purpose of this mesh")).hint("mesh.yaml lists the purposes")
            }
            Self::NoSessionStatement => PublicText::new("the statement changes no session"),
            Self::NoHistory { name } => {
                PublicText::new(format!("`{name}` is a table of the gateway and has no versions"))
            }
            Self::NoVersions { table } => PublicText::new(format!(
                "`{}` is read without FOR VERSION or TIMESTAMP: Parquet directories have no versions",
                table.policy_id()
            )),
            Self::FilesChanged { table } => {
                PublicText::new(format!("the files of `{}` have changed since the query began", table.policy_id()))
                    .hint("begin another transaction, or run the statement again")
            }
            Self::OutOfService { scope, reasons, owner } => {
                let text = PublicText::new(format!("{scope} is out of service"));
                // Its owners read why; the reasons may name what others must not see.
                if *owner { text.detail(reasons.join("; ")) } else { text.hint("its owners know why") }
            }
            Self::NotReadable { table, .. } => PublicText::new(format!(
                "`{}` is on a kind of server that the gateway does not read",
                table.policy_id()
            )),
            Self::Revoked => PublicText::new("your rights on a table of this query changed while it ran")
                .hint("run it again to see what you may see now"),
            Self::Moved { table } => {
                PublicText::new(format!("`{}` is at another place since the query began", table.policy_id()))
                    .hint("begin another transaction, or run the statement again")
            }
            Self::TooManySnapshots { max } => {
                PublicText::new(format!("a transaction reads {max} tables at most")).hint("end it and begin another")
            }
            Self::TooManyTables { max } => {
                PublicText::new(format!("versions of {max} tables are listed at most in one query"))
                    .hint("compare `domain`, `product` or `table_name` with a text")
            }
            Self::Internal { .. } => PublicText::internal(),
            Self::Below(error) => error.public(),
            Self::InQuery { source, .. } => source.public(),
        }
    }
}
