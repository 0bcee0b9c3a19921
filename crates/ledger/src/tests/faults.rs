//! The disk is full, fails, or is slow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant as Moment};

use meshgate_model::{Clock, Failure, Fault, Instant, QueryId};

use super::disk::{BadDisk, Call, Chance, PATIENCE};
use super::{intent, open, outcome, records, segment, small_segments, verified};
use crate::{Error, Intent, Ledger, Options};

fn open_on(disk: &Arc<BadDisk>, dir: &Path, options: Options) -> Ledger {
    Ledger::open_on(disk.disk(), dir, options, None, Arc::new(super::Ticking::default())).expect("opens")
}

fn durable() -> Options {
    Options { fsync: true, ..small_segments() }
}

/// What is wrong, and how it is made so.
type Breaking = (&'static str, fn(&BadDisk));

/// How a disk is broken: once while records are added to a segment, and once where a segment begins.
const FAULTS: &[Breaking] = &[
    ("no room at all", |disk| disk.fill_up(0)),
    ("room for a part of a record", |disk| disk.fill_up(100)),
    ("room for a byte", |disk| disk.fill_up(1)),
    ("a write error", |disk| disk.fail(Call::Write, io::ErrorKind::Other)),
    ("a sync error", |disk| disk.fail(Call::Sync, io::ErrorKind::Other)),
    ("no quota", |disk| disk.fail(Call::Write, io::ErrorKind::QuotaExceeded)),
    ("a file too large", |disk| disk.fail(Call::Write, io::ErrorKind::FileTooLarge)),
];

/// These are met only where a segment begins.
const FAULTS_OF_NEW_SEGMENTS: &[Breaking] = &[
    ("no new file", |disk| disk.fail(Call::Create, io::ErrorKind::StorageFull)),
    ("no durable name", |disk| disk.fail(Call::SyncDir, io::ErrorKind::Other)),
];

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_the_trail_goes_on_once_it_can() {
    for segment_bytes_max in [1_000_000, 1] {
        let more = if segment_bytes_max == 1 { FAULTS_OF_NEW_SEGMENTS } else { &[] };
        for (what, break_disk) in FAULTS.iter().chain(more) {
            let dir = tempfile::tempdir().expect("a directory");
            let disk = Arc::new(BadDisk::default());
            let ledger = open_on(&disk, dir.path(), Options { segment_bytes_max, ..durable() });
            ledger.append(intent(1)).await.expect("is written");
            for outage in 0..3 {
                break_disk(&disk);
                for query in 0..5 {
                    let error = ledger.append(intent(100 * (outage + 1) + query)).await.expect_err(what);
                    assert_eq!(error.fault(), Fault::Unavailable, "{what}");
                    assert!(error.public().to_string().contains("cannot record"), "{what}: {}", error.public());
                    ledger.append_lazy(outcome(100 * (outage + 1) + query));
                    assert!(!ledger.is_healthy(), "{what}");
                }
                disk.mend();
                ledger.append(intent(2 + outage)).await.expect(what);
                assert!(ledger.is_healthy(), "{what}");
            }
            ledger.close();
            assert_eq!(verified(dir.path()).unfinished_bytes, 0, "{what}");
            let records = records(dir.path());
            assert_eq!(queries(&records, "intent"), [1, 2, 3, 4], "{what}: what was refused is not in the trail");
            assert_eq!(queries(&records, "outcome").len(), 15, "{what}: what happened is");
            let outages = records.iter().filter(|record| record["kind"] == "interrupted").collect::<Vec<_>>();
            assert_eq!(outages.len(), 3, "{what}: each outage is told of: {outages:?}");
            assert!(outages.iter().all(|told| told["refused"] == 5 && told["lost"] == 0), "{what}: {outages:?}");
        }
    }
}

#[tokio::test]
async fn an_outage_ends_by_itself_and_is_told_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(BadDisk::default());
    let ledger = open_on(&disk, dir.path(), durable());
    disk.fill_up(0);
    ledger.append(intent(1)).await.expect_err("is full");
    // Nobody asks for anything: the ledger still knows that it cannot write.
    let until = Moment::now() + Duration::from_millis(2_500);
    while Moment::now() < until {
        assert!(!ledger.is_healthy(), "still full");
        std::thread::yield_now();
    }
    disk.mend();
    wait_until("it is healthy again", || ledger.is_healthy());
    drop(ledger);
    let records = records(dir.path());
    assert_eq!(records.last().expect("there is one")["kind"], "interrupted");
    verified(dir.path());
}

#[tokio::test]
async fn short_writes_are_completed() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(BadDisk::default());
    disk.write_at_once(7);
    let ledger = open_on(&disk, dir.path(), durable());
    for query in 0..20 {
        ledger.append(intent(query)).await.expect("is written");
    }
    drop(ledger);
    verified(dir.path());
    assert_eq!(queries(&records(dir.path()), "intent"), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_segment_begun_in_vain_does_not_stand_in_the_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(BadDisk::default());
    let ledger = open_on(&disk, dir.path(), Options { segment_bytes_max: 1, ..durable() });
    disk.fail(Call::Write, io::ErrorKind::Other);
    ledger.append(intent(1)).await.expect_err("no segment can be begun");
    // The rest of it can be removed again only much later.
    std::fs::write(segment(dir.path(), 2), "{\"seq\":").expect("is written");
    disk.fail(Call::Remove, io::ErrorKind::Other);
    ledger.append(intent(2)).await.expect_err("something is in the way");
    disk.mend();
    std::fs::remove_file(segment(dir.path(), 2)).expect("is removed");
    ledger.append(intent(3)).await.expect("is written");
    // And now the file is the ledger's own.
    disk.fail(Call::Sync, io::ErrorKind::Other);
    ledger.append(intent(4)).await.expect_err("no segment can be begun");
    disk.mend();
    ledger.append(intent(5)).await.expect("is written");
    drop(ledger);
    verified(dir.path());
}

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Instant {
        Instant(1_790_000_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_slow_disk_holds_up_who_waits_for_it_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (disk, clock) = (Arc::new(BadDisk::default()), Arc::new(Set::default()));
    let ledger = Ledger::open_on(disk.disk(), dir.path(), durable(), None, clock.clone()).expect("opens");
    let _mended = disk.hang();
    let mut waiting = std::pin::pin!(ledger.append(intent(1)));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "no receipt before the record is on disk: {early:?}");
    disk.wait_for_hanging();
    // Whoever does not wait goes on at once, and whoever does can leave.
    ledger.append_lazy(outcome(2));
    drop(ledger.append(intent(3)));
    assert!(ledger.is_healthy(), "a moment is no outage");
    clock.0.store(11_000_000, Ordering::SeqCst);
    assert!(!ledger.is_healthy(), "but this is: it takes too long");
    disk.mend();
    waiting.await.expect("is written after all");
    ledger.flush().await.expect("is written");
    assert!(ledger.is_healthy());
    drop(ledger);
    verified(dir.path());
    assert_eq!(queries(&records(dir.path()), "intent"), [1, 3]);
}

#[tokio::test]
async fn a_disk_that_never_answers_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let (disk, clock) = (Arc::new(BadDisk::default()), Arc::new(Set::default()));
    let ledger = Ledger::open_on(disk.disk(), dir.path(), durable(), None, clock.clone()).expect("opens");
    let _mended = disk.hang();
    let waiting = ledger.append(intent(1));
    disk.wait_for_hanging();
    clock.0.store(11_000_000, Ordering::SeqCst);
    ledger.close();
    drop(waiting);
    assert!(matches!(ledger.append(intent(2)).await, Err(Error::Closed)));
}

#[tokio::test]
async fn the_queue_is_bounded_while_the_disk_hangs() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(BadDisk::default());
    let ledger = open_on(&disk, dir.path(), Options { waiting_bytes_max: 1 << 20, ..durable() });
    let _mended = disk.hang();
    let first = ledger.append(intent(1));
    disk.wait_for_hanging();
    let (mut taken, mut refused) = (Vec::new(), None);
    let large = |query| Intent { statement: "x".repeat(1 << 14), ..intent(query) };
    for query in 2..100 {
        let mut receipt = Box::pin(ledger.append(large(query)));
        match poll_once(receipt.as_mut()) {
            Some(answer) => {
                refused = Some(answer);
                break;
            }
            None => taken.push(receipt),
        }
    }
    // The ends of queries that run find room for much longer, but not for ever.
    for query in 1_000..1_400 {
        ledger.append_lazy(large(query));
    }
    disk.mend();
    assert!(matches!(refused, Some(Err(Error::Behind(1_048_577..1_100_000)))), "{refused:?}");
    assert!((60..=64).contains(&taken.len()), "{} records of 16 KiB wait", taken.len());
    first.await.expect("is written");
    let taken_len = taken.len() as u64;
    for receipt in taken {
        receipt.await.expect("is written");
    }
    ledger.flush().await.expect("is written");
    ledger.append(intent(500)).await.expect("is written");
    drop(ledger);
    verified(dir.path());
    let records = records(dir.path());
    let (nobody_waits, waited) =
        queries(&records, "intent").into_iter().partition::<Vec<_>, _>(|query| *query >= 1_000);
    assert_eq!(waited, (1..taken_len + 2).chain([500]).collect::<Vec<_>>());
    // What is not in the trail is told of there.
    let told = |name: &str| -> u64 {
        let outages = records.iter().filter(|record| record["kind"] == "interrupted");
        outages.map(|record| record[name].as_u64().expect("a number")).sum()
    };
    assert_eq!(told("refused"), 1);
    assert!(told("lost") > 100, "{}", told("lost"));
    assert_eq!(told("lost") + nobody_waits.len() as u64, 400);
}

fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(ready) => Some(ready),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    for seed in 0..150 {
        let mut chance = Chance(seed);
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Arc::new(BadDisk::default());
        let mut acknowledged = Vec::new();
        // The process may have died before the machine does: that leaves what it wrote with the operating system.
        for life in 0..1 + chance.below(3) as u128 {
            let ledger = open_on(&disk, dir.path(), durable());
            for query in 0..chance.below(12) as u128 {
                let query = 1_000 * life + query;
                if chance.is_one_in(8) {
                    disk.fail(Call::Sync, io::ErrorKind::Other);
                    ledger.append(intent(query)).await.expect_err("does not work");
                    disk.mend();
                    continue;
                }
                let receipt = ledger.append(intent(query)).await.expect("is written");
                acknowledged.push((receipt, query));
                if chance.is_one_in(3) {
                    ledger.append_lazy(outcome(query));
                }
            }
            if chance.is_one_in(2) {
                disk.fail(Call::Sync, io::ErrorKind::Other);
                drop(ledger.append(intent(999)));
            }
            drop(ledger);
            disk.mend();
        }
        let after = tempfile::tempdir().expect("a directory");
        disk.cut_power(after.path(), &mut chance);
        let ledger = open(after.path(), durable());
        drop(ledger);
        verified(after.path());
        let records = records(after.path());
        for (receipt, query) in acknowledged {
            let place = usize::try_from(receipt.seq).expect("small") - 1;
            let found = records.get(place).map(|record| &record["query"]);
            assert_eq!(found, Some(&QueryId(query).to_string().into()), "seed {seed}: record {}", receipt.seq);
        }
    }
}

/// The numbers of queries that have such records, in order.
fn queries(records: &[serde_json::Value], kind: &str) -> Vec<u64> {
    let of_kind = records.iter().filter(|record| record["kind"] == kind);
    let number = |record: &serde_json::Value| {
        let digits = record["query"].as_str().expect("a text").replace('-', "");
        u64::from_str_radix(digits.trim_start_matches('0'), 16).unwrap_or(0)
    };
    of_kind.map(number).collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = Moment::now() + PATIENCE;
    while !condition() {
        assert!(Moment::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
