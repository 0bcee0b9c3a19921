//! `cargo xtask slt`: DataFusion's own `.slt` files over the wire. They are those of a published crate, which is fetched into
//! Cargo's own directory and never built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use toml::{Table, Value};

use crate::test::{cargo, step};

/// Names the folder to the test.
pub(crate) const FILES: &str = "MESHGATE_SLT_FILES";

const PACKAGE: &str = "datafusion-sqllogictest";

/// Runs the files whose names contain a text.
pub(crate) fn run(root: &Path, only: &str) -> anyhow::Result<()> {
    step(test(root)?.env("MESHGATE_SLT_ONLY", only))
}

/// Runs all of them and writes down what is left out.
pub(crate) fn remember(root: &Path) -> anyhow::Result<()> {
    step(test(root)?.env("MESHGATE_SLT_REMEMBER", "1"))
}

fn test(root: &Path) -> anyhow::Result<std::process::Command> {
    let mut test = cargo(root);
    test.args(["test", "--package", "meshgate-tests", "--test", "it", "slt::datafusion", "--", "--nocapture"]);
    test.env(FILES, files(root)?);
    Ok(test)
}

/// The crate's folder, in the version of the DataFusion that the workspace is built with.
pub(crate) fn files(root: &Path) -> anyhow::Result<PathBuf> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
    let name = format!("{PACKAGE}-{}", version(&lock)?);
    if let Some(folder) = unpacked(&name)? {
        return Ok(folder);
    }
    let package = name.replacen(&format!("{PACKAGE}-"), &format!("{PACKAGE}@"), 1);
    // Shows what it downloads and unpacks; nothing of the workspace changes.
    step(cargo(root).args(["info", &package]).stdout(Stdio::null()))?;
    unpacked(&name)?
        .with_context(|| format!("`cargo info {package}` has left no folder {name} in Cargo's registry/src"))
}

fn version(lock: &str) -> anyhow::Result<String> {
    let lock: Table = toml::from_str(lock).context("reading Cargo.lock")?;
    let packages = lock.get("package").and_then(Value::as_array).context("Cargo.lock lists no packages")?;
    let named = |package: &&Value| package.get("name").and_then(Value::as_str) == Some("datafusion");
    let found =
        packages.iter().filter(named).filter_map(|package| package.get("version")?.as_str()).collect::<Vec<_>>();
    ensure!(found.len() == 1, "Cargo.lock has {} versions of datafusion: {found:?}", found.len());
    Ok(found[0].to_owned())
}

/// Where Cargo has unpacked a crate to, whatever the registry is called.
fn unpacked(name: &str) -> anyhow::Result<Option<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let registries = home.context("there is neither CARGO_HOME nor a home directory")?.join("registry/src");
    let Ok(entries) = std::fs::read_dir(registries) else { return Ok(None) };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path().join(name)));
    // Cargo writes this file last.
    Ok(folders.into_iter().find(|folder| folder.join(".cargo-ok").is_file()))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_that_of_datafusion() {
        let package =
            |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n");
        let others = package("datafusion-sql", "55.2.1") + &package("arrow", "59.0.0");
        let lock = package("datafusion", "55.2.0") + &others;
        assert_eq!(version(&lock).expect("one"), "55.2.0");
        assert!(version(&others).is_err());
        assert!(version(&(package("datafusion", "54.0.0") + &lock)).is_err());
    }
}
