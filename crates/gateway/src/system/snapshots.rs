//! `meshgate.catalog.snapshots`: the versions of tables that can be asked for. The only listing that opens tables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat};
use futures::{StreamExt, stream};
use meshgate_engine::TableName;
use meshgate_govern::{Listing, Wanted};
use meshgate_model::{Failure, mutant};
use meshgate_policy::{ColumnVerdict, Reading};
use meshgate_table::{PastVersion, Tables};

use super::{CATALOG, Listed, Row, TABLES, batch, listed_if, schema, text};
use crate::Error;
use crate::caller::View;
use crate::mesh::source_of;

/// How many tables are opened for one query.
const TABLES_MAX: usize = 500;
/// How many of them at the same time.
const TABLES_AT_ONCE: usize = 8;
/// How many versions of each are told, the newest.
const VERSIONS_MAX: usize = 200;

/// The table, for one principal.
pub(crate) struct Versions {
    view: View,
    tables: Arc<Tables>,
    columns: &'static [&'static str],
}

impl Versions {
    /// Nothing is opened yet; `None` if it is another table that is asked for.
    pub(crate) fn asked(view: &View, tables: &Arc<Tables>, name: &TableName) -> Option<Self> {
        let (.., columns) = TABLES.iter().find(|(schema, table, _)| (*schema, *table) == ("catalog", "snapshots"))?;
        let is_it = name.catalog == CATALOG && name.schema == "catalog" && name.table == "snapshots";
        is_it.then(|| Self { view: view.clone(), tables: tables.clone(), columns })
    }

    async fn of(&self, entry: &Listed<'_>) -> Result<Vec<PastVersion>, Error> {
        let Ok(source) = source_of(entry.table) else { return Ok(Vec::new()) };
        let Some(stores) = self.view.mesh.stores(&entry.table.address.product.domain) else { return Ok(Vec::new()) };
        if !source.format.has_versions() {
            return Ok(Vec::new());
        }
        self.tables.history(stores, &source, VERSIONS_MAX).await.map_err(Error::below)
    }
}

#[async_trait]
impl Listing for Versions {
    fn schema(&self) -> SchemaRef {
        schema(self.columns)
    }

    async fn rows(&self, wanted: &Wanted) -> Result<RecordBatch, Box<dyn Failure>> {
        let takes = |domain: &str, product: &str, table: &str| {
            wanted.takes("domain", domain) && wanted.takes("product", product) && wanted.takes("table_name", table)
        };
        let mut listed = listed_if(&self.view, &takes);
        listed.retain(|entry| sees_history(entry));
        if listed.len() > TABLES_MAX {
            return Err(Box::new(Error::TooManyTables { max: TABLES_MAX }));
        }
        // Asked for one table, there is no answer without it; of many, those that cannot be read now are left out.
        let one = ["domain", "product", "table_name"].iter().all(|column| wanted.fixes(column));
        let listed = &listed;
        let histories: Vec<_> =
            stream::iter(0..listed.len()).map(|at| self.of(&listed[at])).buffered(TABLES_AT_ONCE).collect().await;
        let mut rows = Vec::new();
        for (entry, history) in listed.iter().zip(histories) {
            match history {
                Ok(history) => rows.extend(history.into_iter().map(|version| row(entry, version))),
                Err(error) if one => return Err(Box::new(error)),
                Err(error) => tracing::warn!(table = %entry.table.address, %error, "no versions are listed"),
            }
        }
        batch(self.columns, rows).ok_or_else(|| {
            let what = "a listing of versions that does not fit its columns".to_owned();
            Box::new(Error::Internal { what }) as Box<dyn Failure>
        })
    }
}

/// SECURITY: when versions were made, and by what, tells of changes of hidden rows, and of values behind masks: only who
/// reads all of a table as it is stored sees its history.
fn sees_history(entry: &Listed<'_>) -> bool {
    (!entry.filtered && entry.verdicts.iter().all(is_plain)) || mutant("the history of hidden rows is told")
}

fn is_plain(verdict: &ColumnVerdict) -> bool {
    verdict.reading == Reading::Plain && verdict.fields.iter().all(is_plain)
}

fn row(entry: &Listed<'_>, version: PastVersion) -> Row {
    let made = version.timestamp.and_then(|made| DateTime::from_timestamp_micros(made.micros()));
    vec![
        text(&entry.catalog),
        text(&entry.schema),
        text(&entry.table.name),
        text(version.version),
        made.map(|made| made.to_rfc3339_opts(SecondsFormat::Micros, true)),
        version.operation,
        (!version.names.is_empty()).then(|| version.names.join(", ")),
        text(version.is_current),
    ]
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Versions").finish_non_exhaustive()
    }
}
