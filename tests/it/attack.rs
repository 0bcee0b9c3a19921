//! Leaks, hunted: random queries of a restricted reader, asked in twin worlds and of a copy that holds only what the
//! reader sees, through a real Flight server.
//!
//! `MESHGATE_ATTACK_SEED` repeats a run; `MESHGATE_ATTACK_SECONDS` makes it a hunt with new queries (`cargo xtask attack`);
//! `MESHGATE_ATTACK_QUICK` asks less, in one twin only (`cargo xtask mutants`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meshgate_model::Secret;
use meshgate_testkit::attack::answer::Answer;
use meshgate_testkit::attack::sql::{Kind, Query, Writer};
use meshgate_testkit::attack::{canary, worlds};
use meshgate_testkit::{Client, Reply, Wire, World};

/// How many queries a run asks if it has no time of its own.
const QUERIES: usize = 1_200;

/// A world that is served, and its reader.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    _wire: Wire,
    _world: World,
}

impl Side {
    pub(crate) async fn open(name: &'static str, world: World) -> Self {
        let wire = Wire::open(&world).await;
        let token: Secret = world.token("reader", &worlds::GROUPS, &[("region", "EU")]).await;
        Self { name, client: wire.client(Some(&token)).await, _wire: wire, _world: world }
    }

    async fn ask(&self, query: &Query, prepared: bool) -> Reply {
        let sql = query.sql();
        if prepared { self.client.prepared(&sql).await } else { self.client.query(&sql).await }
    }
}

/// What a run saw, so that one that saw nothing is noticed.
#[derive(Default)]
struct Tally {
    asked: usize,
    succeeded: usize,
    compared: usize,
    agreed: usize,
    rows: usize,
    bytes: usize,
    ends: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, answer: &Answer, reply: &Reply) {
        self.asked += 1;
        self.succeeded += usize::from(answer.end == "Ok");
        self.rows += answer.rows.len();
        self.bytes += reply.received.iter().map(Vec::len).sum::<usize>();
        let end = answer.end.chars().take(60).collect::<String>();
        *self.ends.entry(end).or_default() += 1;
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// The seed of a test run, which has to judge a change and not its own luck; it is one that found a leak.
const SEED: u64 = 965_467_703;

/// A seed that is printed: [`SEED`], one that is to be repeated, or a new one for a hunt.
fn seed() -> u64 {
    let fresh =
        || u64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() % 1_000_000_007).unwrap_or(1);
    let usual = || if variable("MESHGATE_ATTACK_SECONDS").is_some() { fresh() } else { SEED };
    variable("MESHGATE_ATTACK_SEED").unwrap_or_else(usual)
}

/// Whether little is asked: a bug is alive that has to be found.
pub(crate) fn is_quick() -> bool {
    std::env::var_os("MESHGATE_ATTACK_QUICK").is_some()
}

/// The worlds that the first one is compared with.
pub(crate) async fn twins() -> Vec<Side> {
    let mut all = worlds::twins();
    if is_quick() {
        all.drain(..all.len() - 1);
    }
    let mut twins = Vec::new();
    for (name, secrets) in all {
        twins.push(Side::open(name, worlds::world(secrets).await).await);
    }
    twins
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_and_reference_answer_alike_and_no_canary_arrives() {
    let first = Side::open("the first world", worlds::world(worlds::FIRST).await).await;
    let twins = twins().await;
    let reference = Side::open("the reference", worlds::reference().await).await;
    let (seed, until) = (seed(), variable("MESHGATE_ATTACK_SECONDS").map(Duration::from_secs));
    println!("MESHGATE_ATTACK_SEED={seed}");
    let (mut writer, mut tally, started) = (Writer::new(seed), Tally::default(), Instant::now());
    loop {
        let more = until
            .map_or(tally.asked < if is_quick() { QUERIES / 8 } else { QUERIES }, |until| started.elapsed() < until);
        if !more {
            break;
        }
        let query = writer.query();
        let (prepared, twin) = (tally.asked % 3 == 0, &twins[tally.asked % twins.len()]);
        let here = first.ask(&query, prepared).await;
        for bytes in &here.received {
            assert!(
                canary::find(bytes).is_none() || quoted(&query, bytes),
                "{:?} in the answer to {}",
                canary::find(bytes),
                query.sql()
            );
        }
        let answer = Answer::of(&here, query.is_ordered());
        tally.count(&answer, &here);
        let there = Answer::of(&twin.ask(&query, prepared).await, query.is_ordered());
        if answer.difference(&there).is_some() {
            report(&first, twin, query, prepared, Answer::difference).await;
        } else if query.kind() == Kind::Rows {
            let plain = Answer::of(&reference.ask(&query, false).await, query.is_ordered());
            tally.compared += 1;
            tally.agreed += usize::from(answer.end == "Ok" && plain.end == "Ok");
            if answer.different_rows(&plain).is_some() {
                report(&first, &reference, query, false, Answer::different_rows).await;
            }
        }
    }
    println!(
        "{} pairs ({} succeeded, {} rows, {} bytes searched for canaries), {} comparisons with the reference ({} with rows), {:.0} s",
        tally.asked,
        tally.succeeded,
        tally.rows,
        tally.bytes,
        tally.compared,
        tally.agreed,
        started.elapsed().as_secs_f64()
    );
    for (end, times) in &tally.ends {
        println!("{times:6} {end}");
    }
    // A run that sees nothing proves nothing.
    assert!(tally.succeeded * 2 > tally.asked, "most queries must succeed");
    assert!(tally.agreed * 2 > tally.compared, "in the reference, too");
    assert!(tally.rows > tally.asked * 5, "and see rows");
}

/// Whether the bytes hold a canary only because the query itself does: an error that quotes it, a constant column.
fn quoted(query: &Query, _bytes: &[u8]) -> bool {
    canary::find(query.sql().as_bytes()).is_some()
}

/// How often a query is asked again of worlds that differ. DataFusion adds the columns that ORDER BY needs in the order of
/// a hash set, so that one world answers some EXPLAIN in two or more ways; an answer that both give is no difference.
const ASKED_AGAIN: usize = 8;

/// Fails with the smallest query that still shows the difference; not if the first world differs from itself as much.
async fn report(
    first: &Side,
    second: &Side,
    query: Query,
    prepared: bool,
    difference: impl Fn(&Answer, &Answer) -> Option<String>,
) {
    let differs = async |query: &Query| {
        let ordered = query.is_ordered();
        let (mut ones, mut twos, mut found) = (Vec::new(), Vec::new(), None);
        for _ in 0..ASKED_AGAIN {
            ones.push(Answer::of(&first.ask(query, prepared).await, ordered));
            twos.push(Answer::of(&second.ask(query, prepared).await, ordered));
            for (one, two) in ones.iter().flat_map(|one| twos.iter().map(move |two| (one, two))) {
                found = Some(difference(one, two)?);
            }
        }
        found
    };
    let Some(mut found) = differs(&query).await else { return };
    let mut smallest = query;
    'smaller: loop {
        for simpler in smallest.simpler() {
            if let Some(still) = differs(&simpler).await {
                (smallest, found) = (simpler, still);
                continue 'smaller;
            }
        }
        break;
    }
    panic!(
        "{} and {} differ ({}):\n{}\n{found}",
        first.name,
        second.name,
        if prepared { "prepared" } else { "ad hoc" },
        smallest.sql()
    );
}
