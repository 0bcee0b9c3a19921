//! Everything that can be done to a trail is found, at its place.

use std::fs;
use std::path::Path;

use super::{open, sample, segment, small_segments, texts, verified};
use crate::verify;

type Tampering = fn(&Path);

/// What is done, where it must be found, in which words.
const CASES: &[(&str, Tampering, &str, &str)] = &[
    ("edit of a record", edit, "audit-00000002.jsonl:3 (record ", "was changed"),
    ("edit of a record with its hash", edit_with_hash, "audit-00000002.jsonl:4 (record ", "does not follow"),
    ("deletion of a line", |dir| lines(dir, 2, |lines| drop(lines.remove(2))), "audit-00000002.jsonl:3", "is missing"),
    (
        "deletion of lines",
        |dir| lines(dir, 1, |lines| drop(lines.drain(1..3))),
        "audit-00000001.jsonl:2",
        "are missing",
    ),
    ("exchange of lines", |dir| lines(dir, 2, |lines| lines.swap(1, 2)), "audit-00000002.jsonl:2", "is missing"),
    (
        "doubling of a line",
        |dir| lines(dir, 2, |l| l.insert(2, l[1].clone())),
        "audit-00000002.jsonl:3",
        "stands twice",
    ),
    ("a foreign line", |dir| lines(dir, 2, |l| l.insert(2, "{}".to_owned())), "audit-00000002.jsonl:3", "no record"),
    ("an empty line", |dir| lines(dir, 2, |l| l.insert(2, String::new())), "audit-00000002.jsonl:3", "no record"),
    ("a blank at the end of a line", |dir| lines(dir, 2, |l| l[2].push(' ')), "audit-00000002.jsonl:3", "no record"),
    ("a line of another trail", splice, "audit-00000002.jsonl:3 (record ", "does not follow"),
    ("deletion of a segment", |dir| remove(dir, 2), "audit-00000003.jsonl", "segment 2 before it is missing"),
    ("deletion of the first segment", |dir| remove(dir, 1), "audit-00000002.jsonl", "segment 1 before it is missing"),
    ("deletion of the last segment", |dir| remove(dir, last(dir)), "audit-", "was cut off"),
    ("emptying of a segment", |dir| lines(dir, 2, Vec::clear), "audit-00000002.jsonl", "is empty"),
    ("exchange of segments", exchange, "audit-00000002.jsonl:1", "opens segment 2"),
    ("cutting off the last line", |dir| lines(dir, last(dir), |l| drop(l.pop())), "audit-", "was cut off"),
    ("cutting off half a line", cut_half, "audit-", "no record"),
    ("deletion of the head", |dir| fs::remove_file(crate::head::path(dir)).expect("is removed"), "head", "is missing"),
    ("change of the head", |dir| fs::write(crate::head::path(dir), "{}").expect("is written"), "head", "was changed"),
    ("deletion of all segments", |dir| (1..=last(dir)).for_each(|n| remove(dir, n)), "", "was cut off"),
];

#[tokio::test]
async fn every_change_is_found() {
    for (what, tamper, place, words) in CASES {
        let dir = tempfile::tempdir().expect("a directory");
        sample(dir.path()).await;
        verified(dir.path());
        tamper(dir.path());
        let problems = verify(dir.path()).expect_err(what);
        let found = problems.iter().map(ToString::to_string).any(|text| text.contains(place) && text.contains(words));
        assert!(found, "{what}: {place} .. {words} not in\n{}", texts(&problems));
        assert!(problems.len() <= 5, "{what}: one change is not many problems\n{}", texts(&problems));
    }
}

#[tokio::test]
async fn a_trail_cut_off_or_changed_at_its_end_is_not_built_upon() {
    let cases: [(&str, Tampering); 5] = [
        ("cut off", |dir| lines(dir, last(dir), |lines| drop(lines.pop()))),
        ("last segment gone", |dir| remove(dir, last(dir))),
        ("last record changed", |dir| lines(dir, last(dir), |l| edit_line(l.last_mut().expect("has lines")))),
        ("head gone", |dir| fs::remove_file(crate::head::path(dir)).expect("is removed")),
        ("half a line gone", cut_half),
    ];
    for (what, tamper) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        sample(dir.path()).await;
        tamper(dir.path());
        let before = listing(dir.path());
        let opened = crate::Ledger::open(dir.path(), small_segments(), std::sync::Arc::new(super::Ticking::default()));
        assert!(matches!(opened, Err(crate::Error::Broken { .. })), "{what}: {opened:?}");
        assert_eq!(listing(dir.path()), before, "{what}: the evidence is left alone");
    }
}

#[tokio::test]
async fn every_byte_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), small_segments());
    ledger.append(super::denial()).await.expect("is written");
    drop(ledger);
    let path = segment(dir.path(), 1);
    let genuine = fs::read(&path).expect("is read");
    for place in 0..genuine.len() {
        let mut forged = genuine.clone();
        forged[place] ^= 1 << (place % 8);
        fs::write(&path, forged).expect("is written");
        assert!(verify(dir.path()).is_err(), "byte {place}");
    }
}

fn lines(dir: &Path, number: u64, change: impl FnOnce(&mut Vec<String>)) {
    let path = segment(dir, number);
    let mut lines = fs::read_to_string(&path).expect("is read").lines().map(str::to_owned).collect::<Vec<_>>();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).expect("is written");
}

fn edit_line(line: &mut String) {
    let changed = line.replacen("\"kind\":\"", "\"kind\":\"x", 1);
    assert_ne!(*line, changed);
    *line = changed;
}

fn edit(dir: &Path) {
    lines(dir, 2, |lines| edit_line(&mut lines[2]));
}

/// The forger knows how the hash is made.
fn edit_with_hash(dir: &Path) {
    lines(dir, 2, |lines| {
        let before = lines[1].clone();
        let before = crate::chain::Entry::parse(before.as_bytes()).expect("is well-formed").link;
        let mut forged = Vec::new();
        before.extend(br#"{"kind":"denial","reason":"nothing happened"}"#, &mut forged);
        lines[2] = String::from_utf8(forged).expect("is text").trim_end().to_owned();
    });
}

/// A genuine line with the same number, from another trail.
fn splice(dir: &Path) {
    let forged = fs::read_to_string(segment(dir, 2)).expect("is read");
    let seq =
        crate::chain::Entry::parse(forged.lines().nth(2).expect("has lines").as_bytes()).expect("is one").link.seq;
    let mut link = crate::chain::Link::START;
    let mut line = Vec::new();
    for _ in 0..seq {
        line.clear();
        link = link.extend(br#"{"kind":"other"}"#, &mut line);
    }
    lines(dir, 2, |lines| lines[2] = String::from_utf8(line).expect("is text").trim_end().to_owned());
}

fn remove(dir: &Path, number: u64) {
    fs::remove_file(segment(dir, number)).expect("is removed");
}

fn last(dir: &Path) -> u64 {
    crate::files::segments(dir).expect("are listed").last().copied().expect("there is one")
}

fn exchange(dir: &Path) {
    let aside = dir.join("aside");
    fs::rename(segment(dir, 2), &aside).expect("is moved");
    fs::rename(segment(dir, 3), segment(dir, 2)).expect("is moved");
    fs::rename(&aside, segment(dir, 3)).expect("is moved");
}

fn cut_half(dir: &Path) {
    let path = segment(dir, last(dir));
    let text = fs::read(&path).expect("is read");
    fs::write(&path, &text[..text.len() - 20]).expect("is written");
}

fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("is read"))
    };
    let mut files =
        fs::read_dir(dir).expect("is listed").map(|entry| read(entry.expect("is there"))).collect::<Vec<_>>();
    files.sort();
    files
}
