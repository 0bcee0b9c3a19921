//! Finding a table's metadata file in a SQL catalog.

use std::sync::Arc;

use meshgate_table::{CatalogRef, DomainStores, Error};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

/// One table of a SQL catalog. It is only ever read: the catalog belongs to others.
#[derive(Debug)]
pub(crate) struct SqlCatalog {
    pool: SqlitePool,
    reference: CatalogRef,
}

impl SqlCatalog {
    /// Nothing is connected to yet.
    pub(crate) fn open(reference: &CatalogRef, stores: &Arc<DomainStores>) -> Result<Self, Error> {
        let url = reference.url.as_str();
        let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) else {
            let kind = match url.split(':').next() {
                Some("postgres" | "postgresql") => "a PostgreSQL catalog",
                _ => "a catalog of an unknown kind",
            };
            return Err(Error::unsupported(kind));
        };
        let path = path.split('?').next().unwrap_or_default();
        // SECURITY: a catalog file is contained like any other file.
        let path = stores.local_file(path)?;
        let options = SqliteConnectOptions::new().filename(path).read_only(true).create_if_missing(false);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        Ok(Self { pool, reference: reference.clone() })
    }

    /// Where the table's newest metadata file is.
    pub(crate) async fn metadata_location(&self) -> Result<String, Error> {
        let failed = |error: sqlx::Error| Error::format("asking a SQL catalog", error);
        let statement = "SELECT metadata_location FROM iceberg_tables \
                         WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";
        let CatalogRef { catalog, namespace, table, url, .. } = &self.reference;
        let found = sqlx::query(statement)
            .bind(catalog)
            .bind(namespace)
            .bind(table)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        let place = || format!("{catalog}.{namespace}.{table} of {url}");
        let row = found.ok_or_else(|| Error::NotFound { format: "Iceberg", place: place() })?;
        let location: Option<String> = row.try_get(0).map_err(failed)?;
        location.ok_or_else(|| Error::NotFound { format: "Iceberg", place: place() })
    }
}
