//! Catalog services that a domain may ask.

use meshgate_model::Secret;

/// A catalog service that the platform lets a domain ask, and how.
#[derive(Clone, Debug)]
pub struct CatalogGrant {
    /// `https://host/path`: that, and what lies below it.
    pub url: String,
    /// How to sign in; none for a catalog that asks for nothing.
    pub credentials: Option<CatalogCredentials>,
}

/// How to sign in to a catalog service.
#[derive(Clone, Debug)]
pub struct CatalogCredentials {
    /// Their name in the gateway's configuration, for the operator.
    pub name: String,
    /// What proves who asks; none if headers alone do.
    pub login: Option<CatalogLogin>,
    /// Headers of every request, with their values.
    pub headers: Vec<(String, Secret)>,
    /// PEM certificates of the authorities that are trusted, instead of the system's.
    pub authorities: Option<String>,
    /// Whether they may be sent over `http://`.
    pub allow_http: bool,
    /// Whether the catalog is asked for credentials of the storage as well.
    pub vended: bool,
}

/// What proves to a catalog service who asks.
#[derive(Clone, Debug)]
pub enum CatalogLogin {
    /// A bearer token that never changes.
    Token(Secret),
    /// OAuth2 client credentials, which are exchanged for tokens.
    Client {
        /// The client's id.
        id: Secret,
        /// The client's secret.
        secret: Secret,
        /// What is asked for.
        scope: String,
        /// Where tokens are given; the catalog's own endpoint if not said.
        server: Option<String>,
    },
}

impl CatalogGrant {
    /// A catalog that asks for nothing.
    pub fn open(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None }
    }

    /// Whether a URL is this catalog's or lies below it.
    pub fn covers(&self, url: &str) -> bool {
        let granted = self.url.trim_end_matches('/');
        let rest = url.trim_end_matches('/').strip_prefix(granted);
        let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_below && !url.contains("..") && !url.to_ascii_lowercase().contains("%2e") && !url.contains(['\\', '?', '#'])
    }
}
