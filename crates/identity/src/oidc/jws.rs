//! A JWT as it stands in a header: a signed message in compact form (RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::PublicKey;
use super::{OidcAlgorithm, json};

/// What was read; nothing of it is verified yet.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    algorithm: String,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    signed: &'t [u8],
    signature: Vec<u8>,
}

/// Three parts with the characters of their alphabet: enough to tell one from a gateway token.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.split('.').count() == 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl<'t> Jws<'t> {
    /// Reads one. The error is for the operator.
    pub(super) fn read(text: &'t str) -> Result<Self, &'static str> {
        let (signed, signature) = text.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "its signature is not base64url")?;
        let object = |part: &str| json::object(&URL_SAFE_NO_PAD.decode(part).ok()?);
        let header = object(header).ok_or("its header is no JSON object in base64url")?;
        let claims = object(claims).ok_or("its claims are no JSON object in base64url")?;
        for critical in ["crit", "b64", "zip", "cty", "enc"] {
            if header.contains_key(critical) {
                return Err("its header asks for something that is not done here");
            }
        }
        match header.get("typ").map(Value::as_str) {
            None => {}
            Some(Some(kind)) if is_access_token(kind) => {}
            Some(_) => return Err("its `typ` is neither `JWT` nor `at+jwt`"),
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err("its `alg` or `kid` is no text"),
        };
        let algorithm = text("alg")?.ok_or("it names no algorithm")?;
        Ok(Self { algorithm, key_id: text("kid")?, claims, signed: signed.as_bytes(), signature })
    }

    /// The algorithm it names, if that is one.
    pub(super) fn algorithm(&self) -> Option<OidcAlgorithm> {
        OidcAlgorithm::named(&self.algorithm)
    }

    /// Whether the key's owner signed it.
    pub(super) fn is_signed_by(&self, key: &PublicKey, algorithm: OidcAlgorithm) -> bool {
        key.signed(self.signed, &self.signature, algorithm)
    }
}

/// The media types of RFC 7519 and RFC 9068, whose beginning may be left out (RFC 7515, 4.1.9).
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}
