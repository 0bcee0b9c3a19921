//! Rows of data files that are deleted without the files being written anew.

use std::fmt::Debug;

use async_trait::async_trait;
use roaring::RoaringTreemap;

use crate::Error;

/// The deleted rows of one data file, as the metadata of its table tells of them: a deletion vector, or positional delete
/// files.
#[async_trait]
pub trait Deletes: Send + Sync + Debug {
    /// What these are told from other deletes of the same data file by, in keys of caches: a path with an offset, or the
    /// deletes themselves.
    fn id(&self) -> &str;

    /// How many rows the metadata says are deleted. [`Self::load`] has to find as many.
    fn rows(&self) -> u64;

    /// How many bytes are read for them.
    fn bytes(&self) -> u64;

    /// The positions of the deleted rows in the data file, counted from 0 over all its row groups.
    ///
    /// # Errors
    /// Whatever is not exactly as the metadata says. The text for operators names the file.
    async fn load(&self) -> Result<RoaringTreemap, Error>;
}
