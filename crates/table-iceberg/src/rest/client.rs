//! One REST catalog, as one domain may ask it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use meshgate_model::{Clock, Instant, Secret};
use meshgate_table::{CatalogCredentials, CatalogGrant, CatalogRef, DomainStores, Error, StoreOptions};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::login::Login;

pub(super) use transport::Answer;

mod transport;

/// The most bytes of an answer that gives a token.
pub(super) const TOKEN_BYTES_MAX: usize = 1 << 20;
/// The most bytes of a catalog's configuration, and of an error that it tells of.
const CONFIG_BYTES_MAX: usize = 4 << 20;
/// The most bytes of an answer about a table, which holds its metadata.
pub(super) const TABLE_BYTES_MAX: usize = 256 << 20;

/// How long one answer may take, however steadily it comes.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Between the levels of a namespace, unless the catalog says otherwise.
const NAMESPACE_SEPARATOR: &str = "\u{1f}";
const DELEGATION: &str = "X-Iceberg-Access-Delegation";

/// The catalogs that are asked now: tables of one share its tokens and connections.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Vec<(Weak<DomainStores>, Arc<Client>)>>);

impl Clients {
    /// The client for a catalog. A reload makes new stores, and so new clients.
    pub(crate) fn of(
        &self,
        reference: &CatalogRef,
        stores: &Arc<DomainStores>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Client>, Error> {
        let mut kept = self.0.lock();
        kept.retain(|(stores, _)| stores.strong_count() > 0);
        let is_it = |(of, client): &&(Weak<DomainStores>, Arc<Client>)| {
            of.as_ptr() == Arc::as_ptr(stores) && client.url == reference.url && client.warehouse == reference.warehouse
        };
        if let Some((_, client)) = kept.iter().find(is_it) {
            return Ok(client.clone());
        }
        let client = Arc::new(Client::new(reference, stores, clock.clone())?);
        kept.push((Arc::downgrade(stores), client.clone()));
        Ok(client)
    }
}

/// One catalog with one warehouse.
#[derive(Debug)]
pub(crate) struct Client {
    url: String,
    warehouse: Option<String>,
    grant: CatalogGrant,
    http: reqwest::Client,
    headers: HeaderMap,
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    login: Login,
    config: tokio::sync::Mutex<Option<Arc<Config>>>,
}

/// What a catalog says of itself.
#[derive(Debug)]
struct Config {
    base: Url,
    prefix: Vec<String>,
    separator: String,
}

#[derive(Deserialize)]
struct ToldConfig {
    #[serde(default)]
    defaults: Option<HashMap<String, Option<String>>>,
    #[serde(default)]
    overrides: Option<HashMap<String, Option<String>>>,
}

impl Client {
    /// Nothing is connected to yet.
    fn new(reference: &CatalogRef, stores: &DomainStores, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        // SECURITY: the documents were checked against the grants when they were loaded; whoever opens a table is again.
        let grant = stores.catalog(&reference.url)?.clone();
        let failed = |reason: String| Error::Catalog { url: reference.url.clone(), reason };
        let options = stores.options();
        // SECURITY: a redirect could lead to an address that only this machine reaches, with what was sent to this one.
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.request_timeout)
            .timeout(ANSWER_WITHIN)
            .use_rustls_tls();
        if let Some(authorities) = grant.credentials.as_ref().and_then(|credentials| credentials.authorities.as_ref()) {
            let authorities = Certificate::from_pem_bundle(authorities.as_bytes());
            let authorities =
                authorities.map_err(|_| failed("the authorities of its credentials are none".to_owned()))?;
            http = authorities.into_iter().fold(http, reqwest::ClientBuilder::add_root_certificate);
            http = http.tls_built_in_root_certs(false);
        }
        let http = http.build().map_err(|_| failed("no HTTPS client can be made".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in grant.credentials.iter().flat_map(|credentials| &credentials.headers) {
            let bad = |_| failed(format!("the header `{name}` of its credentials is none"));
            let name = HeaderName::try_from(name.as_str()).map_err(|_| bad(()))?;
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| bad(()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = Self {
            url: reference.url.clone(),
            warehouse: reference.warehouse.clone(),
            grant,
            http,
            headers,
            options,
            clock,
            login: Login::default(),
            config: tokio::sync::Mutex::default(),
        };
        client.parse(&client.url)?;
        Ok(client)
    }

    /// What the catalog says of a table, unless it is what `known` tags.
    pub(super) async fn table(&self, reference: &CatalogRef, known: Option<&HeaderValue>) -> Result<Answer, Error> {
        let config = self.config().await?;
        let levels: Vec<_> = reference.namespace.split('.').collect();
        let namespace = levels.join(&config.separator);
        let parts = ["v1"].into_iter().chain(config.prefix.iter().map(String::as_str));
        let parts: Vec<_> = parts.chain(["namespaces", &namespace, "tables", &reference.table]).collect();
        let url = self.extend(config.base.clone(), &parts)?;
        let vended = self.credentials().is_none_or(|credentials| credentials.vended);
        let ask = |request: RequestBuilder| {
            let request = if vended { request.header(DELEGATION, "vended-credentials") } else { request };
            match known {
                Some(e_tag) => request.header(IF_NONE_MATCH, e_tag.clone()),
                None => request,
            }
        };
        let answer = self.asked("asking for a table", &url, TABLE_BYTES_MAX, &ask).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        // A catalog that was set up anew may have another configuration.
        *self.config.lock().await = None;
        let CatalogRef { namespace, table, .. } = reference;
        if answer.status == StatusCode::NOT_FOUND {
            let place = format!("{namespace}.{table} of {}: {}", self.url, self.shown(&answer));
            return Err(Error::NotFound { format: "Iceberg", place });
        }
        Err(self.refusal(&format!("the table {namespace}.{table}"), &answer))
    }

    async fn config(&self) -> Result<Arc<Config>, Error> {
        // INVARIANT: locked by whoever asks, so that only one does.
        let mut kept = self.config.lock().await;
        if let Some(config) = kept.as_ref() {
            return Ok(config.clone());
        }
        let mut url = self.below(&["v1", "config"])?;
        if let Some(warehouse) = &self.warehouse {
            url.query_pairs_mut().append_pair("warehouse", warehouse);
        }
        let answer = self.asked("asking for the configuration", &url, CONFIG_BYTES_MAX, &|request| request).await?;
        if !answer.status.is_success() {
            return Err(self.refusal("its configuration", &answer));
        }
        let told: ToldConfig =
            serde_json::from_slice(&answer.body).map_err(|_| self.error("its configuration is no JSON of one"))?;
        let of = |key: &str| {
            let in_order = [&told.overrides, &told.defaults];
            let found = in_order.into_iter().flatten().find_map(|values| values.get(key));
            found.cloned().flatten()
        };
        let base = match of("uri") {
            // SECURITY: a catalog sends nobody to where the platform has not let the domain go.
            Some(uri) if !self.grant.covers(&uri) => {
                let host = Url::parse(&uri).map_or_else(|_| "no URL".to_owned(), |u| u.origin().ascii_serialization());
                return Err(
                    self.error(format!("it sends to another place ({host}), which mesh.yaml does not list for it"))
                );
            }
            Some(uri) => self.parse(&uri)?,
            None => self.parse(&self.url)?,
        };
        let prefix = of("prefix").unwrap_or_default();
        let separator = of("namespace-separator").unwrap_or_else(|| NAMESPACE_SEPARATOR.to_owned());
        let config = Arc::new(Config {
            base,
            prefix: prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            separator: percent_decode_str(&separator).decode_utf8_lossy().into_owned(),
        });
        *kept = Some(config.clone());
        Ok(config)
    }

    /// A request that says who asks; once more with another token if the one at hand is refused.
    async fn asked(
        &self,
        what: &'static str,
        url: &Url,
        bytes_max: usize,
        ask: &(dyn Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Answer, Error> {
        let mut is_first = true;
        loop {
            let token = self.login.token(self).await?;
            let ask = |request: RequestBuilder| {
                let request = ask(request.headers(self.headers.clone()));
                match token.as_ref().and_then(bearer) {
                    Some(bearer) => request.header(AUTHORIZATION, bearer),
                    None => request,
                }
            };
            let answer = self.send(what, Method::GET, url, bytes_max, &ask).await?;
            let refused = matches!(answer.status.as_u16(), 401 | 419);
            if !(refused && is_first && self.login.refused(self, token.as_ref()).await) {
                return Ok(answer);
            }
            is_first = false;
        }
    }

    fn refusal(&self, what: &str, answer: &Answer) -> Error {
        let shown = self.shown(answer);
        let status = answer.status.as_u16();
        self.error(match (status, self.credentials()) {
            (401 | 403 | 419, Some(CatalogCredentials { name, .. })) => {
                format!("it refuses {what} to [credentials.{name}]: {shown}")
            }
            (401 | 403 | 419, None) => {
                format!("it refuses {what} to whoever has no credentials, and mesh.yaml names none for it: {shown}")
            }
            (300..=399, _) if answer.location => format!("it redirects for {what}, which is not followed: {shown}"),
            _ => format!("it does not give {what}: {shown}"),
        })
    }

    /// An error of this catalog.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Catalog { url: self.url.clone(), reason: reason.into() }
    }

    pub(super) fn credentials(&self) -> Option<&CatalogCredentials> {
        self.grant.credentials.as_ref()
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn parse(&self, url: &str) -> Result<Url, Error> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        parsed.ok_or_else(|| self.error("it is not at an http:// or https:// URL"))
    }

    /// A URL below the catalog's own.
    pub(super) fn below(&self, parts: &[&str]) -> Result<Url, Error> {
        self.extend(self.parse(&self.url)?, parts)
    }

    fn extend(&self, mut url: Url, parts: &[&str]) -> Result<Url, Error> {
        // SECURITY: a name that means another place is none.
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(self.error("a namespace, table or prefix without a name, or `.` or `..`"));
        }
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().extend(parts)),
            Err(()) => return Err(self.error("it is not at a URL with a path")),
        }
        Ok(url)
    }
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
