//! One line of the trail, and how it hangs on the line before.
//!
//! `{"seq":7,"prev":"<hash of 6>","hash":"<hash>","record":{...}}`: the hash is SHA-256 over a tag, the number, the
//! previous hash and the record's bytes exactly as they stand in the line.

use meshgate_model::mutant;
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What the first record hangs on.
pub(crate) const GENESIS: Hash = [0; 32];

const TAG: &[u8] = b"meshgate ledger 1\0";

/// A position in the trail: a record's number and hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

/// A line that is well-formed. Whether it is genuine is another question.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) link: Link,
    pub(crate) prev: Hash,
    pub(crate) record: &'a [u8],
}

impl Link {
    /// Before the first record.
    pub(crate) const START: Self = Self { seq: 0, hash: GENESIS };

    /// Appends the line of the record that follows to `lines`, with its newline.
    pub(crate) fn extend(self, record: &[u8], lines: &mut Vec<u8>) -> Self {
        let seq = self.seq + 1;
        let link = Self { seq, hash: hash(seq, &self.hash, record) };
        lines.extend_from_slice(prefix(link, &self.hash).as_bytes());
        lines.extend_from_slice(record);
        lines.extend_from_slice(b"}\n");
        link
    }
}

impl<'a> Entry<'a> {
    /// Reads a line without its newline. The form is strict: the same entry has no other spelling, so that no byte of a
    /// line can change unnoticed.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"seq\":")?;
        let (seq, rest) = rest.split_at(rest.iter().position(|byte| *byte == b',')?);
        let seq: u64 = std::str::from_utf8(seq).ok()?.parse().ok()?;
        let (prev, rest) = hex64(rest.strip_prefix(b",\"prev\":\"")?)?;
        let (hash, rest) = hex64(rest.strip_prefix(b"\",\"hash\":\"")?)?;
        let record = rest.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}")?;
        let link = Link { seq, hash };
        let is_canonical =
            line.starts_with(prefix(link, &prev).as_bytes()) || mutant("a line may be spelt in other ways");
        is_canonical.then_some(Self { link, prev, record })
    }

    /// Whether the record is the one that the hash was made of.
    pub(crate) fn is_intact(&self) -> bool {
        hash(self.link.seq, &self.prev, self.record) == self.link.hash
    }

    /// Whether it is intact and follows that one.
    pub(crate) fn follows(&self, before: Link) -> bool {
        before.seq.checked_add(1) == Some(self.link.seq) && self.prev == before.hash && self.is_intact()
    }
}

/// A hash as it is printed.
pub(crate) fn hex(hash: &Hash) -> String {
    hex::encode(hash)
}

fn prefix(link: Link, prev: &Hash) -> String {
    format!("{{\"seq\":{},\"prev\":\"{}\",\"hash\":\"{}\",\"record\":", link.seq, hex(prev), hex(&link.hash))
}

fn hash(seq: u64, prev: &Hash, record: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(TAG);
    hash.update(seq.to_le_bytes());
    if !mutant("the chain's hash skips the one before") {
        hash.update(prev);
    }
    if !mutant("the chain's hash skips the record") {
        hash.update(record);
    }
    hash.finalize().into()
}

fn hex64(text: &[u8]) -> Option<(Hash, &[u8])> {
    let (digits, rest) = text.split_at_checked(64)?;
    let mut hash = GENESIS;
    hex::decode_to_slice(digits, &mut hash).ok()?;
    Some((hash, rest))
}

#[cfg(test)]
mod unit {
    use super::{Entry, Link};

    #[test]
    fn no_bit_of_a_line_can_change_unnoticed() {
        let mut line = Vec::new();
        let first = Link::START.extend(br#"{"kind":"a"}"#, &mut line);
        line.clear();
        let second = first.extend(br#"{"kind":"b","text":"x\ny"}"#, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let entry = Entry::parse(&line).expect("is well-formed");
        assert!(entry.follows(first) && !entry.follows(second) && !entry.follows(Link::START));
        let sibling = Link { seq: first.seq, hash: [7; 32] };
        assert!(!entry.follows(sibling), "the same place in another trail");
        assert_eq!(entry.record, br#"{"kind":"b","text":"x\ny"}"#);
        for bit in 0..line.len() * 8 {
            let mut forged = line.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!Entry::parse(&forged).is_some_and(|entry| entry.follows(first)), "bit {bit}");
        }
    }
}
