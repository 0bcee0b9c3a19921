//! `cargo xtask mutants`: seeded bugs of enforcement, one after the other, each of which some test has to notice.
//!
//! A bug stands in the code as `mutant("its name")` (see `meshgate_model::mutant`). The integration tests, and the unit tests
//! of the crates that have bugs, are built once with all of them. For each, with that one alive, its crate's own tests run
//! first, then the integration tests, until one fails. Before that comes the test that noticed the bug when all were last looked
//! for with `--remember`: [`WITNESSES`] is a memory that saves time, and says nothing that is not tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::say;
use crate::test::cargo;

/// Fewer than this, and something of the machinery is broken.
const MUTANTS_MIN: usize = 60;

/// The binary of the integration tests, by the name of its crate.
const INTEGRATION: &str = "tests";

/// Which test noticed which bug: `bug: test`, a line each.
const WITNESSES: &str = "tests/it/mutants.txt";

/// Runs all, or those whose names contain a text; and may write down afterwards which test noticed which.
pub(crate) fn run(root: &Path, only: Option<&str>, remember: bool) -> anyhow::Result<()> {
    let all = names(&root.join("crates"))?;
    ensure!(all.len() >= MUTANTS_MIN, "only {} seeded bugs were found in the code", all.len());
    let binaries = build(root, &all.values().cloned().collect())?;
    let witnesses = std::fs::read_to_string(root.join(WITNESSES)).unwrap_or_default();
    let witnesses = witnesses.lines().filter_map(|line| line.split_once(": ")).collect::<BTreeMap<_, _>>();
    for (home, binary) in &binaries {
        let failed = failing(binary, &directory(root, home), None, None)?;
        ensure!(failed.is_empty(), "without any bug these fail: {}", failed.join(", "));
    }
    let chosen = all.iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))).collect::<Vec<_>>();
    let (next, done, survivors) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let noticed = Mutex::new(BTreeMap::new());
    let work = || -> anyhow::Result<()> {
        while let Some((name, home)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let mut killers = Vec::new();
            let witness = witnesses.get(name.as_str()).copied();
            for witness in witness.map(Some).into_iter().chain([None]) {
                for home in [home.as_str(), INTEGRATION] {
                    let Some(binary) = binaries.get(home).filter(|_| killers.is_empty()) else { continue };
                    killers = failing(binary, &directory(root, home), Some(name), witness)?;
                }
            }
            let verdict = if killers.is_empty() { "SURVIVES".to_owned() } else { killers.join(", ") };
            let (number, seconds) = (done.fetch_add(1, Ordering::Relaxed) + 1, begun.elapsed().as_secs());
            say(&format!("{number:3}/{} {seconds:3} s  {name} ({home}): {verdict}", chosen.len()));
            if let Some(killer) = killers.first() {
                let mut noticed = noticed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                noticed.insert(name.as_str(), killer.clone());
            } else {
                survivors.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name.as_str());
            }
        }
        Ok(())
    };
    // The tests of one bug rarely keep more than one core busy.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running = (0..workers).map(|_| scope.spawn(work)).collect::<Vec<_>>();
        running.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    let survivors = survivors.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    say(&format!("{} seeded bugs, {} noticed", chosen.len(), chosen.len() - survivors.len()));
    if remember {
        let noticed = noticed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = noticed.iter().map(|(name, killer)| format!("{name}: {killer}\n")).collect::<String>();
        std::fs::write(root.join(WITNESSES), text).with_context(|| format!("writing {WITNESSES}"))?;
    }
    if survivors.is_empty() { Ok(()) } else { bail!("nobody noticed: {}", survivors.join("; ")) }
}

/// Where cargo runs the tests of a crate.
fn directory(root: &Path, home: &str) -> PathBuf {
    if home == INTEGRATION { root.join("tests") } else { root.join("crates").join(home) }
}

/// The names of all seeded bugs, with the crate each is in.
fn names(directory: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                let parts = text.split(concat!("mutant", "(\"")).skip(1);
                let home = path.iter().skip_while(|part| *part != "crates").nth(1).unwrap_or_default();
                for name in parts.filter_map(|part| Some(part.split_once("\")")?.0)) {
                    found.insert(name.to_owned(), home.to_string_lossy().into_owned());
                }
            }
        }
    }
    // The documentation's own example.
    found.remove("its name");
    Ok(found)
}

/// The test binaries with all seeded bugs in them, by the names of their crates.
fn build(root: &Path, homes: &BTreeSet<String>) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    say("xtask: building the tests with the feature `mutants`");
    let mut build = cargo(root);
    build.args(["test", "--no-run", "--message-format=json", "--features", "meshgate-model/mutants"]);
    build.args(["--lib", "--test", "it", "--package", "meshgate-tests", "--package", "meshgate-model"]);
    for home in homes {
        build.args(["--package", &format!("meshgate-{home}")]);
    }
    let built = build.stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(built.status.success(), "the build failed");
    let mut binaries = BTreeMap::new();
    for line in String::from_utf8_lossy(&built.stdout).lines() {
        let Some(path) = line.split_once("\"executable\":\"").and_then(|(_, rest)| rest.split('"').next()) else {
            continue;
        };
        let path = PathBuf::from(path);
        let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
        let name = name.map(|(name, _)| name).with_context(|| format!("what is {}", path.display()))?;
        let home = name.strip_prefix("meshgate_").map_or_else(|| INTEGRATION.to_owned(), |name| name.replace('_', "-"));
        binaries.insert(home, path);
    }
    ensure!(binaries.contains_key(INTEGRATION), "the build left no integration tests");
    Ok(binaries)
}

/// The first test that fails while a bug is alive, of all or of those of one name; without a bug, all that do.
fn failing(binary: &Path, directory: &Path, alive: Option<&str>, witness: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut test = Command::new(binary);
    test.args(witness.into_iter().flat_map(|witness| [witness, "--exact"]));
    test.current_dir(directory).env("MESHGATE_ATTACK_QUICK", "1").env("RUST_BACKTRACE", "0");
    test.env("CARGO_MANIFEST_DIR", directory);
    if let Some(name) = alive {
        test.env("MESHGATE_MUTANT", name);
    }
    let mut running = test.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting the tests")?;
    let output = running.stdout.take().context("the tests have no output")?;
    let mut failed = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what the tests say")?;
        let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) else {
            // Without a bug it is why they failed, and may not happen again.
            if alive.is_none() && !failed.is_empty() {
                say(&line);
            }
            continue;
        };
        failed.push(name.to_owned());
        if alive.is_some() {
            running.kill().context("ending the tests")?;
            break;
        }
    }
    let ended = running.wait().context("waiting for the tests")?;
    // A bug that ends the process was noticed as well.
    Ok(if failed.is_empty() && !ended.success() { vec!["the process ended".to_owned()] } else { failed })
}
