//! Rows of data files that are deleted without the files being written anew.

use std::fmt::Debug;

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::{Error, Loading};

/// The deleted rows of one data file, as the metadata of its table tells of them: a deletion vector, positional delete
/// files, equality delete files, or several of these.
#[async_trait]
pub trait Deletes: Send + Sync + Debug {
    /// What these are told from other deletes of the same data file by, in keys of caches: a path with an offset, or the
    /// deletes themselves.
    fn id(&self) -> &str;

    /// How many rows the metadata says are deleted, if it says. [`Self::load`] has to find as many.
    fn rows(&self) -> Option<u64>;

    /// The positions of the deleted rows in the data file, counted from 0 over all its row groups.
    ///
    /// # Errors
    /// Whatever is not exactly as the metadata says. The text for operators names the file.
    async fn load(&self, loading: &Loading) -> Result<RoaringTreemap, Error>;
}
