//! What every result says of itself: the query's id and, per table, product, version and snapshot.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use meshgate_engine::Plan;
use meshgate_model::QueryId;
use serde_json::json;

/// The key of the metadata in a result's schema.
const KEY: &str = "meshgate.query";

/// JSON for `app_metadata` and the schema's metadata.
pub(crate) fn metadata(id: QueryId, plan: &Plan) -> String {
    let tables = plan.touched().iter().map(|lineage| {
        json!({
            "table": format!("{}", lineage.table),
            "product": lineage.table.product.to_string(),
            "version": lineage.product_version,
            "snapshot": lineage.snapshot_is_public.then_some(&lineage.snapshot),
        })
    });
    json!({ "query_id": id.to_string(), "tables": tables.collect::<Vec<_>>() }).to_string()
}

/// The schema with the metadata.
pub(crate) fn schema(schema: &SchemaRef, metadata: &str) -> SchemaRef {
    let metadata = [(KEY.to_owned(), metadata.to_owned())].into();
    Arc::new(schema.as_ref().clone().with_metadata(metadata))
}
