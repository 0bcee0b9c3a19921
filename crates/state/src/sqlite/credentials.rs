//! Tokens and users.

use meshgate_identity::{PasswordHash, PrincipalKind, StoreError, TokenHash, TokenRecord, UserRecord};
use meshgate_model::Instant;

use super::{Sqlite, rows};

type Answer<T> = Result<T, StoreError>;

impl Sqlite {
    pub(crate) async fn find_token(&self, hash: &TokenHash) -> Answer<Option<TokenRecord>> {
        let query = sqlx::query("SELECT * FROM token WHERE hash = ?").bind(hash.as_bytes().as_slice());
        let row = query.fetch_optional(&self.pool).await.map_err(StoreError::backend)?;
        row.as_ref().map(rows::token).transpose().map_err(StoreError::backend)
    }

    pub(crate) async fn find_user(&self, name: &str) -> Answer<Option<UserRecord>> {
        let query = sqlx::query("SELECT * FROM user WHERE name = ?").bind(name);
        let row = query.fetch_optional(&self.pool).await.map_err(StoreError::backend)?;
        row.as_ref().map(rows::user).transpose().map_err(StoreError::backend)
    }

    pub(crate) async fn add_token(&self, token: TokenRecord) -> Answer<()> {
        let insert = "INSERT INTO token (hash, id, kind, name, groups, attributes, created, expires, revoked) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = sqlx::query(insert)
            .bind(token.hash.as_bytes().to_vec())
            .bind(&token.id)
            .bind(rows::kind(token.kind))
            .bind(&token.name)
            .bind(json(&token.groups)?)
            .bind(json(&token.attributes)?)
            .bind(token.created.micros())
            .bind(token.expires.map(Instant::micros))
            .bind(token.revoked.map(Instant::micros));
        let done = query.execute(&self.pool).await;
        done.map(drop).map_err(|error| exists_or_broken(error, || format!("token {}", token.id)))
    }

    pub(crate) async fn tokens(&self) -> Answer<Vec<TokenRecord>> {
        let query = sqlx::query("SELECT * FROM token ORDER BY created, id");
        let found = query.fetch_all(&self.pool).await.map_err(StoreError::backend)?;
        found.iter().map(rows::token).collect::<Result<_, _>>().map_err(StoreError::backend)
    }

    pub(crate) async fn revoke_token(&self, id: &str, at: Instant) -> Answer<()> {
        let update = "UPDATE token SET revoked = coalesce(revoked, ?) WHERE id = ?";
        let done = sqlx::query(update).bind(at.micros()).bind(id).execute(&self.pool).await;
        one_or_absent(done.map_err(StoreError::backend)?.rows_affected(), || format!("token {id}"))
    }

    pub(crate) async fn add_user(&self, user: UserRecord) -> Answer<()> {
        let insert = "INSERT INTO user (name, password, groups, attributes, created) VALUES (?, ?, ?, ?, ?)";
        let query = sqlx::query(insert)
            .bind(&user.name)
            .bind(user.password.as_stored())
            .bind(json(&user.groups)?)
            .bind(json(&user.attributes)?)
            .bind(user.created.micros());
        let done = query.execute(&self.pool).await;
        done.map(drop).map_err(|error| exists_or_broken(error, || format!("user {}", user.name)))
    }

    pub(crate) async fn users(&self) -> Answer<Vec<UserRecord>> {
        let query = sqlx::query("SELECT * FROM user ORDER BY name");
        let found = query.fetch_all(&self.pool).await.map_err(StoreError::backend)?;
        found.iter().map(rows::user).collect::<Result<_, _>>().map_err(StoreError::backend)
    }

    pub(crate) async fn set_password(&self, name: &str, password: PasswordHash) -> Answer<()> {
        let query = sqlx::query("UPDATE user SET password = ? WHERE name = ?").bind(password.as_stored()).bind(name);
        let done = query.execute(&self.pool).await.map_err(StoreError::backend)?;
        one_or_absent(done.rows_affected(), || format!("user {name}"))
    }

    pub(crate) async fn remove_user(&self, name: &str, at: Instant) -> Answer<u64> {
        let mut transaction = self.pool.begin().await.map_err(StoreError::backend)?;
        let delete = sqlx::query("DELETE FROM user WHERE name = ?").bind(name);
        let removed = delete.execute(&mut *transaction).await.map_err(StoreError::backend)?;
        one_or_absent(removed.rows_affected(), || format!("user {name}"))?;
        let update = "UPDATE token SET revoked = ? WHERE kind = ? AND name = ? AND revoked IS NULL";
        let revoke = sqlx::query(update).bind(at.micros()).bind(rows::kind(PrincipalKind::User)).bind(name);
        let revoked = revoke.execute(&mut *transaction).await.map_err(StoreError::backend)?;
        transaction.commit().await.map_err(StoreError::backend)?;
        Ok(revoked.rows_affected())
    }
}

fn json(value: &impl serde::Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(StoreError::backend)
}

fn one_or_absent(affected: u64, what: impl FnOnce() -> String) -> Answer<()> {
    if affected == 0 { Err(StoreError::Absent(what())) } else { Ok(()) }
}

fn exists_or_broken(error: sqlx::Error, what: impl FnOnce() -> String) -> StoreError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StoreError::Exists(what()),
        _ => StoreError::backend(error),
    }
}
