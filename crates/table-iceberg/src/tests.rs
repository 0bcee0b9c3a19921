//! Iceberg tables by the library's writers.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use iceberg::spec::{NestedField, Schema};
use meshgate_model::{Clock, Instant};
use meshgate_table::TableFormat;
use meshgate_table::conformance::{self, Failed, Fixture};

use crate::write::change as change_table;
use crate::{IcebergFormat, write};

mod deletes;
mod histories;
mod wrong_deletes;

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
        Arc::new(IcebergFormat::new(Arc::new(Machine)))
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

/// Gives a table another schema.
pub(crate) fn change_columns(directory: &Path, change: impl FnOnce(&mut Vec<NestedField>)) {
    change_table(directory, |builder| {
        let metadata = builder.clone().build()?.metadata;
        let schema = metadata.current_schema();
        let mut fields: Vec<NestedField> =
            schema.as_struct().fields().iter().map(|field| field.as_ref().clone()).collect();
        change(&mut fields);
        let next = metadata.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or(0) + 1;
        let fields = fields.into_iter().map(Arc::new);
        builder.add_current_schema(Schema::builder().with_schema_id(next).with_fields(fields).build()?)
    })
    .unwrap();
}
