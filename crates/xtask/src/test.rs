//! `cargo xtask test`: the tests inside the workspace, then the clients of others against the binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::{say, slt};

/// Whether the client matrix runs after the tests of the workspace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    Run,
    Skip,
}

/// Stops at the first part that fails; the output of every part goes straight to the terminal.
pub(crate) fn run(root: &Path, clients: Clients) -> anyhow::Result<()> {
    step(cargo(root).args(["test", "--workspace", "--no-fail-fast"]).env(slt::FILES, slt::files(root)?))?;
    if clients == Clients::Skip {
        return Ok(());
    }
    let mut clients = Command::new("python3");
    clients.current_dir(root).arg("tests/clients/run.py");
    if std::env::var_os("MESHGATE_BIN").is_none() {
        // The dev profile is ten times slower at what is done to it.
        clients.env("MESHGATE_CLIENTS_BOMBS", "0.1");
    }
    step(clients.env("MESHGATE_BIN", binary(root, "dev")?))
}

/// Measures the binary beside other engines.
pub(crate) fn bench(root: &Path, suites: &[&str]) -> anyhow::Result<()> {
    let mut bench = Command::new("python3");
    bench.current_dir(root).arg("benches/run.py").args(suites);
    step(bench.env("MESHGATE_BIN", binary(root, "release")?))
}

/// The long form of the hunt for leaks.
pub(crate) fn attack(root: &Path, minutes: &str) -> anyhow::Result<()> {
    let minutes: u64 = minutes.parse().with_context(|| format!("`{minutes}` is no number of minutes"))?;
    let mut test = cargo(root);
    test.args(["test", "--package", "meshgate-tests", "--test", "it", "attack::", "--", "--nocapture"]);
    step(test.env("MESHGATE_ATTACK_SECONDS", (minutes * 60).to_string()))
}

/// The long form of the tests with hostile input, as many at once as there are processors.
pub(crate) fn fuzz(root: &Path, minutes: &str, only: &str) -> anyhow::Result<()> {
    let minutes: u64 = minutes.parse().with_context(|| format!("`{minutes}` is no number of minutes"))?;
    let mut test = cargo(root);
    test.args(["test", "--workspace", "--no-fail-fast", "--", "--nocapture", &format!("fuzz_{only}")]);
    step(test.env("MESHGATE_FUZZ_SECONDS", (minutes * 60).to_string()))
}

/// The binary the clients talk to: the one that the caller names, else one built now in a profile.
fn binary(root: &Path, profile: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("MESHGATE_BIN") {
        let named = std::path::absolute(PathBuf::from(named)).context("resolving MESHGATE_BIN")?;
        ensure!(
            named.is_file(),
            "MESHGATE_BIN names {}, which is no file: build it, or unset MESHGATE_BIN",
            named.display()
        );
        return Ok(named);
    }
    step(cargo(root).args(["build", "--package", "meshgate", "--profile", profile]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let built = target
        .join(if profile == "dev" { "debug" } else { profile })
        .join(format!("meshgate{}", std::env::consts::EXE_SUFFIX));
    ensure!(built.is_file(), "the build left no binary at {}: set MESHGATE_BIN to where it is", built.display());
    Ok(built)
}

/// Cargo, as if it were started from a shell.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` has told this program. Some build scripts look at it, and everything above them would be built
    // again for cargo commands from here, and again for those from a shell.
    let told = |name: &str| {
        name.starts_with("CARGO_PKG_") || ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "OUT_DIR"].contains(&name)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        command.env_remove(name);
    }
    command.current_dir(root);
    command
}

pub(crate) fn step(command: &mut Command) -> anyhow::Result<()> {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    let line = words.join(" ");
    say(&format!("xtask: {line}"));
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}
