//! The keys that an issuer publishes, as fresh as needed and fetched no more often than that.

use std::sync::Arc;

use meshgate_model::{Clock, Instant, mutant};
use parking_lot::Mutex;
use serde_json::Value;

use super::algorithm::PublicKey;
use super::{Fetch, OidcAlgorithm, OidcIssuer, json};
use crate::Error;

/// An unknown key id leads to a fetch at most this often: tokens with invented ids are cheap to make.
const UNKNOWN_KEY_EVERY_S: i64 = 30;
/// The longest wait after fetches that failed; the first is a second, and each doubles it.
const BACKOFF_S_MAX: i64 = 60;
/// More keys than any issuer has.
const KEYS_MAX: usize = 200;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: String,
    jwks_url: Option<String>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    refresh_s: i64,
    stale_s_max: i64,
    known: Mutex<Known>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<Vec<PublicKey>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failures: u32,
    failure: String,
}

impl Keys {
    pub(super) fn new(issuer: &OidcIssuer, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer: issuer.issuer.clone(),
            jwks_url: issuer.jwks_url.clone(),
            fetch,
            clock,
            refresh_s: issuer.keys_refresh_s.into(),
            stale_s_max: issuer.keys_stale_s_max.max(issuer.keys_refresh_s).into(),
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The key of an id that is made for an algorithm. A token without an id finds a key only if there is no choice.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: OidcAlgorithm) -> Result<Option<PublicKey>, Error> {
        let mut known = self.known.lock().clone();
        if !known.is_younger_than(self.refresh_s, self.clock.now()) {
            known = self.refreshed(&known).await;
        }
        let found = known.find(id, algorithm);
        if found.is_none() && self.may_ask_for_more(&known) {
            known = self.refreshed(&known).await;
        }
        if !known.is_younger_than(self.stale_s_max, self.clock.now()) && !mutant("keys do not get old") {
            return Err(Error::KeysUnavailable { issuer: self.issuer.clone(), why: known.failure });
        }
        Ok(found.or_else(|| known.find(id, algorithm)))
    }

    /// A key that nobody knows may be new.
    fn may_ask_for_more(&self, known: &Known) -> bool {
        known.tried.is_none_or(|at| at.plus_seconds(UNKNOWN_KEY_EVERY_S) <= self.clock.now())
    }

    /// The keys after a fetch, or as they are if it is too early for one or another call is at it already.
    async fn refreshed(&self, seen: &Known) -> Known {
        let usable = seen.is_younger_than(self.stale_s_max, self.clock.now());
        let _turn = if usable {
            match self.fetching.try_lock() {
                Ok(turn) => turn,
                Err(_) => return seen.clone(),
            }
        } else {
            self.fetching.lock().await
        };
        let before = self.known.lock().clone();
        let now = self.clock.now();
        // Whoever had the turn before may have done it.
        if before.tried != seen.tried || before.must_wait(now) {
            return before;
        }
        let after = match self.fetch_keys().await {
            Ok(keys) => {
                tracing::debug!(issuer = %self.issuer, keys = keys.len(), "the keys of an issuer were fetched");
                let keys = Arc::new(keys);
                Known { keys, fetched: Some(now), tried: Some(now), failures: 0, failure: String::new() }
            }
            Err(why) => {
                tracing::warn!(issuer = %self.issuer, %why, "the keys of an issuer cannot be fetched");
                Known { tried: Some(now), failures: before.failures.saturating_add(1), failure: why, ..before }
            }
        };
        *self.known.lock() = after.clone();
        after
    }

    async fn fetch_keys(&self) -> Result<Vec<PublicKey>, String> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let body = self.fetch.get(&url).await.map_err(|why| format!("{url}: {why}"))?;
        let set = json::object(&body).ok_or_else(|| format!("{url}: no JSON object"))?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or_else(|| format!("{url}: no list `keys`"))?;
        let keys: Vec<PublicKey> = listed.iter().take(KEYS_MAX).filter_map(PublicKey::read).collect();
        if keys.is_empty() { Err(format!("{url}: no key that can be used for signatures")) } else { Ok(keys) }
    }

    /// Where the discovery document says that the keys are.
    async fn discover(&self) -> Result<String, String> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let body = self.fetch.get(&url).await.map_err(|why| format!("{url}: {why}"))?;
        let document = json::object(&body).ok_or_else(|| format!("{url}: no JSON object"))?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        // OpenID Connect Discovery 1.0, 4.3: else one tenant of a provider could speak for another.
        if text("issuer") != Some(&self.issuer) && !mutant("any issuer may publish the keys") {
            let other = text("issuer").unwrap_or_default();
            return Err(format!(
                "{url}: it is about the issuer `{other}`; `identity.oidc.issuer` has to be the same text"
            ));
        }
        text("jwks_uri").map(str::to_owned).ok_or_else(|| format!("{url}: no `jwks_uri`"))
    }
}

impl Known {
    fn is_younger_than(&self, seconds: i64, now: Instant) -> bool {
        self.fetched.is_some_and(|at| at <= now && now < at.plus_seconds(seconds))
    }

    /// Whether fetches failed so recently that another is not tried yet.
    fn must_wait(&self, now: Instant) -> bool {
        let wait = 1_i64.checked_shl(self.failures.saturating_sub(1).min(30)).unwrap_or(BACKOFF_S_MAX);
        self.failures > 0 && self.tried.is_some_and(|at| now < at.plus_seconds(wait.min(BACKOFF_S_MAX)))
    }

    fn find(&self, id: Option<&str>, algorithm: OidcAlgorithm) -> Option<PublicKey> {
        let mut fitting =
            self.keys.iter().filter(|key| key.is_for(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        let first = fitting.next()?;
        // Two keys of one id: whichever is taken, it would be a guess.
        if fitting.next().is_some() { None } else { Some(first.clone()) }
    }
}
