//! Appending, and what happens when that fails.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use meshgate_model::{Failure, Fault, QueryId};

use super::{Record, denial, fast, intent, open, outcome, records, sample, segment, small_segments, verified};
use crate::disk::Disk;
use crate::{End, Error, Ledger, Options, Outcome, verify};

#[tokio::test]
async fn records_stand_in_order_and_in_full() {
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path()).await;
    let verified = verified(dir.path());
    let records = records(dir.path());
    assert_eq!(verified.records, records.len() as u64);
    assert!(verified.segments > 2, "{verified:?}");
    let kinds = |kind: &str| records.iter().filter(|record| record["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(kinds("segment").len() as u64, verified.segments);
    assert_eq!((kinds("intent").len(), kinds("outcome").len(), kinds("denial").len()), (8, 8, 1));
    let expected = serde_json::json!({
        "time": kinds("intent")[7]["time"],
        "kind": "intent",
        "query": "00000000-0000-0000-0000-000000000007",
        "principal": {"kind": "user", "name": "ana", "groups": ["analysts"], "authentication": "token"},
        "client": {"address": "10.0.0.1", "user_agent": "adbc"},
        "statement": "SELECT *\nFROM sales.orders.orders -- \"ä\"",
        "epoch": 3,
        "tables": [{
            "table": "sales.orders_v1.orders",
            "version": "1.2.0",
            "snapshot": "42",
            "policies": ["analysts-own-region"],
            "filters": ["analysts-own-region"],
            "masks": [{"column": "email", "mask": "hmac-sha-256"}],
        }],
    });
    assert_eq!(*kinds("intent")[7], expected);
    assert!(kinds("intent")[7]["time"].as_str().expect("a text").starts_with("2026-09-2"));
    assert_eq!(kinds("outcome")[0]["outcome"], "failed");
    assert_eq!(kinds("outcome")[0]["fault"], "limited");
    let times =
        records.iter().map(|record| record["time"].as_str().expect("a text").to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(times.len(), records.len(), "each its own time");
}

#[tokio::test]
async fn a_trail_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut expected = 0;
    for round in 0..4 {
        let ledger = open(dir.path(), small_segments());
        let receipt = ledger.append(intent(round)).await.expect("is written");
        assert!(receipt.seq > expected);
        expected = receipt.seq;
        drop(ledger);
        let verified = verified(dir.path());
        assert_eq!((verified.records, verified.last_hash), (receipt.seq, receipt.hash));
    }
}

#[tokio::test]
async fn many_append_at_once_and_each_gets_a_receipt_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = Arc::new(open(dir.path(), Options { segment_bytes_max: 100_000, ..Options::default() }));
    let mut set = tokio::task::JoinSet::new();
    for writer in 0..64_u128 {
        let ledger = ledger.clone();
        set.spawn(async move {
            let mut receipts = Vec::new();
            for n in 0..10 {
                let query = writer * 100 + n;
                receipts.push((query, ledger.append(intent(query)).await.expect("is written")));
                ledger.append_lazy(Outcome { end: End::Completed, ..outcome(query) });
            }
            receipts
        });
    }
    let receipts = set.join_all().await.concat();
    ledger.flush().await.expect("all is written");
    let verified = verified(dir.path());
    assert_eq!(verified.records, 64 * 10 * 2 + verified.segments);
    let records = records(dir.path());
    for (query, receipt) in &receipts {
        let record = &records[usize::try_from(receipt.seq).expect("small") - 1];
        assert_eq!(record["query"], QueryId(*query).to_string(), "the receipt's number is the record's place");
    }
    assert_eq!(receipts.iter().map(|(_, receipt)| receipt.seq).collect::<BTreeSet<_>>().len(), receipts.len());
}

#[tokio::test]
async fn a_record_is_verifiable_as_soon_as_it_is_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), small_segments());
    for query in 0..30 {
        let receipt = ledger.append(intent(query)).await.expect("is written");
        let verified = verified(dir.path());
        assert!(verified.records >= receipt.seq, "beside the writer");
    }
}

#[tokio::test]
async fn when_writing_fails_nothing_is_acknowledged_and_nothing_lazy_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), small_segments());
    // Something is in the way of the second segment.
    std::fs::create_dir(segment(dir.path(), 2)).expect("is made");
    let mut acknowledged = 0;
    let error = loop {
        match ledger.append(intent(acknowledged)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100, "must fail when the segment is full");
    };
    assert_eq!(error.fault(), Fault::Unavailable);
    assert!(!error.public().to_string().contains("audit-"), "{}", error.public());
    assert!(!ledger.is_healthy());
    ledger.append_lazy(outcome(77));
    assert!(ledger.append(intent(1000)).await.is_err());

    std::fs::remove_dir(segment(dir.path(), 2)).expect("is removed");
    ledger.append(intent(2000)).await.expect("is written again");
    assert!(ledger.is_healthy());
    ledger.close();
    verified(dir.path());
    let records = records(dir.path());
    let queries = |kind: &str| {
        records.iter().filter(|r| r["kind"] == kind).map(|r| r["query"].as_str().expect("a text").to_owned()).collect()
    };
    let intents: Vec<String> = queries("intent");
    let expected = (0..acknowledged).chain([2000]).map(|query| QueryId(query).to_string()).collect::<Vec<_>>();
    assert_eq!(intents, expected);
    let outcomes: Vec<String> = queries("outcome");
    assert_eq!(outcomes, [QueryId(77).to_string()]);
}

#[test]
fn what_a_failed_write_left_is_cut_off_before_the_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let header = Box::new(|number| format!(r#"{{"kind":"segment","number":{number}}}"#).into_bytes());
    let mut trail = crate::recover::open(dir.path(), fast(), header, Disk::system(), |_| Ok(()))
        .map(|recovered| recovered.trail)
        .expect("opens");
    let open_segment = trail.segment.as_mut().expect("is open");
    open_segment.file.write_all_at(&[b'x'; 1000], open_segment.len).expect("is written in part");
    open_segment.has_rest = true;
    trail.commit([&br#"{"kind":"short"}"#[..]].into_iter()).expect("is written");
    trail.update_head().expect("is written");
    assert_eq!(verified(dir.path()).unfinished_bytes, 0);
}

#[tokio::test]
async fn there_is_one_writer() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), fast());
    let second = Ledger::open(dir.path(), fast(), Arc::new(super::Ticking::default()));
    assert!(matches!(second, Err(Error::Locked(_))), "{second:?}");
    ledger.append(denial()).await.expect("the first goes on");
    ledger.close();
    assert!(matches!(ledger.append(denial()).await, Err(Error::Closed)));
    open(dir.path(), fast());
}

#[tokio::test]
async fn an_append_that_nobody_awaits_is_written_all_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), fast());
    drop(ledger.append(Record::from(intent(5))));
    ledger.flush().await.expect("is written");
    assert_eq!(records(dir.path()).last().expect("there is one")["query"], QueryId(5).to_string());
}

#[test]
fn where_there_is_no_trail_none_is_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    for dir in [dir.path().to_owned(), dir.path().join("absent")] {
        assert_eq!(verify(&dir).expect_err("no trail").len(), 1);
    }
}

#[tokio::test]
async fn a_record_that_could_not_be_read_again_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path(), Options::default());
    let long = crate::Intent { statement: "\n".repeat(40 << 20), ..intent(1) };
    assert!(matches!(ledger.append(long).await, Err(Error::TooLarge { .. })));
    ledger.append(intent(2)).await.expect("the trail goes on");
    ledger.close();
    assert_eq!(verified(dir.path()).records, records(dir.path()).len() as u64);
}
