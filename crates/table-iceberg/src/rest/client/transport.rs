//! Requests to a catalog, and what is said of those that fail.

use std::time::Duration;

use meshgate_model::Secret;
use meshgate_table::{CatalogLogin, Error};
use reqwest::header::{ETAG, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::{CONFIG_BYTES_MAX, Client};

/// How much of what a catalog says of an error is kept.
const MESSAGE_LEN_MAX: usize = 300;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How long a catalog is asked again, at most; stores may take longer.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// What came back.
pub(in crate::rest) struct Answer {
    pub(in crate::rest) status: StatusCode,
    pub(in crate::rest) e_tag: Option<HeaderValue>,
    pub(super) location: bool,
    pub(in crate::rest) body: Vec<u8>,
}

/// Why nothing came back, and whether it may be otherwise later.
struct Unanswered {
    reason: String,
    may_pass: bool,
}

#[derive(Deserialize)]
struct ToldError {
    error: ErrorModel,
}

#[derive(Deserialize)]
struct ErrorModel {
    message: Option<String>,
    r#type: Option<String>,
}

impl Client {
    /// One request, tried again while the catalog cannot answer.
    pub(in crate::rest) async fn send(
        &self,
        what: &'static str,
        method: Method,
        url: &Url,
        bytes_max: usize,
        ask: &(dyn Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Answer, Error> {
        let may_send = url.scheme() == "https" || self.credentials().is_none_or(|credentials| credentials.allow_http);
        if !may_send {
            // SECURITY: whoever listens would have the token.
            return Err(self.error("its credentials are not sent over http:// without `allow_http`"));
        }
        let until = tokio::time::Instant::now() + RETRY_FOR.min(self.options.retry_timeout);
        let mut backoff = BACKOFF_FIRST;
        loop {
            let request = ask(self.http.request(method.clone(), url.clone()));
            let failed = match self.once(request, bytes_max).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => self.error(format!("{what}: it cannot answer just now: {}", self.shown(&answer))),
                Err(Unanswered { reason, may_pass: false }) => return Err(self.error(format!("{what}: {reason}"))),
                Err(Unanswered { reason, .. }) => self.error(format!("{what}: {reason}")),
            };
            if tokio::time::Instant::now() + backoff > until {
                return Err(failed);
            }
            tracing::debug!(error = %failed, "a catalog that is asked again");
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn once(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, Unanswered> {
        let mut response = request.send().await.map_err(|error| self.cause(&error))?;
        let status = response.status();
        let (e_tag, location) = (response.headers().get(ETAG).cloned(), response.headers().contains_key(LOCATION));
        let bytes_max = if status.is_success() { bytes_max } else { CONFIG_BYTES_MAX };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.cause(&error))? {
            if body.len() + chunk.len() > bytes_max {
                return Err(Unanswered {
                    reason: format!("the answer is longer than {bytes_max} bytes"),
                    may_pass: false,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, e_tag, location, body })
    }

    /// The error and what led to it, without the URL.
    fn cause(&self, error: &reqwest::Error) -> Unanswered {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        let reason = match causes.as_slice() {
            _ if error.is_timeout() => "no answer in time".to_owned(),
            [] => "no answer".to_owned(),
            causes => self.without_secrets(&causes.join(": ")),
        };
        // Whoever is not trusted now is not trusted in a moment.
        let may_pass = !error.is_builder() && !reason.contains("invalid peer certificate");
        Unanswered { reason, may_pass }
    }

    /// An answer that is an error, for the operator.
    pub(in crate::rest) fn shown(&self, answer: &Answer) -> String {
        let told = serde_json::from_slice::<ToldError>(&answer.body).ok().map(|told| told.error);
        let (kind, message) = told.map_or((None, None), |told| (told.r#type, told.message));
        let parts = [Some(answer.status.as_u16().to_string()), kind, message];
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        text.retain(|c| !c.is_control());
        self.without_secrets(&text).chars().take(MESSAGE_LEN_MAX).collect()
    }

    /// SECURITY: an error may repeat what was sent.
    fn without_secrets(&self, text: &str) -> String {
        let Some(credentials) = self.credentials() else { return text.to_owned() };
        let login = match &credentials.login {
            Some(CatalogLogin::Token(secret) | CatalogLogin::Client { secret, .. }) => Some(secret),
            None => None,
        };
        let given = self.login.last();
        let secrets = login.into_iter().chain(&given).chain(credentials.headers.iter().map(|(_, value)| value));
        let secrets = secrets.map(Secret::expose).filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// Whether the same request may be answered later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}
