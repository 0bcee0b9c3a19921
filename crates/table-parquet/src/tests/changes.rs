//! Files that come, go and are replaced.

use std::fs;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use futures::TryStreamExt;
use meshgate_model::{Failure, Fault};
use meshgate_table::conformance::{Bench, Failed};
use meshgate_table::{Delivery, Error, Pin};

use super::{Place, find};

/// How many rows a plan gives.
async fn count(plan: Arc<dyn ExecutionPlan>) -> Result<usize, Failed> {
    let context = datafusion::prelude::SessionContext::new();
    let rows = datafusion::physical_plan::execute_stream(plan, context.task_ctx())?;
    Ok(rows.try_fold(0, async |count, batch| Ok(count + batch.num_rows())).await?)
}

async fn plan(bench: &Bench, place: &Place) -> Arc<dyn ExecutionPlan> {
    bench.plan(&place.source(), &Pin::Latest, &["id"], None, Delivery::InOrder).await.expect("a plan")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_replaced_gives_no_rows() {
    for (name, replace) in [
        ("another file", (|place: &Place| place.ids("b.parquet", 5..9)) as fn(&Place)),
        ("one of the same size, in its place", |place| {
            let path = place.table.join("b.parquet");
            let mut bytes = fs::read(&path).expect("a file");
            bytes[5] ^= 1;
            fs::write(place.table.join("_new"), bytes).expect("a file");
            fs::rename(place.table.join("_new"), &path).expect("another file");
        }),
        ("none", |place| fs::remove_file(place.table.join("b.parquet")).expect("there")),
        ("a cut one", |place| {
            let bytes = fs::read(place.table.join("b.parquet")).expect("a file");
            fs::write(place.table.join("b.parquet"), &bytes[..bytes.len() / 2]).expect("a file");
        }),
    ] {
        let place = Place::new();
        place.ids("a.parquet", [1]);
        place.ids("b.parquet", [2]);
        let bench = place.bench();
        // Once, so that its footer is known.
        assert_eq!(count(plan(&bench, &place).await).await.unwrap(), 2);
        let before = plan(&bench, &place).await;
        replace(&place);
        let error = count(before).await.expect_err(name);
        let Some(ours @ Error::Replaced { table, file }) = find(error.as_ref()) else { panic!("{name}: {error:?}") };
        assert!(table == "crm.web.visits" && file.ends_with("b.parquet"), "{name}: {ours}");
        assert_eq!(ours.fault(), Fault::Conflict);
        let public = ours.public().to_string();
        assert!(public.contains("`crm.web.visits`") && !public.contains("parquet"), "{public}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_shared_while_nothing_changes() {
    let place = Place::new();
    place.ids("a.parquet", [1]);
    let bench = place.bench();
    let source = place.source();
    let newest = async |age: Option<u64>| {
        let age = age.map(std::time::Duration::from_secs);
        bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, age).await.expect("a table")
    };
    let first = newest(None).await;
    assert!(Arc::ptr_eq(&first, &newest(None).await));
    // What is hidden does not count.
    place.ids("_b.parquet", [2]);
    assert!(Arc::ptr_eq(&first, &newest(None).await));
    place.ids("b.parquet", [2]);
    assert!(Arc::ptr_eq(&first, &newest(Some(1000)).await), "as old as the product allows");
    let second = newest(None).await;
    assert_ne!(first.version(), second.version());
    // A statement goes on with the listing that it began with, as long as that is known.
    let pin = Pin::Version(first.version().to_owned());
    let again = bench.tables.snapshot(&bench.stores, &source, &pin, None).await.expect("known");
    assert!(Arc::ptr_eq(&first, &again));
    let other = place.bench();
    let error = other.tables.snapshot(&other.stores, &source, &pin, None).await.expect_err("not known");
    assert_eq!(error.public().to_string(), "Parquet directories have no versions");
    let pin = Pin::Version(second.version().to_owned());
    let there = other.tables.snapshot(&other.stores, &source, &pin, None).await.expect("it is the one of now");
    assert_eq!(there.version(), second.version(), "another gateway calls it the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_known_to_be_old_is_not_used_again() {
    let place = Place::new();
    place.ids("a.parquet", [1]);
    let bench = place.bench();
    let age = Some(std::time::Duration::from_secs(1000));
    let source = place.source();
    let first = bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, age).await.unwrap();
    let before = plan(&bench, &place).await;
    place.ids("a.parquet", 5..9);
    count(before).await.expect_err("replaced");
    let second = bench.tables.snapshot(&bench.stores, &source, &Pin::Latest, age).await.unwrap();
    assert_ne!(first.version(), second.version());
    assert_eq!(count(plan(&bench, &place).await).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_claimed_that_was_not_read() {
    let place = Place::new();
    place.ids("a.parquet", 0..100);
    let bench = place.bench();
    let snapshot = bench.tables.snapshot(&bench.stores, &place.source(), &Pin::Latest, None).await.unwrap();
    assert_eq!(snapshot.files().await.unwrap().rows(), None);
    assert_eq!(snapshot.exact_rows(), None);
    assert!(snapshot.is_whole());
    let plan = plan(&bench, &place).await;
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
    assert_eq!(statistics.num_rows.is_exact(), None, "{statistics:?}");
    assert_eq!(bench.rows(&place.source(), &Pin::Latest, &[], None).await.unwrap().len(), 100);
}
