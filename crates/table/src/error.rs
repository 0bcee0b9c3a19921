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
    /// A catalog did not answer as needed.
    #[error("the catalog {url}: {reason}")]
    Catalog {
        /// The catalog.
        url: String,
        /// What is wrong; never a token.
        reason: String,
    },
    /// The table's metadata contradicts itself or its format.
    #[error("malformed table: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a table without a log that does not fit the others, or what its contract says of them all.
    #[error("{file} does not fit the table {table}: {reason}")]
    Misfit {
        /// The table's address.
        table: String,
        /// The file or directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a table without a log that is not the one that was listed any more.
    #[error("{file} of the table {table} was replaced after it was listed")]
    Replaced {
        /// The table's address.
        table: String,
        /// The file.
        file: String,
    },
    /// A table without a log that has more files than are listed.
    #[error("{place} of the table {table} holds more than {max} files")]
    TooManyFiles {
        /// The table's address.
        table: String,
        /// Its directory.
        place: String,
        /// The limit.
        max: usize,
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

    /// The same once more, if it is about files without a log.
    pub fn of_files(&self) -> Option<Self> {
        match self {
            Self::Misfit { table, file, reason } => {
                Some(Self::Misfit { table: table.clone(), file: file.clone(), reason: reason.clone() })
            }
            Self::Replaced { table, file } => Some(Self::Replaced { table: table.clone(), file: file.clone() }),
            Self::TooManyFiles { table, place, max } => {
                Some(Self::TooManyFiles { table: table.clone(), place: place.clone(), max: *max })
            }
            _ => None,
        }
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
            Self::Replaced { .. } => Fault::Conflict,
            Self::Misfit { .. } | Self::TooManyFiles { .. } => Fault::Unavailable,
            Self::NotFound { .. }
            | Self::OutsideStorage { .. }
            | Self::UnsupportedFeature { .. }
            | Self::Grant { .. }
            | Self::Catalog { .. }
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
            // SECURITY: neither the file, whose path may hold values of a partition column, nor the column, which may be hidden.
            Self::Misfit { table, .. } => PublicText::new(format!("the files of {} do not fit together", named(table)))
                .hint("its owners have to mend that; the operator's log names the file"),
            Self::Replaced { table, .. } => {
                PublicText::new(format!("files of {} were replaced while they were read", named(table)))
                    .hint("run the query again")
            }
            Self::TooManyFiles { table, max, .. } => {
                PublicText::new(format!("{} has more than {max} files, which is all that are listed", named(table)))
                    .hint("the operator's setting is `parquet_files_max`")
            }
            // SECURITY: nothing of these reaches a client: their texts name files, buckets and hosts.
            Self::NotFound { .. }
            | Self::OutsideStorage { .. }
            | Self::Grant { .. }
            | Self::Catalog { .. }
            | Self::Malformed { .. }
            | Self::Store(_)
            | Self::Format { .. } => PublicText::new("the table's data cannot be read just now"),
            Self::Plan(_) => PublicText::internal(),
        }
    }
}

/// A table that was opened without a contract has no address.
fn named(table: &str) -> String {
    if table.is_empty() { "the table".to_owned() } else { format!("`{table}`") }
}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Plan(inner) => inner,
            other => Self::External(Box::new(other)),
        }
    }
}
