//! An open state.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use meshgate_identity::{CredentialStore, PasswordHash, Registrar, StoreError, TokenHash, TokenRecord, UserRecord};
use meshgate_model::{Clock, Entropy, Instant};

use crate::sqlite::Sqlite;
use crate::{Error, Home};

/// Tokens, users and the gateway's own secrets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    database: Sqlite,
}

impl State {
    /// Opens the state in a directory, making both if they do not exist.
    pub async fn open_in(home: &Home) -> Result<Self, Error> {
        Ok(Self { database: Sqlite::open(home.database()).await? })
    }

    /// Opens the state that a URL names: `sqlite:///absolute/path.db` or `sqlite://relative/path.db`.
    pub async fn open(url: &str) -> Result<Self, Error> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Err(Error::Postgres);
        }
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => Ok(Self { database: Sqlite::open(PathBuf::from(path)).await? }),
            _ => Err(Error::Url(url.to_owned())),
        }
    }

    /// Issues tokens and keeps users in this state.
    pub fn registrar(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Registrar {
        Registrar::new(Arc::new(self.clone()), clock, entropy)
    }

    /// The gateway's own secret of this name: made when it is first asked for, the same for everybody ever after.
    pub async fn secret(&self, name: &str, entropy: &dyn Entropy) -> Result<[u8; 32], Error> {
        let mut fresh = [0; 32];
        entropy.fill(&mut fresh);
        self.database.secret(name, fresh).await
    }

    /// Closes all connections and tidies up the journal. Without it nothing is lost either.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[async_trait]
impl CredentialStore for State {
    async fn find_token(&self, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        self.database.find_token(hash).await
    }

    async fn find_user(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        self.database.find_user(name).await
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.database.add_token(token).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.database.tokens().await
    }

    async fn revoke_token(&self, id: &str, at: Instant) -> Result<(), StoreError> {
        self.database.revoke_token(id, at).await
    }

    async fn add_user(&self, user: UserRecord) -> Result<(), StoreError> {
        self.database.add_user(user).await
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.database.users().await
    }

    async fn set_password(&self, name: &str, password: PasswordHash) -> Result<(), StoreError> {
        self.database.set_password(name, password).await
    }

    async fn remove_user(&self, name: &str, at: Instant) -> Result<u64, StoreError> {
        self.database.remove_user(name, at).await
    }
}

#[cfg(test)]
mod tests;
