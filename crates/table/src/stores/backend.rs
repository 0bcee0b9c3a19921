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
use super::{Credentials, Grant, S3Credentials, StoreOptions};
use crate::Error;

/// What a part of a path must not hold in a URL.
const PATH_PART: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// A grant's store and what lies under it.
pub(crate) struct Backend {
    /// Reads under the prefix only.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Tells the store from every other one of the gateway.
    pub(crate) name: Arc<str>,
    root: Root,
}

impl Backend {
    /// Makes the store of a grant.
    pub(crate) fn new(domain: &str, grant: &Grant, options: StoreOptions) -> Result<Self, Error> {
        let error = |reason: String| Error::Grant { domain: domain.to_owned(), reason };
        if let Some(Credentials::Unsupported { kind }) = &grant.credentials {
            return Err(error(format!("{kind} storage is not supported")));
        }
        let name = |endpoint: &str| Arc::from(format!("{domain}\n{}\n{endpoint}", grant.prefix_url));
        match Place::parse(&grant.prefix_url, Reading::Encoded) {
            Some(Place::Local(path)) => Ok(Self::over(LocalFileSystem::new(), Root::Local(path), name(""), options)),
            Some(Place::S3 { bucket, key }) => {
                let none = S3Credentials::default();
                let credentials = match &grant.credentials {
                    Some(Credentials::S3(credentials)) => credentials,
                    _ => &none,
                };
                let store = s3(&bucket, credentials, options).map_err(|source| error(source.to_string()))?;
                let endpoint = credentials.endpoint.as_deref().unwrap_or_default();
                Ok(Self::over(store, Root::S3 { bucket, key }, name(endpoint), options))
            }
            None => Err(error(format!("{} is no storage this gateway reads", grant.prefix_url))),
        }
    }

    fn over(store: impl ObjectStore, root: Root, name: Arc<str>, options: StoreOptions) -> Self {
        let limited = LimitStore::new(store, options.requests_max.max(1));
        Self { store: Arc::new(Contained::new(Arc::new(limited), root.clone())), name, root }
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

fn s3(
    bucket: &str,
    credentials: &S3Credentials,
    options: StoreOptions,
) -> object_store::Result<object_store::aws::AmazonS3> {
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
