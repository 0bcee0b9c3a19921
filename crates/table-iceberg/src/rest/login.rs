//! What proves to a catalog who asks.

use meshgate_model::{Instant, Secret};
use meshgate_table::{CatalogLogin, Error};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::client::{Client, TOKEN_BYTES_MAX};

/// How long before it expires a token is replaced, at most, and the part of its life that is if it is shorter.
const MARGIN_S: i64 = 60;
const MARGIN_PART: i64 = 10;

/// The tokens of one catalog. INVARIANT: `token` is locked by whoever asks for one, so that only one does.
#[derive(Debug, Default)]
pub(super) struct Login {
    token: Mutex<Option<Token>>,
    /// The last one that was given: no error repeats it.
    last: parking_lot::Mutex<Option<Secret>>,
}

#[derive(Clone, Debug)]
struct Token {
    text: Secret,
    replace_at: Option<Instant>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<i64>,
}

impl Login {
    /// The token to send, if one is needed.
    pub(super) async fn token(&self, client: &Client) -> Result<Option<Secret>, Error> {
        let Some(credentials) = client.credentials() else { return Ok(None) };
        let (id, secret, scope, server) = match &credentials.login {
            None => return Ok(None),
            Some(CatalogLogin::Token(token)) => return Ok(Some(token.clone())),
            Some(CatalogLogin::Client { id, secret, scope, server }) => (id, secret, scope, server),
        };
        let mut kept = self.token.lock().await;
        let now = client.now();
        if let Some(token) = kept.as_ref().filter(|token| token.replace_at.is_none_or(|at| now < at)) {
            return Ok(Some(token.text.clone()));
        }
        // SECURITY: the operator's or the catalog's own, never what an answer names: this is where the secret goes.
        let url = match server {
            Some(server) => client.parse(server)?,
            None => client.below(&["v1", "oauth", "tokens"])?,
        };
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.expose()),
            ("client_secret", secret.expose()),
            ("scope", scope),
        ];
        let ask = |request: RequestBuilder| request.form(&form);
        let answer = client.send("asking for a token", Method::POST, &url, TOKEN_BYTES_MAX, &ask).await?;
        if !answer.status.is_success() {
            let name = &credentials.name;
            return Err(client.error(format!(
                "no token is given for the client of [credentials.{name}]: {}",
                client.shown(&answer)
            )));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| client.error("what should give a token is no JSON of one"))?;
        if granted.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(client.error("the token that is given is of a kind other than bearer"));
        }
        let replace_at =
            granted.expires_in.map(|life| now.plus_seconds(life - (life / MARGIN_PART).clamp(0, MARGIN_S)));
        let text = Secret::new(granted.access_token);
        *self.last.lock() = Some(text.clone());
        *kept = Some(Token { text: text.clone(), replace_at });
        Ok(Some(text))
    }

    /// The token that was given last.
    pub(super) fn last(&self) -> Option<Secret> {
        self.last.lock().clone()
    }

    /// Whether another token may help where this one was refused.
    pub(super) async fn refused(&self, client: &Client, token: Option<&Secret>) -> bool {
        let renewable = client.credentials().and_then(|credentials| credentials.login.as_ref());
        if !matches!(renewable, Some(CatalogLogin::Client { .. })) {
            return false;
        }
        let mut kept = self.token.lock().await;
        // Somebody else may have got another one already.
        if kept.as_ref().map(|kept| &kept.text) == token {
            *kept = None;
        }
        true
    }
}
