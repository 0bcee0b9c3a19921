//! Anchors find what the chain alone cannot, and are themselves what they claim to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::disk::PATIENCE;
use super::forging::{keep, rewrite};
use super::{Ticking, intent, open, outcome, small_segments, texts, verified};
use crate::{AnchorKey, Anchoring, Error, Ledger, Problem, Verified, verify_anchored};

fn key(seed: u8) -> AnchorKey {
    AnchorKey::from_pem(&AnchorKey::new_pem([seed; 32])).expect("a key")
}

fn anchoring(dir: &Path, every_records: u64) -> Anchoring {
    Anchoring { dir: dir.to_owned(), key: key(1), every_records, every_s: 3_600 }
}

fn open_anchored(dir: &Path, anchors: &Path) -> Result<Ledger, Error> {
    Ledger::open_anchored(dir, small_segments(), anchoring(anchors, 1), Arc::new(Ticking::default()))
}

fn file(anchors: &Path) -> PathBuf {
    crate::anchors::path(anchors, key(1).public())
}

fn anchored(dir: &Path, anchors: &Path) -> Result<Verified, Vec<Problem>> {
    verify_anchored(dir, anchors, key(1).public())
}

/// A trail and its anchors, one for nearly every record.
struct Place {
    dir: tempfile::TempDir,
    anchors: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), anchors: tempfile::tempdir().expect("a directory") }
    }

    async fn fill(&self, queries: std::ops::Range<u128>) {
        let ledger = open_anchored(self.dir.path(), self.anchors.path()).expect("opens");
        for query in queries {
            let receipt = ledger.append(intent(query)).await.expect("is written");
            wait_for_anchor(self.anchors.path(), receipt.seq);
            ledger.append_lazy(outcome(query));
        }
        ledger.close();
    }

    fn verify(&self) -> Result<Verified, Vec<Problem>> {
        anchored(self.dir.path(), self.anchors.path())
    }

    fn whole(&self) -> Verified {
        self.verify().unwrap_or_else(|problems| panic!("{}", texts(&problems)))
    }

    fn finds(&self, words: &str, what: &str) {
        let problems = texts(&self.verify().expect_err(what));
        assert!(problems.contains(words), "{what}: {words} not in\n{problems}");
    }
}

fn wait_for_anchor(anchors: &Path, seq: u64) {
    let until = Instant::now() + PATIENCE;
    let is_there = || {
        let read = crate::anchors::read(anchors, key(1).public()).expect("is read");
        read.all.iter().any(|(_, anchor)| anchor.link.seq >= seq)
    };
    while !is_there() {
        assert!(Instant::now() < until, "no anchor of record {seq}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_trail_agrees_with_its_anchors() {
    let place = Place::new();
    place.fill(0..5).await;
    place.fill(5..10).await;
    let whole = place.whole();
    let anchored = whole.anchored.clone().expect("anchors were looked at");
    assert_eq!(anchored.last_seq, whole.records, "the end of a trail is anchored when it is closed");
    assert!(anchored.anchors >= 10, "{anchored:?}");
    let text = fs::read_to_string(file(place.anchors.path())).expect("is read");
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("is JSON");
    assert_eq!((first["number"].as_u64(), first["seq"].as_u64()), (Some(1), Some(1)));
    assert_eq!(first["key"], key(1).public().id());
    assert_eq!(verified(place.dir.path()), Verified { anchored: None, ..whole });
}

#[tokio::test]
async fn a_set_back_or_rewritten_trail_is_found_and_not_built_upon() {
    let place = Place::new();
    place.fill(0..6).await;
    let set_back = keep(place.dir.path());
    place.fill(6..12).await;
    let newest = keep(place.dir.path());
    let records = usize::try_from(place.whole().records).expect("few");

    let refused = |what: &str| {
        let opened = open_anchored(place.dir.path(), place.anchors.path());
        assert!(matches!(opened, Err(Error::Unanchored { .. })), "{what}: {opened:?}");
    };
    set_back(place.dir.path());
    verified(place.dir.path());
    place.finds("was set back", "an older copy of all files");
    refused("an older copy of all files");

    for from in 1..records {
        newest(place.dir.path());
        rewrite(place.dir.path(), from);
        if verified(place.dir.path()).last_hash == last_hash(&newest) {
            continue; // nothing of what follows was changed
        }
        place.finds("was rewritten", &format!("all records from {from} on, and the head"));
        refused("a rewritten trail");
    }

    // Another trail, whole in itself; an empty directory.
    let other = tempfile::tempdir().expect("a directory");
    let ledger = open(other.path(), small_segments());
    for query in 0..40 {
        ledger.append(intent(100 + query)).await.expect("is written");
    }
    ledger.close();
    keep(other.path())(place.dir.path());
    place.finds("was rewritten", "another trail");
    refused("another trail");
    for entry in fs::read_dir(place.dir.path()).expect("is listed") {
        fs::remove_file(entry.expect("is there").path()).expect("is removed");
    }
    place.finds("there is no audit trail", "no trail at all");
    refused("no trail at all");
    assert!(!crate::head::path(place.dir.path()).exists(), "the evidence is left alone");

    newest(place.dir.path());
    place.fill(12..14).await;
    place.whole();
}

fn last_hash(newest: &impl Fn(&Path)) -> crate::chain::Hash {
    let dir = tempfile::tempdir().expect("a directory");
    newest(dir.path());
    verified(dir.path()).last_hash
}

#[tokio::test]
async fn a_changed_or_missing_anchor_is_found() {
    let place = Place::new();
    place.fill(0..4).await;
    let file = file(place.anchors.path());
    let genuine = fs::read(&file).expect("is read");
    // Every byte, but the last newline: without it the last anchor is one that is being written.
    for byte in 0..genuine.len() - 1 {
        let mut forged = genuine.clone();
        forged[byte] ^= 1 << (byte % 8);
        fs::write(&file, &forged).expect("is written");
        assert!(place.verify().is_err(), "byte {byte}");
    }
    let lines = genuine.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
    assert!(lines.len() > 5);
    for line in 0..lines.len() {
        let mut without = lines.clone();
        let gone = without.remove(line);
        fs::write(&file, without.concat()).expect("is written");
        // Nobody knows how many there were: the last can be taken away by who may write there.
        assert_eq!(place.verify().is_ok(), line == lines.len() - 1, "without line {line}");
        let mut twice = lines.clone();
        twice.insert(line, gone);
        fs::write(&file, twice.concat()).expect("is written");
        assert!(place.verify().is_err(), "line {line} twice");
    }
    fs::remove_file(&file).expect("is removed");
    place.finds("cannot be read", "no anchors");
}

/// Who can write to both directories but has no key cannot speak for another trail.
#[tokio::test]
async fn an_anchor_of_another_key_counts_for_nothing() {
    let place = Place::new();
    place.fill(0..4).await;
    let forged = tempfile::tempdir().expect("a directory");
    let anchoring = Anchoring { dir: forged.path().to_owned(), key: key(2), every_records: 1, every_s: 3_600 };
    rewrite(place.dir.path(), 2);
    let ledger = Ledger::open_anchored(place.dir.path(), small_segments(), anchoring, Arc::new(Ticking::default()));
    ledger.expect("anchors anew").close();
    verify_anchored(place.dir.path(), forged.path(), key(2).public()).expect("agrees with the other key");
    // Under the name of the right key, and with its name in every line.
    let (right, wrong) = (key(1).public().id(), key(2).public().id());
    let text = fs::read_to_string(crate::anchors::path(forged.path(), key(2).public())).expect("is read");
    for text in [text.replace(&wrong, &right), text] {
        fs::write(file(place.anchors.path()), text).expect("is written");
        place.finds("signed with another key", "anchors of another key");
    }
}

#[tokio::test]
async fn a_torn_anchor_is_none_and_the_next_follows_it() {
    for torn in [&b"{\"number\":"[..], b"\0\0\0\0", b"x"] {
        let place = Place::new();
        place.fill(0..3).await;
        let path = file(place.anchors.path());
        let mut content = fs::read(&path).expect("is read");
        content.extend_from_slice(torn);
        fs::write(&path, &content).expect("is written");
        place.whole();
        place.fill(3..5).await;
        let whole = place.whole();
        assert_eq!(whole.anchored.expect("are looked at").last_seq, whole.records);
        assert!(fs::read(&path).expect("is read").starts_with(&content), "lines are only added");
    }
}

#[tokio::test]
async fn the_trail_goes_on_without_anchors_and_says_so() {
    let place = Place::new();
    let away = place.anchors.path().with_extension("away");
    let ledger = open_anchored(place.dir.path(), place.anchors.path()).expect("opens");
    ledger.append(intent(1)).await.expect("is written");
    assert!(ledger.is_anchored());
    fs::rename(place.anchors.path(), &away).expect("is moved");
    ledger.append(intent(2)).await.expect("is written all the same");
    wait_until("the failure is noticed", || !ledger.is_anchored());
    assert!(ledger.is_healthy(), "the trail itself is");
    ledger.append(intent(3)).await.expect("is written all the same");
    fs::rename(&away, place.anchors.path()).expect("is moved back");
    wait_until("it is noticed that all is well", || ledger.is_anchored());
    ledger.close();
    let whole = place.whole();
    assert_eq!(whole.anchored.expect("are looked at").last_seq, whole.records);

    // At the start it is a mistake of whoever set it up.
    let absent = open_anchored(place.dir.path(), &place.anchors.path().join("absent"));
    let error = absent.expect_err("there is no such directory");
    assert!(matches!(error, Error::File { .. }), "{error:?}");
}

#[tokio::test]
async fn anchors_come_after_some_records_or_some_time() {
    let place = Place::new();
    let count = || crate::anchors::read(place.anchors.path(), key(1).public()).expect("is read").all.len();
    let clock = Arc::new(Ticking::default());
    let anchoring = anchoring(place.anchors.path(), 10);
    let ledger = Ledger::open_anchored(place.dir.path(), super::fast(), anchoring, clock.clone()).expect("opens");
    for query in 0..9 {
        ledger.append(intent(query)).await.expect("is written");
    }
    assert_eq!(count(), 1, "the first is written at once");
    ledger.append(intent(9)).await.expect("is written");
    wait_until("ten records are anchored", || count() == 2);
    ledger.close();
    let every_s = Anchoring { every_s: 1, ..super::anchors::anchoring(place.anchors.path(), 1_000) };
    let ledger = Ledger::open_anchored(place.dir.path(), super::fast(), every_s, clock).expect("opens");
    ledger.append(intent(10)).await.expect("is written");
    let before = count();
    wait_until("a second has passed", || count() > before);
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
