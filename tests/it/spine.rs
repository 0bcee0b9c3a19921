//! The way of a query below the wires: audit, reload, deadlines, cancellation, time travel, sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::StreamExt;
use meshgate_gateway::{SessionOptions, Statement};
use meshgate_identity::{ClientInfo, Credential};
use meshgate_model::{Failure, Fault, Secret};
use meshgate_testkit::rows_text;

use crate::mesh::{builder, world};

fn statement(sql: &str) -> Statement {
    Statement { sql: sql.to_owned(), ..Statement::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_leaves_its_intent_and_its_end() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    world.query(&analyst, "SELECT name FROM crm.people.people").await.expect("rows");
    world.query(&analyst, "SELECT * FROM crm.people.payroll").await.expect_err("forbidden");
    world.flush_audit().await;
    let trail = read_trail(&world.audit());
    assert_eq!(trail.matches("\"kind\":\"intent\"").count(), 1, "{trail}");
    assert_eq!(trail.matches("\"kind\":\"outcome\"").count(), 1, "{trail}");
    assert_eq!(trail.matches("\"kind\":\"denial\"").count(), 1, "{trail}");
    for word in ["analysts-own-region", "mask-pii", "show-last-4", "\"rows\":3", "crm.people_v1.people"] {
        assert!(trail.contains(word), "{word} in {trail}");
    }
    assert!(!trail.contains("Lovelace"), "no cell values in the trail");
    let verified = meshgate_ledger::verify(&world.audit()).expect("an unbroken chain");
    assert!(verified.records >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_recorded_and_cannot_fill_the_trail() {
    let world = world().await;
    for _ in 0..100 {
        let wrong = Credential::Bearer(Secret::new("mg_nobody"));
        let client = ClientInfo { address: None, user_agent: None };
        world.gateway.authenticate(wrong, client).await.expect_err("nobody's token");
    }
    world.gateway.stop();
    world.flush_audit().await;
    let trail = read_trail(&world.audit());
    assert_eq!(trail.matches("\"kind\":\"denial\"").count(), 21, "{trail}");
    assert!(trail.contains("\"times\":80"), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_statement_is_cut_in_the_trail() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    world.query(&analyst, &"\n".repeat(8 << 20)).await.expect_err("too long");
    world.flush_audit().await;
    let trail = read_trail(&world.audit());
    assert!(trail.len() < 1 << 20, "{} bytes", trail.len());
    assert!(trail.contains("(8388608 bytes in all, SHA-256 "));
}

fn read_trail(directory: &std::path::Path) -> String {
    let files = std::fs::read_dir(directory).expect("the trail").map(|entry| entry.expect("a file").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.map(|path| std::fs::read_to_string(path).expect("a segment")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_counts_for_the_next_statement_and_ends_running_ones() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let slow = "SELECT count(*) FROM crm.people.people a, crm.people.people b, crm.people.people c, \
                crm.people.people d, crm.people.people e, crm.people.people f, crm.people.people g, \
                crm.people.people h, crm.people.people i, crm.people.people j, crm.people.people k, \
                crm.people.people l, crm.people.people m, crm.people.people n, crm.people.people o, \
                crm.people.people p, crm.people.people q, crm.people.people r WHERE a.id + r.id > 100";
    let options = SessionOptions::default();
    let planned = world.gateway.plan(&analyst, &options, &statement(slow)).await.expect("a plan");
    let mut running =
        world.gateway.execute(&analyst, &options, planned.id, &statement(slow)).await.expect("a running query");
    let before = world.text(&analyst, "SELECT count(*) FROM sales.orders.orders").await;
    assert_eq!(before, ["10"]);
    world.write(
        "governance/policies/lockdown.cedar",
        "@id(\"lockdown\") forbid (principal, action == Action::\"query\", resource);",
    );
    world.gateway.reload().await.expect("a valid mesh");
    let after = world.text(&analyst, "SELECT count(*) FROM sales.orders.orders").await;
    assert!(after[0].contains("does not exist"), "{after:?}");
    let ended = tokio::time::timeout(Duration::from_secs(5), running.batches.next()).await.expect("it ends");
    let error = ended.expect("an end with a reason").expect_err("the right is lost");
    assert_eq!(error.fault(), Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_domain_takes_only_itself_out_and_a_broken_mesh_is_refused() {
    let world = world().await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    world.write("domains/crm/policies/broken.cedar", "permit (principal, action, resource");
    world.gateway.reload().await.expect("the mesh itself is valid");
    let broken = world.text(&steward, "SELECT count(*) FROM crm.people.people").await;
    assert!(broken[0].contains("out of service"), "{broken:?}");
    // Who could not see it when it was served does not learn that it is there now; its owners learn why it is not.
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let stranger = world.user("stranger", &[], &[]).await;
    let owner = world.user("owner", &["crm-owners"], &[]).await;
    for (caller, table, expected) in [
        (&analyst, "people", "out of service"),
        (&analyst, "payroll", "does not exist"),
        (&stranger, "people", "does not exist"),
        (&owner, "people", "broken.cedar"),
    ] {
        let answer = world.text(caller, &format!("SELECT count(*) FROM crm.people.{table}")).await;
        assert!(answer[0].contains(expected), "{table}: {answer:?}");
    }
    assert_eq!(world.text(&steward, "SELECT count(*) FROM sales.orders.orders").await, ["10"]);
    world.write("governance/policies/all.cedar", "permit (");
    let epoch = world.gateway.epoch();
    world.gateway.reload().await.expect_err("an invalid global part");
    assert_eq!(world.gateway.epoch(), epoch);
    assert_eq!(world.text(&steward, "SELECT count(*) FROM sales.orders.orders").await, ["10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_stops_a_join_that_never_yields() {
    let world = world().await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let big = (0..12).map(|n| format!("crm.people.people p{n}")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT count(*) FROM {big} WHERE p0.id * p11.id < -1");
    let options = SessionOptions { deadline_s: Some(1), ..SessionOptions::default() };
    let started = Instant::now();
    let error = world.query_with(&steward, &options, &sql, None).await.expect_err("too slow for one second");
    assert_eq!(error.fault(), Fault::DeadlineExceeded, "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(world.gateway.running(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_result_frees_the_one_thread_that_its_join_holds() {
    let world = builder().await.engine(|options| options.threads = 1).start().await.expect("a valid mesh");
    let steward = world.user("steward", &["stewards"], &[]).await;
    let big = (0..12).map(|n| format!("crm.people.people p{n}")).collect::<Vec<_>>().join(", ");
    let slow = statement(&format!("SELECT count(*) FROM {big} WHERE p0.id * p11.id < -1"));
    let options = SessionOptions { deadline_s: Some(60), ..SessionOptions::default() };
    let planned = world.gateway.plan(&steward, &options, &slow).await.expect("a plan");
    let mut running = world.gateway.execute(&steward, &options, planned.id, &slow).await.expect("a running query");
    let row = tokio::time::timeout(Duration::from_secs(1), running.batches.next()).await;
    assert!(row.is_err(), "the join ends too soon to show anything");
    drop(running);
    let next = world.text(&steward, "SELECT count(*) FROM crm.people.people");
    let next = tokio::time::timeout(Duration::from_secs(10), next).await.expect("the thread is free again");
    assert_eq!(next, ["6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_travel_shows_old_rows_under_the_rules_of_today() {
    let batch = |ids: &[i64]| {
        let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        RecordBatch::try_from_iter([("id", column)]).expect("a batch")
    };
    let product = meshgate_testkit::Product::new("crm", "log").table(
        "log",
        "delta",
        "data/crm/log/",
        vec![meshgate_testkit::Column::new("id", "integer")],
    );
    let rule = "@id(\"odd\") @rows(\"id % 2 = 1\") permit (principal, action in Action::\"access\", \
                resource in Product::\"crm.log\");";
    let world = builder()
        .await
        .product(&product)
        .file("domains/crm/products/log/policies/log.cedar", rule)
        .delta("crm", "log", vec![batch(&[1, 2, 3]), batch(&[4, 5])])
        .await
        .start()
        .await
        .expect("a valid mesh");
    let user = world.user("somebody", &[], &[]).await;
    for (clause, expected) in [
        ("", "1,3,5"),
        ("FOR VERSION AS OF 0", "1,3"),
        ("VERSION AS OF 1", "1,3,5"),
        ("FOR VERSION AS OF 0 AS l WHERE l.id > 1", "3"),
    ] {
        let sql = format!("SELECT id FROM crm.log.log {clause} ORDER BY id");
        assert_eq!(world.text(&user, &sql).await.join(","), expected, "{sql}");
    }
    let both = "SELECT count(*) FROM crm.log.log FOR VERSION AS OF 0 a JOIN crm.log.log b ON a.id = b.id";
    assert_eq!(world.text(&user, both).await, ["2"]);
    let missing = world.query(&user, "SELECT * FROM crm.log.log VERSION AS OF 99").await.expect_err("no such version");
    assert_eq!(missing.fault(), Fault::NotFound, "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_have_defaults_and_refuse_unknown_options() {
    let world = world().await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let mut options = SessionOptions::default();
    world.gateway.change_session(&steward, &mut options, "USE crm.people").await.expect("a session statement");
    let found = world.query_with(&steward, &options, "SELECT count(*) FROM people", None).await.expect("rows");
    assert_eq!(rows_text(&found), ["6"]);
    for bad in ["SET datafusion.execution.batch_size = 1", "SET meshgate.nothing = 1", "SET meshgate.purpose = 'x'"] {
        let error = world.gateway.change_session(&steward, &mut options, bad).await.expect_err(bad);
        assert_eq!(error.fault(), Fault::Invalid, "{bad}");
    }
}
