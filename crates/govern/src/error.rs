//! Why a table cannot be governed, and so not be read.

use meshgate_model::{Failure, Fault, PublicText, TableAddress};

use crate::Breach;

/// Why a table cannot be governed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Policy does not show the table to the principal.
    #[error("{table} is absent for this principal")]
    Absent {
        /// The table.
        table: TableAddress,
    },
    /// The stored table does not hold what the contract promises.
    #[error("{table} breaches its contract: {}", breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Breached {
        /// The table.
        table: TableAddress,
        /// Where it does not.
        breaches: Vec<Breach>,
    },
    /// A row filter, mask or entitlement cannot be applied to the stored table.
    #[error("policy of {table}: {reason}")]
    Policy {
        /// The table.
        table: TableAddress,
        /// What cannot be done.
        reason: String,
    },
    /// An entitlement that the table's policy needs cannot be read.
    #[error("an entitlement of {table} cannot be read")]
    Entitlement {
        /// The table whose policy needs it; which one it needs is in the source, for the operator.
        table: TableAddress,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The table itself cannot be read.
    #[error(transparent)]
    Table(#[from] meshgate_table::Error),
    /// The gateway could not make the rows of a table of its own.
    #[error("{0}")]
    Listing(Box<dyn Failure>),
    /// DataFusion refused the policy's expression.
    #[error("policy of {table}")]
    Expression {
        /// The table.
        table: TableAddress,
        /// What it says.
        #[source]
        source: datafusion::error::DataFusionError,
    },
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Absent { .. } => Fault::NotFound,
            Self::Breached { .. } | Self::Policy { .. } | Self::Expression { .. } | Self::Entitlement { .. } => {
                Fault::Unavailable
            }
            Self::Table(error) => error.fault(),
            Self::Listing(error) => error.fault(),
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Absent { .. } => PublicText::new("the table does not exist"),
            // SECURITY: neither the names of columns nor the text of policies is told: both may be hidden.
            Self::Breached { table, .. } => {
                PublicText::new(format!("`{}` is out of service: its data breaches its contract", table.policy_id()))
                    .hint("its owners see what is wrong in the gateway's log and with `meshgate check`")
            }
            Self::Policy { table, .. } | Self::Expression { table, .. } | Self::Entitlement { table, .. } => {
                PublicText::new(format!("`{}` is out of service: its policy cannot be applied", table.policy_id()))
                    .hint("its owners see what is wrong in the gateway's log and with `meshgate check`")
            }
            Self::Table(error) => error.public(),
            Self::Listing(error) => error.public(),
        }
    }
}
