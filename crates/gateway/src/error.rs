//! What can go wrong in a use-case.

use meshgate_model::{Failure, Fault, PublicText};

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
    /// A failure of one of the crates below.
    #[error(transparent)]
    Below(Box<dyn Failure>),
}

impl Error {
    /// Wraps a failure of a crate below.
    pub fn below(error: impl Failure) -> Self {
        Self::Below(Box::new(error))
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Draining => Fault::Unavailable,
            Self::UnknownOption { .. } | Self::InvalidOption { .. } => Fault::Invalid,
            Self::Below(error) => error.fault(),
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Draining => PublicText::new("the gateway is shutting down").hint("connect again in a moment"),
            Self::UnknownOption { .. } => {
                PublicText::new(self.to_string()).hint(format!("options are {}", SessionOptions::NAMES.join(", ")))
            }
            Self::InvalidOption { .. } => PublicText::new(self.to_string()),
            Self::Below(error) => error.public(),
        }
    }
}
