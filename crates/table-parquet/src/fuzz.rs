//! Hostile bytes in Parquet files, and hostile names of directories and files.
//!
//! Beside the domain's directory lies a table that it may not read; whatever names and files say, none of its rows arrive.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_table::conformance::{Bench, batch};
use meshgate_table::{Format, Layout, Pin, Source};
use tokio::runtime::Runtime;

use crate::tests::Machine;
use crate::{ParquetFormat, append};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CANARY: &str = "canary-of-another-domain";

/// A domain with one table, and a table of another domain.
struct House {
    runtime: Runtime,
    root: tempfile::TempDir,
    partitioned: bool,
}

impl House {
    fn build(partitioned: bool) -> Self {
        // One thread, so that what is allocated is counted.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let root = tempfile::tempdir().expect("a directory");
        let table = root.path().join("domain/table");
        let partition_by: &[&str] = if partitioned { &["region"] } else { &[] };
        append(&table, "a", &batch(0, 9).expect("rows"), partition_by).expect("a file");
        append(&table, "b", &batch(9, 12).expect("rows"), partition_by).expect("a file");
        let columns: [(&str, ArrayRef); 2] =
            [("id", Arc::new(Int64Array::from(vec![1]))), ("name", Arc::new(StringArray::from(vec![CANARY])))];
        let secret = RecordBatch::try_from_iter(columns).expect("a row");
        append(&root.path().join("other"), "secret", &secret, &[]).expect("a file");
        Self { runtime, root, partitioned }
    }

    /// Reads all of the table, as a gateway that has not seen it before.
    fn read(&self) -> Result<String, String> {
        let domain = self.root.path().join("domain").canonicalize().map_err(|error| error.to_string())?;
        let url = url::Url::from_directory_path(domain.join("table")).map_err(|()| "no path")?;
        let partitions = if self.partitioned { vec![("region".to_owned(), DataType::Utf8View)] } else { Vec::new() };
        let columns = vec![("name".to_owned(), None), ("id".to_owned(), Some(DataType::Int64))];
        let layout = Layout { table: "a.b.c".to_owned(), partitions, columns };
        let source = Source::at(Format::Parquet, url).with_layout(layout);
        let read = async {
            let format = ParquetFormat { files_max: 100 };
            let bench = Bench::new(Arc::new(format), Arc::new(Machine), &domain)?;
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

    /// Puts each input where a file is and reads the table.
    fn feed(&self, file: &Path, fuzz: Fuzz) {
        assert_eq!(self.read().as_deref(), Ok("rows"), "before anything is changed");
        fuzz.inputs(150).run(|input| {
            fs::write(file, input).map_err(|error| error.to_string())?;
            self.read()
        });
    }
}

/// The file that tells the columns, and one that has to fit.
#[test]
fn fuzz_parquet_file() {
    let house = House::build(false);
    let first = house.root.path().join("domain/table/a.parquet");
    let whole = fs::read(&first).expect("a file");
    house.feed(&first, Fuzz::bytes("parquet_file").input(whole));
}

/// Footers alone: nearly all of them are a footer of this file, changed.
#[test]
fn fuzz_parquet_footer() {
    let house = House::build(false);
    let second = house.root.path().join("domain/table/b.parquet");
    let whole = fs::read(&second).expect("a file");
    let length = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().expect("four bytes"));
    let start = whole.len() - 8 - usize::try_from(length).expect("a small file");
    let (rows, footer) = (whole[..start].to_vec(), whole[start..whole.len() - 8].to_vec());
    assert_eq!(house.read().as_deref(), Ok("rows"), "before anything is changed");
    Fuzz::bytes("parquet_footer").input(footer).words([b"ARROW:schema".as_slice(), b"id", b"name"]).inputs(150).run(
        |input| {
            let length = u32::try_from(input.len()).map_err(|error| error.to_string())?;
            let file = [&rows, input, &length.to_le_bytes(), b"PAR1"].concat();
            fs::write(&second, file).map_err(|error| error.to_string())?;
            house.read()
        },
    );
}

/// What a directory may be called.
#[test]
fn fuzz_partition_name() {
    let house = House::build(true);
    let table = house.root.path().join("domain/table");
    let words =
        ["=", "region=", "%2e%2e%2f", "..%2f..%2fother", "%00", "%FF", "%", "__HIVE_DEFAULT_PARTITION__", "_", "."];
    assert_eq!(house.read().as_deref(), Ok("rows"), "before anything is changed");
    let file = fs::read(table.join("region=EU/a.parquet")).expect("a file");
    Fuzz::text("partition_name").input(b"region=EU%20x/part-0.parquet".to_vec()).words(words).inputs(300).run(
        |input| {
            let name = String::from_utf8_lossy(input).replace('\0', "%00");
            let mut parts = name.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
            let Some(first) = parts.next() else { return Ok("no name".to_owned()) };
            let path = parts.fold(table.join(first), |path, part| path.join(part));
            if table.join(first).exists() {
                return Ok("a name of the table".to_owned());
            }
            // Not every name can be that of a file.
            let made = path.parent().map(fs::create_dir_all).is_some_and(|made| made.is_ok());
            let read = if made && fs::write(&path, &file).is_ok() { house.read() } else { Ok("no file".to_owned()) };
            let _ = fs::remove_dir_all(table.join(first));
            let _ = fs::remove_file(table.join(first));
            read
        },
    );
}
