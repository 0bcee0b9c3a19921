//! What a request brings along to say who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use meshgate_model::Secret;

use crate::{ClientCertificate, Error};

/// The longest `authorization` header that is read.
const HEADER_LEN_MAX: usize = 32 * 1024;

/// A claim to be somebody, not yet checked.
#[derive(Clone, Debug)]
pub enum Credential {
    /// None at all, or `Bearer None`, which drivers send for a token nobody gave them.
    Anonymous,
    /// The certificate that the client came with, of an authority that is trusted, and nothing else.
    Certificate(Arc<ClientCertificate>),
    /// A gateway token, or an access token of an identity provider.
    Bearer(Secret),
    /// A user and password, or the user `token` with a gateway token as password.
    Basic {
        /// The user's name.
        user: String,
        /// What was given as password.
        password: Secret,
    },
}

/// Where a request comes from, for the guard and for the audit trail. Nothing of it is trusted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientInfo {
    /// The peer's address, if the wire has one.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

impl Credential {
    /// Reads the value of an `authorization` header. No header at all is [`Credential::Anonymous`].
    pub fn from_header(value: &str) -> Result<Self, Error> {
        if value.len() > HEADER_LEN_MAX {
            return Err(Error::Malformed("it is too long"));
        }
        let value = value.trim();
        let (scheme, rest) = value.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((value, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            Ok(match rest {
                "" | "None" => Self::Anonymous,
                token => Self::Bearer(Secret::new(token)),
            })
        } else if scheme.eq_ignore_ascii_case("basic") {
            Self::from_basic(rest)
        } else {
            Err(Error::Malformed("its scheme is neither `Bearer` nor `Basic`"))
        }
    }

    /// A user's name and password as such, for the tools that have them apart.
    pub fn basic(user: impl Into<String>, password: Secret) -> Self {
        Self::Basic { user: user.into(), password }
    }

    fn from_basic(encoded: &str) -> Result<Self, Error> {
        let bytes = base64_any(encoded).ok_or(Error::Malformed("what follows `Basic` is not base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Malformed("what follows `Basic` is not UTF-8"))?;
        // Only the first colon separates: the rest belong to the password.
        let (user, password) =
            text.split_once(':').ok_or(Error::Malformed("what follows `Basic` is not `user:password`"))?;
        Ok(Self::basic(user, Secret::new(password)))
    }
}

/// Base64 of either alphabet, padded or not: clients differ.
fn base64_any(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE))
}

#[cfg(test)]
mod tests {
    use super::Credential;

    fn read(header: &str) -> String {
        match Credential::from_header(header) {
            Ok(Credential::Anonymous) => "anonymous".to_owned(),
            Ok(Credential::Certificate(_)) => unreachable!("no header holds a certificate"),
            Ok(Credential::Bearer(token)) => format!("bearer {}", token.expose()),
            Ok(Credential::Basic { user, password }) => format!("basic {user} {}", password.expose()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_what_clients_send() {
        for (header, expected) in [
            ("Bearer mg_abc", "bearer mg_abc"),
            ("bearer   mg_abc  ", "bearer mg_abc"),
            ("BEARER\tx", "bearer x"),
            ("Bearer None", "anonymous"),
            ("Bearer ", "anonymous"),
            ("Bearer", "anonymous"),
            // `ana:pw` needs padding; with, without, and in the other alphabet.
            ("Basic YW5hOnB3MQ==", "basic ana pw1"),
            ("basic YW5hOnB3MQ", "basic ana pw1"),
            ("Basic YW5hOnB3MQ=", "basic ana pw1"),
            ("Basic YW5hOj8/Pj4+", "basic ana ??>>>"),
            ("Basic YW5hOj8_Pj4-", "basic ana ??>>>"),
            // `ana:a:b:c`: colons belong to the password.
            ("Basic YW5hOmE6Yjpj", "basic ana a:b:c"),
            ("Basic OnNlY3JldA==", "basic  secret"),
        ] {
            assert_eq!(read(header), expected, "{header}");
        }
    }

    #[test]
    fn refuses_what_is_no_credential_without_repeating_it() {
        for (header, why) in [
            ("", "neither"),
            ("mg_abc", "neither"),
            ("Digest username=ana", "neither"),
            ("Basic ***", "not base64"),
            ("Basic YW5h", "user:password"),
            ("Basic /////w==", "not UTF-8"),
        ] {
            let text = read(header);
            assert!(text.contains(why), "{header}: {text}");
            assert!(!text.contains("ana") && !text.contains("mg_"), "{text}");
        }
        assert!(read(&format!("Bearer {}", "x".repeat(40_000))).contains("too long"));
    }
}
