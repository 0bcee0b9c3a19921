//! What a table format has to implement.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

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
}

/// What a snapshot asks its format for: the files, once.
#[async_trait]
pub trait FileList: Send + Sync + Debug {
    /// All live files of the version.
    async fn load(&self) -> Result<FileSet, Error>;
}
