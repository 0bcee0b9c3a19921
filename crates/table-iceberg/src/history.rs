//! The versions of a table, by its metadata.

use std::collections::HashMap;

use iceberg::spec::TableMetadata;
use meshgate_model::Instant;
use meshgate_table::{Error, PastVersion};
use serde_json::Value;

/// The newest snapshots that are kept, the newest first, with the branches and tags that end with each.
pub(crate) fn versions(metadata: &TableMetadata, versions_max: usize) -> Result<Vec<PastVersion>, Error> {
    let mut names = names(metadata)?;
    let current = metadata.current_snapshot_id();
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.sequence_number(), snapshot.timestamp_ms())));
    let mut names_of = |id: i64| {
        let mut names = names.remove(&id).unwrap_or_default();
        names.sort_unstable();
        names
    };
    let each = snapshots.into_iter().take(versions_max).map(|snapshot| PastVersion {
        version: snapshot.snapshot_id().to_string(),
        timestamp: Some(Instant(snapshot.timestamp_ms().saturating_mul(1_000))),
        operation: PastVersion::operation_of(snapshot.summary().operation.as_str()),
        names: names_of(snapshot.snapshot_id()),
        is_current: Some(snapshot.snapshot_id()) == current,
    });
    Ok(each.collect())
}

/// By snapshot. The library tells where a name leads, but not which names there are.
fn names(metadata: &TableMetadata) -> Result<HashMap<i64, Vec<String>>, Error> {
    let failed = |error: serde_json::Error| Error::format("reading Iceberg metadata", error);
    let written = serde_json::to_value(metadata).map_err(failed)?;
    let mut names: HashMap<i64, Vec<String>> = HashMap::new();
    for (name, reference) in written.get("refs").and_then(Value::as_object).into_iter().flatten() {
        if let Some(id) = reference.get("snapshot-id").and_then(Value::as_i64) {
            names.entry(id).or_default().push(name.clone());
        }
    }
    Ok(names)
}
