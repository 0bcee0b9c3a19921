//! Deletes that are wrong: what is said of them.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use meshgate_model::{Failure, Fault};
use meshgate_table::{Error, FIELD_ID};
use serde_json::Value;

use super::deletes::{Table, WAYS};
use crate::Deletion;
use crate::write::redescribe;

impl Table {
    /// Puts other rows into the delete file, and describes it as it is then.
    async fn rewrite(&self, columns: Vec<(Field, ArrayRef)>) {
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let path = self.delete_file();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let size = fs::metadata(&path).unwrap().len();
        redescribe(&self.directory(), |file| {
            file["file_size_in_bytes"] = size.into();
            file["record_count"] = batch.num_rows().into();
        })
        .await
        .unwrap();
    }
}

/// Descriptions of delete files that are wrong, in every way.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_descriptions_are_errors() {
    type Change = fn(&mut Value);
    let all: [(&str, Change); 4] = [
        ("count", |file| file["record_count"] = 2.into()),
        ("no rows", |file| file["record_count"] = 0.into()),
        ("no such file", |file| file["file_path"] = (file["file_path"].as_str().unwrap().to_owned() + "x").into()),
        ("outside", |file| file["file_path"] = "file:///etc/deletes.parquet".into()),
    ];
    let parquet: [(&str, Change); 2] = [
        ("size", |file| file["file_size_in_bytes"] = 20.into()),
        ("far too large", |file| file["file_size_in_bytes"] = i64::MAX.into()),
    ];
    let vector: [(&str, Change); 5] = [
        ("offset", |file| file["content_offset"] = 5.into()),
        ("begin", |file| file["content_offset"] = 0.into()),
        ("far offset", |file| file["content_offset"] = (i64::MAX - 60).into()),
        ("size", |file| file["content_size_in_bytes"] = 20.into()),
        ("large", |file| file["content_size_in_bytes"] = (1 << 20).into()),
    ];
    let equality: [(&str, Change); 2] = [
        ("no columns", |file| file["equality_ids"] = Value::Array(Vec::new())),
        ("another column", |file| file["equality_ids"] = Value::Array(vec![5.into()])),
    ];
    for (way, more) in
        [(WAYS[0], &[][..]), (WAYS[2], &vector[..]), (Deletion::EqualityEverywhere(&["id"]), &equality[..])]
    {
        let more = if way == Deletion::Vectors { more.to_vec() } else { [&parquet[..], more].concat() };
        for (name, change) in all.into_iter().chain(more) {
            let table = Table::new(&[]).await;
            table.delete(way, |id| id < 20 && id % 7 == 0).await;
            assert_eq!(table.rows().await.unwrap(), 37);
            redescribe(&table.directory(), change).await.unwrap();
            let error = table.rows().await.expect_err(name);
            assert_eq!(error.fault(), Fault::Unavailable, "{way:?} {name}: {error:?}");
            assert_eq!(error.public().primary, "the table's data cannot be read just now", "{name}: {error:?}");
            assert_eq!(matches!(error, Error::OutsideStorage { .. }), name == "outside", "{error:?}");
        }
    }
}

/// What is not built is refused by its name, whichever way.
#[tokio::test(flavor = "multi_thread")]
async fn other_formats_of_delete_files_are_refused() {
    for (way, kind) in [(WAYS[0], "positional"), (WAYS[3], "equality")] {
        for format in ["avro", "orc"] {
            let table = Table::new(&[]).await;
            table.delete(way, |id| id % 7 == 0).await;
            redescribe(&table.directory(), |file| file["file_format"] = format.to_uppercase().into()).await.unwrap();
            let error = table.rows().await.expect_err(format);
            let expected = format!("the table uses {format} {kind} delete files, which is not supported");
            assert_eq!(error.public().primary, expected);
        }
    }
}

/// A file of another domain is no delete file.
#[tokio::test(flavor = "multi_thread")]
async fn delete_files_outside_the_domain_are_refused() {
    for way in [Deletion::Positions, Deletion::Vectors, Deletion::EqualityEverywhere(&["id"])] {
        let table = Table::new(&[]).await;
        table.delete(way, |id| id < 20 && id % 7 == 0).await;
        let inside = table.delete_file();
        let outside = table.directory().parent().unwrap().with_file_name("outside");
        fs::rename(&inside, &outside).unwrap();
        let link = inside.with_file_name("link");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let up = format!("file://{}/../../../outside", inside.parent().unwrap().display());
        let file = |path: &Path| format!("file://{}", path.display());
        for path in [file(&outside), file(&link), up, "s3://lake/deletes".to_owned(), "deletes".to_owned()] {
            redescribe(&table.directory(), |file| file["file_path"] = path.clone().into()).await.unwrap();
            let error = table.rows().await.unwrap_err();
            assert!(matches!(error, Error::OutsideStorage { .. }), "{way:?} {path}: {error:?}");
        }
    }
}

/// A vector that has one bit changed anywhere, or a file that ends too early.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_vectors_are_errors() {
    let table = Table::new(&[]).await;
    table.delete(Deletion::Vectors, |id| id < 20 && id % 7 == 0).await;
    let file = table.delete_file();
    let (mut begin, mut size) = (0, 0);
    redescribe(&table.directory(), |file| {
        let number = |name: &str| usize::try_from(file[name].as_u64().unwrap()).unwrap();
        (begin, size) = (number("content_offset"), number("content_size_in_bytes"));
    })
    .await
    .unwrap();
    let whole = fs::read(&file).unwrap();
    for at in begin..begin + size {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        let error = table.rows().await.expect_err("a changed bit");
        assert!(matches!(error, Error::Malformed { .. }), "{at}: {error:?}");
        fs::write(&file, &whole[..at]).unwrap();
        table.rows().await.expect_err("a file that is cut off");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(table.rows().await.unwrap(), 37);
}

/// Positional delete files that say what cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_positions_are_errors() {
    let table = Table::new(&[]).await;
    table.delete(Deletion::PositionsByFile, |id| id == 1).await;
    let mut path = String::new();
    redescribe(&table.directory(), |file| file["referenced_data_file"].as_str().unwrap().clone_into(&mut path))
        .await
        .unwrap();
    let column = |name: &str, array: &ArrayRef, id: Option<i32>| {
        let field = Field::new(name, array.data_type().clone(), true);
        match id {
            Some(id) => field.with_metadata([(FIELD_ID.to_owned(), id.to_string())].into()),
            None => field,
        }
    };
    let (path_id, pos_id) = (Some(i32::MAX - 101), Some(i32::MAX - 102));
    let paths = |paths: Vec<Option<&str>>| Arc::new(StringArray::from(paths)) as ArrayRef;
    let at = |at: Vec<Option<i64>>| Arc::new(Int64Array::from(at)) as ArrayRef;
    let own = path.as_str();
    for (name, (path_id, paths), (pos_id, at), left) in [
        ("as it was", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(1)])), Some(39)),
        ("not in their order", (path_id, paths(vec![Some(own); 2])), (pos_id, at(vec![Some(3), Some(1)])), Some(38)),
        ("twice", (path_id, paths(vec![Some(own); 2])), (pos_id, at(vec![Some(1); 2])), Some(39)),
        ("of others", (path_id, paths(vec![Some("file:///else")])), (pos_id, at(vec![Some(1)])), Some(40)),
        ("by name", (None, paths(vec![Some(own)])), (None, at(vec![Some(1)])), Some(39)),
        ("beyond the last row", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(20)])), None),
        ("far beyond", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(i64::MAX)])), None),
        ("negative", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![Some(-1)])), None),
        ("no position", (path_id, paths(vec![Some(own)])), (pos_id, at(vec![None])), None),
        ("no path", (path_id, paths(vec![None])), (pos_id, at(vec![Some(1)])), None),
        ("another column", (path_id, paths(vec![Some(own)])), (Some(7), at(vec![Some(1)])), None),
    ] {
        let columns =
            vec![(column("file_path", &paths, path_id), paths.clone()), (column("pos", &at, pos_id), at.clone())];
        table.rewrite(columns).await;
        match (table.rows().await, left) {
            (Ok(found), Some(left)) => assert_eq!(found, left, "{name}"),
            (Err(Error::Malformed { .. }), None) => {}
            (found, left) => panic!("{name}: {found:?}, not {left:?}"),
        }
    }
}
