//! Issues tokens and keeps users: what the `token` and `user` commands do, beside a running gateway or without one.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshgate_model::{Clock, Entropy, Instant, Secret};

use crate::authenticate::{ANONYMOUS, TOKEN_USER};
use crate::password::{self, PASSWORD_LEN_MAX};
use crate::{
    AttributeTexts, CredentialStore, Error, PasswordCost, PasswordHash, PrincipalKind, StoreError, TokenHash,
    TokenRecord, UserRecord, token,
};

const NAME_LEN_MAX: usize = 256;
const VALUE_LEN_MAX: usize = 4096;
const LIST_LEN_MAX: usize = 1000;
/// Ten years: more is no limit, and would be a typing error.
const TTL_S_MAX: u64 = 10 * 366 * 86_400;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// User or service.
    pub kind: PrincipalKind,
    /// For whom.
    pub name: String,
    /// The groups it carries.
    pub groups: BTreeSet<String>,
    /// The attributes it carries.
    pub attributes: AttributeTexts,
    /// How long it is good for; forever if `None`.
    pub ttl_s: Option<u64>,
}

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// The groups the user is a member of.
    pub groups: BTreeSet<String>,
    /// The user's attributes.
    pub attributes: AttributeTexts,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token itself: shown once, kept nowhere.
    pub secret: Secret,
    /// What operators call it.
    pub id: String,
    /// When it ends, if ever.
    pub expires: Option<Instant>,
}

/// Issues tokens and keeps users in a store.
#[derive(Debug)]
pub struct Registrar {
    store: Arc<dyn CredentialStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    cost: PasswordCost,
}

impl Registrar {
    /// A registrar over a store.
    pub fn new(store: Arc<dyn CredentialStore>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, entropy, cost: PasswordCost::default() }
    }

    /// Hashes passwords at another cost.
    pub fn with_password_cost(self, cost: PasswordCost) -> Self {
        Self { cost, ..self }
    }

    /// Makes a token. Only its hash is kept.
    pub async fn create_token(&self, new: NewToken) -> Result<IssuedToken, Error> {
        check_name("the name", &new.name)?;
        check_rights(&new.groups, &new.attributes)?;
        let created = self.clock.now();
        let expires = match new.ttl_s {
            None => None,
            Some(0) => return Err(unacceptable("the lifetime", "must be longer than nothing")),
            Some(ttl_s) if ttl_s > TTL_S_MAX => return Err(unacceptable("the lifetime", "is longer than ten years")),
            Some(ttl_s) => Some(created.plus_seconds(i64::try_from(ttl_s).unwrap_or(i64::MAX))),
        };
        let secret = token::mint(self.entropy.as_ref());
        let hash = TokenHash::of(&secret);
        let NewToken { kind, name, groups, attributes, .. } = new;
        let id = hash.id();
        let record =
            TokenRecord { hash, id: id.clone(), kind, name, groups, attributes, created, expires, revoked: None };
        self.store.add_token(record).await?;
        Ok(IssuedToken { secret, id, expires })
    }

    /// All tokens, oldest first.
    pub async fn list_tokens(&self) -> Result<Vec<TokenRecord>, Error> {
        Ok(self.store.tokens().await?)
    }

    /// Revokes a token, named by its id, the beginning of its id if no other begins so, or the token itself.
    pub async fn revoke_token(&self, which: &str) -> Result<TokenRecord, Error> {
        let id = if token::is_token(which) { TokenHash::of(&Secret::new(which)).id() } else { which.to_lowercase() };
        let absent = || StoreError::Absent("token with this id".to_owned());
        let mut fitting = self.store.tokens().await?.into_iter().filter(|token| token.id.starts_with(&id));
        let found = fitting.next().filter(|_| !id.is_empty()).ok_or_else(absent)?;
        if fitting.next().is_some() {
            return Err(StoreError::Ambiguous(id).into());
        }
        let now = self.clock.now();
        self.store.revoke_token(&found.id, now).await?;
        Ok(TokenRecord { revoked: found.revoked.or(Some(now)), ..found })
    }

    /// Adds a user.
    pub async fn add_user(&self, new: NewUser) -> Result<(), Error> {
        let NewUser { name, password, groups, attributes } = new;
        check_name("the name", &name)?;
        check_rights(&groups, &attributes)?;
        if self.store.find_user(&name).await?.is_some() {
            return Err(StoreError::Exists(format!("user {name}")).into());
        }
        let password = self.hash(password).await?;
        Ok(self.store.add_user(UserRecord { name, password, groups, attributes, created: self.clock.now() }).await?)
    }

    /// Replaces a user's password. Sessions opened with the old one end.
    pub async fn set_password(&self, name: &str, password: Secret) -> Result<(), Error> {
        let password = self.hash(password).await?;
        Ok(self.store.set_password(name, password).await?)
    }

    /// Removes a user and revokes the user's tokens. Returns how many were revoked.
    pub async fn remove_user(&self, name: &str) -> Result<u64, Error> {
        Ok(self.store.remove_user(name, self.clock.now()).await?)
    }

    /// All users by name.
    pub async fn list_users(&self) -> Result<Vec<UserRecord>, Error> {
        Ok(self.store.users().await?)
    }

    async fn hash(&self, given: Secret) -> Result<PasswordHash, Error> {
        match given.expose().len() {
            0 => return Err(unacceptable("the password", "is empty")),
            len if len > PASSWORD_LEN_MAX => {
                return Err(unacceptable("the password", format!("is longer than {PASSWORD_LEN_MAX} bytes")));
            }
            _ => {}
        }
        let (salt, cost) = (password::salt(self.entropy.as_ref()), self.cost);
        let hashed = tokio::task::spawn_blocking(move || PasswordHash::make(&given, salt, cost)).await;
        hashed.map_err(|error| Error::Hashing(error.to_string()))?
    }
}

fn unacceptable(what: &'static str, why: impl Into<String>) -> Error {
    Error::Unacceptable { what, why: why.into() }
}

/// A name that is unambiguous in a log, a policy and a Basic header.
fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    if name.contains(':') {
        return Err(unacceptable(what, "must not hold `:`"));
    }
    check_word(what, name)
}

/// The name that somebody else gave to a user: as good, but a Basic header never holds it.
pub(crate) fn check_subject(name: &str) -> Result<(), Error> {
    check_word("the name", name)
}

fn check_word(what: &'static str, name: &str) -> Result<(), Error> {
    check_text(what, name, NAME_LEN_MAX)?;
    if name != name.trim() {
        return Err(unacceptable(what, "must not begin or end with a space"));
    }
    if [ANONYMOUS, TOKEN_USER].contains(&name) {
        return Err(unacceptable(what, format!("`{name}` has a meaning of its own; choose another")));
    }
    Ok(())
}

/// Groups and attributes that are neither too many nor too long.
pub(crate) fn check_rights(groups: &BTreeSet<String>, attributes: &AttributeTexts) -> Result<(), Error> {
    if groups.len() > LIST_LEN_MAX || attributes.len() > LIST_LEN_MAX {
        return Err(unacceptable("the list of groups or attributes", format!("has more than {LIST_LEN_MAX} entries")));
    }
    groups.iter().try_for_each(|group| check_text("a group", group, NAME_LEN_MAX))?;
    for (name, values) in attributes {
        check_text("an attribute's name", name, NAME_LEN_MAX)?;
        if values.len() > LIST_LEN_MAX || values.iter().any(|value| value.len() > VALUE_LEN_MAX) {
            return Err(unacceptable("an attribute", format!("`{name}` has too many or too long values")));
        }
    }
    Ok(())
}

fn check_text(what: &'static str, text: &str, len_max: usize) -> Result<(), Error> {
    match text {
        "" => Err(unacceptable(what, "is empty")),
        _ if text.len() > len_max => Err(unacceptable(what, format!("is longer than {len_max} bytes"))),
        _ if text.chars().any(char::is_control) => Err(unacceptable(what, "holds a control character")),
        _ => Ok(()),
    }
}
