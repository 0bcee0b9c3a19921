//! Session bearers: what a login with user and password hands back, so that the password need not travel again.
//!
//! A bearer holds the user's name, the version of the stored password and an end, under a MAC. It is stateless: every
//! gateway that has the key reads it, and the user is looked up again on each use, so that removing the user or changing
//! the password ends all sessions at once.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use meshgate_model::{Instant, Secret};
use sha2::Sha256;

use crate::UserRecord;

const PREFIX: &str = "mgs_";
const MAC_LEN: usize = 32;
const HEAD_LEN: usize = 1 + 8 + 16;
const FORMAT: u8 = 1;

/// The key under which session bearers are made. Gateways that serve the same clients share it.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

/// What a genuine bearer says.
pub(crate) struct SessionClaim {
    pub(crate) user: String,
    pub(crate) version: [u8; 16],
    pub(crate) until: Instant,
}

impl SessionKey {
    /// A key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn seal(&self, user: &UserRecord, until: Instant) -> Secret {
        let mut bytes = Vec::with_capacity(HEAD_LEN + user.name.len() + MAC_LEN);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&until.micros().to_le_bytes());
        bytes.extend_from_slice(&user.password.version());
        bytes.extend_from_slice(user.name.as_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn open(&self, bearer: &Secret) -> Option<SessionClaim> {
        let bytes = URL_SAFE_NO_PAD.decode(bearer.expose().strip_prefix(PREFIX)?).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LEN)?)?;
        // SECURITY: compared in constant time, before anything inside is looked at.
        self.mac(content).verify_slice(mac).ok()?;
        let (head, name) = content.split_at_checked(HEAD_LEN)?;
        if head[0] != FORMAT {
            return None;
        }
        let until = Instant(i64::from_le_bytes(head[1..9].try_into().ok()?));
        let version = head[9..].try_into().ok()?;
        Some(SessionClaim { user: String::from_utf8(name.to_vec()).ok()?, version, until })
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"meshgate session bearer\0");
        mac.update(content);
        mac
    }
}

/// Whether a bearer means to be one of these.
pub(crate) fn is_session(bearer: &Secret) -> bool {
    bearer.expose().starts_with(PREFIX)
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::SessionKey;
    use crate::{PasswordHash, UserRecord};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use meshgate_model::{Instant, Secret};

    #[test]
    fn no_bit_of_a_bearer_can_be_changed() {
        let user = UserRecord {
            name: "ana".to_owned(),
            password: PasswordHash::from_stored("x"),
            groups: Default::default(),
            attributes: Default::default(),
            created: Instant(0),
        };
        let key = SessionKey::new([1; 32]);
        let bearer = key.seal(&user, Instant(77));
        let claim = key.open(&bearer).expect("genuine");
        assert_eq!((claim.user.as_str(), claim.until), ("ana", Instant(77)));
        assert!(SessionKey::new([2; 32]).open(&bearer).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&bearer.expose()[4..]).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(&Secret::new(format!("mgs_{}", URL_SAFE_NO_PAD.encode(forged)))).is_none(), "bit {bit}");
        }
        for short in 0..bytes.len() {
            assert!(key.open(&Secret::new(format!("mgs_{}", URL_SAFE_NO_PAD.encode(&bytes[..short])))).is_none());
        }
    }
}
