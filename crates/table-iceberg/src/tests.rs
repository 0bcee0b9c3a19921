//! Iceberg tables by the library's writers.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use meshgate_model::{Clock, Instant};
use meshgate_table::TableFormat;
use meshgate_table::conformance::{self, Failed, Fixture};

use crate::{IcebergFormat, write};

struct Iceberg;

/// The machine's own.
#[derive(Debug)]
pub(crate) struct Machine;

impl Clock for Machine {
    fn now(&self) -> Instant {
        Instant(chrono::Utc::now().timestamp_micros())
    }
}

#[async_trait]
impl Fixture for Iceberg {
    fn format(&self) -> Arc<dyn TableFormat> {
        Arc::new(IcebergFormat)
    }

    async fn append(&self, directory: &Path, batch: RecordBatch, partition_by: &[&str]) -> Result<(), Failed> {
        write(directory, [batch], partition_by).await?;
        Ok(())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Machine)
    }

    fn evolves(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let root = tempfile::tempdir().unwrap();
    conformance::run(&Iceberg, root.path()).await.unwrap();
}
