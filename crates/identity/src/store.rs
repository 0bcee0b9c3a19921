//! The port behind which tokens and users are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use meshgate_model::{Failure, Fault, Instant, PublicText};

use crate::{PasswordHash, PrincipalKind, TokenHash};

/// Attributes as they are kept: text until mesh.yaml types them, several texts where a flag was repeated.
pub type AttributeTexts = BTreeMap<String, Vec<String>>;

/// A token as it is kept: everything but the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRecord {
    /// What the token is found by.
    pub hash: TokenHash,
    /// What operators call it: 16 hexadecimal digits, unique and not secret.
    pub id: String,
    /// User or service.
    pub kind: PrincipalKind,
    /// Whose token it is.
    pub name: String,
    /// The groups it carries.
    pub groups: BTreeSet<String>,
    /// The attributes it carries.
    pub attributes: AttributeTexts,
    /// When it was made.
    pub created: Instant,
    /// When it ends, if ever.
    pub expires: Option<Instant>,
    /// When it was revoked, if it was.
    pub revoked: Option<Instant>,
}

/// A user who logs in with a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRecord {
    /// The name; unique.
    pub name: String,
    /// The password's argon2id hash. Its salt is fresh for each password set, so it also tells versions of the record
    /// apart.
    pub password: PasswordHash,
    /// The groups the user is a member of.
    pub groups: BTreeSet<String>,
    /// The user's attributes.
    pub attributes: AttributeTexts,
    /// When the user was added.
    pub created: Instant,
}

/// Keeps tokens and users. What one handle has written, every handle on the same store sees at once.
#[async_trait]
pub trait CredentialStore: Send + Sync + Debug {
    /// The token with this hash, whatever became of it.
    async fn find_token(&self, hash: &TokenHash) -> Result<Option<TokenRecord>, StoreError>;
    /// The user of exactly this name.
    async fn find_user(&self, name: &str) -> Result<Option<UserRecord>, StoreError>;

    /// Keeps a new token.
    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError>;
    /// All tokens, oldest first.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;
    /// Marks the token with this id as revoked, for good; revoking twice keeps the first time.
    async fn revoke_token(&self, id: &str, at: Instant) -> Result<(), StoreError>;

    /// Keeps a new user.
    async fn add_user(&self, user: UserRecord) -> Result<(), StoreError>;
    /// All users by name.
    async fn users(&self) -> Result<Vec<UserRecord>, StoreError>;
    /// Replaces a user's password.
    async fn set_password(&self, name: &str, password: PasswordHash) -> Result<(), StoreError>;
    /// Removes a user and revokes, in the same step, all tokens of this user. Returns how many were revoked.
    async fn remove_user(&self, name: &str, at: Instant) -> Result<u64, StoreError>;
}

/// What a store can answer instead.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one already.
    #[error("{0} already exists")]
    Exists(String),
    /// There is none.
    #[error("there is no {0}")]
    Absent(String),
    /// More than one fits.
    #[error("`{0}` fits more than one token")]
    Ambiguous(String),
    /// The store itself failed.
    #[error("the credential store does not answer")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Wraps what a backend says.
    pub fn backend(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend(source.into())
    }
}

impl Failure for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Exists(_) => Fault::Conflict,
            Self::Absent(_) => Fault::NotFound,
            Self::Ambiguous(_) => Fault::Invalid,
            Self::Backend(_) => Fault::Unavailable,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Backend(_) => PublicText::new("credentials cannot be checked right now").hint("try again later"),
            Self::Exists(_) | Self::Absent(_) => PublicText::new(self.to_string()),
            Self::Ambiguous(_) => PublicText::new(self.to_string()).hint("give more digits of the id"),
        }
    }
}
