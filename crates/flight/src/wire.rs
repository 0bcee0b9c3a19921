//! What travels: schemas and types ([`types`]), arrays in them ([`adapt`]), batches cut to message size ([`split`]),
//! messages ([`encode`]).

pub(crate) mod adapt;
pub(crate) mod encode;
pub(crate) mod split;
pub(crate) mod types;
