//! What can go wrong between a location and its rows.

use meshgate_model::{Failure, Fault, PublicText};

/// Why a table cannot be read. `Display` is for the operator's log and may name files; [`Failure::public`] never does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no table where the document says.
    #[error("no {format} table at {place}")]
    NotFound {
        /// The format that was looked for.
        format: &'static str,
        /// Where.
        place: String,
    },
    /// A path that the domain's storage grants do not cover.
    #[error("{path} lies outside the storage of domain {domain}")]
    OutsideStorage {
        /// The domain.
        domain: String,
        /// The path as the table or the document names it.
        path: String,
    },
    /// The table needs a feature that is not built.
    #[error("the table uses {feature}, which is not supported")]
    UnsupportedFeature {
        /// The feature, in words.
        feature: String,
    },
    /// The asked version, tag, branch or time does not exist.
    #[error("{what}")]
    PinNotFound {
        /// What was asked for and why it is not there; public.
        what: String,
    },
    /// The domain's storage grants or credentials cannot be used.
    #[error("storage of domain {domain}: {reason}")]
    Grant {
        /// The domain.
        domain: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table's metadata contradicts itself or its format.
    #[error("malformed table: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The object store did not answer as needed.
    #[error("object store")]
    Store(#[from] object_store::Error),
    /// The format's own library could not read the table.
    #[error("{what}")]
    Format {
        /// What could not be done.
        what: &'static str,
        /// The library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// DataFusion or Arrow could not build the scan.
    #[error("building the scan")]
    Plan(#[from] datafusion::error::DataFusionError),
}

impl Error {
    /// A failure of the format's library.
    pub fn format(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Format { what, source: source.into() }
    }

    /// A table that contradicts its format.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    /// A feature that is not built.
    pub fn unsupported(feature: impl Into<String>) -> Self {
        Self::UnsupportedFeature { feature: feature.into() }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::PinNotFound { .. } => Fault::NotFound,
            Self::NotFound { .. }
            | Self::OutsideStorage { .. }
            | Self::UnsupportedFeature { .. }
            | Self::Grant { .. }
            | Self::Malformed { .. }
            | Self::Store(_)
            | Self::Format { .. } => Fault::Unavailable,
            Self::Plan(_) => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::PinNotFound { what } => PublicText::new(what.clone()),
            Self::UnsupportedFeature { feature } => {
                PublicText::new(format!("the table uses {feature}, which is not supported"))
            }
            // SECURITY: nothing of these reaches a client: their texts name files, buckets and hosts.
            Self::NotFound { .. }
            | Self::OutsideStorage { .. }
            | Self::Grant { .. }
            | Self::Malformed { .. }
            | Self::Store(_)
            | Self::Format { .. } => PublicText::new("the table's data cannot be read just now"),
            Self::Plan(_) => PublicText::internal(),
        }
    }
}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Plan(inner) => inner,
            other => Self::External(Box::new(other)),
        }
    }
}
