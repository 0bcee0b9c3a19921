//! Opening a trail for writing: finding its end, and putting aside what a crash left there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use meshgate_model::mutant;

use crate::chain::{Entry, Link};
use crate::disk::Disk;
use crate::files::{self, Lines};
use crate::head::{Head, HeadFile};
use crate::trail::{Segment, SegmentRecord, Trail};
use crate::{Error, Options};

/// A trail that is ready, and what was put aside on the way.
pub(crate) struct Recovered {
    pub(crate) trail: Trail,
    pub(crate) torn: Option<Torn>,
}

/// Bytes that a crash left behind the last whole record.
pub(crate) struct Torn {
    pub(crate) bytes: u64,
    pub(crate) kept_in: String,
}

/// Where the trail ends.
struct End {
    link: Link,
    segment: u64,
    /// The length of the newest segment's good part.
    len: u64,
    file_len: u64,
}

pub(crate) fn open(
    dir: &Path,
    options: Options,
    segment_record: SegmentRecord,
    disk: Disk,
    vouched: impl Fn(&[u64]) -> Result<(), Error>,
) -> Result<Recovered, Error> {
    files::create_dir(dir, &disk)?;
    let lock = files::lock(dir)?;
    let failed = |action| Error::file(action, dir);
    let head = Head::read(dir).map_err(failed("read the head of"))?;
    let segments = files::segments(dir).map_err(failed("list"))?;
    let end = match (&head, segments.last()) {
        (None, None) if crate::head::path(dir).exists() => return Err(broken(dir, "its head cannot be read")),
        (None, None) => None,
        (None, Some(_)) => return Err(broken(dir, "its head is missing or cannot be read")),
        (Some(head), _) => find_end(dir, *head, &segments)?,
    };
    vouched(&segments)?;
    let head = match head {
        Some(head) => HeadFile::open(dir, head, &disk).map_err(failed("open the head of"))?,
        None => HeadFile::create(dir, &disk).map_err(failed("make a head in"))?,
    };
    let mut trail = Trail {
        dir: dir.to_owned(),
        disk,
        head,
        segment: None,
        link: Link::START,
        fsync: options.fsync,
        segment_bytes_max: options.segment_bytes_max,
        segment_record,
        commits_since_head_sync: 0,
        false_start: None,
        is_head_behind: true,
        _lock: lock,
    };
    let torn = match end {
        Some(end) => resume(&mut trail, &end).map_err(failed("repair the end of"))?,
        None => None,
    };
    // The first segment's opening record, and the head behind what was found.
    trail.commit(std::iter::empty()).and_then(|_| trail.update_head()).map_err(failed("write to"))?;
    Ok(Recovered { trail, torn })
}

/// Reads from the segment that the head names to the end. Up to the head everything must be in order; behind it, what is
/// not in order was never acknowledged.
fn find_end(dir: &Path, head: Head, segments: &[u64]) -> Result<Option<End>, Error> {
    let first = head.segment.max(1);
    let newest = segments.last().copied().unwrap_or(0);
    if newest < head.segment {
        return Err(broken(dir, "the last segment is missing"));
    }
    let mut end: Option<End> = None;
    // INVARIANT: the opening record of a segment is written together with the head that names it, or the head still names
    // the one before; so the first line read here stands at the head or before it.
    let mut link = (first == 1).then_some(Link::START);
    for segment in first..=newest {
        let path = files::segment_path(dir, segment);
        let read = Error::file("read", &path);
        let scanned = scan(&path, link, head).map_err(read)?;
        let is_torn = scanned.len < scanned.file_len;
        if is_torn && segment < newest {
            return Err(broken(dir, "a segment before the last is damaged"));
        }
        if scanned.contradicts_head {
            return Err(broken(dir, "a record is not the one its head names"));
        }
        link = scanned.link.or(link);
        let reached = link.unwrap_or(Link::START);
        end = Some(End { link: reached, segment, len: scanned.len, file_len: scanned.file_len });
    }
    let reached = end.as_ref().map_or(0, |end| end.link.seq);
    if reached < head.link.seq && !mutant("a trail that was cut off is built upon") {
        return Err(broken(dir, "records at its end are missing or damaged"));
    }
    Ok(end)
}

/// Whether a trail has exactly this record. Looks from its end.
pub(crate) fn has_record(dir: &Path, segments: &[u64], wanted: Link) -> io::Result<bool> {
    for segment in segments.iter().rev() {
        for line in Lines::open(&files::segment_path(dir, *segment))? {
            let line = line?;
            let Some(entry) = Entry::parse(&line.bytes) else { break };
            if entry.link.seq > wanted.seq {
                break;
            }
            if entry.link.seq == wanted.seq {
                return Ok(entry.is_intact() && entry.link == wanted);
            }
        }
    }
    Ok(false)
}

struct Scanned {
    link: Option<Link>,
    len: u64,
    file_len: u64,
    contradicts_head: bool,
}

fn scan(path: &Path, before: Option<Link>, head: Head) -> io::Result<Scanned> {
    let file_len = path.metadata()?.len();
    let mut scanned = Scanned { link: None, len: 0, file_len, contradicts_head: false };
    for line in Lines::open(path)? {
        let line = line?;
        let Some(entry) = Entry::parse(&line.bytes).filter(|_| line.is_whole) else { break };
        let follows = match scanned.link.or(before) {
            Some(link) => entry.follows(link),
            None => entry.is_intact(),
        };
        if !follows {
            break;
        }
        scanned.contradicts_head |= entry.link.seq == head.link.seq && entry.link != head.link;
        scanned.link = Some(entry.link);
        scanned.len = line.offset + line.bytes.len() as u64 + 1;
    }
    Ok(scanned)
}

fn resume(trail: &mut Trail, end: &End) -> io::Result<Option<Torn>> {
    let path = files::segment_path(&trail.dir, end.segment);
    let file = trail.disk.open_to_write(&path)?;
    let torn = if end.len < end.file_len { Some(put_aside(trail, &file, end)?) } else { None };
    if torn.is_none() && trail.fsync && !mutant("what a killed process wrote is not synced") {
        // What a killed process wrote may be with the operating system only, and the head is about to vouch for it.
        trail.disk.sync(&file)?;
        trail.disk.sync_dir(&trail.dir)?;
    }
    trail.link = end.link;
    if end.len == 0 {
        // The crash came before the opening record was whole.
        trail.begin_segment(file, end.segment)?;
    } else {
        trail.segment = Some(Segment { file, number: end.segment, len: end.len, has_rest: false });
    }
    Ok(torn)
}

/// Keeps the torn bytes in a file of their own, then cuts them off.
fn put_aside(trail: &Trail, file: &File, end: &End) -> io::Result<Torn> {
    let bytes = end.file_len - end.len;
    let mut torn = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact_at(&mut torn, end.len)?;
    let (name, aside) = aside_file(trail, end)?;
    trail.disk.write_all_at(&aside, &torn, 0)?;
    trail.disk.sync(&aside)?;
    trail.disk.sync_dir(&trail.dir)?;
    trail.disk.set_len(file, end.len)?;
    trail.disk.sync(file)?;
    tracing::warn!(bytes, kept_in = name, dir = %trail.dir.display(), "an unfinished write was put aside");
    Ok(Torn { bytes, kept_in: name })
}

/// A crash while putting aside may have left such a file already; nothing is ever overwritten.
fn aside_file(trail: &Trail, end: &End) -> io::Result<(String, File)> {
    for attempt in 0..1000_u32 {
        let name = format!("audit-{:08}.{}-{attempt}.torn", end.segment, end.link.seq + 1);
        match trail.disk.create_new(&trail.dir.join(&name)) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many unfinished writes were put aside"))
}

fn broken(dir: &Path, why: &str) -> Error {
    Error::Broken { dir: dir.to_owned(), why: why.to_owned() }
}
