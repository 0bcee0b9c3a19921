//! OIDC: access tokens of other issuers, which are signed JWTs (RFC 7519, RFC 9068), checked with the keys that the issuer
//! publishes (OpenID Connect Discovery 1.0, RFC 7517).
//!
//! Of a token's header only `alg`, `kid` and `typ` are believed, and `alg` only if the issuer's key is made for it: keys and
//! addresses of keys that a token brings along (`jwk`, `jku`, `x5u`) are not looked at.

mod algorithm;
mod claims;
mod json;
mod jws;
mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use meshgate_model::{AttributeTypes, Clock, Secret, mutant};

use crate::authenticate::typed;
use crate::error::Reason;
use crate::{Authentication, Error, Principal};
use claims::Verified;
use jws::Jws;
use keys::Keys;

pub use algorithm::OidcAlgorithm;

/// An issuer whose tokens are accepted, and how its claims are read.
#[derive(Clone, Debug)]
pub struct OidcIssuer {
    /// The issuer's identifier, exactly as its tokens say it in `iss`. A URL.
    pub issuer: String,
    /// A token has to be meant for one of these (`aud`).
    pub audiences: Vec<String>,
    /// Where the keys are. Without it the issuer's discovery document is asked.
    pub jwks_url: Option<String>,
    /// The claim that names the user. `email` counts only if `email_verified` is true.
    pub user_claim: String,
    /// Put before each name, so that issuers cannot name each other's users.
    pub user_prefix: String,
    /// The claim with the groups: a text or a list of texts.
    pub groups_claim: String,
    /// Attributes of mesh.yaml, and the claim that each is taken from.
    pub attributes: BTreeMap<String, String>,
    /// Signature algorithms that are accepted: asymmetric ones only.
    pub algorithms: Vec<OidcAlgorithm>,
    /// How far the issuer's clock may be from this one.
    pub clock_skew_s: u32,
    /// How old the keys may get before they are asked for again: so long a key that was withdrawn is accepted.
    pub keys_refresh_s: u32,
    /// How old the keys may get while the issuer cannot be reached. After that nobody is let in.
    pub keys_stale_s_max: u32,
}

impl OidcIssuer {
    /// The usual settings for an issuer.
    pub fn new(issuer: impl Into<String>, audiences: Vec<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences,
            jwks_url: None,
            user_claim: "sub".to_owned(),
            user_prefix: String::new(),
            groups_claim: "groups".to_owned(),
            attributes: BTreeMap::new(),
            algorithms: OidcAlgorithm::ALL.map(|(_, algorithm)| algorithm).to_vec(),
            clock_skew_s: 60,
            keys_refresh_s: 300,
            keys_stale_s_max: 3600,
        }
    }
}

/// Gets the issuer's documents. The wire it uses is not this crate's matter.
#[async_trait]
pub trait Fetch: Send + Sync + fmt::Debug {
    /// The body at a URL, if it is there and not too large. Redirects are not followed. The error is for the operator.
    async fn get(&self, url: &str) -> Result<Vec<u8>, String>;
}

/// All issuers that are accepted.
#[derive(Debug)]
pub(crate) struct Issuers {
    issuers: Vec<(OidcIssuer, Keys)>,
    clock: Arc<dyn Clock>,
}

impl Issuers {
    pub(crate) fn new(issuers: Vec<(OidcIssuer, Arc<dyn Fetch>)>, clock: Arc<dyn Clock>) -> Self {
        let with_keys = issuers.into_iter().map(|(issuer, fetch)| {
            let keys = Keys::new(&issuer, fetch, clock.clone());
            (issuer, keys)
        });
        Self { issuers: with_keys.collect(), clock }
    }

    /// Whether a bearer is for here and not a gateway token.
    pub(crate) fn may_be_theirs(&self, token: &Secret) -> bool {
        !self.issuers.is_empty() && jws::looks_like_one(token.expose())
    }

    /// Who the token says its bearer is.
    pub(crate) async fn authenticate(&self, token: &Secret, types: &AttributeTypes) -> Result<Principal, Error> {
        let refused = |why: String| Error::Refused(Reason::Jwt(why));
        let token = Jws::read(token.expose()).map_err(|why| refused(why.to_owned()))?;
        // SECURITY: only to find out whose keys to take. Nobody is believed to be an issuer before its key has said so.
        let claimed = token.claims.get("iss").and_then(|issuer| issuer.as_str());
        let found = self.issuers.iter().find(|(issuer, _)| Some(issuer.issuer.as_str()) == claimed);
        let (issuer, keys) = found.ok_or_else(|| refused("its issuer is not configured".to_owned()))?;
        let algorithm = token.algorithm().filter(|algorithm| issuer.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| refused("its algorithm is not accepted".to_owned()))?;
        let key = keys.find(token.key_id.as_deref(), algorithm).await?;
        let key = key.ok_or_else(|| refused(format!("{} has no key of this id and kind", issuer.issuer)))?;
        if !token.is_signed_by(&key, algorithm) && !mutant("a JWT need not be signed") {
            return Err(refused(format!("{} did not sign it", issuer.issuer)));
        }
        let Verified { kind, name, groups, attributes } = claims::verify(&token.claims, issuer, self.clock.now())?;
        let attributes = typed(&name, &attributes, types)?;
        Ok(Principal::new(kind, name, groups, attributes, Authentication::Oidc))
    }
}

#[cfg(test)]
mod tests;
