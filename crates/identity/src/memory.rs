//! The store without a disk.

use std::collections::BTreeMap;

use async_trait::async_trait;
use meshgate_model::Instant;
use parking_lot::RwLock;

use crate::{CredentialStore, PasswordHash, PrincipalKind, StoreError, TokenHash, TokenRecord, UserRecord};

/// Keeps tokens and users for the life of the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    tokens: Vec<TokenRecord>,
    users: BTreeMap<String, UserRecord>,
}

#[async_trait]
impl CredentialStore for MemoryStore {
    async fn find_token(&self, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.content.read().tokens.iter().find(|token| token.hash == *hash).cloned())
    }

    async fn find_user(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.content.read().users.get(name).cloned())
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        let mut content = self.content.write();
        if content.tokens.iter().any(|known| known.hash == token.hash || known.id == token.id) {
            return Err(StoreError::Exists(format!("token {}", token.id)));
        }
        content.tokens.push(token);
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let mut tokens = self.content.read().tokens.clone();
        tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(tokens)
    }

    async fn revoke_token(&self, id: &str, at: Instant) -> Result<(), StoreError> {
        let mut content = self.content.write();
        let token = content.tokens.iter_mut().find(|token| token.id == id);
        let token = token.ok_or_else(|| StoreError::Absent(format!("token {id}")))?;
        token.revoked.get_or_insert(at);
        Ok(())
    }

    async fn add_user(&self, user: UserRecord) -> Result<(), StoreError> {
        let mut content = self.content.write();
        if content.users.contains_key(&user.name) {
            return Err(StoreError::Exists(format!("user {}", user.name)));
        }
        content.users.insert(user.name.clone(), user);
        Ok(())
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        Ok(self.content.read().users.values().cloned().collect())
    }

    async fn set_password(&self, name: &str, password: PasswordHash) -> Result<(), StoreError> {
        let mut content = self.content.write();
        let user = content.users.get_mut(name).ok_or_else(|| StoreError::Absent(format!("user {name}")))?;
        user.password = password;
        Ok(())
    }

    async fn remove_user(&self, name: &str, at: Instant) -> Result<u64, StoreError> {
        let mut content = self.content.write();
        content.users.remove(name).ok_or_else(|| StoreError::Absent(format!("user {name}")))?;
        let of_user = |token: &&mut TokenRecord| token.kind == PrincipalKind::User && token.name == name;
        let live = content.tokens.iter_mut().filter(of_user).filter(|token| token.revoked.is_none());
        Ok(live.map(|token| token.revoked = Some(at)).count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    #[tokio::test]
    async fn conforms() {
        crate::conformance::suite(&MemoryStore::default()).await;
    }
}
