//! A plan: what will be executed, and what it touches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use meshgate_govern::Lineage;
use meshgate_model::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Catalog, Request, twins};

/// What a plan is made of.
#[derive(Clone)]
pub struct PlanInput {
    /// The statement.
    pub request: Request,
    /// The tables of the principal.
    pub catalog: Arc<dyn Catalog>,
    /// The catalog of unqualified names.
    pub default_catalog: Option<String>,
    /// The schema of unqualified names.
    pub default_schema: Option<String>,
    /// The time zone of timestamps without one.
    pub timezone: Option<String>,
    /// What `now()` is throughout the statement.
    pub now: Instant,
    /// Values of parameters; the statement runs once per row.
    pub parameters: Option<RecordBatch>,
    /// In how many parts the result is wanted; a plan that cannot be parted has one.
    pub parts: u32,
}

/// A planned query. It can be executed once.
pub struct Plan {
    pub(crate) schema: SchemaRef,
    pub(crate) plans: Vec<Arc<dyn ExecutionPlan>>,
    pub(crate) context: Arc<TaskContext>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) lineage: Vec<Lineage>,
    pub(crate) parts: u32,
}

impl Plan {
    /// The schema of the rows, the same that describing the statement gives.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// In how many parts the rows can be had: planned again over the same versions, it gives them in the same order.
    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// The governed tables that the query reads, sorted by address.
    pub fn touched(&self) -> &[Lineage] {
        &self.lineage
    }
}

/// A result's schema: columns as they were asked for, everything nullable, all the way down, without metadata; so that it
/// is the same whether it is taken from a logical plan, a physical plan or a batch.
pub(crate) fn result_schema(schema: &Schema) -> SchemaRef {
    let named = |field: &FieldRef| {
        let field = nullable(field);
        let name = twins::without_marks(field.name());
        if &name == field.name() { field } else { Arc::new(field.as_ref().clone().with_name(name)) }
    };
    Arc::new(Schema::new(schema.fields().iter().map(named).collect::<Fields>()))
}

fn nullable(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::List(item) => DataType::List(nullable(item)),
        DataType::LargeList(item) => DataType::LargeList(nullable(item)),
        DataType::ListView(item) => DataType::ListView(nullable(item)),
        DataType::LargeListView(item) => DataType::LargeListView(nullable(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(nullable(item), *size),
        // A map's entries and keys must not be null.
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true))
}
