//! Deletion vectors of version 3, in Puffin files.

use std::ops::Range;

use iceberg::spec::DataFile as IcebergFile;
use meshgate_table::vector::{BYTES_MAX, FRAME_LEN, positions, unframed};
use meshgate_table::{DomainStores, Error, Loading, Located};
use object_store::ObjectStoreExt;
use roaring::RoaringTreemap;
use sha2::{Digest, Sha256};

use super::broken;

/// A deletion vector as a manifest describes it. The Puffin file's own footer says nothing else of it.
#[derive(Debug)]
pub(super) struct Vector {
    file: Located,
    /// Of the blob, which is the vector in its frame.
    range: Range<u64>,
    rows: u64,
}

impl Vector {
    pub(super) fn new(file: &IcebergFile, stores: &DomainStores) -> Result<Self, Error> {
        let told = |number: Option<i64>| {
            let number = number.ok_or_else(|| broken("a deletion vector without a place in its file"))?;
            u64::try_from(number).map_err(|_| broken("a deletion vector with a negative number"))
        };
        let (begin, bytes) = (told(file.content_offset())?, told(file.content_size_in_bytes())?);
        if bytes > BYTES_MAX {
            return Err(broken("a deletion vector that is far too large"));
        }
        if bytes < FRAME_LEN {
            return Err(broken("a deletion vector that is too short"));
        }
        let end = begin.checked_add(bytes).ok_or_else(|| broken("a deletion vector beyond its file"))?;
        Ok(Self { file: stores.locate_literal(file.file_path())?, range: begin..end, rows: file.record_count() })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn digest(&self, id: &mut Sha256) {
        id.update(format!("v{}@{:?}#{}\n", self.file.url, self.range, self.rows));
    }

    pub(super) async fn load(&self, loading: &Loading) -> Result<RoaringTreemap, Error> {
        let bytes = self.range.end - self.range.start;
        // The bytes, and the positions made of them.
        let _charge = loading.charge(bytes.saturating_mul(2))?;
        let framed = self.file.store.get_range(&self.file.path, self.range.clone()).await?;
        let found = unframed(&framed, bytes - FRAME_LEN).and_then(positions);
        let found = found.map_err(|why| Error::malformed(format!("deletion vector {}: {why}", self.file.url)))?;
        if found.len() != self.rows {
            let why = "not as many rows as the manifest says";
            return Err(Error::malformed(format!("deletion vector {}: {why}", self.file.url)));
        }
        Ok(found)
    }
}
