//! Credentials that a catalog gives for a while, for parts of a domain's storage.

use std::fmt::{self, Debug};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use meshgate_model::{Clock, Instant, Secret};
use object_store::aws::AwsCredential;
use object_store::path::Path;
use object_store::{
    CopyOptions, CredentialProvider, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Mutex;

use crate::Error;

/// How long before they expire credentials are replaced, at most, and the part of their life that is if it is shorter.
const MARGIN_S: i64 = 60;
const MARGIN_PART: i64 = 10;

/// How often a request is made anew because its credentials were refused.
const REFUSALS_MAX: usize = 2;

/// Credentials for what lies under a prefix.
#[derive(Clone, Debug)]
pub struct Vended {
    /// `s3://bucket/key`, or just the beginning of it, such as `s3`.
    pub prefix: String,
    /// The access key id.
    pub access_key: Secret,
    /// The secret key.
    pub secret_key: Secret,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// When they expire, if that is said.
    pub expires: Option<Instant>,
    /// The endpoint that they are for, if that is said.
    pub endpoint: Option<String>,
    /// The region, if that is said.
    pub region: Option<String>,
}

/// Who gives credentials.
#[async_trait]
pub trait Vendor: Send + Sync + Debug {
    /// New ones for all prefixes.
    async fn vend(&self) -> Result<Vec<Vended>, Error>;
}

/// The credentials of one table, as they are now. Replaced before they expire, and when a store refuses them.
#[derive(Debug)]
pub struct Lease {
    vendor: Arc<dyn Vendor>,
    clock: Arc<dyn Clock>,
    /// INVARIANT: locked by whoever asks the vendor, so that only one does.
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    vended: Vec<Vended>,
    since: Instant,
    /// Grows with every replacement.
    number: u64,
}

impl Lease {
    /// Begins with what the vendor gave already.
    pub fn new(vendor: Arc<dyn Vendor>, clock: Arc<dyn Clock>, vended: Vec<Vended>) -> Arc<Self> {
        let held = Mutex::new(Held { vended, since: clock.now(), number: 0 });
        Arc::new(Self { vendor, clock, held })
    }

    /// Takes what the vendor gave unasked.
    pub async fn replace(&self, vended: Vec<Vended>) {
        self.held.lock().await.take(vended, self.clock.now());
    }

    async fn number(&self) -> u64 {
        self.held.lock().await.number
    }

    /// The credentials for a prefix.
    async fn of(&self, prefix: &str) -> Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(expires) = held.expires(prefix)
            && now >= held.replace_at(expires)
        {
            match self.vendor.vend().await {
                Ok(vended) => held.take(vended, now),
                // They are good for a moment yet, and the catalog may be back then.
                Err(error) if now < expires => tracing::warn!(%error, "storage credentials that were not replaced"),
                Err(error) => return Err(unusable(error)),
            }
        }
        let vended = held.vended.iter().find(|vended| vended.prefix == prefix);
        let vended =
            vended.ok_or_else(|| unusable(format!("the catalog gives no credentials for {prefix} any more")))?;
        Ok(Arc::new(AwsCredential {
            key_id: vended.access_key.expose().to_owned(),
            secret_key: vended.secret_key.expose().to_owned(),
            token: vended.session_token.as_ref().map(|token| token.expose().to_owned()),
        }))
    }

    /// Asks for others, as those of this number were refused, unless somebody else has.
    async fn refused(&self, number: u64) -> Result<(), Error> {
        let mut held = self.held.lock().await;
        if held.number == number {
            let vended = self.vendor.vend().await?;
            held.take(vended, self.clock.now());
        }
        Ok(())
    }
}

impl Held {
    fn take(&mut self, vended: Vec<Vended>, now: Instant) {
        *self = Self { vended, since: now, number: self.number + 1 };
    }

    fn expires(&self, prefix: &str) -> Option<Instant> {
        self.vended.iter().find(|vended| vended.prefix == prefix)?.expires
    }

    fn replace_at(&self, expires: Instant) -> Instant {
        let life = expires.micros().saturating_sub(self.since.micros()).max(0);
        let margin = (life / MARGIN_PART).min(MARGIN_S * 1_000_000);
        Instant(expires.micros().saturating_sub(margin))
    }
}

fn unusable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "vended credentials", source: why.into() }
}

/// A lease as an object store asks it.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) lease: Arc<Lease>,
    pub(crate) prefix: String,
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        self.lease.of(&self.prefix).await
    }
}

/// Reads again with other credentials when those at hand are refused.
#[derive(Debug)]
pub(crate) struct Leased<S> {
    pub(crate) inner: S,
    pub(crate) lease: Arc<Lease>,
}

impl<S> Leased<S> {
    async fn again<'a, T>(&self, request: impl Fn() -> BoxFuture<'a, Result<T>>) -> Result<T> {
        for _ in 0..REFUSALS_MAX {
            let number = self.lease.number().await;
            let refused = match request().await {
                Err(error) if is_refusal(&error) => error,
                answer => return answer,
            };
            if let Err(error) = self.lease.refused(number).await {
                tracing::warn!(%error, "storage credentials that were refused and not replaced");
                return Err(refused);
            }
        }
        request().await
    }
}

/// Whether other credentials may help. A token that has expired is a bad request in S3's words.
fn is_refusal(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => true,
        object_store::Error::Generic { source, .. } => {
            let text = source.to_string();
            ["<Code>ExpiredToken</Code>", "<Code>InvalidToken</Code>", "<Code>TokenRefreshRequired</Code>"]
                .iter()
                .any(|code| text.contains(code))
        }
        _ => false,
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Leased<S> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.again(|| self.inner.get_opts(location, options.clone())).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.again(|| self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    // A table of a catalog is never listed.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.again(|| self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl<S: ObjectStore> fmt::Display for Leased<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with vended credentials", self.inner)
    }
}
