//! Directories of Parquet files, governed like every other table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use meshgate_gateway::{SessionOptions, Snapshots, Statement};
use meshgate_model::{Failure, Fault};
use meshgate_testkit::{Column, Product, World, rows_text};

use crate::mesh;

/// Beside what the world permits: visits by region, notes masked.
const POLICY: &str = r#"
@id("analysts-own-visits") @rows("region = $region")
permit (principal in Group::"analysts", action in Action::"access", resource in Product::"crm.web");
"#;

fn visits(ids: std::ops::Range<i64>, regions: &[&str]) -> RecordBatch {
    let count = usize::try_from(ids.end - ids.start).expect("a few");
    let ids: Vec<i64> = ids.collect();
    let people = Int32Array::from_iter_values(ids.iter().map(|id| i32::try_from(id % 6).expect("small") + 1));
    let of = |text: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values((0..count).map(text))) as ArrayRef;
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.clone())) as ArrayRef),
        ("person", Arc::new(people)),
        ("page", of(&|at| format!("/secret/page-{:04}", ids[at]))),
        ("day", of(&|at| format!("2024-01-0{}", at % 2 + 1))),
        ("region", of(&|at| regions[at % regions.len()].to_owned())),
    ])
    .expect("visits")
}

const PARTITIONED: [&str; 2] = ["day", "region"];

/// Six visits of the EU, six of a region whose name nobody else is told.
async fn world() -> World {
    let columns = vec![
        Column::new("id", "integer").line("physicalType: bigint"),
        Column::new("person", "integer"),
        Column::new("page", "string").tag("pii"),
        Column::new("region", "string").line("partitioned: true").line("partitionKeyPosition: 2"),
        Column::new("day", "date").line("partitioned: true").line("partitionKeyPosition: 1"),
    ];
    let web = Product::new("crm", "web").table("visits", "parquet", "data/crm/visits/", columns);
    let builder = mesh::builder().await.file("governance/policies/web.cedar", POLICY).product(&web);
    let batches = vec![visits(0..6, &["EU"]), visits(6..12, &["CNRY-region"])];
    builder.parquet("crm", "visits", batches, &PARTITIONED).start().await.expect("a valid mesh")
}

fn add(world: &World, name: &str, batch: &RecordBatch) {
    let directory = world.mesh().join("data/crm/visits");
    meshgate_table_parquet::append(&directory, name, batch, &PARTITIONED).expect("files");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_masks_hold_for_parquet_directories() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    for (sql, expected) in [
        (
            "SELECT id, page, region, day FROM crm.web.visits WHERE id < 2 ORDER BY id",
            vec!["0\txxxxxxxxxxxx-0000\tEU\t2024-01-01".to_owned(), "1\txxxxxxxxxxxx-0001\tEU\t2024-01-02".to_owned()],
        ),
        ("SELECT count(*), min(id), max(id) FROM crm.web.visits", vec!["6\t0\t5".to_owned()]),
        ("SELECT count(*) FROM crm.web.visits WHERE region <> 'EU'", vec!["0".to_owned()]),
        ("SELECT count(*) FROM crm.web.visits WHERE day = DATE '2024-01-02'", vec!["3".to_owned()]),
        ("SELECT count(*) FROM crm.web.visits WHERE page LIKE '/secret%'", vec!["0".to_owned()]),
        (
            "SELECT p.name, count(*) FROM crm.people.people p JOIN crm.web.visits v ON v.person = p.id GROUP BY 1 ORDER BY 1",
            vec!["Bob\t1".to_owned(), "xxxx-xxxxav 7\t1".to_owned(), "xxxxxxxxlace\t1".to_owned()],
        ),
    ] {
        let found = world.text(&analyst, sql).await;
        assert_eq!(found, expected, "{sql}");
    }
    assert_eq!(world.text(&steward, "SELECT count(*), count(DISTINCT page) FROM crm.web.visits").await, ["12\t12"]);
    let stranger = world.user("stranger", &[], &[]).await;
    let absent = async |name: &str| {
        let text = world.text(&stranger, &format!("SELECT * FROM crm.{name}.visits FOR VERSION AS OF 1")).await;
        text[0].replace(name, "it")
    };
    assert_eq!(absent("web").await, absent("none").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_directories_have_no_versions() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let text = "error: `crm.web.visits` is read without FOR VERSION or TIMESTAMP: Parquet directories have no versions";
    for clause in ["VERSION AS OF 1", "VERSION AS OF 'main'", "TIMESTAMP AS OF '2026-11-01T00:00:00Z'"] {
        assert_eq!(world.text(&analyst, &format!("SELECT id FROM crm.web.visits FOR {clause}")).await, [text]);
    }
    // What a listing is called is made of hidden files too: it is not told, nor can it be asked for.
    let statement = Statement { sql: "SELECT id FROM crm.web.visits".to_owned(), ..Statement::default() };
    let planned = world.gateway.plan(&analyst, &SessionOptions::default(), &statement).await.expect("a plan");
    assert!(planned.app_metadata.contains(r#""snapshot":null"#), "{}", planned.app_metadata);
    let [settled] = &planned.snapshots[..] else { panic!("{:?}", planned.snapshots) };
    assert!(!planned.app_metadata.contains(&settled.version), "{}", planned.app_metadata);
    let sql = format!("SELECT id FROM crm.web.visits FOR VERSION AS OF '{}'", settled.version);
    assert_eq!(world.text(&analyst, &sql).await, [text]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_one_listing_or_fails() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let options = SessionOptions::default();
    let shared = Snapshots::new(10);
    let count = async |sql: &str| {
        let statement = Statement { sql: sql.to_owned(), snapshots: Some(shared.clone()), ..Statement::default() };
        let planned = world.gateway.plan(&analyst, &options, &statement).await?;
        let stream = world.gateway.execute(&analyst, &options, planned.id, &statement).await?;
        Ok::<_, meshgate_gateway::Error>(rows_text(&stream.batches.try_collect::<Vec<_>>().await?))
    };
    let sql = "SELECT count(*) FROM crm.web.visits";
    assert_eq!(count(sql).await.expect("rows"), ["6"]);
    add(&world, "more", &visits(20..24, &["EU"]));
    assert_eq!(count(sql).await.expect("rows"), ["6"], "the listing of the transaction");
    assert_eq!(world.text(&analyst, sql).await, ["10"]);
    // A file is replaced between planning and execution.
    let statement = Statement { sql: "SELECT sum(id) FROM crm.web.visits".to_owned(), ..Statement::default() };
    let planned = world.gateway.plan(&analyst, &options, &statement).await.expect("a plan");
    add(&world, "more", &visits(20..30, &["EU"]));
    let ended = match world.gateway.execute(&analyst, &options, planned.id, &statement).await {
        Ok(stream) => stream.batches.try_collect::<Vec<_>>().await,
        Err(error) => Err(error),
    };
    let error = ended.expect_err("another file");
    assert_eq!(error.fault(), Fault::Conflict);
    let text = error.public().to_string();
    assert!(text.contains("files of `crm.web.visits` were replaced") && !text.contains("parquet"), "{text}");
    assert_eq!(world.text(&analyst, sql).await, ["16"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_without_names_of_files() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let sql = "SELECT count(id) FROM crm.web.visits";
    let misfit = |found: &[String]| {
        let [text] = found else { panic!("{found:?}") };
        assert!(text.starts_with("error: the files of `crm.web.visits` do not fit together"), "{text}");
        assert!(!text.contains("CNRY") && !text.contains("part-") && !text.contains("notes"), "{text}");
    };
    let directory = world.mesh().join("data/crm/visits");
    // A column of another type, in a file of the own region.
    let odd: [(&str, ArrayRef); 1] = [("id", Arc::new(StringArray::from(vec!["x"])))];
    let file = directory.join("day=2024-01-01/region=EU");
    let odd = RecordBatch::try_from_iter(odd).expect("a row");
    meshgate_table_parquet::append(&file, "part-9", &odd, &[]).expect("a file");
    misfit(&world.text(&analyst, sql).await);
    std::fs::remove_file(file.join("part-9.parquet")).expect("there");
    assert_eq!(world.text(&analyst, sql).await, ["6"]);
    // A directory that is no day, a file that is no Parquet file.
    for (folder, name) in [("day=CNRY-someday/region=EU", "a.parquet"), ("day=2024-01-01/region=CNRY-b", "notes.txt")] {
        std::fs::create_dir_all(directory.join(folder)).expect("a directory");
        std::fs::write(directory.join(folder).join(name), "anything").expect("a file");
        misfit(&world.text(&analyst, sql).await);
        std::fs::remove_file(directory.join(folder).join(name)).expect("there");
        assert_eq!(world.text(&analyst, sql).await, ["6"]);
    }
}
