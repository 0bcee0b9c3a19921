//! Why nothing can be recorded.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use meshgate_model::{Failure, Fault, PublicText};

/// What can go wrong with a ledger.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes to this directory.
    #[error("the audit directory {0} is in use by another gateway")]
    Locked(PathBuf),
    /// The trail is not what its head says it is. It is not built upon.
    #[error(
        "the audit trail in {dir} is damaged: {why}; run `meshgate audit verify`, and move the directory aside to start a \
         new trail"
    )]
    Broken {
        /// The audit directory.
        dir: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The trail is not the one that was anchored. It is not built upon.
    #[error(
        "the audit trail in {dir} is not the one that the anchors in {anchors} speak of: {why}; it was set back, rewritten or \
         exchanged; to start a new trail on purpose, move the anchors aside together with the old one"
    )]
    Unanchored {
        /// The audit directory.
        dir: PathBuf,
        /// The file with the anchors.
        anchors: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A text that is no key for anchors.
    #[error("this is no Ed25519 key: a PEM file with `BEGIN {expected}` is expected")]
    Key {
        /// The kind of key.
        expected: &'static str,
    },
    /// A file cannot be made, read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// A record could not be put into JSON.
    #[error("a record cannot be written as JSON")]
    Encode(#[source] Arc<serde_json::Error>),
    /// A record is longer than any that is written.
    #[error("a record of {bytes} bytes is too long for the audit trail")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// More records wait for the disk than the ledger will hold.
    #[error("the audit trail cannot keep up: {0} bytes are waiting to be written")]
    Behind(usize),
    /// The ledger was closed.
    #[error("the audit trail is closed")]
    Closed,
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source: Arc::new(source) }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Locked(_) | Self::Broken { .. } | Self::Unanchored { .. } => Fault::Conflict,
            Self::Key { .. } => Fault::Invalid,
            Self::File { .. } | Self::Behind(_) | Self::Closed => Fault::Unavailable,
            Self::Encode(_) | Self::TooLarge { .. } => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Encode(_) | Self::TooLarge { .. } | Self::Key { .. } => PublicText::internal(),
            Self::Locked(_)
            | Self::Broken { .. }
            | Self::Unanchored { .. }
            | Self::File { .. }
            | Self::Behind(_)
            | Self::Closed => {
                PublicText::new("the gateway cannot record what it does, and does nothing it cannot record")
                    .hint("try again later; the operator's log has the cause")
            }
        }
    }
}
