//! Reading a whole trail and finding what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use meshgate_model::mutant;

use crate::anchors::{self, Anchor, Anchors};
use crate::chain::{self, Entry, Hash, Link};
use crate::files::{self, Line, Lines};
use crate::head::{self, Head};
use crate::key::AnchorPublicKey;

/// More problems than this are not listed.
const PROBLEMS_MAX: usize = 1000;

/// A trail in which nothing is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
    /// In how many segments.
    pub segments: u64,
    /// The hash of the last record: it stands for all of them.
    pub last_hash: Hash,
    /// How the trail agrees with its anchors, if they were looked at.
    pub anchored: Option<Anchored>,
    /// Bytes behind the last whole record: a write that is under way, or that a crash left unfinished.
    pub unfinished_bytes: u64,
}

/// Anchors that a trail agrees with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchored {
    /// How many there are.
    pub anchors: u64,
    /// The last record that one of them vouches for: it and all before are proven.
    pub last_seq: u64,
    /// When that was written.
    pub last_time: String,
}

/// Something wrong with a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// In which line, from 1.
    pub line: Option<u64>,
    /// The number that the record there claims.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Reads all records of the trail in a directory. A gateway may be writing to it meanwhile: then it is the trail up to
/// some record at or after the call.
pub fn verify(dir: &Path) -> Result<Verified, Vec<Problem>> {
    Reader::new(dir).result(None)
}

/// Reads all records like [`verify`], and compares them with the anchors that a key has signed.
pub fn verify_anchored(dir: &Path, anchors: &Path, key: &AnchorPublicKey) -> Result<Verified, Vec<Problem>> {
    let mut reader = Reader::new(dir);
    reader.anchors_path = anchors::path(anchors, key);
    // SECURITY: the anchors before the trail. A gateway that writes meanwhile anchors only what it has written.
    let read = match anchors::read(anchors, key) {
        Ok(read) => read,
        Err(error) => {
            let what = format!("the anchors of key {} cannot be read: {error}", key.id());
            reader.report(reader.anchors_path.clone(), None, None, what);
            Anchors::default()
        }
    };
    let anchored = read.all.last().map(|(_, last)| Anchored {
        anchors: read.all.len() as u64,
        last_seq: last.link.seq,
        last_time: last.time.clone(),
    });
    read.problems.into_iter().for_each(|problem| reader.push(problem));
    reader.anchors = read.all.into_iter().map(|(line, anchor)| (anchor.link.seq, (line, anchor))).collect();
    reader.result(anchored)
}

impl Reader<'_> {
    fn result(mut self, anchored: Option<Anchored>) -> Result<Verified, Vec<Problem>> {
        let segments = self.read();
        match (segments, self.problems) {
            (Some(segments), problems) if problems.is_empty() => Ok(Verified {
                records: self.at.seq,
                segments,
                last_hash: self.at.hash,
                anchored,
                unfinished_bytes: self.unfinished,
            }),
            (_, problems) => Err(problems),
        }
    }
}

struct Reader<'a> {
    dir: &'a Path,
    /// The last record read, as it claims to be: one problem is reported once, not again for all that follows.
    at: Link,
    head: Option<Head>,
    has_met_head: bool,
    unfinished: u64,
    /// What the anchors say of records that were not met yet, with their lines.
    anchors: BTreeMap<u64, (u64, Anchor)>,
    anchors_path: PathBuf,
    /// Anchors that the trail contradicts.
    contradicted: Vec<(u64, Anchor)>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            at: Link::START,
            head: None,
            has_met_head: false,
            unfinished: 0,
            anchors: BTreeMap::new(),
            anchors_path: PathBuf::new(),
            contradicted: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn read(&mut self) -> Option<u64> {
        // SECURITY: the head first. A gateway that writes meanwhile only adds behind it.
        let head_path = head::path(self.dir);
        let head = match Head::read(self.dir) {
            Ok(head) => head,
            Err(error) => return self.give_up(head_path, format!("cannot be read: {error}")),
        };
        let segments = match files::segments(self.dir) {
            Ok(segments) => segments,
            Err(error) => return self.give_up(self.dir.to_owned(), format!("cannot be listed: {error}")),
        };
        match &head {
            None if segments.is_empty() && !head_path.exists() => {
                return self.give_up(self.dir.to_owned(), "there is no audit trail here".to_owned());
            }
            None => self.report(head_path, None, None, "the head is missing or was changed"),
            Some(_) => {}
        }
        self.head = head;
        self.has_met_head = head.is_some_and(|head| head.link == Link::START);
        let newest = segments.last().copied().unwrap_or(0);
        let mut expected = 1;
        for segment in &segments {
            let path = files::segment_path(self.dir, *segment);
            if *segment > expected {
                let missing = if *segment == expected + 1 {
                    format!("segment {expected} before it is missing")
                } else {
                    format!("segments {expected} to {} before it are missing", segment - 1)
                };
                self.report(path.clone(), None, None, missing);
            }
            expected = segment + 1;
            if let Err(error) = self.segment(&path, *segment, *segment == newest) {
                self.report(path, None, None, format!("cannot be read: {error}"));
            }
        }
        self.compare_with_head(newest);
        self.compare_with_anchors();
        Some(segments.len() as u64)
    }

    fn segment(&mut self, path: &Path, segment: u64, is_newest: bool) -> std::io::Result<()> {
        let mut lines = Lines::open(path)?.peekable();
        if lines.peek().is_none() && !is_newest {
            self.report(path.to_owned(), None, None, "the segment is empty");
        }
        while let Some(line) = lines.next() {
            let line = line?;
            let may_be_unfinished = is_newest && lines.peek().is_none();
            self.line(path, segment, &line, may_be_unfinished);
        }
        Ok(())
    }

    fn line(&mut self, path: &Path, segment: u64, line: &Line, may_be_unfinished: bool) {
        let is_behind_head = self.head.is_some_and(|head| self.at.seq >= head.link.seq);
        if !line.is_whole && may_be_unfinished && is_behind_head {
            self.unfinished = line.bytes.len() as u64;
            return;
        }
        let Some(entry) = Entry::parse(&line.bytes).filter(|_| line.is_whole) else {
            return self.report(
                path.to_owned(),
                Some(line.number),
                None,
                "this is no record: it was damaged or changed",
            );
        };
        let here =
            |what: String| Problem { file: path.to_owned(), line: Some(line.number), seq: Some(entry.link.seq), what };
        let (before, seq) = (self.at, entry.link.seq);
        if !entry.is_intact() {
            self.push(here("the record was changed".to_owned()));
        } else if seq > before.seq + 1 {
            let missing = match (before.seq + 1, seq - 1) {
                (first, last) if first == last => format!("record {first} before it is missing"),
                (first, last) => format!("records {first} to {last} before it are missing"),
            };
            self.push(here(missing));
        } else if seq <= before.seq {
            self.push(here("the record stands twice or in the wrong place".to_owned()));
        } else if entry.prev != before.hash && !mutant("a record need not follow from the one before") {
            self.push(here(
                "the record does not follow from the one before it, which was changed or put in".to_owned(),
            ));
        }
        if line.number == 1 && !opens_segment(entry.record, segment) {
            self.push(here(format!("the first record is not the one that opens segment {segment}")));
        }
        if let Some(head) = self.head.filter(|head| head.link.seq == seq) {
            self.has_met_head = true;
            if head.link != entry.link {
                self.push(here("the record is not the one that the head names".to_owned()));
            }
        }
        if let Some((line, anchor)) = self.anchors.remove(&seq)
            && anchor.link != entry.link
            && !mutant("an anchor's hash is not compared")
        {
            self.contradicted.push((line, anchor));
        }
        self.at = entry.link;
    }

    fn compare_with_head(&mut self, newest: u64) {
        let Some(head) = self.head.filter(|_| !self.has_met_head && !mutant("what was cut off is not missed")) else {
            return;
        };
        let path = match newest {
            0 => self.dir.to_owned(),
            newest => files::segment_path(self.dir, newest),
        };
        let what = match head.link.seq.checked_sub(self.at.seq) {
            Some(missing @ 1..) => format!(
                "the trail was cut off: it ends with record {}, and {missing} more were written up to {}",
                self.at.seq, head.link.seq
            ),
            _ => format!("record {}, which the head names, is missing", head.link.seq),
        };
        self.report(path, None, None, what);
    }

    /// One change of the trail contradicts all anchors behind it, but is one problem.
    fn compare_with_anchors(&mut self) {
        let missing = std::mem::take(&mut self.anchors).into_values().collect::<Vec<_>>();
        let missing = if mutant("anchored records are not missed") { Vec::new() } else { missing };
        let contradicted = std::mem::take(&mut self.contradicted);
        let kinds = [
            (contradicted, "is another one in the trail, which was rewritten"),
            (missing, "is not in the trail, which was set back or cut off"),
        ];
        for (anchors, what) in kinds {
            let others = anchors.len().saturating_sub(1);
            if let Some((line, anchor)) = anchors.into_iter().next() {
                let more = if others > 0 { format!(", and so with {others} later anchors") } else { String::new() };
                let what = format!("the record anchored at {} {what}{more}", anchor.time);
                self.report(self.anchors_path.clone(), Some(line), Some(anchor.link.seq), what);
            }
        }
    }

    fn give_up(&mut self, file: PathBuf, what: String) -> Option<u64> {
        self.report(file, None, None, what);
        None
    }

    fn report(&mut self, file: PathBuf, line: Option<u64>, seq: Option<u64>, what: impl Into<String>) {
        self.push(Problem { file, line, seq, what: what.into() });
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

fn opens_segment(record: &[u8], segment: u64) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_slice(record).ok();
    value.is_some_and(|value| {
        value.get("kind").and_then(|kind| kind.as_str()) == Some("segment")
            && value.get("number").and_then(serde_json::Value::as_u64) == Some(segment)
    })
}

impl Verified {
    /// The last hash as it is printed.
    pub fn last_hash_hex(&self) -> String {
        chain::hex(&self.last_hash)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, " (record {seq})")?;
        }
        write!(f, ": {}", self.what)
    }
}
