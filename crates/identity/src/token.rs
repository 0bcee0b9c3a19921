//! Gateway tokens: random, recognisable, kept as a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshgate_model::{Entropy, Secret};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// What every gateway token begins with, so that scanners of leaked secrets can know one.
pub const TOKEN_PREFIX: &str = "mg_";

/// The SHA-256 of a token. A token is 256 random bits, so the hash needs neither salt nor stretching.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token's text.
    pub fn of(token: &Secret) -> Self {
        Self(Sha256::digest(token.expose().as_bytes()).into())
    }

    /// A hash read back from a store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as a store keeps it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What operators call the token: the first 64 bits of the hash.
    pub fn id(&self) -> String {
        hex::encode(&self.0[..8])
    }
}

impl PartialEq for TokenHash {
    /// SECURITY: in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}..)", self.id())
    }
}

/// A new token.
pub(crate) fn mint(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0_u8; 32];
    entropy.fill(&mut bytes);
    Secret::new(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether a text can be a token at all.
pub(crate) fn is_token(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX).is_some_and(|rest| rest.len() == 43)
}
