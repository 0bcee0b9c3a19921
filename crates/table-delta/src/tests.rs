use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use meshgate_table::TableFormat;
use meshgate_table::conformance::{self, Failed, Fixture};

use crate::{DeltaFormat, Mode, write};

struct Delta;

#[async_trait]
impl Fixture for Delta {
    fn format(&self) -> Arc<dyn TableFormat> {
        Arc::new(DeltaFormat)
    }

    async fn append(&self, directory: &Path, batch: RecordBatch, partition_by: &[&str]) -> Result<(), Failed> {
        Ok(write(directory, [batch], partition_by, Mode::Append).await?)
    }

    fn evolves(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let root = tempfile::tempdir().unwrap();
    conformance::run(&Delta, root.path()).await.unwrap();
}
