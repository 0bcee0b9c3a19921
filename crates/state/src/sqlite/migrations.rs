//! The schema's history. A migration that was released is never changed.

use std::future::Future;
use std::pin::Pin;

use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource};

use super::migration;

/// All migrations in order: version, name, SQL.
pub(super) const ALL: &[(i64, &str, &str)] =
    &[(1, "credentials", include_str!("../../migrations/0001_credentials.sql"))];

/// Hands the embedded migrations to sqlx.
#[derive(Debug)]
pub(super) struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send + 'static>> {
        Box::pin(async { Ok(ALL.iter().map(|(version, name, sql)| migration(*version, name, sql)).collect()) })
    }
}
