//! What a table format has to implement.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use meshgate_model::Instant;

use crate::{DomainStores, Error, FileSet, Format, Pin, Snapshot, Source};

/// A table format: opens tables of its kind inside a domain's stores.
#[async_trait]
pub trait TableFormat: Send + Sync + Debug {
    /// Which format this is.
    fn format(&self) -> Format;
    /// Finds the table. Reads as little as possible; [`OpenTable::snapshot`] does the rest.
    async fn open(&self, source: &Source, stores: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error>;
}

/// A table that was found. Keeps what makes the next snapshot cheap.
#[async_trait]
pub trait OpenTable: Send + Sync + Debug {
    /// The table at a version. `Pin::Latest` asks the store what is the newest, every time.
    async fn snapshot(&self, pin: &Pin) -> Result<Arc<Snapshot>, Error>;
    /// The versions that can be asked for, the newest first, so many at most. Asks the store, every time. A table without a
    /// log has none.
    async fn history(&self, _versions_max: usize) -> Result<Vec<PastVersion>, Error> {
        Ok(Vec::new())
    }
}

/// A version as the log tells of it. Nothing in it is a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastVersion {
    /// The version as [`Pin::Version`] names it.
    pub version: String,
    /// When it was made.
    pub timestamp: Option<Instant>,
    /// By what, in the writer's word.
    pub operation: Option<String>,
    /// The branches and tags that end there, sorted.
    pub names: Vec<String>,
    /// Whether it is what [`Pin::Latest`] is.
    pub is_current: bool,
}

/// The longest word for an operation.
const OPERATION_LEN_MAX: usize = 40;

impl PastVersion {
    /// A writer's word for what it did. SECURITY: whatever is none, such as a path, is not passed on.
    pub fn operation_of(text: &str) -> Option<String> {
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '_');
        (is_word && (1..=OPERATION_LEN_MAX).contains(&text.len())).then(|| text.to_owned())
    }
}

/// What a snapshot asks its format for: the files, once.
#[async_trait]
pub trait FileList: Send + Sync + Debug {
    /// All live files of the version.
    async fn load(&self) -> Result<FileSet, Error>;
}

#[cfg(test)]
mod tests {
    use super::PastVersion;

    #[test]
    fn an_operation_is_a_word() {
        for (text, told) in [
            ("WRITE", true),
            ("CREATE OR REPLACE TABLE AS SELECT", true),
            ("", false),
            ("s3://lake/secret", false),
            ("../x", false),
            ("a very long word that nobody would call an operation", false),
        ] {
            assert_eq!(PastVersion::operation_of(text).is_some(), told, "{text}");
        }
    }
}
