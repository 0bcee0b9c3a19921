//! The embedded database. Nothing outside this module knows SQL.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};

use crate::{Error, home};

mod credentials;
mod migrations;
mod rows;

const CONNECTIONS_MAX: u32 = 8;
/// How long a writer waits for another, in this process or beside it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database of the newest schema.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    pool: SqlitePool,
}

impl Sqlite {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Error> {
        let lock = lock_for_opening(path.clone()).await?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // A token that was shown and a password that was set survive a crash of the machine.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).test_before_acquire(false);
        let pool = pool.connect_with(options).await.map_err(|error| foreign_or_broken(&path, error))?;
        migrate(&pool, &path).await?;
        drop(lock);
        Ok(Self { pool })
    }

    pub(crate) async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], Error> {
        let insert = "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
        sqlx::query(insert).bind(name).bind(fresh.as_slice()).execute(&self.pool).await.map_err(Error::Database)?;
        let select = sqlx::query("SELECT value FROM secret WHERE name = ?").bind(name);
        let row = select.fetch_one(&self.pool).await.map_err(Error::Database)?;
        let value: Vec<u8> = row.try_get("value").map_err(Error::Database)?;
        value.try_into().map_err(|_| Error::Database(sqlx::Error::Decode("a secret is not 32 bytes long".into())))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes the file, and keeps others from migrating at the same time for as long as the lock is held.
async fn lock_for_opening(path: PathBuf) -> Result<File, Error> {
    let prepare = move || {
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            home::create_dir(dir)?;
        }
        home::create_file(&path)?;
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        home::create_file(&lock_path)?;
        let locked = File::open(&lock_path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| Error::File { path: lock_path, source })
    };
    match tokio::task::spawn_blocking(prepare).await {
        Ok(prepared) => prepared,
        Err(error) => Err(Error::Database(sqlx::Error::Io(std::io::Error::other(error)))),
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    let known = migrations::ALL.last().map_or(0, |(version, ..)| *version);
    let broken = |error: MigrateError| match error {
        MigrateError::VersionMissing(found) if found > known => Error::TooNew { path: path.to_owned(), found, known },
        MigrateError::Execute(error) => foreign_or_broken(path, error),
        MigrateError::ExecuteMigration(error, _) => foreign_or_broken(path, error),
        other => Error::Foreign { path: path.to_owned(), why: other.to_string() },
    };
    let migrator = Migrator::new(migrations::Embedded).await.map_err(broken)?;
    migrator.run(pool).await.map_err(broken)
}

/// SQLite says "not a database" and "already exists" where somebody else's file is in the way.
fn foreign_or_broken(path: &Path, error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if !is_passing(database.code().as_deref()) => {
            Error::Foreign { path: path.to_owned(), why: database.message().to_owned() }
        }
        _ => Error::Database(error),
    }
}

/// Whether it is a matter of time or of the disk: busy, locked, I/O, full, cannot open.
fn is_passing(code: Option<&str>) -> bool {
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(5 | 6 | 8 | 10 | 13 | 14))
}

/// One migration as it stands in the source tree.
fn migration(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, name.into(), sqlx::migrate::MigrationType::Simple, sql.into(), false)
}

#[cfg(test)]
impl Sqlite {
    pub(crate) async fn execute_for_test(&self, sql: &str) {
        sqlx::query(sql).execute(&self.pool).await.expect("executes");
    }

    pub(crate) async fn pragma_for_test(&self, name: &str) -> String {
        let row = sqlx::query(&format!("PRAGMA {name}")).fetch_one(&self.pool).await.expect("answers");
        let text = row.try_get::<String, _>(0);
        text.or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string())).expect("a text or a number")
    }
}
