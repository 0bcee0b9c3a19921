//! Decisions against the documentation: random meshes, policies and principals, asked of the real thing and of a small
//! evaluator that knows nothing but the documentation.
//!
//! Removing a permit or adding a forbid must never show more, and neither order nor files may matter.
//! `MESHGATE_POLICY_SEED` repeats a run; `MESHGATE_POLICY_SECONDS` makes it a hunt with new meshes.

mod asker;
mod condition;
mod dice;
mod filter;
mod generate;
mod loaded;
mod mesh;
mod policy;
mod reference;
mod rows;
mod shrink;
mod tally;
mod things;
mod trial;
mod write;

use std::time::{Duration, Instant};

use asker::Asker;
use dice::Dice;
use mesh::Mesh;
use shrink::Case;
use tally::Tally;
use trial::{Change, Side};

/// How many decisions a run compares if it has no time of its own.
const CASES: usize = 100_000;

/// How many principals ask for every table of a mesh.
const ASKERS: usize = 40;

/// Of so many principals one asks for the catalog as well.
const CATALOG_EVERY: usize = 5;

/// The seed of a test run, which has to judge a change and not its own luck.
const SEED: u64 = 20_261_124;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// A seed that is printed: [`SEED`], one that is to be repeated, or a new one for a hunt.
fn seed() -> u64 {
    let fresh =
        || u64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() % 1_000_000_007).unwrap_or(1);
    let usual = || if variable("MESHGATE_POLICY_SECONDS").is_some() { fresh() } else { SEED };
    variable("MESHGATE_POLICY_SEED").unwrap_or_else(usual)
}

#[test]
fn decisions_are_what_the_documentation_says() {
    let (first, until) = (seed(), variable("MESHGATE_POLICY_SECONDS").map(Duration::from_secs));
    println!("MESHGATE_POLICY_SEED={first}");
    let (mut tally, started) = (Tally::default(), Instant::now());
    for seed in first.. {
        if until.map_or(tally.cases >= CASES, |until| started.elapsed() >= until) {
            break;
        }
        one_mesh(seed, &mut tally);
    }
    println!("{tally}\n{:.0} s", started.elapsed().as_secs_f64());
    tally.assert_that_much_was_seen();
}

/// A mesh with its policies and three changes of these, and everybody who asks.
fn one_mesh(seed: u64, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let mesh = Mesh::random(&mut dice);
    let policies = write::policies(&mesh, &mut dice);
    let changes = Change::random(&mesh, &policies, &mut dice);
    let refused = |error: String| panic!("MESHGATE_POLICY_SEED={seed}: {error}");
    let mut base = Side::new(&mesh, policies.clone()).unwrap_or_else(refused);
    let sides = changes.into_iter().map(|change| {
        let side = Side::new(&mesh, change.applied(&policies)).unwrap_or_else(refused);
        (change, side)
    });
    let mut sides: Vec<(Change, Side)> = sides.collect();
    let mut askers: Vec<Asker> = Vec::new();
    for number in 0..ASKERS {
        let asker = match askers.last() {
            Some(before) if number % 2 == 1 => before.alike(&mut dice),
            _ => Asker::random(&mut dice),
        };
        askers.push(asker.clone());
        for (table, placed) in mesh.tables().enumerate() {
            let case = |change: Option<&Change>| Case {
                mesh: &mesh,
                policies: policies.clone(),
                change: change.cloned(),
                askers: askers.clone(),
                table,
            };
            let before = base.ask(&mesh, &asker, placed).unwrap_or_else(|error| case(None).report(seed, error));
            tally.count(&before, placed);
            if number % CATALOG_EVERY == 0 {
                let listed = base.list(&mesh, &asker, placed).unwrap_or_else(|error| case(None).report(seed, error));
                tally.count_listed(listed);
            }
            for (change, side) in &mut sides {
                let after = side.ask(&mesh, &asker, placed);
                let after = after.unwrap_or_else(|error| case(Some(change)).report(seed, error));
                tally.count(&after, placed);
                match change.wrong(&before, &after) {
                    Some(wrong) => case(Some(change)).report(seed, wrong),
                    None => tally.count_change(change, &before, &after),
                }
            }
        }
    }
    tally.meshes += 1;
    tally.made += base.made() + sides.iter().map(|(_, side)| side.made()).sum::<usize>();
}
