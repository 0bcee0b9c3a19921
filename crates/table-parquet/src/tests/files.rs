//! Which files a table has.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use arrow::datatypes::DataType;
use meshgate_model::Failure;
use meshgate_table::{Error, Layout, Located, Pin};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::{Place, assert_misfit, find};
use crate::listing::Lister;

#[tokio::test(flavor = "multi_thread")]
async fn hidden_and_empty_files_are_left_out() {
    let place = Place::new();
    for (file, id) in [("b.parquet", 1), ("a/deep.PARQ", 2), ("a b%41/c=d/000000_0", 3), ("x#y.snappy.parquet", 4)] {
        place.ids(file, [id]);
    }
    for hidden in ["_SUCCESS.parquet", ".b.parquet.crc", "_temporary/0/part.parquet", "a/.staging/part.parquet"] {
        place.ids(hidden, [99]);
    }
    fs::write(place.table.join("a_$folder$"), "").unwrap();
    fs::write(place.table.join("empty.csv"), "").unwrap();
    fs::write(place.table.join("_SUCCESS"), "anything").unwrap();
    assert_eq!(place.rows(&["id"]).await.unwrap(), ["1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_are_refused() {
    for other in ["notes.csv", "a/part.orc", "b.parquet.gz", "metadata/v1.metadata.json"] {
        let place = Place::new();
        place.ids("b.parquet", [1]);
        place.ids(other, [2]);
        assert_misfit(place.rows(&["id"]).await, other, "neither hidden nor a Parquet file");
    }
    let place = Place::new();
    place.ids("b.parquet", [1]);
    place.ids("no-ending", [1]);
    fs::write(place.table.join("no-ending"), "this is no Parquet file at all").unwrap();
    assert!(place.rows(&["id"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_a_log_are_not_read_without_it() {
    for log in ["_delta_log", "inner/_delta_log"] {
        let place = Place::new();
        place.ids("b.parquet", [1]);
        fs::create_dir_all(place.table.join(log)).unwrap();
        fs::write(place.table.join(log).join("00000000000000000000.json"), "{}").unwrap();
        assert_misfit(place.rows(&["id"]).await, log, "the log of a Delta table");
    }
}

#[tokio::test]
async fn an_object_store_is_listed_at_once() {
    let store = Arc::new(InMemory::new());
    let put = async |path: &str, bytes: usize| {
        let path = object_store::path::Path::parse(path).expect("a path");
        store.put(&path, vec![b'x'; bytes].into()).await.expect("an object");
    };
    for (path, bytes) in [
        ("t/k=1/b.parquet", 3),
        ("t/k=1/_tmp/b.parquet", 3),
        ("t/_delta/k=1/b.parquet", 3),
        ("t/k=2", 0),
        ("t/k=2/a.parquet", 2),
        ("t/_SUCCESS", 1),
        ("t2/k=1/c.parquet", 3),
    ] {
        put(path, bytes).await;
    }
    let path = object_store::path::Path::from("t");
    let root = Located { store: store.clone(), path, url: "s3://lake/t".to_owned(), grant: 0, local: false };
    let layout = Layout { partitions: vec![("k".to_owned(), DataType::Int32)], ..Layout::default() };
    let list = async |files_max: usize| {
        let lister = Lister { root: &root, may_be_file: false, layout: &layout, files_max };
        let files = lister.list().await?.files.into_iter();
        Ok::<_, Error>(files.map(|file| format!("{:?} {}", file.directories, file.meta.location)).collect::<Vec<_>>())
    };
    assert_eq!(list(6).await.expect("files"), ["[\"k=1\"] t/k=1/b.parquet", "[\"k=2\"] t/k=2/a.parquet"]);
    assert!(matches!(list(5).await, Err(Error::TooManyFiles { max: 5, .. })));
    put("t/k=1/notes.txt", 1).await;
    assert!(matches!(list(9).await, Err(Error::Misfit { .. })));
    put("t/_delta_log/0.json", 1).await;
    assert!(matches!(list(9).await, Err(Error::Misfit { file, .. }) if file.starts_with("t/_delta_log")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_a_table() {
    let mut place = Place::new();
    place.ids("one.parquet", [1]);
    place.ids("two.parquet", [2]);
    place.ids("three.parquet/part-0.parquet", [3]);
    let directory = place.table.clone();
    for (file, expected) in [("one.parquet", "1"), ("two.parquet", "2"), ("three.parquet", "3")] {
        place.table = directory.join(file);
        let mut source = place.source();
        source.url.pop();
        let found = place.bench().rows(&source, &Pin::Latest, &["id"], None).await.unwrap();
        assert_eq!(found, [expected]);
    }
    place.table = directory.join("four.parquet");
    let mut source = place.source();
    source.url.pop();
    let error = place.bench().rows(&source, &Pin::Latest, &["id"], None).await.unwrap_err();
    assert!(matches!(find(error.as_ref()), Some(Error::NotFound { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_files_are_listed() {
    let mut place = Place::new();
    (0..4).for_each(|id| place.ids(&format!("{id}.parquet"), [id]));
    place.ids(".hidden.parquet", [9]);
    place.files_max = 5;
    assert_eq!(place.rows(&["id"]).await.unwrap().len(), 4);
    place.files_max = 4;
    let error = place.rows(&["id"]).await.unwrap_err();
    let Some(ours @ Error::TooManyFiles { max: 4, .. }) = find(error.as_ref()) else { panic!("{error:?}") };
    let public = ours.public().to_string();
    assert!(
        public.contains("`crm.web.visits` has more than 4 files") && public.contains("parquet_files_max"),
        "{public}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_domain_is_a_file_of_it() {
    let place = Place::new();
    place.ids("b.parquet", [1]);
    let outside = place.domain.parent().unwrap().join("outside");
    let other = Place { table: outside.clone(), ..Place::new() };
    other.ids("secret.parquet", [99]);
    symlink(&outside, place.table.join("door")).unwrap();
    symlink(outside.join("secret.parquet"), place.table.join("window.parquet")).unwrap();
    assert_eq!(place.rows(&["id"]).await.unwrap(), ["1"]);
    // A link that stays inside is followed, one that goes round does not go on for ever.
    place.ids("../inside/c.parquet", [2]);
    symlink(place.domain.join("inside"), place.table.join("inside")).unwrap();
    assert_eq!(place.rows(&["id"]).await.unwrap(), ["1", "2"]);
    symlink(&place.table, place.table.join("round")).unwrap();
    assert!(place.rows(&["id"]).await.is_err());
    let outside = Place { table: outside, ..place };
    let error = outside.rows(&["id"]).await.unwrap_err();
    assert!(matches!(find(error.as_ref()), Some(Error::OutsideStorage { .. })), "{error:?}");
}
