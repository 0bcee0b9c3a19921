//! Hostile bytes in the files of a table: its metadata, its manifest lists, its manifests, its delete files.
//!
//! Beside the domain's directory lies a table that it may not read; whatever the files say, none of its rows arrive.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_table::conformance::{Bench, batch};
use meshgate_table::{Format, Pin, Source};
use tokio::runtime::Runtime;

use crate::tests::Machine;
use crate::{Deletion, IcebergFormat, delete, write};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most elements that Avro's reader makes room for, and what one takes.
const RESERVED_MAX: usize = (32 << 20) * 64;

const CANARY: &str = "canary-of-another-domain";

/// A domain with one table, and a table of another domain.
struct House {
    runtime: Runtime,
    root: tempfile::TempDir,
    metadata: PathBuf,
    outside: PathBuf,
}

impl House {
    fn build() -> Self {
        // One thread, so that what is allocated is counted.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let root = tempfile::tempdir().expect("a directory");
        let (table, other) = (root.path().join("domain/table"), root.path().join("other"));
        let metadata = runtime.block_on(async {
            write(&table, [batch(0, 5).expect("rows")], &["region"]).await.expect("a table");
            let columns: [(&str, ArrayRef); 2] =
                [("id", Arc::new(Int64Array::from(vec![1]))), ("name", Arc::new(StringArray::from(vec![CANARY])))];
            let secret = RecordBatch::try_from_iter(columns).expect("a row");
            write(&other, [secret], &[]).await.expect("a table");
            write(&table, [batch(5, 10).expect("rows")], &["region"]).await.expect("a snapshot")
        });
        let outside = file(&other.join("data"), ".parquet").canonicalize().expect("there");
        Self { runtime, metadata, outside, root }
    }

    /// Reads all of the table, as a gateway that has not seen it before.
    fn read(&self) -> Result<String, String> {
        let domain = self.root.path().join("domain").canonicalize().map_err(|error| error.to_string())?;
        let url = url::Url::from_directory_path(domain.join("table")).map_err(|()| "no path")?;
        let source = Source::at(Format::Iceberg, url);
        let read = async {
            let bench = Bench::new(Arc::new(IcebergFormat::new(Arc::new(Machine))), Arc::new(Machine), &domain)?;
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
            Err(error) => Ok(format!("{error:?}")),
        }
    }

    /// Deletes a row. Gives the manifest that says so, and the delete file.
    fn delete(&self, how: Deletion<'_>) -> (PathBuf, PathBuf) {
        let table = self.root.path().join("domain/table");
        let deleted = delete(&table, how, |batch| {
            let ids = batch.column_by_name("id").expect("a column").as_primitive::<Int32Type>();
            ids.iter().map(|id| Some(id == Some(4))).collect()
        });
        self.runtime.block_on(deleted).expect("a snapshot");
        let data = table.join("data");
        let directories = fs::read_dir(&data).expect("a directory").flatten().map(|entry| entry.path());
        let directories = directories.filter(|path| path.is_dir()).chain([data.clone()]);
        let files = directories.flat_map(|directory| fs::read_dir(directory).expect("a directory").flatten());
        let named = |path: &PathBuf| path.to_string_lossy().contains("deletes.");
        let found = files.map(|entry| entry.path()).find(named).expect("a delete file");
        (file(&table.join("metadata"), "-deletes.avro"), found)
    }

    /// Puts each input where a file is and reads the table.
    fn feed(&self, file: &Path, fuzz: Fuzz) {
        assert_eq!(self.read().as_deref(), Ok("rows"), "before anything is changed");
        // The library makes room for what a list says it holds, without touching it.
        let fuzz = fuzz.input(fs::read(file).expect("a file")).words(self.ways_out()).held_max(RESERVED_MAX);
        fuzz.inputs(250).run(|input| {
            fs::write(file, input).map_err(|error| error.to_string())?;
            self.read()
        });
    }

    /// The other domain's file, in every way in which it might be named.
    fn ways_out(&self) -> Vec<String> {
        let path = self.outside.display();
        vec![format!("file://{path}"), format!("{path}"), "/../../other/".to_owned(), "%2e%2e/".to_owned()]
    }

    /// A list of `manifests`, or a manifest.
    fn beside(&self, holds: &str) -> PathBuf {
        let directory = self.metadata.parent().expect("a directory");
        let files = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
        let named = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.ends_with(".avro") && name.starts_with("snap-") == (holds == "manifests")
        };
        // The newest list is the longest, and any manifest will do; names are random, and a seed has to repeat.
        files.filter(named).max_by_key(|path| fs::read(path).map(|bytes| (bytes.len(), bytes)).ok()).expect("a file")
    }
}

fn file(directory: &Path, end: &str) -> PathBuf {
    let files = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(end) && !name.starts_with("snap-")
    };
    let mut files = files.filter(named);
    files.next().expect("a file")
}

#[test]
fn fuzz_iceberg_metadata() {
    let house = House::build();
    let words = [
        "\"manifest-list\":\"",
        "\"current-snapshot-id\":",
        "\"snapshots\":[",
        "\"refs\":{",
        "\"schemas\":[",
        "\"type\":\"struct\"",
        "\"format-version\":",
        "\"parent-snapshot-id\":",
        "\"partition-specs\":",
        "\"element-id\":",
        "decimal(38,38)",
        "fixed[9223372036854775807]",
        "null",
    ];
    let words = words.into_iter().map(str::to_owned);
    house.feed(&house.metadata, Fuzz::text("iceberg_metadata").words(words));
}

#[test]
fn fuzz_iceberg_manifest_list() {
    let house = House::build();
    house.feed(&house.beside("manifests"), Fuzz::bytes("iceberg_manifest_list"));
}

#[test]
fn fuzz_iceberg_manifest() {
    let house = House::build();
    house.feed(&house.beside("files"), Fuzz::bytes("iceberg_manifest"));
}

#[test]
fn fuzz_iceberg_hint() {
    let house = House::build();
    let hint = house.metadata.with_file_name("version-hint.text");
    house.feed(&hint, Fuzz::text("iceberg_hint").all(["18446744073709551615", "1", "v1", "../x", ".metadata.json"]));
}

#[test]
fn fuzz_iceberg_delete_manifest() {
    for how in [Deletion::PositionsByFile, Deletion::Vectors, Deletion::Equality(&["id", "region"])] {
        let house = House::build();
        let (manifest, _) = house.delete(how);
        let words = ["PARQUET", "PUFFIN", "AVRO", "\u{2}", "file:///"].into_iter().map(str::to_owned);
        house.feed(&manifest, Fuzz::bytes("iceberg_delete_manifest").words(words));
    }
}

#[test]
fn fuzz_iceberg_delete_file() {
    for how in [Deletion::Positions, Deletion::Equality(&["id", "region"])] {
        let house = House::build();
        let (_, file) = house.delete(how);
        house.feed(&file, Fuzz::bytes("iceberg_delete_file"));
    }
}

/// A file of deletion vectors: nothing of it is read that its checksum does not cover.
#[test]
fn fuzz_iceberg_vectors() {
    let house = House::build();
    let (_, vectors) = house.delete(Deletion::Vectors);
    let whole = fs::read(&vectors).expect("a file");
    assert_eq!(house.read().as_deref(), Ok("rows"), "before anything is changed");
    // The magic number, the only vector, and the footer, which says what the manifest says.
    let length = u32::from_be_bytes(*whole[4..].first_chunk().expect("a length"));
    let end = usize::try_from(length).expect("short") + 4 + 8;
    Fuzz::bytes("iceberg_vectors").input(whole.clone()).inputs(250).held_max(RESERVED_MAX).run(|input| {
        fs::write(&vectors, input).map_err(|error| error.to_string())?;
        match house.read()? {
            rows if rows == "rows" && input.get(4..end) != Some(&whole[4..end]) => {
                Err("rows by a damaged vector".to_owned())
            }
            ended => Ok(ended),
        }
    });
}

/// Metadata that is packed: as many blanks, and as many values, as anybody likes.
#[test]
fn packed_metadata_is_unpacked_within_limits() {
    let house = House::build();
    let packed = |begin: &[u8], part: &[u8], mebibytes: usize| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(begin).expect("in memory");
        let part = part.repeat((1 << 20) / part.len());
        (0..mebibytes).try_for_each(|_| packed.write_all(&part)).expect("in memory");
        packed.finish().expect("in memory")
    };
    let bombs = [packed(b"", b" ", 260), packed(b"{\"a\":[0", b",0", 20)];
    Fuzz::bytes("iceberg_packed").all(bombs).inputs(0).held_max(400 << 20).time_max(Duration::from_secs(60)).run(
        |input| {
            fs::write(&house.metadata, input).map_err(|error| error.to_string())?;
            house.read()
        },
    );
}
