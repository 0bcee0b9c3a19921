//! Sealed ids: what a client carries to find again what is kept here for it.

use bytes::Bytes;
use meshgate_model::{Fingerprint, mutant};
use prost::Message;

use crate::seal::{Purpose, Sealer};
use crate::shelf::Id;

#[derive(Clone, PartialEq, Message)]
struct HandleMessage {
    #[prost(bytes = "vec", tag = "1")]
    owner: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
}

/// Seals an id for its owner.
pub(crate) fn seal(sealer: &Sealer, purpose: Purpose, owner: Fingerprint, id: Id) -> Bytes {
    let message = HandleMessage { owner: owner.0.to_vec(), id: id.to_vec() };
    sealer.seal(purpose, &message.encode_to_vec()).into()
}

/// The owner's id; nothing for what is forged, for another purpose, or another owner's.
pub(crate) fn open(sealer: &Sealer, purpose: Purpose, owner: Fingerprint, sealed: &[u8]) -> Option<Id> {
    let claim = sealer.open(purpose, sealed)?;
    let message = HandleMessage::decode(claim.as_slice())
        .ok()
        .filter(|message| message.owner == owner.0 || mutant("a handle is anybody's"))?;
    message.id.try_into().ok()
}
