//! Passwords: argon2id, with a cost that can be raised without losing the old hashes.

use std::fmt;

use argon2::password_hash::{PasswordHash as Phc, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use meshgate_model::{Entropy, Secret};
use sha2::{Digest, Sha256};

use crate::Error;

/// Passwords of more bytes are refused.
pub(crate) const PASSWORD_LEN_MAX: usize = 1024;

/// A password's hash in PHC form (`$argon2id$v=19$m=..,t=..,p=..$salt$hash`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// How much work one password takes. The default is OWASP's: 19 MiB, two passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordCost {
    /// Memory for one hash.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
}

impl PasswordCost {
    /// The least argon2 allows: for tests, which check hundreds of passwords, and for nothing else.
    pub const MINIMAL: Self = Self { memory_kib: Params::MIN_M_COST, passes: Params::MIN_T_COST };
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl PasswordHash {
    /// A hash read back from a store. Anything that is not PHC text never matches a password.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text a store keeps.
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// Hashes a password under a fresh salt. Takes tens of milliseconds and `memory_kib`: not for an async thread.
    pub(crate) fn make(password: &Secret, salt: [u8; 16], cost: PasswordCost) -> Result<Self, Error> {
        let failed = |error: &dyn fmt::Display| Error::Hashing(error.to_string());
        let salt = SaltString::encode_b64(&salt).map_err(|e| failed(&e))?;
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|e| failed(&e))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(password.expose().as_bytes(), &salt).map_err(|e| failed(&e))?;
        Ok(Self(hash.to_string()))
    }

    /// Whether this is the password. Takes as long as hashing it did.
    pub(crate) fn matches(&self, password: &Secret) -> bool {
        // SECURITY: the cost comes from the stored hash; the comparison inside is in constant time.
        Phc::new(&self.0).is_ok_and(|phc| Argon2::default().verify_password(password.expose().as_bytes(), &phc).is_ok())
    }

    /// Tells one setting of a password from every other, also of the same password.
    pub(crate) fn version(&self) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let mut version = [0; 16];
        version.copy_from_slice(&digest[..16]);
        version
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Sixteen fresh bytes.
pub(crate) fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use super::{PasswordCost, PasswordHash};
    use meshgate_model::Secret;

    #[test]
    fn hashes_are_argon2id_salted_and_of_the_given_cost() {
        let make = |salt, cost| PasswordHash::make(&Secret::new("pw"), [salt; 16], cost).expect("hashes");
        let first = make(1, PasswordCost::default());
        assert!(first.as_stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", first.as_stored());
        let second = make(2, PasswordCost::MINIMAL);
        assert_ne!(second.version(), make(3, PasswordCost::MINIMAL).version());
        assert!(second.matches(&Secret::new("pw")) && !second.matches(&Secret::new("pW")));
        assert!(!PasswordHash::from_stored("pw").matches(&Secret::new("pw")));
        assert_eq!(format!("{second:?}"), "PasswordHash(..)");
    }
}
