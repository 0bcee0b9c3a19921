//! Random histories of tables: appended, deleted from in every way, columns renamed, widened, added and dropped,
//! partitioned anew; every snapshot against a model of its rows.
//!
//! `MESHGATE_HISTORY_SEED=<seed>` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{Expr, col, lit};
use iceberg::spec::{NestedField, PrimitiveType, Transform, Type, UnboundPartitionSpec};
use meshgate_table::conformance::Bench;
use meshgate_table::{FIELD_ID, Format, Pin, Source};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Machine, change_columns};
use crate::write::change;
use crate::{Deletion, IcebergFormat, delete, write};

const HISTORIES: u64 = 40;
const STEPS: usize = 12;
const REGIONS: [Option<&str>; 4] = [Some("EU"), Some("a b/c=%41&ü"), Some("x"), None];

/// The ids that the writer gives the first columns.
const ID: i32 = 1;
const REGION: i32 = 2;
const VALUE: i32 = 3;

#[derive(Clone, Debug)]
struct Row {
    region: Option<String>,
    value: Option<i64>,
    /// Of the column that was added last, if it is older than the row.
    extra: Option<i64>,
}

/// The rows of a snapshot, by id.
type Rows = BTreeMap<i64, Row>;

/// Whether a row with the id is wanted.
type Keeps = dyn Fn(i64, &Row) -> bool;

struct History {
    dice: StdRng,
    directory: PathBuf,
    begins_partitioned: bool,
    is_v3: bool,
    next_id: i64,
    names: Names,
    now: Rows,
    gone: BTreeSet<i64>,
    /// By the id of the snapshot.
    versions: Vec<(String, Rows)>,
    steps: Vec<String>,
}

struct Names {
    value: String,
    extra: Option<String>,
    count: usize,
}

impl Names {
    fn next(&mut self, of: &str) -> String {
        self.count += 1;
        format!("{of}_{}", self.count)
    }
}

impl History {
    fn batch(&mut self) -> (RecordBatch, Rows) {
        let count = self.dice.random_range(1..60);
        let mut ids: Vec<i64> = (self.next_id..self.next_id + count).collect();
        self.next_id += count;
        // Some that were deleted come back.
        let back: Vec<i64> = self.gone.iter().copied().filter(|_| self.dice.random_bool(0.3)).collect();
        self.gone.retain(|id| !back.contains(id));
        ids.extend(back);
        let has_extra = self.names.extra.is_some();
        let rows: Rows = ids
            .into_iter()
            .map(|id| {
                let region = REGIONS[self.dice.random_range(0..REGIONS.len())].map(str::to_owned);
                let value = self.dice.random_bool(0.8).then(|| self.dice.random_range(-9..9));
                let extra = (has_extra && self.dice.random_bool(0.7)).then(|| self.dice.random_range(0..4));
                (id, Row { region, value, extra })
            })
            .collect();
        let mut columns: Vec<(&str, arrow::array::ArrayRef, bool)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(rows.keys().copied())), true),
            ("region", Arc::new(StringArray::from_iter(rows.values().map(|row| row.region.as_deref()))), true),
            (&self.names.value, Arc::new(Int64Array::from_iter(rows.values().map(|row| row.value))), true),
        ];
        if let Some(name) = &self.names.extra {
            columns.push((name, Arc::new(Int64Array::from_iter(rows.values().map(|row| row.extra))), true));
        }
        // The first ones are narrow.
        let columns = columns.into_iter().map(|(name, array, null)| match self.versions.is_empty() {
            true if name != "region" => (name.to_owned(), cast(&array, &DataType::Int32).unwrap(), null),
            _ => (name.to_owned(), array, null),
        });
        (RecordBatch::try_from_iter_with_nullable(columns).unwrap(), rows)
    }

    async fn step(&mut self, bench: &Bench, source: &Source) {
        match if self.versions.is_empty() { 0 } else { self.dice.random_range(0..14) } {
            0..=3 => {
                let (batch, rows) = self.batch();
                self.steps.push(format!("append {} rows", rows.len()));
                let partition_by: &[&str] = if self.begins_partitioned { &["region"] } else { &[] };
                write(&self.directory, [batch], partition_by).await.unwrap();
                self.now.extend(rows);
            }
            4..=8 => self.delete().await,
            9 if !self.begins_partitioned => self.delete_values().await,
            10 => return self.columns(),
            11 => return self.partition(),
            12 => return self.add_or_drop(),
            _ => return self.widen(),
        }
        let snapshot = bench.tables.snapshot(&bench.stores, source, &Pin::Latest, None).await.unwrap();
        self.versions.push((snapshot.version().to_owned(), self.now.clone()));
    }

    async fn delete(&mut self) {
        let gone = self.some();
        let extra = self.names.extra.clone();
        let by_extra: Vec<&str> = ["id"].into_iter().chain(extra.as_deref()).collect();
        let ways = [
            Deletion::Positions,
            Deletion::PositionsByFile,
            Deletion::Vectors,
            Deletion::Equality(&["id"]),
            Deletion::Equality(&["region", "id"]),
            Deletion::Equality(&by_extra),
            Deletion::EqualityEverywhere(&["id"]),
        ];
        let way = match ways[self.dice.random_range(0..ways.len())] {
            Deletion::Positions | Deletion::PositionsByFile if self.is_v3 => Deletion::Vectors,
            // Not so soon.
            Deletion::Vectors if !self.is_v3 && self.dice.random_bool(0.5) => Deletion::Positions,
            way => way,
        };
        self.is_v3 |= way == Deletion::Vectors;
        self.steps.push(format!("delete {} rows, {way:?}", gone.len()));
        delete(&self.directory, way, |batch| {
            let ids = numbers(batch, ID).unwrap();
            ids.iter().map(|id| id.map(|id| gone.contains(&id))).collect()
        })
        .await
        .unwrap();
        self.remove(|id, _| gone.contains(&id));
    }

    /// All rows that have one of some values, by that column alone.
    async fn delete_values(&mut self) {
        let mut values: Vec<Option<i64>> = (0..3).map(|_| Some(self.dice.random_range(-9..9))).collect();
        if self.dice.random_bool(0.3) {
            values.push(None);
        }
        self.steps.push(format!("delete all of {values:?}"));
        let name = self.names.value.clone();
        delete(&self.directory, Deletion::EqualityEverywhere(&[&name]), |batch| match numbers(batch, VALUE) {
            Some(known) => known.iter().map(|value| Some(values.contains(&value))).collect(),
            None => BooleanArray::from(vec![values.contains(&None); batch.num_rows()]),
        })
        .await
        .unwrap();
        // Of values that are in no file there is no delete, and nothing to delete.
        self.remove(|_, row| values.contains(&row.value));
    }

    fn remove(&mut self, is_gone: impl Fn(i64, &Row) -> bool) {
        let gone: Vec<i64> = self.now.iter().filter(|(id, row)| is_gone(**id, row)).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| drop(self.now.remove(id)));
        self.gone.extend(gone);
    }

    fn columns(&mut self) {
        let name = self.names.next("value");
        self.steps.push(format!("rename to {name}"));
        change_columns(&self.directory, |fields| {
            let field = fields.iter_mut().find(|field| field.id == VALUE).unwrap();
            name.clone_into(&mut field.name);
        });
        self.names.value = name;
    }

    fn widen(&mut self) {
        let id = if self.dice.random_bool(0.5) { ID } else { VALUE };
        self.steps.push(format!("widen {id}"));
        change_columns(&self.directory, |fields| {
            let field = fields.iter_mut().find(|field| field.id == id).unwrap();
            *field.field_type = Type::Primitive(PrimitiveType::Long);
        });
    }

    /// What is dropped is another column than the next one, whatever its name.
    fn add_or_drop(&mut self) {
        if let Some(name) = self.names.extra.take() {
            self.steps.push(format!("drop {name}"));
            change_columns(&self.directory, |fields| fields.retain(|field| field.name != name));
            self.now.values_mut().for_each(|row| row.extra = None);
            self.versions.iter_mut().flat_map(|(_, rows)| rows.values_mut()).for_each(|row| row.extra = None);
            return;
        }
        self.steps.push("add".to_owned());
        let mut id = 0;
        change(&self.directory, |builder| {
            id = builder.clone().build()?.metadata.last_column_id() + 1;
            Ok(builder)
        })
        .unwrap();
        change_columns(&self.directory, |fields| {
            fields.push(NestedField::optional(id, "extra", Type::Primitive(PrimitiveType::Long)));
        });
        self.names.extra = Some("extra".to_owned());
    }

    fn partition(&mut self) {
        let (transform, source) = match self.dice.random_range(0..4) {
            0 => (Transform::Identity, REGION),
            1 => (Transform::Bucket(3), ID),
            2 => (Transform::Truncate(1), REGION),
            _ => (Transform::Void, REGION),
        };
        self.steps.push(format!("partition by {transform:?} of {source}"));
        let name = self.names.next("part");
        change(&self.directory, |builder| {
            let spec = match transform {
                Transform::Void => UnboundPartitionSpec::builder().build(),
                transform => UnboundPartitionSpec::builder().add_partition_field(source, name, transform)?.build(),
            };
            builder.add_default_partition_spec(spec)
        })
        .unwrap();
    }

    /// Some of the rows: single ones, a range, or one of several.
    fn some(&mut self) -> BTreeSet<i64> {
        let ids: Vec<i64> = self.now.keys().copied().collect();
        let Some(last) = ids.last().copied() else { return BTreeSet::new() };
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
        let value = self.dice.random_range(-9..9_i64);
        match self.dice.random_range(0..5) {
            0 => (None, Box::new(|_, _| true)),
            1 => (Some(col("id").gt_eq(lit(from))), Box::new(move |id, _| id >= from)),
            2 => (Some(col("region").is_null()), Box::new(|_, row| row.region.is_none())),
            3 => {
                let column = datafusion::common::Column::new_unqualified(self.names.value.clone());
                let filter = Expr::Column(column).eq(lit(value));
                (Some(filter), Box::new(move |_, row| row.value == Some(value)))
            }
            _ => (
                Some(col("region").eq(lit("x")).and(col("id").lt(lit(from)))),
                Box::new(move |id, row| row.region.as_deref() == Some("x") && id < from),
            ),
        }
    }
}

/// A column of whole numbers of a data file, by its id, if it is there.
fn numbers(batch: &RecordBatch, id: i32) -> Option<Int64Array> {
    let schema = batch.schema();
    let at = schema.fields().iter().position(|field| field.metadata().get(FIELD_ID) == Some(&id.to_string()))?;
    Some(cast(batch.column(at), &DataType::Int64).unwrap().as_primitive::<Int64Type>().clone())
}

async fn check(seed: u64) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let mut dice = StdRng::seed_from_u64(seed);
    let begins_partitioned = dice.random_bool(0.5);
    let mut history = History {
        dice,
        directory: root.join("table"),
        begins_partitioned,
        is_v3: false,
        next_id: 0,
        names: Names { value: "value".to_owned(), extra: None, count: 0 },
        now: Rows::new(),
        gone: BTreeSet::new(),
        versions: Vec::new(),
        steps: Vec::new(),
    };
    let bench = || Bench::new(Arc::new(IcebergFormat::new(Arc::new(Machine))), Arc::new(Machine), &root).unwrap();
    // One that follows the table, and one that finds it as it is in the end.
    let (follows, finds) = (bench(), bench());
    let source = Source::at(Format::Iceberg, url::Url::from_directory_path(&history.directory).unwrap());
    for _ in 0..STEPS {
        history.step(&follows, &source).await;
        compare(seed, &mut history, &follows, &source, None).await;
    }
    for version in 0..history.versions.len() {
        compare(seed, &mut history, &finds, &source, Some(version)).await;
    }
}

async fn compare(seed: u64, history: &mut History, bench: &Bench, source: &Source, version: Option<usize>) {
    let (filter, keeps) = history.filter();
    let (pin, rows) = match version {
        None => (Pin::Latest, &history.now),
        Some(version) => (Pin::Version(history.versions[version].0.clone()), &history.versions[version].1),
    };
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let number = |value: Option<i64>| text(value.map(|value| value.to_string()));
    let mut columns = vec![history.names.value.as_str(), "id", "region"];
    columns.extend(history.names.extra.as_deref());
    let mut expected: Vec<String> = rows
        .iter()
        .filter(|(id, row)| keeps(**id, row))
        .map(|(id, row)| {
            let cells = format!("{}|{id}|{}", number(row.value), text(row.region.clone()));
            if history.names.extra.is_some() { format!("{cells}|{}", number(row.extra)) } else { cells }
        })
        .collect();
    expected.sort();
    let told = format!(
        "seed {seed}, version {version:?}, {filter:?}, partitioned {}: {:#?}",
        history.begins_partitioned, history.steps
    );
    let found = bench.rows(source, &pin, &columns, filter).await;
    assert_eq!(found.unwrap_or_else(|error| panic!("{told}: {error:?}")), expected, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_snapshot_of_random_histories_has_its_rows() {
    if let Some(seed) = std::env::var("MESHGATE_HISTORY_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return check(seed).await;
    }
    // Half of them new in each run.
    let new = chrono::Utc::now().timestamp_micros().cast_unsigned();
    for seed in (0..HISTORIES / 2).chain(new..new + HISTORIES / 2) {
        check(seed).await;
    }
}
