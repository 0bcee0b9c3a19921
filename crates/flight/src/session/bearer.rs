//! Bearers of the handshake: they lead to a session of their own and spare the client from sending its password again.
//!
//! A bearer holds what was sent in the handshake, sealed. It is checked again on every call, so that a removed user or a
//! changed password ends it at once, and it needs no table here: every gateway with the key reads it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshgate_identity::Credential;
use meshgate_model::{Instant, Secret};
use prost::Message;

use crate::seal::{Purpose, Sealer};
use crate::shelf::Id;

const PREFIX: &str = "mgf_";

/// Makes a bearer for a user and password.
pub(crate) fn seal(sealer: &Sealer, session: Id, user: &str, password: &Secret, until: Instant) -> String {
    let claim = BearerMessage {
        session: session.to_vec(),
        until_micros: until.micros(),
        user: user.to_owned(),
        password: password.expose().to_owned(),
    };
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealer.seal(Purpose::Bearer, &claim.encode_to_vec())))
}

/// The session of a bearer, until when it is good, and what it stands for; if it is one of ours and still good.
pub(crate) fn open(sealer: &Sealer, bearer: &Secret, now: Instant) -> Option<(Id, Instant, Credential)> {
    let sealed = URL_SAFE_NO_PAD.decode(bearer.expose().strip_prefix(PREFIX)?).ok()?;
    let claim = BearerMessage::decode(sealer.open(Purpose::Bearer, &sealed)?.as_slice()).ok()?;
    let until = Instant(claim.until_micros);
    if until <= now {
        return None;
    }
    let credential = Credential::basic(claim.user, Secret::new(claim.password));
    Some((claim.session.try_into().ok()?, until, credential))
}

/// SECURITY: sealed before it leaves; not printed, as its `Debug` would show the password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct BearerMessage {
    #[prost(bytes = "vec", tag = "1")]
    session: Vec<u8>,
    #[prost(sfixed64, tag = "2")]
    until_micros: i64,
    #[prost(string, tag = "3")]
    user: String,
    #[prost(string, tag = "4")]
    password: String,
}

impl std::fmt::Debug for BearerMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerMessage(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshgate_identity::Credential;
    use meshgate_model::{Instant, Secret};

    use super::{open, seal};
    use crate::seal::{Sealer, tests::Counting};

    #[test]
    fn stands_for_what_was_sent_until_it_ends() {
        let sealer = Sealer::new(&[1; 32], Arc::new(Counting::default()));
        let bearer = Secret::new(seal(&sealer, [4; 16], "ana", &Secret::new("p:w"), Instant(10)));
        assert!(!bearer.expose().contains("ana"));
        let (session, until, credential) = open(&sealer, &bearer, Instant(9)).expect("good");
        assert_eq!((session, until), ([4; 16], Instant(10)));
        assert!(
            matches!(credential, Credential::Basic { user, password } if user == "ana" && password.expose() == "p:w")
        );
        let other = Sealer::new(&[2; 32], Arc::new(Counting::default()));
        assert!(open(&sealer, &bearer, Instant(10)).is_none());
        assert!(open(&other, &bearer, Instant(9)).is_none());
        assert!(open(&sealer, &Secret::new("mgf_!"), Instant(9)).is_none());
        assert!(open(&sealer, &Secret::new("mg_token"), Instant(9)).is_none());
    }
}
