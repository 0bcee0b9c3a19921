//! One grant made into one store.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use meshgate_model::mutant;
use object_store::aws::AmazonS3Builder;
use object_store::limit::LimitStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::contained::{Contained, Root};
use super::place::{Place, Reading, resolve};
use super::vended::{Keys, Leased};
use super::{Credentials, Grant, Lease, S3Credentials, StoreOptions, Vended};
use crate::Error;

/// What a part of a path must not hold in a URL.
const PATH_PART: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// A grant's store and what lies under it.
#[derive(Clone)]
pub(crate) struct Backend {
    /// Reads under the prefix only.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Tells the store from every other one of the gateway.
    pub(crate) name: Arc<str>,
    root: Root,
    /// Where the store is; nothing for local files.
    s3: Option<S3Credentials>,
}

/// How the store of a grant is signed in to.
enum SignIn<'a> {
    Grant(&'a S3Credentials),
    Lease(&'a S3Credentials, Arc<Keys>),
}

impl Backend {
    /// Makes the store of a grant.
    pub(crate) fn new(domain: &str, grant: &Grant, options: StoreOptions) -> Result<Self, Error> {
        let error = |reason: String| Error::Grant { domain: domain.to_owned(), reason };
        if let Some(Credentials::Unsupported { kind }) = &grant.credentials {
            return Err(error(format!("{kind} storage is not supported")));
        }
        if let Some(Credentials::Catalog(catalog)) = &grant.credentials {
            let name = &catalog.name;
            return Err(error(format!("[credentials.{name}] is for a catalog and not for {}", grant.prefix_url)));
        }
        let name = |endpoint: &str| Arc::from(format!("{domain}\n{}\n{endpoint}", grant.prefix_url));
        match Place::parse(&grant.prefix_url, Reading::Encoded) {
            Some(Place::Local(path)) => {
                Ok(Self::over(LocalFileSystem::new(), Root::Local(path), name(""), options, None))
            }
            Some(Place::S3 { bucket, key }) => {
                let none = S3Credentials::default();
                let credentials = match &grant.credentials {
                    Some(Credentials::S3(credentials)) => credentials,
                    _ => &none,
                };
                let store = s3(&bucket, SignIn::Grant(credentials), options);
                let store = store.map_err(|source| error(source.to_string()))?;
                let name = name(credentials.endpoint.as_deref().unwrap_or_default());
                Ok(Self::over(store, Root::S3 { bucket, key }, name, options, Some(credentials.clone())))
            }
            None => Err(error(format!("{} is no storage this gateway reads", grant.prefix_url))),
        }
    }

    fn over(
        store: impl ObjectStore,
        root: Root,
        name: Arc<str>,
        options: StoreOptions,
        s3: Option<S3Credentials>,
    ) -> Self {
        let limited = LimitStore::new(store, options.requests_max.max(1));
        Self { store: Arc::new(Contained::new(Arc::new(limited), root.clone())), name, root, s3 }
    }

    /// What of this grant lies under a prefix of vended credentials, read with these.
    pub(crate) fn with_lease(
        &self,
        domain: &str,
        lease: &Arc<Lease>,
        vended: &Vended,
        options: StoreOptions,
    ) -> Result<Option<Self>, Error> {
        let (Root::S3 { bucket, key }, Some(granted)) = (&self.root, &self.s3) else { return Ok(None) };
        let error = |reason: String| Error::Grant { domain: domain.to_owned(), reason };
        // SECURITY: what is in both: credentials of a catalog open nothing that the platform has not granted.
        let key = match narrower(&vended.prefix, bucket, key) {
            Some(key) => key,
            None => return Ok(None),
        };
        let s3_of = S3Credentials {
            region: vended.region.clone().or_else(|| granted.region.clone()),
            endpoint: endpoint(granted, vended).map_err(error)?,
            ..granted.clone()
        };
        let keys = Keys { lease: lease.clone(), prefix: vended.prefix.clone() };
        let store = s3(bucket, SignIn::Lease(&s3_of, Arc::new(keys)), options);
        let store = Leased { inner: store.map_err(|source| error(source.to_string()))?, lease: lease.clone() };
        let name = Arc::from(format!("{}\n{key}\nvended", self.name));
        Ok(Some(Self::over(store, Root::S3 { bucket: bucket.clone(), key }, name, options, Some(s3_of))))
    }

    /// The path in the store, if the place lies under the prefix.
    pub(crate) fn contains(&self, place: &Place) -> Option<Path> {
        match (&self.root, place) {
            (Root::Local(root), Place::Local(path)) => {
                let (root, real) = (resolve(root)?, resolve(path)?);
                if !real.starts_with(&root) && !mutant("a table may lie outside of its domain") {
                    return None;
                }
                local_path(&real)
            }
            (Root::S3 { bucket, key }, Place::S3 { bucket: other, key: path }) => {
                let path = Path::parse(path).ok()?;
                (bucket == other && path.prefix_matches(&Path::parse(key).ok()?)).then_some(path)
            }
            _ => None,
        }
    }

    /// How specific the prefix is.
    pub(crate) fn prefix_len(&self) -> usize {
        match &self.root {
            Root::Local(path) => path.as_os_str().len(),
            Root::S3 { key, .. } => key.len(),
        }
    }

    /// The percent-encoded URL of a path in the store.
    pub(crate) fn url(&self, path: &Path) -> String {
        let mut text = match &self.root {
            Root::Local(_) => "file://".to_owned(),
            Root::S3 { bucket, .. } => format!("s3://{bucket}"),
        };
        for part in path.parts() {
            text.push('/');
            text.extend(utf8_percent_encode(part.as_ref(), PATH_PART));
        }
        text
    }

    /// Whether the store is the gateway's own disk.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.root, Root::Local(_))
    }
}

/// A real path as the local store wants it.
pub(crate) fn local_path(real: &FilePath) -> Option<Path> {
    Path::parse(real.to_str()?.trim_start_matches('/')).ok()
}

/// The real path of a local store's path.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    FilePath::new("/").join(path.as_ref())
}

/// The part of a granted bucket's key that a vended prefix leaves, if there is any.
fn narrower(prefix: &str, bucket: &str, key: &str) -> Option<String> {
    if ["s3", "s3:", "s3:/", "s3://", "s3a://"].contains(&prefix) {
        return Some(key.to_owned());
    }
    let Some(Place::S3 { bucket: of, key: vended }) = Place::parse(prefix, Reading::Literal) else { return None };
    if of != bucket {
        return None;
    }
    let (granted, given) = (Path::parse(key).ok()?, Path::parse(&vended).ok()?);
    if given.prefix_matches(&granted) {
        return Some(vended);
    }
    granted.prefix_matches(&given).then(|| key.to_owned())
}

/// Where vended credentials are used.
///
/// SECURITY: at the endpoint of the grant, or at one of Amazon's if it has none: a catalog must not send the gateway to
/// hosts that only this machine reaches.
fn endpoint(granted: &S3Credentials, vended: &Vended) -> Result<Option<String>, String> {
    let Some(named) = &vended.endpoint else { return Ok(granted.endpoint.clone()) };
    let parsed = |text: &str| url::Url::parse(text).ok();
    let named_url = parsed(named).ok_or("the catalog names an endpoint of storage that is no URL")?;
    let is_good = match &granted.endpoint {
        Some(granted) => parsed(granted).is_some_and(|granted| granted.origin() == named_url.origin()),
        None => {
            let host = named_url.host_str().unwrap_or_default();
            named_url.scheme() == "https" && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
        }
    };
    if !is_good {
        let host = named_url.origin().ascii_serialization();
        return Err(format!(
            "the catalog names the endpoint {host}, which is not that of the grant: give the prefix in mesh.yaml \
             `credentials` of type s3 with this `endpoint`"
        ));
    }
    Ok(granted.endpoint.clone().or_else(|| Some(named.clone())))
}

fn s3(bucket: &str, sign_in: SignIn<'_>, options: StoreOptions) -> object_store::Result<object_store::aws::AmazonS3> {
    let (SignIn::Grant(credentials) | SignIn::Lease(credentials, _)) = &sign_in;
    let client = ClientOptions::new()
        .with_allow_http(credentials.allow_http)
        .with_connect_timeout(options.connect_timeout)
        .with_timeout(options.request_timeout);
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: options.retries_max,
        retry_timeout: options.retry_timeout,
    };
    // SECURITY: `new`, not `from_env`: the machine's own credentials are nobody's.
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(credentials.region.as_deref().unwrap_or("us-east-1"))
        .with_virtual_hosted_style_request(credentials.virtual_hosted)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = &credentials.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    match &sign_in {
        SignIn::Lease(_, keys) => builder.with_credentials(keys.clone()).build(),
        SignIn::Grant(credentials) => {
            if let Some(token) = &credentials.session_token {
                builder = builder.with_token(token.expose());
            }
            builder = match (&credentials.access_key, &credentials.secret_key) {
                (Some(access), Some(secret)) => {
                    builder.with_access_key_id(access.expose()).with_secret_access_key(secret.expose())
                }
                _ => builder.with_skip_signature(true),
            };
            builder.build()
        }
    }
}
