//! One version of a table.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use meshgate_model::Instant;
use tokio::sync::OnceCell;

use crate::scan::{self, Caches, Delivery};
use crate::{Binding, DomainStores, Error, FileList, FileSet};

/// What a format knows when it has found a version.
#[derive(Debug)]
pub struct SnapshotParts {
    /// The version as a client may name it again.
    pub version: String,
    /// When it was made.
    pub timestamp: Option<Instant>,
    /// The table's columns under their logical names: strings and binary as views, ids in the field metadata.
    pub schema: SchemaRef,
    /// How columns of files are matched to those.
    pub binding: Binding,
    /// The domain's stores.
    pub stores: Arc<DomainStores>,
    /// Lists the files when they are first needed.
    pub files: Arc<dyn FileList>,
}

/// One version of a table: immutable, shared by all queries that read it.
pub struct Snapshot {
    parts: SnapshotParts,
    binding: Arc<Binding>,
    files: OnceCell<Arc<FileSet>>,
    caches: OnceLock<Caches>,
}

impl Snapshot {
    /// Made by formats.
    pub fn new(parts: SnapshotParts) -> Arc<Self> {
        let binding = Arc::new(parts.binding.clone());
        Arc::new(Self { parts, binding, files: OnceCell::new(), caches: OnceLock::new() })
    }

    /// The version as [`crate::Pin::Version`] would name it.
    pub fn version(&self) -> &str {
        &self.parts.version
    }

    /// When the version was made, if the format says.
    pub fn timestamp(&self) -> Option<Instant> {
        self.parts.timestamp
    }

    /// The table's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.parts.schema
    }

    /// The live files, listed once and then shared.
    pub async fn files(&self) -> Result<Arc<FileSet>, Error> {
        let files = self.files.get_or_try_init(|| async { self.parts.files.load().await.map(Arc::new) }).await?;
        Ok(files.clone())
    }

    /// The number of rows, if the files are listed already and their metadata says exactly.
    pub fn exact_rows(&self) -> Option<u64> {
        self.files.get()?.rows()
    }

    /// Whether no rows of its files are deleted ones; not before the files are listed.
    pub fn is_whole(&self) -> bool {
        self.files.get().is_some_and(|files| files.is_whole())
    }

    /// Whether its version is one of a log; not before the files are listed.
    pub fn keeps_log(&self) -> bool {
        self.files.get().is_some_and(|files| files.loose().is_none())
    }

    /// Whether a file was found to be another than the one that was listed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.files.get().and_then(|files| files.loose()).is_some_and(|loose| loose.is_outdated())
    }

    /// Reads the columns `projection` of [`Self::schema`], in that order. `filters` (over the columns of
    /// [`Self::schema`], by name) only choose files: rows that do not fulfil them may still come. A filter operator
    /// above reaches row groups, pages and rows through DataFusion's filter pushdown.
    pub async fn scan(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        delivery: Delivery,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let (files, stores) = (&self.files().await?, &self.parts.stores);
        let caches = self.caches.get_or_init(|| Caches::new(0, 0));
        let files = scan::Files { files, binding: &self.binding, stores, caches };
        scan::build(session, files, projection, filters, delivery).await
    }

    pub(crate) fn share(&self, caches: &Caches) {
        self.caches.get_or_init(|| caches.clone());
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.parts.version).finish_non_exhaustive()
    }
}
