//! `cargo xtask tidy`: what a reader of the house may rely on, checked. In reading order: [`tree`] looks at names and
//! places of files, [`manifest`] at who may depend on whom, [`source`] at the text of Rust files, [`text`] at the text
//! of all files. The checks are functions of text, so that their tests need no tree.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::say;

/// Written by `cargo hakari`, which makes all crates build their dependencies with the same features.
const GENERATED: &str = "crates/workspace-hack/";

mod manifest;
mod mask;
mod source;
mod text;
mod tree;

/// One departure from the rules.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    /// From 1.
    line: usize,
    /// What is wrong and what to do about it.
    message: String,
}

impl Finding {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Checks every file that git knows or would know after `git add`.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let mut findings = tree::check(&files);
    let mut manifests = Vec::new();
    for file in &files {
        // A file that is no text has no lines to check; one that is gone is in the middle of being removed.
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        findings.extend(text::check(file, &text));
        if file.ends_with(".rs") {
            findings.extend(source::check(file, &text));
        }
        if file == "Cargo.toml" || file.ends_with("/Cargo.toml") {
            manifests.push((file.clone(), text));
        }
    }
    findings.extend(manifest::check(&manifests)?);
    findings.sort();
    for finding in &findings {
        say(&finding.to_string());
    }
    if !findings.is_empty() {
        bail!("tidy: {} to mend in {} files", findings.len(), files.len());
    }
    say(&format!("tidy: {} files, nothing to mend", files.len()));
    Ok(())
}

/// Tracked files and those not ignored, relative to the root, with `/`.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let listing = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("listing the files with git")?;
    if !listing.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&listing.stderr).trim());
    }
    let listing = String::from_utf8(listing.stdout).context("a file name that is not UTF-8")?;
    let mut files: Vec<String> = listing.split_terminator('\0').map(str::to_owned).collect();
    files.retain(|file| !file.starts_with(GENERATED));
    files.sort();
    files.dedup();
    Ok(files)
}
