//! Why a state cannot be used.

use std::path::PathBuf;

use meshgate_model::{Failure, Fault, PublicText};

/// What can go wrong with a state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no kind of state that is known.
    #[error("the state's URL must begin with `sqlite://`, as in `sqlite:///var/lib/meshgate/state.db`, not be `{0}`")]
    Url(String),
    /// PostgreSQL is planned, not built.
    #[error("state in PostgreSQL is not built yet; use `sqlite:///path/state.db`")]
    Postgres,
    /// A file or directory of the state cannot be made or read.
    #[error("cannot use {path} for the state")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database was written by a newer gateway.
    #[error("{path} was written by a newer version of meshgate (schema {found}, this version knows {known})")]
    TooNew {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// The database is not one of ours, or was changed by hand.
    #[error("{path} is not a state of meshgate: {why}")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The database does not do what it should.
    #[error("the state's database failed")]
    Database(#[source] sqlx::Error),
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Url(_) => Fault::Invalid,
            Self::Postgres => Fault::Unsupported,
            Self::TooNew { .. } | Self::Foreign { .. } => Fault::Conflict,
            Self::File { .. } | Self::Database(_) => Fault::Unavailable,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Url(_) | Self::Postgres => PublicText::new(self.to_string()),
            Self::File { .. } | Self::TooNew { .. } | Self::Foreign { .. } | Self::Database(_) => {
                PublicText::new("the gateway's state is not available")
                    .hint("try again later; the operator's log has the cause")
            }
        }
    }
}
