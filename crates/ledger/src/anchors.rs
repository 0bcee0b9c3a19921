//! Anchors: signed statements, in another directory, of how the trail stood at a moment. Who sets the trail back or
//! rewrites it, head included, contradicts them.
//!
//! `anchors-<key id>.jsonl`, to which lines are only ever added:
//! `{"number":3,"time":"..","seq":700,"hash":"<hash of record 700>","key":"<key id>","signature":".."}`. The signature is
//! over a tag and the line up to it. Anchors are counted, so that none can be taken out; only how many came last is not
//! known, so the directory should be one where whoever can change the trail can only add.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use meshgate_model::{Clock, mutant};
use parking_lot::{Condvar, Mutex};
use serde::Deserialize;

use crate::chain::{self, Link};
use crate::files::Lines;
use crate::key::{AnchorKey, AnchorPublicKey};
use crate::ledger::rfc3339;
use crate::{Error, Problem};

const TAG: &[u8] = b"meshgate anchor 1\0";
/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(2);
/// At the end the last anchor is waited for so long: the directory may be one that hangs.
const GOODBYE: Duration = Duration::from_secs(5);

/// How to anchor a trail.
#[derive(Debug)]
pub struct Anchoring {
    /// The directory, which has to exist.
    pub dir: PathBuf,
    /// Signs.
    pub key: AnchorKey,
    /// An anchor is written after so many records,
    pub every_records: u64,
    /// or after so many seconds in which there was one.
    pub every_s: u32,
}

/// What one line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Anchor {
    number: u64,
    pub(crate) time: String,
    pub(crate) link: Link,
}

#[derive(Deserialize)]
struct Fields {
    number: u64,
    time: String,
    seq: u64,
    hash: String,
    signature: String,
}

impl Anchor {
    fn content(&self, key: &AnchorPublicKey) -> String {
        format!(
            "{{\"number\":{},\"time\":\"{}\",\"seq\":{},\"hash\":\"{}\",\"key\":\"{}\"",
            self.number,
            self.time,
            self.link.seq,
            chain::hex(&self.link.hash),
            key.id()
        )
    }

    fn line(&self, key: &AnchorKey) -> String {
        let mut line = self.content(key.public());
        let signature = key.sign(&[TAG, line.as_bytes()].concat());
        let _ = writeln!(line, ",\"signature\":\"{}\"}}", hex::encode(signature));
        line
    }

    /// Reads a line without its newline. There is one spelling, and only what the key has signed is an anchor.
    fn parse(line: &[u8], key: &AnchorPublicKey) -> Option<Self> {
        let fields: Fields = serde_json::from_slice(line).ok()?;
        let mut hash = chain::GENESIS;
        hex::decode_to_slice(fields.hash, &mut hash).ok()?;
        let anchor = Self { number: fields.number, time: fields.time, link: Link { seq: fields.seq, hash } };
        let content = anchor.content(key);
        let signature = hex::decode(&fields.signature).ok()?;
        let is_signed = key.is_signed(&[TAG, content.as_bytes()].concat(), &signature);
        let spelt = format!("{content},\"signature\":\"{}\"}}", hex::encode(signature));
        ((is_signed || mutant("an anchor's signature is not checked")) && spelt.as_bytes() == line).then_some(anchor)
    }
}

/// All anchors of one key.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    /// Each with its line's number.
    pub(crate) all: Vec<(u64, Anchor)>,
    pub(crate) problems: Vec<Problem>,
}

/// The file of a key's anchors.
pub(crate) fn path(dir: &Path, key: &AnchorPublicKey) -> PathBuf {
    dir.join(format!("anchors-{}.jsonl", key.id()))
}

/// Reads what is there.
pub(crate) fn read(dir: &Path, key: &AnchorPublicKey) -> io::Result<Anchors> {
    let path = path(dir, key);
    let mut anchors = Anchors::default();
    let mut damaged = None;
    for line in Lines::open(&path)? {
        let line = line?;
        let mut report = |line, seq, what: String| {
            anchors.problems.push(Problem { file: path.clone(), line: Some(line), seq, what });
        };
        let Some(anchor) = Anchor::parse(&line.bytes, key).filter(|_| line.is_whole) else {
            // One that is being written, or was when the power went: no anchor is missing then.
            damaged = line.is_whole.then_some(line.number).or(damaged);
            continue;
        };
        let (number, seq) = anchors.all.last().map_or((0, 0), |(_, last)| (last.number, last.link.seq));
        let seq_now = Some(anchor.link.seq);
        if anchor.number > number + 1 && !mutant("a missing anchor is not missed") {
            let what = format!("anchors {} to {} before it are missing or were changed", number + 1, anchor.number - 1);
            report(line.number, seq_now, what);
        } else if anchor.number <= number || anchor.link.seq < seq {
            report(line.number, seq_now, "the anchor stands twice or in the wrong place".to_owned());
        }
        damaged = None;
        anchors.all.push((line.number, anchor));
    }
    if let Some(line) = damaged {
        let what = "this is no anchor: it was damaged, changed, or signed with another key".to_owned();
        anchors.problems.push(Problem { file: path, line: Some(line), seq: None, what });
    }
    Ok(anchors)
}

/// The newest anchor, if there is any: the trail has to have its record.
pub(crate) fn newest(anchoring: &Anchoring) -> Result<Option<Anchor>, Error> {
    if !anchoring.dir.is_dir() {
        let absent =
            io::Error::new(io::ErrorKind::NotFound, "it is no directory: make it, or mount what belongs there");
        return Err(Error::file("write anchors in", &anchoring.dir)(absent));
    }
    match read(&anchoring.dir, anchoring.key.public()) {
        Ok(anchors) => {
            for problem in &anchors.problems {
                tracing::error!(%problem, "the anchors of the audit trail are not whole");
            }
            Ok(anchors.all.into_iter().map(|(_, anchor)| anchor).max_by_key(|anchor| anchor.link.seq))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read anchors in", &anchoring.dir)(error)),
    }
}

/// Writes anchors on a thread of its own: a directory that is slow or fails holds up nobody.
pub(crate) struct Anchorer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    is_failing: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// What is durable.
    reached: Link,
    anchored: u64,
    is_closing: bool,
    has_ended: bool,
}

impl Anchorer {
    /// Writes the first anchor, so that a directory that cannot be written is found at once, and goes on by itself.
    pub(crate) fn start(
        anchoring: Anchoring,
        newest: Option<Anchor>,
        reached: Link,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let number = newest.as_ref().map_or(0, |anchor| anchor.number);
        let mut pen = Pen { anchoring, number, is_unsure: false, clock };
        if newest.is_none_or(|anchor| anchor.link.seq < reached.seq) {
            pen.write(reached).map_err(Error::file("write anchors in", &pen.anchoring.dir))?;
        }
        let state = State { reached, anchored: reached.seq, is_closing: false, has_ended: false };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), is_failing: AtomicBool::default() });
        let (dir, run) = (pen.anchoring.dir.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("meshgate-anchors".to_owned()).spawn(move || run.run(pen));
        Ok(Self { shared, thread: Mutex::new(Some(thread.map_err(Error::file("start a writer of anchors in", dir))?)) })
    }

    /// Everything up to here is durable.
    pub(crate) fn reached(&self, link: Link) {
        self.shared.state.lock().reached = link;
        self.shared.changed.notify_all();
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.shared.is_failing.load(Ordering::SeqCst)
    }

    /// Writes the last anchor and ends.
    pub(crate) fn close(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        let mut state = self.shared.state.lock();
        state.is_closing = true;
        self.shared.changed.notify_all();
        self.shared.changed.wait_while_for(&mut state, |state| !state.has_ended, GOODBYE);
        let has_ended = state.has_ended;
        drop(state);
        if !has_ended || thread.join().is_err() {
            tracing::error!("the last anchor of the audit trail could not be written");
        }
    }
}

impl Shared {
    fn run(&self, mut pen: Pen) {
        let every = Duration::from_secs(pen.anchoring.every_s.into());
        let mut state = self.state.lock();
        loop {
            let every_records = pen.anchoring.every_records.max(1);
            let is_early = |state: &mut State| {
                !state.is_closing && state.reached.seq.saturating_sub(state.anchored) < every_records
            };
            self.changed.wait_while_for(&mut state, is_early, every);
            let (reached, is_closing) = (state.reached, state.is_closing);
            if reached.seq > state.anchored {
                drop(state);
                let written = pen.write(reached);
                self.note(written.as_ref().err(), &pen.anchoring.dir);
                state = self.state.lock();
                match written {
                    Ok(()) => state.anchored = reached.seq,
                    Err(_) if is_closing => {}
                    Err(_) => {
                        self.changed.wait_while_for(&mut state, |state| !state.is_closing, RETRY);
                        continue;
                    }
                }
            }
            if is_closing {
                break;
            }
        }
        state.has_ended = true;
        self.changed.notify_all();
    }

    fn note(&self, error: Option<&io::Error>, dir: &Path) {
        match (self.is_failing.swap(error.is_some(), Ordering::SeqCst), error) {
            (false, Some(error)) => tracing::error!(%error, dir = %dir.display(),
                "anchors of the audit trail cannot be written; the gateway goes on without"),
            (true, None) => tracing::warn!(dir = %dir.display(), "anchors of the audit trail are written again"),
            _ => {}
        }
    }
}

/// Adds anchors to the file.
struct Pen {
    anchoring: Anchoring,
    number: u64,
    is_unsure: bool,
    clock: Arc<dyn Clock>,
}

impl Pen {
    fn write(&mut self, link: Link) -> io::Result<()> {
        if self.is_unsure {
            let anchors = read(&self.anchoring.dir, self.anchoring.key.public())?;
            self.number = anchors.all.last().map_or(self.number, |(_, anchor)| anchor.number.max(self.number));
        }
        // Until this has succeeded nobody knows whether the line is there.
        self.is_unsure = true;
        self.add(link)?;
        self.is_unsure = false;
        self.number += 1;
        Ok(())
    }

    fn add(&self, link: Link) -> io::Result<()> {
        let Anchoring { dir, key, .. } = &self.anchoring;
        let anchor = Anchor { number: self.number + 1, time: rfc3339(self.clock.now()), link };
        let path = path(dir, key.public());
        let is_new = !path.exists();
        // Opened again for each: the directory may have been mounted anew.
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o644).open(&path)?;
        let mut text = anchor.line(key);
        if !ends_with_newline(&mut file)? {
            text.insert(0, '\n');
        }
        // Even if this fails a part of the line may be there: then the next has to begin with a new line.
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        if is_new {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

/// Whether a new line can begin here.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
