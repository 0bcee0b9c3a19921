//! How far the trail goes.
//!
//! Two slots are written in turn, each under a checksum, so that one is good at every moment. A slot is written after
//! the records it speaks of are on disk: the head may lag behind the trail, and is never ahead of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::chain::{self, Link};
use crate::disk::Disk;

/// Slots lie in blocks of their own, so that a torn write cannot hit both.
const SLOT_LEN: usize = 4096;

/// What a slot says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// Counts the writes.
    pub(crate) generation: u64,
    /// The last record.
    pub(crate) link: Link,
    /// The segment it stands in; 0 before the first.
    pub(crate) segment: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct HeadFile {
    disk: Disk,
    file: File,
    generation: u64,
}

impl HeadFile {
    /// Makes the head of an empty trail, durably.
    pub(crate) fn create(dir: &Path, disk: &Disk) -> io::Result<Self> {
        let mut head = Self { disk: disk.clone(), file: disk.create_new(&path(dir))?, generation: 0 };
        head.write(Link::START, 0)?;
        head.sync()?;
        disk.sync_dir(dir)?;
        Ok(head)
    }

    /// Opens the head that was read as `current`.
    pub(crate) fn open(dir: &Path, current: Head, disk: &Disk) -> io::Result<Self> {
        Ok(Self { disk: disk.clone(), file: disk.open_to_write(&path(dir))?, generation: current.generation })
    }

    /// Writes the slot that is not the newest.
    pub(crate) fn write(&mut self, link: Link, segment: u64) -> io::Result<()> {
        let head = Head { generation: self.generation + 1, link, segment };
        let mut slot = head.encode().into_bytes();
        slot.resize(SLOT_LEN, b'\n');
        self.disk.write_all_at(&self.file, &slot, (head.generation % 2) * SLOT_LEN as u64)?;
        self.generation = head.generation;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.file)
    }
}

impl Head {
    /// The newest good slot; none if there is no head or both slots are spoilt.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(path(dir)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(bytes.chunks(SLOT_LEN).filter_map(Self::decode).max_by_key(|head| head.generation))
    }

    fn encode(&self) -> String {
        let content = format!(
            "{{\"generation\":{},\"segment\":{},\"seq\":{},\"hash\":\"{}\"",
            self.generation,
            self.segment,
            self.link.seq,
            chain::hex(&self.link.hash)
        );
        let check = hex::encode(Sha256::digest(content.as_bytes()));
        format!("{content},\"check\":\"{check}\"}}\n")
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let line = slot.split(|byte| *byte == b'\n').next()?;
        let value: serde_json::Value = serde_json::from_slice(line).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        let mut hash = chain::GENESIS;
        hex::decode_to_slice(value.get("hash")?.as_str()?, &mut hash).ok()?;
        let link = Link { seq: number("seq")?, hash };
        let head = Self { generation: number("generation")?, link, segment: number("segment")? };
        // The checksum is part of the one spelling there is.
        (head.encode().as_bytes().strip_suffix(b"\n")? == line).then_some(head)
    }
}

/// The head's file.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("head")
}

#[cfg(test)]
mod unit {
    use super::{Head, HeadFile, SLOT_LEN, path};
    use crate::chain::Link;
    use crate::disk::Disk;

    #[test]
    fn a_spoilt_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = HeadFile::create(dir.path(), &Disk::system()).expect("is made");
        let links = [1_u64, 2, 3].map(|seq| Link { seq, hash: [u8::try_from(seq).expect("small"); 32] });
        for link in links {
            file.write(link, 1).expect("is written");
            assert_eq!(Head::read(dir.path()).expect("is read").expect("is good").link, link);
        }
        let newest = Head::read(dir.path()).expect("is read").expect("is good");
        let mut bytes = std::fs::read(path(dir.path())).expect("is read");
        let slot = usize::try_from(newest.generation % 2).expect("small") * SLOT_LEN;
        bytes[slot + 20] ^= 1;
        std::fs::write(path(dir.path()), &bytes).expect("is written");
        assert_eq!(Head::read(dir.path()).expect("is read").expect("is good").link, links[1]);
        std::fs::write(path(dir.path()), "nonsense").expect("is written");
        assert_eq!(Head::read(dir.path()).expect("is read"), None);
    }
}
