//! `cargo xtask mutants`: seeded bugs of enforcement, one after the other, each of which some test has to notice.
//!
//! A bug stands in the code as `mutant("its name")` (see `meshgate_model::mutant`). The integration tests, and the own
//! tests of crates that have a feature for it, are built once with all of them, and run once for each with that one alive.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::say;
use crate::test::cargo;

/// Fewer than this, and something of the machinery is broken.
const MUTANTS_MIN: usize = 40;

/// Crates whose own tests are asked first about the bugs in them.
const WITH_OWN_TESTS: &[&str] = &["policy"];

/// A test binary and the package it is of.
struct Suite {
    binary: PathBuf,
    home: PathBuf,
}

/// Runs all, or those whose names contain a text.
pub(crate) fn run(root: &Path, only: Option<&str>) -> anyhow::Result<()> {
    let all = names(&root.join("crates"))?;
    ensure!(all.len() >= MUTANTS_MIN, "only {} seeded bugs were found in the code", all.len());
    let mut suites = BTreeMap::from([("", build(root, "tests", "meshgate-tests", &["--test", "it"])?)]);
    for name in WITH_OWN_TESTS {
        suites.insert(name, build(root, &format!("crates/{name}"), &format!("meshgate-{name}"), &["--lib"])?);
    }
    for suite in suites.values() {
        let failed = failing(suite, None)?;
        ensure!(failed.is_empty(), "without any bug these fail: {}", failed.join(", "));
    }
    let mut survivors = Vec::new();
    let chosen = all.keys().filter(|name| only.is_none_or(|only| name.contains(only))).collect::<Vec<_>>();
    for (number, name) in chosen.iter().enumerate() {
        let begun = Instant::now();
        let mut killers = Vec::new();
        for suite in [suites.get(all[*name].as_str()), suites.get("")].into_iter().flatten() {
            if killers.is_empty() {
                killers = failing(suite, Some(name))?;
            }
        }
        let seconds = begun.elapsed().as_secs();
        let verdict = if killers.is_empty() { "SURVIVES".to_owned() } else { killers.join(", ") };
        say(&format!("{:3}/{} {seconds:3} s  {name} ({}): {verdict}", number + 1, chosen.len(), all[*name]));
        if killers.is_empty() {
            survivors.push(name.as_str());
        }
    }
    say(&format!("{} seeded bugs, {} noticed", chosen.len(), chosen.len() - survivors.len()));
    if survivors.is_empty() { Ok(()) } else { bail!("nobody noticed: {}", survivors.join("; ")) }
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

/// The tests of a package with all seeded bugs in them.
fn build(root: &Path, home: &str, package: &str, target: &[&str]) -> anyhow::Result<Suite> {
    say(&format!("xtask: building the tests of {package} with the feature `mutants`"));
    let mut build = cargo(root);
    build.args(["test", "--package", package, "--features", "mutants"]).args(target).arg("--no-run");
    let built = build.arg("--message-format=json").stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(built.status.success(), "the build failed");
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut path = messages.lines().filter_map(|line| Some(line.split_once("\"executable\":\"")?.1.split_once('"')?.0));
    let binary = path.next_back().map(PathBuf::from).context("the build left no test binary")?;
    Ok(Suite { binary, home: root.join(home) })
}

/// The first test that fails while a bug is alive; without a bug, all that do.
fn failing(suite: &Suite, alive: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut test = Command::new(&suite.binary);
    test.current_dir(&suite.home).env("MESHGATE_ATTACK_QUICK", "1").env("RUST_BACKTRACE", "0");
    test.env("CARGO_MANIFEST_DIR", &suite.home);
    if let Some(name) = alive {
        test.env("MESHGATE_MUTANT", name);
    }
    let mut running = test.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting the tests")?;
    let output = running.stdout.take().context("the tests have no output")?;
    let mut failed = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what the tests say")?;
        let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) else { continue };
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
