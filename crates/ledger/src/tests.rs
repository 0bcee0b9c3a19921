//! What the ledger promises, tested on real files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use meshgate_model::{Clock, Epoch, Fault, Instant, QueryId};

use crate::{
    Client, Denial, End, Intent, Ledger, MaskUse, Options, Outcome, Record, Released, Started, TableUse, Verified, Who,
    verify,
};

mod anchors;
mod crash;
mod disk;
mod faults;
mod forging;
mod tamper;
mod writing;

/// A clock that ticks with every look.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        Instant(1_790_000_000_000_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn open(dir: &Path, options: Options) -> Ledger {
    Ledger::open(dir, options, Arc::new(Ticking::default())).expect("opens")
}

/// Without fsync: most tests ask about order and content, not about a crash of the machine.
fn fast() -> Options {
    Options { fsync: false, ..Options::default() }
}

fn small_segments() -> Options {
    Options { segment_bytes_max: 2000, ..fast() }
}

fn intent(query: u128) -> Intent {
    let who =
        Who { kind: "user", name: "ana".to_owned(), groups: vec!["analysts".to_owned()], authentication: "token" };
    let table = TableUse {
        table: "sales.orders_v1.orders".to_owned(),
        version: "1.2.0".to_owned(),
        snapshot: Some("42".to_owned()),
        policies: vec!["analysts-own-region".to_owned()],
        filters: vec!["analysts-own-region".to_owned()],
        masks: vec![MaskUse { column: "email".to_owned(), mask: "hmac-sha-256".to_owned() }],
    };
    Intent {
        query: QueryId(query),
        principal: who,
        client: Client { address: Some([10, 0, 0, 1].into()), user_agent: Some("adbc".to_owned()) },
        statement: "SELECT *\nFROM sales.orders.orders -- \"ä\"".to_owned(),
        purpose: None,
        epoch: Epoch(3),
        tables: vec![table],
    }
}

fn outcome(query: u128) -> Outcome {
    Outcome { query: QueryId(query), rows: 10, bytes: 1000, duration_ms: 5, end: End::Failed { fault: Fault::Limited } }
}

fn denial() -> Denial {
    let reason = "wrong password for user \"eve\"".to_owned();
    let client = Client::default();
    Denial { query: None, principal: None, client, statement: None, fault: Fault::Unauthenticated, reason, times: 1 }
}

/// A trail of some records in several segments.
async fn sample(dir: &Path) {
    let ledger = open(dir, small_segments());
    ledger.append_lazy(Started { version: "0.1.0".to_owned(), pid: 7 });
    ledger.append_lazy(Released { epoch: Epoch(1), errors: 0, findings: 2 });
    for query in 0..8 {
        ledger.append(intent(query)).await.expect("is written");
        ledger.append_lazy(outcome(query));
    }
    ledger.append(denial()).await.expect("is written");
    ledger.close();
}

fn verified(dir: &Path) -> Verified {
    verify(dir).unwrap_or_else(|problems| panic!("{}", texts(&problems)))
}

fn texts(problems: &[crate::Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    crate::files::segment_path(dir, number)
}

/// All records of a trail, in order.
fn records(dir: &Path) -> Vec<serde_json::Value> {
    let numbers = crate::files::segments(dir).expect("are listed");
    let text: String =
        numbers.iter().map(|number| std::fs::read_to_string(segment(dir, *number)).expect("is read")).collect();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON")["record"].take())
        .collect()
}
