//! The trail as its one writer holds it: the open segment and the head.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use meshgate_model::mutant;

use crate::chain::Link;
use crate::disk::Disk;
use crate::files;
use crate::head::HeadFile;

/// The head is made durable at least every so many commits; before that a crash of the machine, not of the process,
/// lets it lag.
const COMMITS_PER_HEAD_SYNC: u32 = 256;

/// Makes the record that opens a segment.
pub(crate) type SegmentRecord = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// The writable end of a trail.
pub(crate) struct Trail {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) head: HeadFile,
    pub(crate) segment: Option<Segment>,
    /// The last record.
    pub(crate) link: Link,
    pub(crate) fsync: bool,
    pub(crate) segment_bytes_max: u64,
    pub(crate) segment_record: SegmentRecord,
    pub(crate) commits_since_head_sync: u32,
    /// A segment that was begun in vain and could not be taken away either.
    pub(crate) false_start: Option<u64>,
    /// Whether the head on disk says less than is true.
    pub(crate) is_head_behind: bool,
    /// Held for as long as the trail is.
    pub(crate) _lock: File,
}

/// The open segment.
pub(crate) struct Segment {
    pub(crate) file: File,
    pub(crate) number: u64,
    /// Up to here everything is durable; what stands behind is the rest of a failed write.
    pub(crate) len: u64,
    pub(crate) has_rest: bool,
}

impl Trail {
    /// Writes records behind each other and makes them durable, all or none. Returns their numbers and hashes.
    pub(crate) fn commit<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> io::Result<Vec<Link>> {
        self.clear_rest()?;
        let mut records = records.peekable();
        if records.peek().is_some() || self.segment.is_none() {
            self.rotate_if_full()?;
        }
        let mut lines = Vec::new();
        let mut links = Vec::new();
        let mut link = self.link;
        for record in records {
            link = link.extend(record, &mut lines);
            links.push(link);
        }
        let fsync = self.fsync;
        let Some(segment) = &mut self.segment else {
            return Err(io::Error::other("no segment is open"));
        };
        if !links.is_empty() {
            segment.has_rest = true;
            self.disk.write_all_at(&segment.file, &lines, segment.len)?;
            if fsync && !mutant("records are not synced") {
                self.disk.sync(&segment.file)?;
            }
            segment.has_rest = false;
            segment.len += lines.len() as u64;
            self.link = link;
            self.is_head_behind = true;
        }
        Ok(links)
    }

    /// Brings the head up to date. The records are safe without: only the proof that none was cut off waits for it.
    pub(crate) fn update_head(&mut self) -> io::Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        if self.is_head_behind {
            self.head.write(self.link, segment.number)?;
            self.is_head_behind = false;
            self.commits_since_head_sync += 1;
        }
        if self.commits_since_head_sync >= COMMITS_PER_HEAD_SYNC { self.sync_head() } else { Ok(()) }
    }

    /// Makes the head durable if it is not.
    pub(crate) fn sync_head(&mut self) -> io::Result<()> {
        if self.commits_since_head_sync > 0 {
            if self.fsync {
                self.head.sync()?;
            }
            self.commits_since_head_sync = 0;
        }
        Ok(())
    }

    /// Cuts off what a failed write may have left.
    fn clear_rest(&mut self) -> io::Result<()> {
        match &mut self.segment {
            Some(segment) if segment.has_rest => {
                self.disk.set_len(&segment.file, segment.len)?;
                segment.has_rest = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn rotate_if_full(&mut self) -> io::Result<()> {
        let next = match &self.segment {
            Some(segment) if segment.len < self.segment_bytes_max => return Ok(()),
            Some(segment) => segment.number + 1,
            None => 1,
        };
        let path = files::segment_path(&self.dir, next);
        if self.false_start == Some(next) {
            self.disk.remove(&path)?;
            self.false_start = None;
        }
        let file = self.disk.create_new(&path)?;
        let begun = self.begin_segment(file, next);
        if begun.is_err() {
            // The file is ours and holds nothing that anybody was told of.
            self.false_start = self.disk.remove(&path).is_err().then_some(next);
        }
        begun
    }

    /// Writes the opening record into an empty file, and goes on there.
    pub(crate) fn begin_segment(&mut self, file: File, number: u64) -> io::Result<()> {
        let mut line = Vec::new();
        let link = self.link.extend(&(self.segment_record)(number), &mut line);
        self.disk.write_all_at(&file, &line, 0)?;
        if self.fsync {
            self.disk.sync(&file)?;
            self.disk.sync_dir(&self.dir)?;
        }
        self.link = link;
        self.segment = Some(Segment { file, number, len: line.len() as u64, has_rest: false });
        self.is_head_behind = true;
        self.commits_since_head_sync = COMMITS_PER_HEAD_SYNC;
        if let Err(error) = self.update_head() {
            tracing::error!(%error, dir = %self.dir.display(), "cannot write the head of the audit trail");
        }
        Ok(())
    }
}
