//! Rows to records.

use meshgate_identity::{PasswordHash, PrincipalKind, TokenHash, TokenRecord, UserRecord};
use meshgate_model::Instant;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

pub(super) fn token(row: &SqliteRow) -> Result<TokenRecord, sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    let hash: [u8; 32] = hash.try_into().map_err(|_| decode("a token's hash is not 32 bytes long"))?;
    let optional = |column| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Instant));
    Ok(TokenRecord {
        hash: TokenHash::from_bytes(hash),
        id: row.try_get("id")?,
        kind: parse_kind(row.try_get("kind")?)?,
        name: row.try_get("name")?,
        groups: json(row, "groups")?,
        attributes: json(row, "attributes")?,
        created: Instant(row.try_get("created")?),
        expires: optional("expires")?,
        revoked: optional("revoked")?,
    })
}

pub(super) fn user(row: &SqliteRow) -> Result<UserRecord, sqlx::Error> {
    Ok(UserRecord {
        name: row.try_get("name")?,
        password: PasswordHash::from_stored(row.try_get::<String, _>("password")?),
        groups: json(row, "groups")?,
        attributes: json(row, "attributes")?,
        created: Instant(row.try_get("created")?),
    })
}

pub(super) fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::Service => "service",
    }
}

fn parse_kind(text: &str) -> Result<PrincipalKind, sqlx::Error> {
    match text {
        "user" => Ok(PrincipalKind::User),
        "service" => Ok(PrincipalKind::Service),
        _ => Err(decode("a token's kind is neither `user` nor `service`")),
    }
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn decode(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}
