//! A store that reads under one prefix and does nothing else.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use meshgate_model::mutant;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use super::backend::{local_path, real_path};
use super::place::resolve;

/// What a grant covers.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// A directory, symbolic links not yet resolved: it may be made after the gateway starts.
    Local(PathBuf),
    /// A prefix of a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, no slash at either end.
        key: String,
    },
}

/// Wraps a store. INVARIANT: `inner` is called with checked paths only, and never to write.
#[derive(Debug)]
pub(crate) struct Contained {
    inner: Arc<dyn ObjectStore>,
    root: Root,
}

impl Contained {
    /// Puts the fence around a store.
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, root: Root) -> Self {
        Self { inner, root }
    }

    /// The path to open: itself, or for local files the real path behind symbolic links.
    fn check(&self, path: &Path) -> Result<Path> {
        // SECURITY: checked on every call again: what the path means may have changed since it was located.
        let allowed = match &self.root {
            Root::Local(root) => resolve(root).and_then(|root| {
                let real = resolve(&real_path(path))?;
                real.starts_with(&root).then(|| local_path(&real)).flatten()
            }),
            Root::S3 { key, .. } => {
                Path::parse(key).ok().filter(|prefix| path.prefix_matches(prefix)).map(|_| path.clone())
            }
        };
        let allowed = if mutant("files outside of a domain are read") { Some(path.clone()) } else { allowed };
        allowed.ok_or_else(|| refused(path, "lies outside the storage of its domain"))
    }

    /// A listing may ask for any prefix; it is answered only inside of ours.
    fn check_prefix(&self, prefix: Option<&Path>) -> Result<Path> {
        self.check(prefix.unwrap_or(&Path::default()))
    }

    fn inside(&self, meta: &ObjectMeta) -> bool {
        self.check(&meta.location).is_ok()
    }
}

fn refused(path: &Path, why: &'static str) -> object_store::Error {
    object_store::Error::PermissionDenied { path: path.to_string(), source: why.into() }
}

const READ_ONLY: &str = "the gateway does not write to tables";

#[async_trait]
impl ObjectStore for Contained {
    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(refused(location, READ_ONLY))
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(refused(location, READ_ONLY))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(&self.check(location)?, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(&self.check(location)?, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.and_then(|path| async move { Err(refused(&path, READ_ONLY)) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(prefix) => {
                let fence = Self::new(self.inner.clone(), self.root.clone());
                let inside = move |meta: &ObjectMeta| futures::future::ready(fence.inside(meta));
                self.inner.list(Some(&prefix)).try_filter(inside).boxed()
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(prefix) => {
                let fence = Self::new(self.inner.clone(), self.root.clone());
                let inside = move |meta: &ObjectMeta| futures::future::ready(fence.inside(meta));
                self.inner.list_with_offset(Some(&prefix), offset).try_filter(inside).boxed()
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = self.check_prefix(prefix)?;
        let mut found = self.inner.list_with_delimiter(Some(&prefix)).await?;
        found.objects.retain(|meta| self.inside(meta));
        found.common_prefixes.retain(|path| self.check(path).is_ok());
        Ok(found)
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(refused(to, READ_ONLY))
    }
}

impl fmt::Display for Contained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Local(path) => write!(f, "file://{}", path.display()),
            Root::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}
