//! Random histories of tables: appended, overwritten, deleted from, checkpointed; every version against a model of its rows.
//!
//! `MESHGATE_HISTORY_SEED=<seed>` repeats one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use meshgate_table::conformance::Bench;
use meshgate_table::{Format, Pin, Source};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::Machine;
use crate::{DeltaFormat, VectorStorage, append, delete};

const HISTORIES: u64 = 40;
const STEPS: usize = 10;
const REGIONS: [Option<&str>; 4] = [Some("EU"), Some("a b/c=%41&ü"), Some("x"), None];

/// The rows of a version, by id.
type Rows = BTreeMap<i64, (Option<String>, Option<i64>)>;

/// Whether a row with the id and the region is wanted.
type Keeps = dyn Fn(i64, &Option<String>) -> bool;

struct History {
    dice: StdRng,
    directory: std::path::PathBuf,
    partition_by: &'static [&'static str],
    next_id: i64,
    now: Rows,
    versions: Vec<Rows>,
    steps: Vec<String>,
}

impl History {
    fn batch(&mut self) -> (RecordBatch, Rows) {
        let count = self.dice.random_range(1..60);
        let rows: Rows = (self.next_id..self.next_id + count)
            .map(|id| {
                let region = REGIONS[self.dice.random_range(0..REGIONS.len())].map(str::to_owned);
                (id, (region, self.dice.random_bool(0.8).then(|| self.dice.random_range(-5..5))))
            })
            .collect();
        self.next_id += count;
        let columns = RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from_iter_values(rows.keys().copied())) as _, true),
            ("region", Arc::new(StringArray::from_iter(rows.values().map(|row| row.0.as_deref()))) as _, true),
            ("value", Arc::new(Int64Array::from_iter(rows.values().map(|row| row.1))) as _, true),
        ]);
        (columns.unwrap(), rows)
    }

    async fn step(&mut self) {
        let step = if self.versions.is_empty() { 0 } else { self.dice.random_range(0..10) };
        match step {
            0..=2 => {
                let (batch, rows) = self.batch();
                self.steps.push(format!("append {} rows", rows.len()));
                append(&self.directory, [batch], self.partition_by).await.unwrap();
                self.now.extend(rows);
            }
            3 => {
                let (batch, rows) = self.batch();
                self.steps.push(format!("overwrite with {} rows", rows.len()));
                append(&self.directory, [batch], self.partition_by).await.unwrap();
                overwrite(&self.directory, self.versions.len());
                self.now = rows;
            }
            4 => {
                self.steps.push("checkpoint".to_owned());
                let url = url::Url::from_directory_path(&self.directory).unwrap();
                let mut table = deltalake::DeltaTable::try_from_url(url).await.unwrap();
                table.load().await.unwrap();
                deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
                return;
            }
            _ => {
                let storages = [VectorStorage::Inline, VectorStorage::Relative, VectorStorage::Absolute];
                let storage = storages[self.dice.random_range(0..storages.len())];
                let gone = self.some();
                self.steps.push(format!("delete {} rows, {storage:?}", gone.len()));
                delete(&self.directory, storage, |batch| {
                    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
                    ids.iter().map(|id| id.map(|id| gone.contains(&id))).collect()
                })
                .unwrap();
                self.now.retain(|id, _| !gone.contains(id));
            }
        }
        self.versions.push(self.now.clone());
    }

    /// Some of the rows: single ones, a range, or one of several.
    fn some(&mut self) -> Vec<i64> {
        let ids: Vec<i64> = self.now.keys().copied().collect();
        let Some(last) = ids.last().copied() else { return ids };
        let (from, length) = (self.dice.random_range(0..=last), self.dice.random_range(1..80));
        match self.dice.random_range(0..3) {
            0 => ids.into_iter().filter(|_| self.dice.random_bool(0.1)).collect(),
            1 => ids.into_iter().filter(|id| (from..from + length).contains(id)).collect(),
            _ => ids.into_iter().filter(|id| id % 5 == from % 5).collect(),
        }
    }

    /// A filter, and the same over the model.
    fn filter(&mut self) -> (Option<Expr>, Box<Keeps>) {
        let from = self.dice.random_range(0..self.next_id);
        match self.dice.random_range(0..4) {
            0 => (None, Box::new(|_, _| true)),
            1 => (Some(col("id").gt_eq(lit(from))), Box::new(move |id, _| id >= from)),
            2 => (Some(col("region").is_null()), Box::new(|_, region| region.is_none())),
            _ => (
                Some(col("region").eq(lit("x")).and(col("id").lt(lit(from)))),
                Box::new(move |id, region| region.as_deref() == Some("x") && id < from),
            ),
        }
    }
}

/// Removes what was live before a version, in that version.
fn overwrite(directory: &Path, version: usize) {
    let path = |version: usize| directory.join(format!("_delta_log/{version:020}.json"));
    let actions = |version: usize| -> Vec<Value> {
        let text = fs::read_to_string(path(version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut live = BTreeMap::new();
    for action in (0..version).flat_map(actions) {
        if let Some(removed) = action.get("remove") {
            live.remove(removed["path"].as_str().unwrap());
        }
        if let Some(add) = action.get("add") {
            live.insert(add["path"].as_str().unwrap().to_owned(), add.clone());
        }
    }
    let removals = live.into_values().map(|add| {
        json!({"remove": {"path": add["path"], "dataChange": true, "deletionTimestamp": add["modificationTime"],
            "deletionVector": add.get("deletionVector")}})
    });
    let lines: Vec<_> = actions(version).into_iter().chain(removals).map(|action| action.to_string()).collect();
    fs::write(path(version), lines.join("\n")).unwrap();
}

async fn check(seed: u64) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let mut dice = StdRng::seed_from_u64(seed);
    let partition_by: &[_] = if dice.random_bool(0.5) { &["region"] } else { &[] };
    let mut history = History {
        dice,
        directory: root.join("table"),
        partition_by,
        next_id: 0,
        now: Rows::new(),
        versions: Vec::new(),
        steps: Vec::new(),
    };
    let bench = || Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &root).unwrap();
    // One that follows the table, and one that finds it as it is in the end.
    let (follows, finds) = (bench(), bench());
    for _ in 0..STEPS {
        history.step().await;
        compare(seed, &mut history, &follows, None).await;
    }
    for version in 0..history.versions.len() {
        compare(seed, &mut history, &finds, Some(version)).await;
    }
}

async fn compare(seed: u64, history: &mut History, bench: &Bench, version: Option<usize>) {
    let source = Source::at(Format::Delta, url::Url::from_directory_path(&history.directory).unwrap());
    let pin = version.map_or(Pin::Latest, |version| Pin::Version(version.to_string()));
    let (filter, keeps) = history.filter();
    let rows = version.map_or(&history.now, |version| &history.versions[version]);
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let mut expected: Vec<String> = rows
        .iter()
        .filter(|(id, (region, _))| keeps(**id, region))
        .map(|(id, (region, value))| format!("{}|{id}|{}", text(value.map(|v| v.to_string())), text(region.clone())))
        .collect();
    expected.sort();
    let told =
        format!("seed {seed}, version {version:?}, {filter:?}, {:?}: {:#?}", history.partition_by, history.steps);
    let found = bench.rows(&source, &pin, &["value", "id", "region"], filter).await;
    assert_eq!(found.unwrap_or_else(|error| panic!("{told}: {error:?}")), expected, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_random_histories_has_its_rows() {
    if let Some(seed) = std::env::var("MESHGATE_HISTORY_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return check(seed).await;
    }
    // Half of them new in each run.
    let new = chrono::Utc::now().timestamp_micros().cast_unsigned();
    for seed in (0..HISTORIES / 2).chain(new..new + HISTORIES / 2) {
        check(seed).await;
    }
}
