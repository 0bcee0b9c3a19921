//! `kill -9` and torn writes.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use meshgate_model::QueryId;

use super::{intent, open, outcome, records, segment, small_segments, verified};
use crate::disk::Disk;
use crate::head::Head;
use crate::{Ledger, Options, verify};

/// Names the directory for [`child_that_appends_until_it_is_killed`].
const CHILD_DIR: &str = "MESHGATE_LEDGER_TEST_DIR";

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    for round in 0..4_usize {
        let acknowledged = run_child_until_killed(dir.path(), 40 + 37 * round);
        // Beside nobody, before any repair: what is whole is in order.
        verified(dir.path());
        let ledger = open(dir.path(), small_segments());
        drop(ledger);
        verified(dir.path());
        let records = records(dir.path());
        for (seq, query) in acknowledged {
            assert_eq!(records[seq - 1]["query"], query, "round {round}, record {seq}");
        }
    }
}

/// Starts this test program again, reads so many receipts from it, and kills it.
fn run_child_until_killed(dir: &Path, receipts_len: usize) -> Vec<(usize, String)> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "tests::crash::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
    let receipt = |line: String| {
        let (seq, query) = line.strip_prefix("receipt ")?.split_once(' ')?;
        Some((seq.parse().expect("a number"), query.to_owned()))
    };
    let mut receipts = Vec::new();
    while receipts.len() < receipts_len {
        let line = lines.next().expect("the child writes until it is killed").expect("is text");
        receipts.extend(receipt(line));
    }
    child.kill().expect("is killed with SIGKILL");
    child.wait().expect("is dead");
    // What it said between the last look and its end counts, too; a line cut short does not.
    receipts.extend(lines.map_while(Result::ok).filter(|line| line.ends_with('.')).filter_map(receipt));
    receipts.iter_mut().for_each(|(_, query)| *query = query.trim_end_matches('.').to_owned());
    receipts
}

/// Not a test of its own: does nothing unless started by the one above.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    runtime.block_on(async {
        let ledger = Arc::new(open(Path::new(&dir), Options { fsync: true, ..small_segments() }));
        let mut set = tokio::task::JoinSet::new();
        for writer in 0..16_u128 {
            let ledger = ledger.clone();
            set.spawn(async move {
                for n in 0.. {
                    let query = writer << 64 | n;
                    let receipt = ledger.append(intent(query)).await.expect("is written");
                    let line = format!("receipt {} {}.\n", receipt.seq, QueryId(query));
                    std::io::stdout().write_all(line.as_bytes()).expect("is told");
                    ledger.append_lazy(outcome(query));
                }
            });
        }
        set.join_all().await;
    });
}

/// What a crash of the machine can leave behind the head.
const TAILS: &[(&str, &[u8])] = &[
    ("part of a line", b"{\"seq\":"),
    ("zeros", &[0; 5000]),
    ("zeros and a newline", b"\0\0\0\0\n"),
    ("something with newlines", b"x\ny\nz"),
];

#[tokio::test]
async fn an_unfinished_write_is_put_aside_and_noted() {
    for (what, tail) in TAILS {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = open(dir.path(), Options::default());
        ledger.append(intent(1)).await.expect("is written");
        drop(ledger);
        let whole = verified(dir.path());
        append(dir.path(), 1, tail);
        if !tail.contains(&b'\n') {
            let unfinished = verified(dir.path());
            assert_eq!((unfinished.records, unfinished.unfinished_bytes), (whole.records, tail.len() as u64), "{what}");
        }

        let ledger = open(dir.path(), Options::default());
        ledger.append(intent(2)).await.expect("is written");
        drop(ledger);
        verified(dir.path());
        let records = records(dir.path());
        let recovered = records.iter().find(|record| record["kind"] == "recovered").expect("is noted");
        assert_eq!(recovered["torn_bytes"], tail.len(), "{what}");
        let kept = fs::read(dir.path().join(recovered["kept_in"].as_str().expect("a name"))).expect("is kept");
        assert_eq!(kept, *tail, "{what}");
        let intents = records.iter().filter(|record| record["kind"] == "intent").count();
        assert_eq!(intents, 2, "{what}");
    }
}

#[tokio::test]
async fn a_crash_between_two_segments_is_repaired() {
    for tail in [&b""[..], b"{\"seq\":9", b"\0\0\0"] {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = open(dir.path(), Options::default());
        ledger.append(intent(1)).await.expect("is written");
        drop(ledger);
        fs::write(segment(dir.path(), 2), tail).expect("is written");
        verified(dir.path());
        let ledger = open(dir.path(), Options::default());
        ledger.append(intent(2)).await.expect("is written");
        drop(ledger);
        assert_eq!(verified(dir.path()).segments, 2);
        assert_eq!(records(dir.path()).last().expect("there is one")["query"], QueryId(2).to_string());
    }
}

#[tokio::test]
async fn the_head_may_lag_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), small_segments());
    for query in 0..3 {
        ledger.append(intent(query)).await.expect("is written");
    }
    ledger.flush().await.expect("is written");
    let old_head = fs::read(crate::head::path(dir.path())).expect("is read");
    for query in 3..12 {
        ledger.append(intent(query)).await.expect("is written");
    }
    drop(ledger);
    let before = verified(dir.path());
    assert!(before.segments > 2);
    fs::write(crate::head::path(dir.path()), old_head).expect("is set back");
    assert_eq!(verified(dir.path()), before);
    let ledger = open(dir.path(), small_segments());
    drop(ledger);
    assert_eq!(verified(dir.path()), before);
    let head = Head::read(dir.path()).expect("is read").expect("is good");
    assert_eq!((head.link.seq, head.link.hash), (before.records, before.last_hash), "the head has caught up");
}

#[tokio::test]
async fn a_tail_that_the_head_vouches_for_is_no_torn_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), Options::default());
    ledger.append(intent(1)).await.expect("is written");
    drop(ledger);
    let path = segment(dir.path(), 1);
    let len = path.metadata().expect("is there").len();
    OpenOptions::new().write(true).open(&path).expect("opens").set_len(len - 1).expect("loses its last newline");
    assert!(verify(dir.path()).is_err());
}

fn append(dir: &Path, number: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(segment(dir, number)).expect("opens");
    file.write_all(bytes).expect("is written");
}

#[tokio::test]
async fn a_last_record_torn_at_any_byte_is_put_aside_and_noted() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), Options::default());
    ledger.append(intent(1)).await.expect("is written");
    ledger.flush().await.expect("is written");
    drop(ledger);
    let (before, head) = (segment(dir.path(), 1), crate::head::path(dir.path()));
    let (whole, vouched) = (fs::read(&before).expect("is read"), fs::read(&head).expect("is read"));
    let ledger = open(dir.path(), Options::default());
    ledger.append(intent(2)).await.expect("is written");
    drop(ledger);
    let (longer, ahead) = (fs::read(&before).expect("is read"), fs::read(&head).expect("is read"));
    let genuine = records(dir.path());
    for len in whole.len()..longer.len() {
        let torn = &longer[..len];
        // Where the head vouches for the record somebody has cut it off.
        let dir = tempfile::tempdir().expect("a directory");
        let put = |head: &[u8]| {
            fs::write(segment(dir.path(), 1), torn).expect("is written");
            fs::write(crate::head::path(dir.path()), head).expect("is written");
        };
        put(&ahead);
        assert!(verify(dir.path()).is_err(), "cut off at {len}");
        let refused = Ledger::open(dir.path(), Options::default(), Arc::new(super::Ticking::default()));
        assert!(matches!(refused, Err(crate::Error::Broken { .. })), "cut off at {len}: {refused:?}");
        // Where it does not, the power was cut.
        put(&vouched);
        assert_eq!(verified(dir.path()).unfinished_bytes, (len - whole.len()) as u64);
        let disk = Disk::of(Arc::new(super::disk::Unsynced));
        let options = Options { fsync: false, ..Options::default() };
        let ledger = Ledger::open_on(disk, dir.path(), options, None, Arc::new(super::Ticking::default()));
        let ledger = ledger.expect("opens");
        ledger.append(intent(3)).await.expect("is written");
        drop(ledger);
        verified(dir.path());
        let mended = records(dir.path());
        assert_eq!(mended[..2], genuine[..2], "torn at {len}");
        let noted = mended.iter().filter(|record| record["kind"] == "recovered").collect::<Vec<_>>();
        if len == whole.len() {
            assert!(noted.is_empty(), "nothing is torn: {noted:?}");
        } else {
            assert_eq!(noted.len(), 1, "torn at {len}");
            assert_eq!(noted[0]["torn_bytes"], len - whole.len());
            let kept = dir.path().join(noted[0]["kept_in"].as_str().expect("a name"));
            assert_eq!(fs::read(kept).expect("is kept"), torn[whole.len()..], "torn at {len}");
        }
        assert_eq!(mended.last().expect("there is one")["query"], QueryId(3).to_string());
    }
}
