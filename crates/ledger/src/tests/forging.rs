//! Whatever is done to the records of a trail is found: every byte of a small one, and what chance does to a large one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::disk::Chance;
use super::{denial, fast, intent, open, outcome, small_segments, texts, verified};
use crate::chain::{Entry, Link};
use crate::head::HeadFile;
use crate::{Ledger, Options, Verified, verify};

/// A trail in memory, to be written out changed.
#[derive(Clone)]
struct Copy {
    segments: Vec<(PathBuf, Vec<u8>)>,
    head: Vec<u8>,
}

impl Copy {
    fn of(dir: &Path) -> Self {
        let numbers = crate::files::segments(dir).expect("are listed");
        let read = |number: u64| {
            let name = PathBuf::from(super::segment(Path::new(""), number).file_name().expect("a name"));
            let content = fs::read(dir.join(&name)).expect("is read");
            (name, content)
        };
        let segments = numbers.into_iter().map(read).collect();
        Self { segments, head: fs::read(crate::head::path(dir)).expect("is read") }
    }

    fn write(&self, dir: &Path) {
        for number in crate::files::segments(dir).expect("are listed") {
            fs::remove_file(super::segment(dir, number)).expect("is removed");
        }
        for (name, content) in &self.segments {
            fs::write(dir.join(name), content).expect("is written");
        }
        fs::write(crate::head::path(dir), &self.head).expect("is written");
    }

    /// All lines with their newlines, each with the number of its segment here.
    fn lines(&self) -> Vec<(usize, Vec<u8>)> {
        let of = |(index, (_, content)): (usize, &(PathBuf, Vec<u8>))| {
            content.split_inclusive(|byte| *byte == b'\n').map(|line| (index, line.to_vec())).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().flat_map(of).collect()
    }

    fn with_lines(&self, lines: &[(usize, Vec<u8>)]) -> Self {
        let mut copy = self.clone();
        copy.segments.iter_mut().for_each(|(_, content)| content.clear());
        for (index, line) in lines {
            copy.segments[*index].1.extend_from_slice(line);
        }
        copy
    }

    fn segment(&self, wanted: &Path) -> Option<&Vec<u8>> {
        self.segments.iter().find(|(name, _)| name == wanted).map(|(_, content)| content)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.segments == other.segments && self.head == other.head
    }
}

/// A place to try forgeries in.
struct Court {
    dir: tempfile::TempDir,
    genuine: Copy,
    /// What lies there now.
    lies: Copy,
    verified: Verified,
    tried: usize,
}

impl Court {
    fn over(dir: &Path) -> Self {
        let (genuine, verified) = (Copy::of(dir), verified(dir));
        let here = tempfile::tempdir().expect("a directory");
        genuine.write(here.path());
        Self { dir: here, lies: genuine.clone(), genuine, verified, tried: 0 }
    }

    /// Writes what differs only: there are many thousand forgeries.
    fn put(&mut self, forged: &Copy) {
        let dir = self.dir.path();
        for (name, _) in self.lies.segments.iter().filter(|(name, _)| forged.segment(name).is_none()) {
            fs::remove_file(dir.join(name)).expect("is removed");
        }
        for (name, content) in forged.segments.iter().filter(|(name, content)| self.lies.segment(name) != Some(content))
        {
            fs::write(dir.join(name), content).expect("is written");
        }
        if self.lies.head != forged.head {
            fs::write(crate::head::path(dir), &forged.head).expect("is written");
        }
        self.lies = forged.clone();
    }

    /// A forgery that must be found.
    fn finds(&mut self, forged: &Copy, what: impl Fn() -> String) {
        if !forged.is_same(&self.genuine) {
            self.put(forged);
            assert!(verify(self.dir.path()).is_err(), "not found: {}", what());
            self.tried += 1;
        }
    }

    /// A change outside of the records: it must be found, or leave the records what they are.
    fn is_not_misled(&mut self, forged: &Copy, what: impl Fn() -> String) {
        self.put(forged);
        if let Ok(verified) = verify(self.dir.path()) {
            assert_eq!(verified, self.verified, "{}", what());
        }
        self.tried += 1;
    }
}

/// A dozen short records in several segments.
async fn small(dir: &Path) -> Court {
    let ledger = open(dir, Options { segment_bytes_max: 800, ..fast() });
    for _ in 0..8 {
        ledger.append(denial()).await.expect("is written");
    }
    ledger.close();
    let court = Court::over(dir);
    assert!(court.verified.segments > 3, "{:?}", court.verified);
    court
}

/// Several hundred records in many segments.
async fn large(dir: &Path) -> Court {
    let ledger = open(dir, Options { segment_bytes_max: 20_000, ..fast() });
    fill(&ledger, 0..200).await;
    ledger.close();
    let court = Court::over(dir);
    assert!(court.verified.records > 400 && court.verified.segments > 5, "{:?}", court.verified);
    court
}

async fn fill(ledger: &Ledger, queries: std::ops::Range<u128>) {
    for query in queries {
        ledger.append(intent(query)).await.expect("is written");
        ledger.append_lazy(outcome(query));
    }
}

#[tokio::test]
async fn every_byte_of_every_file_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut court, mut chance) = (small(dir.path()).await, Chance(1));
    for segment in 0..court.genuine.segments.len() {
        for place in 0..court.genuine.segments[segment].1.len() {
            let mut forged = court.genuine.clone();
            let change = 1 + chance.below(255);
            forged.segments[segment].1[place] ^= u8::try_from(change).expect("a byte");
            court.finds(&forged, || format!("segment {segment}, byte {place} ^ {change}"));
        }
    }
    for place in (0..court.genuine.head.len()).filter(|place| place % 4096 < 400 || place % 100 == 0) {
        let mut forged = court.genuine.clone();
        forged.head[place] ^= 1 << chance.below(8);
        court.is_not_misled(&forged, || format!("head, byte {place}"));
    }
    assert!(court.tried > 4_000, "{}", court.tried);
}

#[tokio::test]
async fn a_file_cut_off_at_any_byte_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut court = small(dir.path()).await;
    for segment in 0..court.genuine.segments.len() {
        for len in 0..court.genuine.segments[segment].1.len() {
            let mut forged = court.genuine.clone();
            forged.segments[segment].1.truncate(len);
            court.finds(&forged, || format!("segment {segment} cut off at {len}"));
            // And everything after it.
            if len % 50 == 0 {
                forged.segments.truncate(segment + 1);
                court.finds(&forged, || format!("segment {segment} cut off at {len}, all others gone"));
            }
        }
    }
    for len in (0..court.genuine.head.len()).step_by(13) {
        let mut forged = court.genuine.clone();
        forged.head.truncate(len);
        court.is_not_misled(&forged, || format!("head cut off at {len}"));
    }
}

#[tokio::test]
async fn every_record_counts_and_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut court = small(dir.path()).await;
    let lines = court.genuine.lines();
    for from in 0..lines.len() {
        let mut without = lines.clone();
        let (segment, line) = without.remove(from);
        court.finds(&court.genuine.with_lines(&without), || format!("record {from} deleted"));
        for to in 0..lines.len() {
            let mut moved = without.clone();
            let place = moved.get(to).map_or(segment, |(segment, _)| *segment);
            moved.insert(to.min(moved.len()), (place, line.clone()));
            if to != from {
                court.finds(&court.genuine.with_lines(&moved), || format!("record {from} moved to {to}"));
            }
            let mut twice = lines.clone();
            twice.insert(to, (lines[to].0, line.clone()));
            court.finds(&court.genuine.with_lines(&twice), || format!("record {from} again at {to}"));
            let mut swapped = lines.clone();
            (swapped[from].1, swapped[to].1) = (lines[to].1.clone(), line.clone());
            court.finds(&court.genuine.with_lines(&swapped), || format!("records {from} and {to} exchanged"));
        }
    }
    assert!(court.tried > 300, "{}", court.tried);
}

#[tokio::test]
async fn whole_files_count_and_their_places() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut court = small(dir.path()).await;
    let len = court.genuine.segments.len();
    for subset in 1..1_u32 << len {
        let mut forged = court.genuine.clone();
        let mut number = 0;
        forged.segments.retain(|_| {
            number += 1;
            subset & 1 << (number - 1) == 0
        });
        court.finds(&forged, || format!("segments {subset:b} deleted"));
    }
    for (from, to) in (0..len).flat_map(|from| (0..len).map(move |to| (from, to))) {
        let mut exchanged = court.genuine.clone();
        (exchanged.segments[from].1, exchanged.segments[to].1) =
            (court.genuine.segments[to].1.clone(), court.genuine.segments[from].1.clone());
        court.finds(&exchanged, || format!("segments {from} and {to} exchanged"));
        let mut overwritten = court.genuine.clone();
        overwritten.segments[to].1 = court.genuine.segments[from].1.clone();
        court.finds(&overwritten, || format!("segment {from} instead of {to}"));
    }
    // Renamed, so that no number is missing.
    for gone in 0..len {
        let mut forged = court.genuine.clone();
        forged.segments.remove(gone);
        for (index, (name, _)) in forged.segments.iter_mut().enumerate() {
            name.clone_from(&court.genuine.segments[index].0);
        }
        court.finds(&forged, || format!("segment {gone} deleted, those after it renamed"));
    }
}

/// Two trails that say the same at other times: what is genuine in one is foreign in the other.
#[tokio::test]
async fn nothing_of_another_trail_fits_in() {
    let (dir, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut court = small(dir.path()).await;
    let later = Arc::new(super::Ticking(AtomicI64::new(1_000_000)));
    let ledger = Ledger::open(other.path(), Options { segment_bytes_max: 800, ..fast() }, later).expect("opens");
    for _ in 0..12 {
        ledger.append(denial()).await.expect("is written");
    }
    ledger.close();
    let other = Copy::of(other.path());
    let (lines, foreign) = (court.genuine.lines(), other.lines());
    for from in 0..lines.len().min(foreign.len()) {
        let mut one = lines.clone();
        one[from].1.clone_from(&foreign[from].1);
        court.finds(&court.genuine.with_lines(&one), || format!("record {from} of the other"));
        let mut more = lines.clone();
        more.insert(from, (lines[from].0, foreign[from].1.clone()));
        court.finds(&court.genuine.with_lines(&more), || format!("record {from} of the other put in"));
        // The rest of the other, with its head. All of it is another trail, whole in itself.
        if from == 0 {
            continue;
        }
        let mut rest = court.genuine.with_lines(&lines[..from]);
        let last = lines[from - 1].0;
        rest.segments.truncate(last + 1);
        foreign[from..].iter().for_each(|(_, line)| rest.segments[last].1.extend_from_slice(line));
        rest.head.clone_from(&other.head);
        court.finds(&rest, || format!("from record {from} on all of the other"));
    }
    for segment in 0..court.genuine.segments.len().min(other.segments.len()) {
        let mut forged = court.genuine.clone();
        forged.segments[segment].1.clone_from(&other.segments[segment].1);
        court.finds(&forged, || format!("segment {segment} of the other"));
    }
    let mut forged = court.genuine.clone();
    forged.head.clone_from(&other.head);
    court.finds(&forged, || "the head of the other".to_owned());
}

#[tokio::test]
async fn what_chance_does_to_a_large_trail_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut court = large(dir.path()).await;
    let lines = court.genuine.lines();
    for seed in 0..400 {
        let chance = &mut Chance(seed);
        let mut forged = court.genuine.clone();
        match chance.below(5) {
            0 => {
                let (_, content) = &mut forged.segments[chance.below(court.genuine.segments.len())];
                for _ in 0..1 + chance.below(4) {
                    let place = chance.below(content.len());
                    match chance.below(3) {
                        0 => content[place] = content[place].wrapping_add(1),
                        1 => drop(content.remove(place)),
                        _ => content.insert(place, b'0'),
                    }
                }
            }
            1 => {
                let kept = lines.iter().filter(|_| !chance.is_one_in(50)).cloned().collect::<Vec<_>>();
                forged = forged.with_lines(&kept);
            }
            2 => {
                let (from, len) = (chance.below(lines.len()), 1 + chance.below(30));
                let mut changed = lines.clone();
                drop(changed.drain(from..(from + len).min(lines.len())));
                forged = forged.with_lines(&changed);
            }
            3 => {
                let (mut changed, len) = (lines.clone(), 2 + chance.below(5));
                let from = chance.below(lines.len() - len);
                changed[from..from + len].rotate_left(1);
                forged = forged.with_lines(&changed);
            }
            _ => {
                let segment = chance.below(forged.segments.len());
                let (_, content) = &mut forged.segments[segment];
                content.truncate(chance.below(content.len()));
                forged.segments.truncate(segment + 1);
            }
        }
        court.finds(&forged, || format!("seed {seed}"));
    }
    assert!(court.tried > 380, "{}", court.tried);
}

/// A record is changed, its hash is made anew, and so is the one that the next record names.
#[tokio::test]
async fn a_forger_who_mends_the_next_link_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut court = small(dir.path()).await;
    let lines = court.genuine.lines();
    for forged in 1..lines.len() - 1 {
        let mut changed = lines.clone();
        let mut line = Vec::new();
        let before = link(&lines[forged - 1].1);
        let after = before.extend(br#"{"kind":"denial","reason":"nothing happened"}"#, &mut line);
        changed[forged].1 = line;
        let (next, old) = (String::from_utf8(lines[forged + 1].1.clone()).expect("is text"), link(&lines[forged].1));
        changed[forged + 1].1 = next.replace(&hex::encode(old.hash), &hex::encode(after.hash)).into_bytes();
        court.finds(&court.genuine.with_lines(&changed), || format!("record {forged}"));
        // Not even if the records change places so that their numbers have to change, too.
        let renumbered = next.replacen(&format!("\"seq\":{}", old.seq + 1), &format!("\"seq\":{}", old.seq), 1);
        let mut changed = lines.clone();
        changed[forged + 1].1 = renumbered.into_bytes();
        changed.remove(forged);
        court.finds(&court.genuine.with_lines(&changed), || format!("record {forged} left out, the next renumbered"));
    }
}

/// The limit of a chain without a key, which the documentation tells and anchors are for (`tests::anchors`): an older copy
/// of all files is whole, and so is a trail whose every hash was made anew, its head included.
#[tokio::test]
async fn a_set_back_or_rewritten_trail_is_whole_in_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), small_segments());
    fill(&ledger, 0..6).await;
    ledger.close();
    let (older, set_back) = (Copy::of(dir.path()), keep(dir.path()));
    let older_verified = verified(dir.path());
    let ledger = open(dir.path(), small_segments());
    fill(&ledger, 6..12).await;
    ledger.close();
    let newer = Copy::of(dir.path());
    set_back(dir.path());
    assert_eq!(verified(dir.path()), older_verified);
    // Every file counts: an old copy of some of them is found.
    let mut court = Court { dir, genuine: newer.clone(), lies: older.clone(), verified: older_verified, tried: 0 };
    court.finds(&Copy { head: newer.head.clone(), ..older.clone() }, || "only the head is new".to_owned());
    let mut mixed = newer;
    mixed.segments[..older.segments.len()].clone_from_slice(&older.segments);
    court.finds(&mixed, || "the last segment of the old copy and all after it".to_owned());
    set_back(court.dir.path());
    rewrite(court.dir.path(), 3);
    verified(court.dir.path());
}

/// Changes all records from one on, and makes their hashes and the head anew.
pub(super) fn rewrite(dir: &Path, from: usize) {
    let genuine = Copy::of(dir);
    let mut at = Link::START;
    let mut content = vec![Vec::new(); genuine.segments.len()];
    for (number, (segment, line)) in genuine.lines().into_iter().enumerate() {
        let entry = Entry::parse(line.strip_suffix(b"\n").expect("a newline")).expect("is well-formed");
        let text = String::from_utf8(entry.record.to_vec()).expect("is text");
        let record = if number >= from { text.replace("\"ana\"", "\"bob\"") } else { text };
        at = at.extend(record.as_bytes(), &mut content[segment]);
    }
    let mut forged = genuine.clone();
    for ((_, old), new) in forged.segments.iter_mut().zip(content) {
        *old = new;
    }
    forged.write(dir);
    fs::remove_file(crate::head::path(dir)).expect("is removed");
    let mut head = HeadFile::create(dir, &crate::disk::Disk::system()).expect("is made");
    head.write(at, forged.segments.len() as u64).expect("is written");
}

fn link(line: &[u8]) -> Link {
    Entry::parse(line.strip_suffix(b"\n").expect("a newline")).expect("is well-formed").link
}

/// Keeps a copy of a trail, to set it back to.
pub(super) fn keep(dir: &Path) -> impl Fn(&Path) + use<> {
    let copy = Copy::of(dir);
    let torn = texts(&verify(dir).err().unwrap_or_default());
    assert!(torn.is_empty(), "{torn}");
    move |dir| copy.write(dir)
}
