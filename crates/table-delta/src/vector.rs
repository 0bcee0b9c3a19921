//! Deletion vectors: which rows of a data file a log says are deleted.
//!
//! The format is that of "Deletion Vectors" in Delta's `PROTOCOL.md`; the library reads it without limits, and some of what
//! is malformed with a panic.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join;
use meshgate_table::vector::{BYTES_MAX, FRAME_LEN, positions, unframed};
use meshgate_table::{Deletes, Error, Loading, Located};
use object_store::ObjectStoreExt;
use roaring::RoaringTreemap;
use uuid::Uuid;

/// How many characters of a relative path are the encoded id.
const ENCODED_ID_LEN: usize = 20;

/// The first byte of a file of deletion vectors.
pub(crate) const FILE_VERSION: u8 = 1;

/// A vector that begins so near to the begin of its file is read in one request together with the file's version.
const NEAR_BYTES: u64 = 64 << 10;

/// A deletion vector as a log describes it.
#[derive(Debug)]
pub(crate) struct Vector {
    /// As the protocol makes it up: storage type, path or content, offset.
    id: String,
    place: Place,
    /// Without the length before it and the checksum behind it.
    bytes: u64,
    rows: u64,
}

#[derive(Debug)]
enum Place {
    /// In the log, encoded as Z85.
    Inline(String),
    File {
        file: Located,
        offset: u64,
    },
}

/// Deletion vectors of a list of files.
pub(crate) struct Vectors<'a> {
    kinds: ArrayRef,
    paths: ArrayRef,
    offsets: ArrayRef,
    bytes: ArrayRef,
    rows: ArrayRef,
    files: &'a StructArray,
}

impl<'a> Vectors<'a> {
    /// Of the column `deletion_vector` of a list of files.
    pub(crate) fn new(files: &'a StructArray) -> Result<Self, Error> {
        let column = |name: &str, to: &DataType| {
            let column = files.column_by_name(name).ok_or_else(|| broken("not fully described"))?;
            cast(column, to).map_err(|error| Error::format("reading the deletion vectors of a Delta log", error))
        };
        Ok(Self {
            kinds: column("storageType", &DataType::Utf8)?,
            paths: column("pathOrInlineDv", &DataType::Utf8)?,
            offsets: column("offset", &DataType::Int64)?,
            bytes: column("sizeInBytes", &DataType::Int64)?,
            rows: column("cardinality", &DataType::Int64)?,
            files,
        })
    }

    /// The one of the file `at`, if it has one. Finds files that are named by a path relative to the table's directory
    /// with `relative`, others with `absolute`.
    pub(crate) fn get(
        &self,
        at: usize,
        relative: impl Fn(&str) -> Result<Located, Error>,
        absolute: impl Fn(&str) -> Result<Located, Error>,
    ) -> Result<Option<Vector>, Error> {
        let columns = [&self.kinds, &self.paths, &self.offsets, &self.bytes, &self.rows];
        if self.files.is_null(at) || columns.iter().all(|column| column.is_null(at)) {
            return Ok(None);
        }
        let text = |column: &ArrayRef| {
            let column = column.as_string::<i32>();
            column.is_valid(at).then(|| column.value(at).to_owned()).ok_or_else(|| broken("not fully described"))
        };
        let number = |column: &ArrayRef| {
            let column = column.as_primitive::<Int64Type>();
            match column.is_valid(at).then(|| u64::try_from(column.value(at))) {
                None => Ok(None),
                Some(Ok(number)) => Ok(Some(number)),
                Some(Err(_)) => Err(broken("a negative number")),
            }
        };
        let (kind, path) = (text(&self.kinds)?, text(&self.paths)?);
        let offset = number(&self.offsets)?;
        let bytes = number(&self.bytes)?.ok_or_else(|| broken("no size"))?;
        let rows = number(&self.rows)?.ok_or_else(|| broken("no cardinality"))?;
        if bytes > BYTES_MAX {
            return Err(broken("far too large"));
        }
        let id = match offset {
            Some(offset) => format!("{kind}{path}@{offset}"),
            None => format!("{kind}{path}"),
        };
        // The first one of a file follows the version.
        let offset = offset.unwrap_or(1);
        if offset == 0 {
            return Err(broken("no place in its file"));
        }
        let place = match kind.as_str() {
            "i" => Place::Inline(path),
            "u" => Place::File { file: relative(&relative_path(&path)?)?, offset },
            "p" => Place::File { file: absolute(&path)?, offset },
            _ => return Err(Error::unsupported("deletion vectors of an unknown storage type")),
        };
        Ok(Some(Vector { id, place, bytes, rows }))
    }
}

#[async_trait]
impl Deletes for Vector {
    fn id(&self) -> &str {
        &self.id
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    async fn load(&self, loading: &Loading) -> Result<RoaringTreemap, Error> {
        // The bytes, and the positions made of them.
        let _charge = loading.charge(self.bytes.saturating_mul(2))?;
        let found = match &self.place {
            Place::Inline(text) => inline(text, self.bytes).and_then(|bytes| positions(&bytes)),
            Place::File { file, offset } => {
                let bytes = self.read(file, *offset).await?;
                unframed(&bytes, self.bytes).and_then(positions)
            }
        };
        let place = match &self.place {
            Place::Inline(_) => "in the log",
            Place::File { file, .. } => &file.url,
        };
        found.map_err(|why| Error::malformed(format!("deletion vector {place}: {why}")))
    }
}

impl Vector {
    /// The vector with its length and checksum; less if the file ends before.
    async fn read(&self, file: &Located, offset: u64) -> Result<Bytes, Error> {
        let end = offset.saturating_add(self.bytes + FRAME_LEN);
        let read = async {
            if offset <= NEAR_BYTES {
                let mut bytes = file.store.get_range(&file.path, 0..end).await?;
                let vector = bytes.split_off(bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX)));
                return Ok((bytes.first().copied(), vector));
            }
            let begin = file.store.get_range(&file.path, 0..1);
            let (begin, vector) = try_join(begin, file.store.get_range(&file.path, offset..end)).await?;
            Ok((begin.first().copied(), vector))
        };
        match read.await {
            Ok((Some(FILE_VERSION), vector)) => Ok(vector),
            Ok((Some(_), _)) => Err(Error::unsupported("deletion vectors in files of an unknown version")),
            Ok((None, _)) => Err(Error::malformed(format!("deletion vector {}: the file is empty", file.url))),
            Err(error) => Err(Error::Store(error)),
        }
    }
}

/// A vector from a log.
fn inline(text: &str, size: u64) -> Result<Vec<u8>, &'static str> {
    let mut bytes = z85::decode(text).map_err(|_| "not in Z85")?;
    // Z85 encodes four bytes at a time; what fills up the last four is not part of it.
    let size = usize::try_from(size).map_err(|_| "far too large")?;
    if bytes.len() < size || bytes.len() >= size + 4 {
        return Err("not as long as the log says");
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// The path of a file below the table's directory: a directory or none, and an id in Z85.
fn relative_path(text: &str) -> Result<String, Error> {
    let split = text.len().checked_sub(ENCODED_ID_LEN).and_then(|at| text.split_at_checked(at));
    let (directory, id) = split.ok_or_else(|| broken("a path that is too short"))?;
    let id = z85::decode(id).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
    let name = format!("deletion_vector_{}.bin", id.ok_or_else(|| broken("a path without an id"))?);
    Ok(if directory.is_empty() { name } else { format!("{directory}/{name}") })
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("Delta log: a deletion vector: {what}"))
}

#[cfg(test)]
mod tests {
    use meshgate_table::vector::positions;

    use super::{inline, relative_path};

    /// A vector that Spark wrote (the protocol's own example is of a form that nobody writes), and the protocol's paths.
    #[test]
    fn reads_what_others_write() {
        let bytes = inline("^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", 44).unwrap();
        assert_eq!(positions(bytes).unwrap().into_iter().collect::<Vec<_>>(), [3, 4, 7, 11, 18, 29]);
        for (text, path) in [
            ("ab^-aqEH.-t@S}K{vb[*k^", "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"),
            ("vBn[lx{q8@P<9BNH/isA", "deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin"),
        ] {
            assert_eq!(relative_path(text).unwrap(), path);
        }
        for text in ["", "short", "ü-aqEH.-t@S}K{vb[*k^", "\u{0}\u{0}aqEH.-t@S}K{vb[*k"] {
            relative_path(text).unwrap_err();
        }
    }
}
