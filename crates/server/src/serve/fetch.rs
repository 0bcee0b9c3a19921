//! The documents of identity providers, over HTTPS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meshgate_identity::{Fetch, OidcIssuer};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use crate::config::{self, Oidc};
use crate::tls;
use crate::trouble::{Outcome, Trouble};

const TIMEOUT: Duration = Duration::from_secs(10);
/// More than any issuer's keys take.
const BYTES_MAX: usize = 1 << 20;

/// Issuers, and the way to the documents of each.
pub(super) fn issuers(configured: &[Oidc]) -> Outcome<Vec<(OidcIssuer, Arc<dyn Fetch>)>> {
    let with_client = configured.iter().map(|oidc| {
        let fetch: Arc<dyn Fetch> = Arc::new(Https(client(oidc.ca.as_deref())?));
        Ok((oidc.issuer.clone(), fetch))
    });
    with_client.collect()
}

fn client(ca: Option<&Path>) -> Outcome<Client> {
    let failed = |error: reqwest::Error| Trouble::config("no HTTPS client can be made").because(&error);
    // SECURITY: a redirect could lead to an address that only this machine reaches.
    let mut builder = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).use_rustls_tls();
    if let Some(path) = ca {
        let authorities = tls::authorities_of("`identity.oidc.ca`", path)?;
        for authority in Certificate::from_pem_bundle(authorities.as_bytes()).map_err(failed)? {
            builder = builder.add_root_certificate(authority);
        }
        builder = builder.tls_built_in_root_certs(false);
    }
    builder.build().map_err(failed)
}

#[derive(Debug)]
struct Https(Client);

#[async_trait]
impl Fetch for Https {
    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        config::may_be_asked(&url)?;
        let mut response = self.0.get(url).send().await.map_err(|error| with_causes(&error))?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| with_causes(&error))? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(format!("the answer is longer than {BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The error and what led to it, without the URL, which whoever asked knows.
fn with_causes(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    if causes.is_empty() { "no answer".to_owned() } else { causes.join(": ") }
}
