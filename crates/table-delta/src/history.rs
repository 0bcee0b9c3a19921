//! When versions were made, by tables whose commits say it themselves.
//!
//! The format is that of "In-Commit Timestamps" in Delta's `PROTOCOL.md`. The library dates versions by their files, which a
//! copied table has others of.

use std::collections::{HashMap, HashSet};

use deltalake::logstore::commit_uri_from_version;
use futures::{StreamExt, TryStreamExt, stream};
use meshgate_model::Instant;
use meshgate_table::{Error, PastVersion};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;

/// The longest first line of a commit, which says when it was made.
const INFO_BYTES_MAX: u64 = 1 << 20;

/// How much of a commit is looked through for what it says of itself.
const OPERATION_BYTES_MAX: u64 = 64 << 10;

/// How many commits are read at the same time.
const COMMITS_AT_ONCE: usize = 16;

/// From which version on commits say when they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InCommit {
    first: u64,
    /// When `first` was made, in milliseconds since 1970; none if that is the table's first version.
    since_ms: Option<i64>,
}

impl InCommit {
    /// By the table's properties; none if commits do not say it.
    pub(crate) fn read(properties: &HashMap<String, String>) -> Result<Option<Self>, Error> {
        let property = |name: &str| properties.get(name).map(String::as_str);
        if property("delta.enableInCommitTimestamps") != Some("true") {
            return Ok(None);
        }
        let first = property("delta.inCommitTimestampEnablementVersion").map(str::parse).transpose().ok();
        let since_ms = property("delta.inCommitTimestampEnablementTimestamp").map(str::parse).transpose().ok();
        match (first, since_ms) {
            (Some(Some(first)), Some(Some(since_ms))) => Ok(Some(Self { first, since_ms: Some(since_ms) })),
            (Some(None), Some(None)) => Ok(Some(Self { first: 0, since_ms: None })),
            _ => Err(broken("since when it has in-commit timestamps")),
        }
    }

    /// Whether the commit of a version says when it was made.
    pub(crate) fn dates(self, version: u64) -> bool {
        version >= self.first
    }

    /// The newest version that was made by then, of those whose commits are kept; none if all are younger.
    pub(crate) async fn version_at(self, table: &dyn ObjectStore, at_ms: i64) -> Result<Option<u64>, Error> {
        let mut commits = commits(table).await?;
        if self.since_ms.is_some_and(|since_ms| at_ms < since_ms) {
            commits.retain(|(version, _)| *version < self.first);
            // Times of files may go back; those of versions do not.
            let mut latest_ms = i64::MIN;
            let by_then = commits.iter().take_while(|(_, written_ms)| {
                latest_ms = latest_ms.saturating_add(1).max(*written_ms);
                latest_ms <= at_ms
            });
            return Ok(by_then.last().map(|(version, _)| *version));
        }
        commits.retain(|(version, _)| *version >= self.first);
        let (mut by_then, mut later) = (0, commits.len());
        while by_then < later {
            let middle = by_then.midpoint(later);
            if made_ms(table, commits[middle].0).await?.is_none_or(|made_ms| made_ms <= at_ms) {
                by_then = middle + 1;
            } else {
                later = middle;
            }
        }
        Ok(by_then.checked_sub(1).map(|last| commits[last].0))
    }
}

/// The newest versions whose commits are kept, the newest first: none is newer than `newest`.
pub(crate) async fn versions(
    table: &dyn ObjectStore,
    in_commit: Option<InCommit>,
    newest: u64,
    versions_max: usize,
) -> Result<Vec<PastVersion>, Error> {
    let mut commits = commits(table).await?;
    commits.retain(|(version, _)| *version <= newest);
    let commits = commits.into_iter().rev().take(versions_max);
    let each = async |(version, written_ms): (u64, i64)| {
        let info = info(table, version).await?;
        let said = info.as_ref().and_then(|info| info["inCommitTimestamp"].as_i64());
        let made_ms =
            said.filter(|_| in_commit.is_some_and(|in_commit| in_commit.dates(version))).unwrap_or(written_ms);
        Ok(PastVersion {
            version: version.to_string(),
            timestamp: Some(Instant(made_ms.saturating_mul(1_000))),
            operation: info.as_ref().and_then(|info| PastVersion::operation_of(info["operation"].as_str()?)),
            names: Vec::new(),
            is_current: version == newest,
        })
    };
    stream::iter(commits.map(each)).buffered(COMMITS_AT_ONCE).try_collect().await
}

/// What a commit says of itself; none if it was cleaned up, or says it too late.
async fn info(table: &dyn ObjectStore, version: u64) -> Result<Option<Value>, Error> {
    let begin = match table.get_range(&commit_uri_from_version(Some(version)), 0..OPERATION_BYTES_MAX).await {
        Ok(begin) => begin,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let lines = begin.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    Ok(lines.filter_map(|mut action| action.get_mut("commitInfo").map(Value::take)).next())
}

/// What a commit says of when it was made, in milliseconds since 1970; none if it was cleaned up.
pub(crate) async fn made_ms(table: &dyn ObjectStore, version: u64) -> Result<Option<i64>, Error> {
    let begin = match table.get_range(&commit_uri_from_version(Some(version)), 0..INFO_BYTES_MAX).await {
        Ok(begin) => begin,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let info: Option<Value> = serde_json::from_slice(line).ok();
    let made = info.as_ref().and_then(|info| info["commitInfo"]["inCommitTimestamp"].as_i64());
    made.map(Some).ok_or_else(|| broken("when a version was made"))
}

/// Whether all of the log that a version is made of is kept: a checkpoint and the commits after it, or all commits.
/// SECURITY: the library takes the schema from a checksum file if it has to, and gives the files of the commits that are left
/// for those of the version.
pub(crate) async fn keeps(table: &dyn ObjectStore, version: u64) -> Result<bool, Error> {
    let mut log = Log::default();
    for file in log_files(table).await? {
        file.location.filename().and_then(|name| log.add(name));
    }
    // What follows on the newest version that is known to be whole.
    let mut next =
        log.checkpoints().filter(|checkpoint| *checkpoint <= version).max().map_or(0, |at| at.saturating_add(1));
    log.commits.sort_unstable();
    for (first, last) in &log.commits {
        if *first <= next && *last >= next && *last <= version {
            next = last.saturating_add(1);
        }
    }
    Ok(next > version)
}

/// The names of a log's files, as Delta's `PROTOCOL.md` has them.
#[derive(Default)]
struct Log {
    /// From which version to which: more than one in compacted commits.
    commits: Vec<(u64, u64)>,
    whole: Vec<u64>,
    /// Of checkpoints in parts, by version and number of parts, which are there.
    parts: HashMap<(u64, u64), HashSet<u64>>,
}

impl Log {
    fn add(&mut self, name: &str) -> Option<()> {
        let parts: Vec<_> = name.split('.').collect();
        let number = |text: &str| text.parse::<u64>().ok();
        match parts.as_slice() {
            [version, "json"] => self.commits.push((number(version)?, number(version)?)),
            [first, last, "compacted", "json"] => self.commits.push((number(first)?, number(last)?)),
            [version, "checkpoint", "parquet"] | [version, "checkpoint", _, "parquet" | "json"] => {
                self.whole.push(number(version)?);
            }
            [version, "checkpoint", part, count, "parquet"] => {
                self.parts.entry((number(version)?, number(count)?)).or_default().insert(number(part)?);
            }
            _ => {}
        }
        Some(())
    }

    fn checkpoints(&self) -> impl Iterator<Item = u64> {
        let complete = self.parts.iter().filter(|((_, count), there)| (1..=*count).all(|part| there.contains(&part)));
        self.whole.iter().copied().chain(complete.map(|((version, _), _)| *version))
    }
}

async fn log_files(table: &dyn ObjectStore) -> Result<Vec<ObjectMeta>, Error> {
    Ok(table.list(Some(&Path::from("_delta_log"))).try_collect().await?)
}

/// All commits that are kept, by version, with the time of their file in milliseconds since 1970.
async fn commits(table: &dyn ObjectStore) -> Result<Vec<(u64, i64)>, Error> {
    let files = log_files(table).await?;
    let commits = files.into_iter().filter_map(|file| {
        let version = file.location.filename()?.strip_suffix(".json")?.parse().ok()?;
        (file.location == commit_uri_from_version(Some(version)))
            .then(|| (version, file.last_modified.timestamp_millis()))
    });
    let mut commits: Vec<_> = commits.collect();
    commits.sort_unstable();
    Ok(commits)
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("Delta log: it does not say {what}"))
}
