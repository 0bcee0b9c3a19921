//! What can go wrong with a statement.

use meshgate_model::{Failure, Fault, PublicText};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text cannot be read or planned; `text` is public.
    #[error("{text}")]
    Invalid {
        /// What is wrong.
        text: PublicText,
    },
    /// A kind of statement that is not served; `what` is public.
    #[error("not served: {what}")]
    Statement {
        /// The kind, in SQL's words.
        what: String,
    },
    /// A name that does not exist, or must look as if it did not.
    #[error("`{name}` does not exist")]
    NoTable {
        /// As written.
        name: String,
    },
    /// A limit was reached.
    #[error("limit reached: {text}")]
    Limited {
        /// Which one, and what to try.
        text: PublicText,
    },
    /// The query ran out of time.
    #[error("the deadline of {seconds} s passed")]
    DeadlineExceeded {
        /// The deadline.
        seconds: u32,
    },
    /// The query was ended from outside.
    #[error("cancelled")]
    Cancelled,
    /// The data made the statement fail; `text` is public and holds no value.
    #[error("{text}")]
    Data {
        /// What went wrong.
        text: PublicText,
        /// The engine's own words, for the operator.
        #[source]
        source: datafusion::error::DataFusionError,
    },
    /// A failure of a crate below.
    #[error("{0}")]
    Below(Box<dyn Failure>),
    /// A table's data could not be read.
    #[error("a table's data could not be read")]
    Unreadable(#[source] datafusion::error::DataFusionError),
    /// A fault of ours.
    #[error("internal: {what}")]
    Internal {
        /// What happened, for the operator.
        what: String,
    },
}

impl Error {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid { text: PublicText::new(text) }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Invalid { .. } | Self::Data { .. } => Fault::Invalid,
            Self::Statement { .. } => Fault::Denied,
            Self::NoTable { .. } => Fault::NotFound,
            Self::Limited { .. } => Fault::Limited,
            Self::DeadlineExceeded { .. } => Fault::DeadlineExceeded,
            Self::Cancelled => Fault::Cancelled,
            Self::Below(error) => error.fault(),
            Self::Unreadable(_) => Fault::Unavailable,
            Self::Internal { .. } => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Invalid { text } | Self::Limited { text } | Self::Data { text, .. } => text.clone(),
            Self::Statement { what } => PublicText::new(format!("{what} is not served here"))
                .hint("the gateway reads: SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE and the session's own SET"),
            // One text for names that never were and names that the principal may not see.
            Self::NoTable { name } => PublicText::new(format!("table `{name}` does not exist"))
                .hint("names are domain.product.table; `SHOW TABLES` lists what you may query"),
            Self::DeadlineExceeded { seconds } => {
                PublicText::new(format!("the query took longer than its deadline of {seconds} s"))
                    .hint("ask for less, or raise the session option `deadline_s`")
            }
            Self::Cancelled => PublicText::new("the query was cancelled"),
            Self::Below(error) => error.public(),
            Self::Unreadable(_) => PublicText::new("a table's data cannot be read just now"),
            Self::Internal { .. } => PublicText::internal(),
        }
    }
}
