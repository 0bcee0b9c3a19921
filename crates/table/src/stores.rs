//! All the storage a domain may read, and nothing else.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use meshgate_model::Secret;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::Error;
use backend::Backend;
use place::{Place, Reading};

pub use catalogs::{CatalogCredentials, CatalogGrant, CatalogLogin};
pub use vended::{Lease, Vended, Vendor};

mod backend;
mod catalogs;
mod contained;
mod place;
mod vended;

/// A prefix that the platform lets a domain read, and how.
#[derive(Clone, Debug)]
pub struct Grant {
    /// `file:///...`, an absolute path, or `s3://bucket/...`.
    pub prefix_url: String,
    /// How to sign in; none for local files and public buckets.
    pub credentials: Option<Credentials>,
}

/// Credentials for one kind of store.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// S3 and stores that speak its protocol.
    S3(S3Credentials),
    /// A catalog service, which is no storage.
    Catalog(CatalogCredentials),
    /// A kind of store that is not built; every use is refused by its name.
    Unsupported {
        /// `azure`, `gcs`, ...
        kind: String,
    },
}

/// Where an S3-compatible store is and how to sign in.
#[derive(Clone, Debug, Default)]
pub struct S3Credentials {
    /// The access key id; unsigned requests without it.
    pub access_key: Option<Secret>,
    /// The secret key.
    pub secret_key: Option<Secret>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// The region; `us-east-1` if not given.
    pub region: Option<String>,
    /// The endpoint of a compatible store, such as `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// Whether an `http://` endpoint is acceptable.
    pub allow_http: bool,
    /// Whether the bucket is the first part of the host name instead of the path.
    pub virtual_hosted: bool,
}

/// The most storage credentials that a catalog may give for one table.
const VENDED_MAX: usize = 32;

/// Limits that hold for every store of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreOptions {
    /// Requests under way at the same time, for each store.
    pub requests_max: usize,
    /// How often a failed request is tried again.
    pub retries_max: usize,
    /// How long all tries of one request may take together.
    pub retry_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one try may take.
    pub request_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            requests_max: 64,
            retries_max: 5,
            retry_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// The stores of one domain. Two domains never share one, not even on the same bucket.
pub struct DomainStores {
    domain: String,
    backends: Vec<Backend>,
    catalogs: Vec<CatalogGrant>,
    options: StoreOptions,
}

/// A path that lies under one of the domain's prefixes, and the store to read it with.
#[derive(Clone)]
pub struct Located {
    /// Reads under the grant's prefix only, whatever path it is asked for.
    pub store: Arc<dyn ObjectStore>,
    /// The path in the store, as the store wants it.
    pub path: Path,
    /// The normalised URL, percent-encoded, no slash at the end.
    pub url: String,
    /// The number of the grant, for keys of caches.
    pub grant: usize,
    /// Whether it is on the gateway's own disk.
    pub local: bool,
}

impl DomainStores {
    /// Prepares the stores of a domain. Nothing is connected to yet.
    pub fn new(
        domain: &str,
        grants: Vec<Grant>,
        catalogs: Vec<CatalogGrant>,
        options: StoreOptions,
    ) -> Result<Arc<Self>, Error> {
        let backends =
            grants.into_iter().map(|grant| Backend::new(domain, &grant, options)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Self { domain: domain.to_owned(), backends, catalogs, options }))
    }

    /// The same storage, read with the credentials of a lease where it has some. What the domain may read is what it was.
    pub fn with_lease(&self, lease: &Arc<Lease>, vended: &[Vended]) -> Result<Arc<Self>, Error> {
        // Each is a client with connections of its own.
        if vended.len() > VENDED_MAX {
            let reason = format!("a catalog gives more than {VENDED_MAX} storage credentials for a table");
            return Err(Error::Grant { domain: self.domain.clone(), reason });
        }
        let mut backends = self.backends.clone();
        for vended in vended {
            // In their own places after all grants: those keep their numbers, and of two as long the later one is taken.
            for granted in &self.backends {
                backends.extend(granted.with_lease(&self.domain, lease, vended, self.options)?);
            }
        }
        let (domain, catalogs) = (self.domain.clone(), self.catalogs.clone());
        Ok(Arc::new(Self { domain, backends, catalogs, options: self.options }))
    }

    /// The domain's name.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Finds the store for a URL (percent-encoded) or an absolute local path.
    pub fn locate(&self, url: &str) -> Result<Located, Error> {
        self.find(url, Reading::Encoded)
    }

    /// Finds the store for a path that is written as it is, with no percent-encoding: Iceberg metadata does that.
    pub fn locate_literal(&self, path: &str) -> Result<Located, Error> {
        self.find(path, Reading::Literal)
    }

    /// The limits of its stores.
    pub fn options(&self) -> StoreOptions {
        self.options
    }

    /// The grant by which a catalog service may be asked on behalf of this domain.
    pub fn catalog(&self, url: &str) -> Result<&CatalogGrant, Error> {
        // SECURITY: no request goes to a host that the platform has not listed for the domain.
        let covering = self.catalogs.iter().filter(|granted| granted.covers(url));
        covering.max_by_key(|granted| granted.url.len()).ok_or_else(|| self.outside(url))
    }

    /// The real path of a local file that lies under one of the prefixes.
    pub fn local_file(&self, url: &str) -> Result<std::path::PathBuf, Error> {
        let located = self.locate(url)?;
        if !located.local {
            return Err(self.outside(url));
        }
        Ok(FilePath::new("/").join(located.path.as_ref()))
    }

    /// The contained store of a grant, as [`Located::grant`] numbers them, and its name in keys of caches.
    pub(crate) fn store(&self, grant: usize) -> Option<(&Arc<dyn ObjectStore>, &Arc<str>)> {
        self.backends.get(grant).map(|backend| (&backend.store, &backend.name))
    }

    fn find(&self, text: &str, reading: Reading) -> Result<Located, Error> {
        // SECURITY: every path that a document, log, manifest or catalog names comes through here before it is opened.
        let place = Place::parse(text, reading).ok_or_else(|| self.outside(text))?;
        let longest = self
            .backends
            .iter()
            .enumerate()
            .filter_map(|(grant, backend)| Some((grant, backend, backend.contains(&place)?)))
            .max_by_key(|(_, backend, _)| backend.prefix_len());
        let (grant, backend, path) = longest.ok_or_else(|| self.outside(text))?;
        Ok(Located { store: backend.store.clone(), url: backend.url(&path), path, grant, local: backend.is_local() })
    }

    fn outside(&self, path: &str) -> Error {
        Error::OutsideStorage { domain: self.domain.clone(), path: path.to_owned() }
    }
}

impl fmt::Debug for DomainStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainStores").field("domain", &self.domain).field("grants", &self.backends.len()).finish()
    }
}

impl fmt::Debug for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Located").field("url", &self.url).field("grant", &self.grant).finish()
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
