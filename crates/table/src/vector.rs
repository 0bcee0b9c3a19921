//! Deletion vectors as files hold them: Delta's and Iceberg's have the same form.
//!
//! A length (big-endian), a magic number, a 64-bit Roaring bitmap in its portable form, and the CRC-32 (big-endian) of the
//! two. The length counts what the checksum covers, which is the vector.

use roaring::RoaringTreemap;

/// The longest vector that is read: 500 million rows of which every other one is deleted.
pub const BYTES_MAX: u64 = 64 << 20;

/// What is around a vector: its length before it, its checksum behind it.
pub const FRAME_LEN: u64 = 8;

/// What the portable form of 64-bit Roaring bitmaps begins with, little-endian.
pub const PORTABLE_MAGIC: u32 = 1_681_511_377;

/// A vector of `size` bytes out of its frame.
///
/// # Errors
/// What is wrong with it.
pub fn unframed(bytes: &[u8], size: u64) -> Result<&[u8], &'static str> {
    let (length, rest) = bytes.split_first_chunk().ok_or("cut off")?;
    let (vector, checksum) = rest.split_last_chunk().ok_or("cut off")?;
    if u64::from(u32::from_be_bytes(*length)) != size || vector.len() as u64 != size {
        return Err("not as long as the metadata says");
    }
    if crc32fast::hash(vector) != u32::from_be_bytes(*checksum) {
        return Err("its checksum is wrong");
    }
    Ok(vector)
}

/// The positions that a vector holds.
///
/// # Errors
/// What is wrong with it.
pub fn positions(bytes: impl AsRef<[u8]>) -> Result<RoaringTreemap, &'static str> {
    let (magic, mut rest) = bytes.as_ref().split_first_chunk().ok_or("cut off")?;
    if u32::from_le_bytes(*magic) != PORTABLE_MAGIC {
        return Err("not a portable Roaring bitmap");
    }
    let positions = RoaringTreemap::deserialize_from(&mut rest).map_err(|_| "not a valid Roaring bitmap")?;
    if rest.is_empty() { Ok(positions) } else { Err("more than a Roaring bitmap") }
}

/// The vector of positions.
///
/// # Errors
/// None: it is written to memory.
pub fn vector(positions: &RoaringTreemap) -> std::io::Result<Vec<u8>> {
    let mut compact = positions.clone();
    compact.optimize();
    let mut bytes = PORTABLE_MAGIC.to_le_bytes().to_vec();
    compact.serialize_into(&mut bytes)?;
    Ok(bytes)
}

/// A vector in its frame.
///
/// # Errors
/// If it is longer than a frame can tell.
pub fn framed(vector: &[u8]) -> Result<Vec<u8>, std::num::TryFromIntError> {
    let length = u32::try_from(vector.len())?;
    Ok([&length.to_be_bytes()[..], vector, &crc32fast::hash(vector).to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::{FRAME_LEN, framed, positions, unframed, vector};

    #[test]
    fn frames_hold_what_was_put_into_them() {
        let rows = roaring::RoaringTreemap::from_iter([1_u64, 5, 1 << 40]);
        let whole = framed(&vector(&rows).unwrap()).unwrap();
        let size = whole.len() as u64 - FRAME_LEN;
        let read = |bytes: &[u8], size| unframed(bytes, size).and_then(positions);
        assert_eq!(read(&whole, size), Ok(rows));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            read(&damaged, size).unwrap_err();
            read(&whole[..at], size).unwrap_err();
        }
        for size in [0, size - 1, size + 1, u64::MAX] {
            read(&whole, size).unwrap_err();
        }
    }
}
