//! Hostile bytes in the files of a table: its log, its checkpoints, its data.
//!
//! Beside the domain's directory lies a table that it may not read; whatever the files say, none of its rows arrive.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_table::conformance::{Bench, batch};
use meshgate_table::vector::{self, PORTABLE_MAGIC};
use meshgate_table::{Format, Pin, Source};
use tokio::runtime::Runtime;

use crate::tests::Machine;
use crate::{DeltaFormat, VectorStorage, append, delete};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CANARY: &str = "canary-of-another-domain";

/// A domain with one table, and a table of another domain.
struct House {
    runtime: Runtime,
    root: tempfile::TempDir,
    log: PathBuf,
    data: PathBuf,
    outside: PathBuf,
}

impl House {
    /// Three versions, the first two in a checkpoint.
    fn build() -> Self {
        // One thread, so that what is allocated is counted.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let root = tempfile::tempdir().expect("a directory");
        let (table, other) = (root.path().join("domain/table"), root.path().join("other"));
        runtime.block_on(async {
            append(&table, [batch(0, 5).expect("rows")], &["region"]).await.expect("a table");
            append(&table, [batch(5, 10).expect("rows")], &["region"]).await.expect("a version");
            let url = url::Url::from_directory_path(table.canonicalize().expect("there")).expect("a path");
            let made = deltalake::DeltaTable::try_from_url(url).await.expect("a table");
            let mut made = made;
            made.load().await.expect("a log");
            deltalake::checkpoints::create_checkpoint(&made, None).await.expect("a checkpoint");
            append(&table, [batch(10, 12).expect("rows")], &["region"]).await.expect("a version");
            let columns: [(&str, ArrayRef); 2] =
                [("id", Arc::new(Int64Array::from(vec![1]))), ("name", Arc::new(StringArray::from(vec![CANARY])))];
            let secret = RecordBatch::try_from_iter(columns).expect("a row");
            append(&other, [secret], &[]).await.expect("a table");
        });
        let data = parquet_in(&table).expect("a data file");
        let outside = parquet_in(&other).expect("a data file").canonicalize().expect("there");
        Self { runtime, log: table.join("_delta_log"), data, outside, root }
    }

    /// Reads all of the table, as a gateway that has not seen it before.
    fn read(&self) -> Result<String, String> {
        let domain = self.root.path().join("domain").canonicalize().map_err(|error| error.to_string())?;
        let url = url::Url::from_directory_path(domain.join("table")).map_err(|()| "no path")?;
        let source = Source::at(Format::Delta, url);
        let read = async {
            let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &domain)?;
            let schema = bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, None).await?.schema().clone();
            let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            bench.rows(&source, &Pin::Latest, &columns, None).await
        };
        // The engine opens and reads tables in tasks of its own, where a panic of a library is an error of that query. Here
        // it must not be the end either.
        let Ok(read) = catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(read))) else {
            return Ok("a panic".to_owned());
        };
        match read {
            Ok(rows) if rows.iter().any(|row| row.contains(CANARY)) => Err("rows of another domain".to_owned()),
            Ok(rows) => Ok(if rows.is_empty() { "nothing" } else { "rows" }.to_owned()),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// Deletes a row of the newest version, with a vector in a file. Gives the commit and the file.
    fn delete(&self) -> (PathBuf, PathBuf) {
        let table = self.log.parent().expect("a table");
        delete(table, VectorStorage::Relative, |batch| {
            let ids = batch.column_by_name("id").expect("a column").as_primitive::<Int32Type>();
            ids.iter().map(|id| Some(id == Some(10))).collect()
        })
        .expect("a version");
        let vectors = fs::read_dir(table.join("dv")).expect("a directory").flatten().next().expect("a file");
        (self.log.join("00000000000000000003.json"), vectors.path())
    }

    /// Puts each input where a file is and reads the table.
    fn feed(&self, file: &Path, fuzz: Fuzz) {
        assert_eq!(self.read().as_deref(), Ok("rows"), "before anything is changed");
        fuzz.inputs(150).run(|input| {
            fs::write(file, input).map_err(|error| error.to_string())?;
            self.read()
        });
    }

    /// The other domain's file, in every way in which it might be named.
    fn ways_out(&self) -> Vec<String> {
        let path = self.outside.display();
        let name = self.outside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        vec![
            format!("file://{path}"),
            format!("{path}"),
            format!("../../other/{name}"),
            format!("%2e%2e/%2e%2e/other/{name}"),
            format!("..%2f..%2fother/{name}"),
            "../".to_owned(),
        ]
    }
}

/// The data file of the least content: names are random, and a seed has to repeat.
fn parquet_in(directory: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let paths = paths.filter(|path| !path.ends_with("_delta_log"));
    let files = paths.filter_map(|path| if path.is_dir() { parquet_in(&path) } else { Some(path) });
    files.filter(|path| path.extension().is_some_and(|e| e == "parquet")).min_by_key(|path| fs::read(path).ok())
}

#[test]
fn fuzz_delta_log() {
    let house = House::build();
    let commit = house.log.join("00000000000000000002.json");
    let first = fs::read(house.log.join("00000000000000000000.json")).expect("a commit");
    let words = [
        "{\"add\":{\"path\":\"",
        "{\"remove\":",
        "{\"metaData\":",
        "{\"protocol\":",
        "\"numRecords\":",
        "null",
        "\"deletionVector\":{\"storageType\":\"p\"",
        "\"sidecar\":",
    ];
    let fuzz = Fuzz::text("delta_log").input(fs::read(&commit).expect("a commit")).input(first);
    house.feed(&commit, fuzz.words(words).words(house.ways_out()));
}

#[test]
fn fuzz_delta_checkpoint() {
    let house = House::build();
    let checkpoint = house.log.join("00000000000000000001.checkpoint.parquet");
    let fuzz = Fuzz::bytes("delta_checkpoint").input(fs::read(&checkpoint).expect("a checkpoint"));
    house.feed(&checkpoint, fuzz.words(house.ways_out()));
}

#[test]
fn fuzz_delta_last_checkpoint() {
    let house = House::build();
    let hint = house.log.join("_last_checkpoint");
    let others = ["{\"version\":1,\"size\":9223372036854775807,\"parts\":4294967295}", "{\"version\":-1,\"size\":0}"];
    let fuzz = Fuzz::text("delta_last_checkpoint").input(fs::read(&hint).expect("a hint")).all(others);
    house.feed(&hint, fuzz.words(["\"parts\":", "\"v2Checkpoint\":{\"path\":\"", "\"checkpointSchema\":"]));
}

#[test]
fn fuzz_data_file() {
    let house = House::build();
    let fuzz = Fuzz::bytes("data_file").input(fs::read(&house.data).expect("a data file"));
    house.feed(&house.data, fuzz);
}

/// What a log says of deletion vectors.
#[test]
fn fuzz_deletion_vector_log() {
    let house = House::build();
    let (commit, _) = house.delete();
    let others = [
        "\"storageType\":\"i\"",
        "\"storageType\":\"p\"",
        "\"offset\":2147483647",
        "\"sizeInBytes\":2147483647",
        "\"cardinality\":9223372036854775807",
        "\"numRecords\":9223372036854775807",
        "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
    ];
    let fuzz = Fuzz::text("deletion_vector_log").input(fs::read(&commit).expect("a commit"));
    house.feed(&commit, fuzz.words(others).words(house.ways_out()));
}

/// The file of deletion vectors: nothing of it is read that its checksum does not cover.
#[test]
fn fuzz_deletion_vector_file() {
    let house = House::build();
    let (_, vectors) = house.delete();
    let whole = fs::read(&vectors).expect("a file");
    assert_eq!(house.read().as_deref(), Ok("rows"), "before anything is changed");
    Fuzz::bytes("deletion_vector_file").input(whole.clone()).inputs(150).run(|input| {
        fs::write(&vectors, input).map_err(|error| error.to_string())?;
        match house.read()? {
            // What is behind the vector is not its affair.
            rows if rows == "rows" && !input.starts_with(&whole) => Err("rows by a damaged vector".to_owned()),
            ended => Ok(ended),
        }
    });
}

/// The positions themselves, as whoever writes the checksum may have them.
#[test]
fn fuzz_deletion_vector() {
    let positions = |rows: &[u64]| {
        let mut bytes = PORTABLE_MAGIC.to_le_bytes().to_vec();
        let mut positions: roaring::RoaringTreemap = rows.iter().copied().collect();
        positions.insert_range(70_000..200_000);
        positions.optimize();
        positions.serialize_into(&mut bytes).expect("in memory");
        bytes
    };
    // Containers of all kinds.
    let many: Vec<u64> = (0..10_000).map(|n| n * 3).chain([1 << 33, u64::MAX]).collect();
    let fuzz = Fuzz::bytes("deletion_vector").input(positions(&[1, 5, 7])).input(positions(&many));
    fuzz.words([&u32::MAX.to_le_bytes()[..], &12_346_u32.to_le_bytes()]).inputs(20_000).run(|input| {
        Ok(vector::positions(input).map_or_else(str::to_owned, |found| format!("{} positions", found.len().min(10))))
    });
}
