//! Masks that replace a value by a digest of it.
//!
//! | type | what is hashed | what is shown of the digest |
//! |---|---|---|
//! | strings | their UTF-8 | 64 lowercase hex digits |
//! | integers of up to 32 bits | 4 bytes, little-endian | its first bytes, as many as the type has, little-endian |
//! | integers of 64 bits | 8 bytes, little-endian | its first 8 bytes, little-endian |
//! | binary | the bytes | 32 bytes |
//! | fixed-size binary of n <= 32 bytes | the bytes | its first n bytes |
//!
//! Narrow integers and short binary values keep their type, so their digests are as short as they are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BinaryViewBuilder, FixedSizeBinaryBuilder,
    LargeBinaryBuilder, LargeStringBuilder, PrimitiveArray, StringBuilder, StringViewBuilder,
};
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::unsuited;

/// Bytes of a digest.
const DIGEST_LEN: usize = 32;

/// How a digest is made.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Keyed {
    /// SHA-256 of the salt, which may be empty, and the value.
    Salted(Vec<u8>),
    /// HMAC-SHA-256.
    Hmac([u8; 32]),
}

impl Keyed {
    pub(super) fn global() -> Self {
        Self::Salted(Vec::new())
    }

    pub(super) fn salted(salt: &[u8; 32]) -> Self {
        Self::Salted(salt.to_vec())
    }

    pub(super) fn hmac(key: &[u8; 32]) -> Self {
        Self::Hmac(*key)
    }

    fn hasher(&self) -> Hasher {
        match self {
            Self::Salted(salt) => Hasher::Plain(Sha256::new_with_prefix(salt)),
            Self::Hmac(key) => Hasher::Hmac(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")),
        }
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SECURITY: neither salt nor key may be printed with a plan.
        f.write_str(match self {
            Self::Salted(salt) if salt.is_empty() => "Sha256",
            Self::Salted(_) => "Sha256(salted)",
            Self::Hmac(_) => "HmacSha256",
        })
    }
}

/// The state after salt or key, cloned for each value.
enum Hasher {
    Plain(Sha256),
    Hmac(Hmac<Sha256>),
}

impl Hasher {
    fn digest(&self, bytes: &[u8]) -> [u8; DIGEST_LEN] {
        match self {
            Self::Plain(state) => state.clone().chain_update(bytes).finalize().into(),
            Self::Hmac(state) => state.clone().chain_update(bytes).finalize().into_bytes().into(),
        }
    }

    fn hex(&self, text: &str) -> String {
        hex::encode(self.digest(text.as_bytes()))
    }
}

pub(super) fn applies(data_type: &DataType) -> bool {
    use DataType as D;
    match data_type {
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView => true,
        D::FixedSizeBinary(width) => usize::try_from(*width).is_ok_and(|width| width <= DIGEST_LEN),
        other => other.is_integer(),
    }
}

pub(super) fn apply(array: &ArrayRef, keyed: &Keyed) -> Result<ArrayRef, ArrowError> {
    let hasher = keyed.hasher();
    match array.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(signed(array, &hasher)),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Ok(unsigned(array, &hasher)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(strings(array, &hasher)),
        _ => binary(array, &hasher),
    }
}

fn signed(array: &ArrayRef, hasher: &Hasher) -> ArrayRef {
    match array.data_type() {
        DataType::Int8 => integers::<Int8Type>(array, |v| i8::from_le_bytes(hasher.short(i32::from(v)))),
        DataType::Int16 => integers::<Int16Type>(array, |v| i16::from_le_bytes(hasher.short(i32::from(v)))),
        DataType::Int32 => integers::<Int32Type>(array, |v| i32::from_le_bytes(hasher.short(v))),
        _ => integers::<Int64Type>(array, |v| i64::from_le_bytes(hasher.first(&v.to_le_bytes()))),
    }
}

fn unsigned(array: &ArrayRef, hasher: &Hasher) -> ArrayRef {
    match array.data_type() {
        DataType::UInt8 => integers::<UInt8Type>(array, |v| u8::from_le_bytes(hasher.short(i32::from(v)))),
        DataType::UInt16 => integers::<UInt16Type>(array, |v| u16::from_le_bytes(hasher.short(i32::from(v)))),
        DataType::UInt32 => integers::<UInt32Type>(array, |v| u32::from_le_bytes(hasher.first(&v.to_le_bytes()))),
        _ => integers::<UInt64Type>(array, |v| u64::from_le_bytes(hasher.first(&v.to_le_bytes()))),
    }
}

impl Hasher {
    /// The first bytes of the digest of an integer as 4 bytes.
    fn short<const N: usize>(&self, value: i32) -> [u8; N] {
        self.first(&value.to_le_bytes())
    }

    fn first<const N: usize>(&self, bytes: &[u8]) -> [u8; N] {
        let digest = self.digest(bytes);
        std::array::from_fn(|at| digest[at])
    }
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, digest: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    Arc::new(array.as_primitive::<T>().iter().map(|value| value.map(&digest)).collect::<PrimitiveArray<T>>())
}

fn strings(array: &ArrayRef, hasher: &Hasher) -> ArrayRef {
    let capacity = array.len() * 2 * DIGEST_LEN;
    match array.data_type() {
        DataType::Utf8 => {
            let mut builder = StringBuilder::with_capacity(array.len(), capacity);
            array.as_string::<i32>().iter().for_each(|text| builder.append_option(text.map(|text| hasher.hex(text))));
            Arc::new(builder.finish())
        }
        DataType::LargeUtf8 => {
            let mut builder = LargeStringBuilder::with_capacity(array.len(), capacity);
            array.as_string::<i64>().iter().for_each(|text| builder.append_option(text.map(|text| hasher.hex(text))));
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = StringViewBuilder::with_capacity(array.len());
            array.as_string_view().iter().for_each(|text| builder.append_option(text.map(|text| hasher.hex(text))));
            Arc::new(builder.finish())
        }
    }
}

fn binary(array: &ArrayRef, hasher: &Hasher) -> Result<ArrayRef, ArrowError> {
    let capacity = array.len() * DIGEST_LEN;
    Ok(match array.data_type() {
        DataType::Binary => {
            let mut builder = BinaryBuilder::with_capacity(array.len(), capacity);
            array.as_binary::<i32>().iter().for_each(|value| builder.append_option(value.map(|v| hasher.digest(v))));
            Arc::new(builder.finish())
        }
        DataType::LargeBinary => {
            let mut builder = LargeBinaryBuilder::with_capacity(array.len(), capacity);
            array.as_binary::<i64>().iter().for_each(|value| builder.append_option(value.map(|v| hasher.digest(v))));
            Arc::new(builder.finish())
        }
        DataType::BinaryView => {
            let mut builder = BinaryViewBuilder::with_capacity(array.len());
            array.as_binary_view().iter().for_each(|value| builder.append_option(value.map(|v| hasher.digest(v))));
            Arc::new(builder.finish())
        }
        DataType::FixedSizeBinary(width) if applies(array.data_type()) => {
            let shown = usize::try_from(*width).unwrap_or(0).min(DIGEST_LEN);
            let mut builder = FixedSizeBinaryBuilder::with_capacity(array.len(), *width);
            for value in array.as_fixed_size_binary().iter() {
                match value {
                    Some(value) => builder.append_value(&hasher.digest(value)[..shown])?,
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        _ => return Err(unsuited(array)),
    })
}
