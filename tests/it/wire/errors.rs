//! B8: codes, texts and ids of what goes wrong.

use std::time::Duration;

use arrow_flight::CancelFlightInfoRequest;
use arrow_flight::sql::{CommandStatementIngest, CommandStatementUpdate};
use futures::StreamExt;
use meshgate_testkit::Wire;
use prost::Message;
use tonic::{Code, Status};

use super::{ENDLESS, Raw, SLOW, first, shop, statement, ticket};

/// What every error has to be: readable, short, without the inside of anything.
fn assert_public(status: &Status) {
    let text = status.message();
    assert!(text.len() > 10 && text.len() < 8 * 1024, "{} bytes", text.len());
    for debug in ["Some(", "None)", "Error(", "Err(", "{ ", "Status {", "DataFusion", "panicked", "/tmp/", "::"] {
        assert!(!text.contains(debug), "{debug} in {text}");
    }
}

fn query_id(status: &Status) -> Option<&str> {
    status.metadata().get("meshgate-query-id").map(|id| id.to_str().expect("ASCII"))
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_codes_texts_and_query_ids() {
    let shop = shop::open().await;
    let mut ids = Vec::new();
    for (sql, code, text) in [
        ("SELEC 1", Code::InvalidArgument, "cannot be read"),
        ("SELECT no_such_column FROM shop.orders.customers", Code::InvalidArgument, "no_such_column"),
        ("SELECT no_such_function(1)", Code::InvalidArgument, "no_such_function"),
        ("SELECT 1 + 'x'", Code::InvalidArgument, ""),
        ("SELECT repeat('x', 1000000)", Code::ResourceExhausted, "`repeat` is limited to 65536 bytes"),
        ("SELECT * FROM shop.orders.nothing", Code::NotFound, "does not exist"),
        ("SELECT * FROM shop.orders.vault", Code::NotFound, "does not exist"),
        ("SELECT margin FROM shop.orders.order_lines", Code::InvalidArgument, "margin"),
        ("INSERT INTO shop.orders.customers VALUES (1)", Code::PermissionDenied, "not served"),
        ("DROP TABLE shop.orders.customers", Code::PermissionDenied, "not served"),
        ("SELECT 1 / (order_id - order_id) FROM shop.orders.order_lines", Code::InvalidArgument, "zero"),
        ("SET meshgate.no_such_option = 1", Code::InvalidArgument, "hint: options are catalog"),
    ] {
        let status = shop.clerk.query(sql).await.expect_err(sql);
        assert_eq!(status.code(), code, "{sql}: {status}");
        assert_public(&status);
        assert!(status.message().contains(text), "{sql}: {status}");
        ids.push(query_id(&status).unwrap_or_else(|| panic!("{sql}: {status:?} has no query id")).to_owned());
    }
    // A name that is not there and one that must not be known of are told alike.
    let told = async |name: &str| {
        let status = shop.clerk.query(&format!("SELECT * FROM shop.orders.{name}")).await.expect_err(name);
        (status.code(), status.message().replace(name, "?"))
    };
    assert_eq!(told("vault").await, told("other").await);
    // Under the id the trail has the rest of it.
    shop.world.flush_audit().await;
    let files = std::fs::read_dir(shop.world.audit()).expect("the trail");
    let trail = files.map(|file| std::fs::read_to_string(file.expect("a file").path()).unwrap_or_default());
    let trail = trail.collect::<String>();
    for id in ids {
        assert!(trail.contains(&id), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_long_texts_are_cut() {
    let shop = shop::open().await;
    for name in ["x".repeat(100_000), "ä".repeat(50_000), "%".repeat(50_000)] {
        let status =
            shop.clerk.query(&format!("SELECT * FROM shop.orders.\"{name}\"")).await.expect_err("no such table");
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().len() < 8 * 1024, "{}", status.message().len());
        assert!(query_id(&status).is_some(), "the id is not cut off");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_limits_deadlines_and_ends() {
    let world = shop::builder().await.engine(|engine| engine.result_rows_max = 2).start().await.expect("a valid mesh");
    let wire = Wire::open(&world).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    let limited = client.query("SELECT * FROM shop.orders.order_lines").await.expect_err("three rows");
    assert_eq!(limited.code(), Code::ResourceExhausted);
    client.query("SET meshgate.deadline_s = 1").await.expect("an option");
    let late = client.query(SLOW).await.expect_err("more than a second");
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    assert!(late.message().contains("hint"), "{late}");
    for status in [&limited, &late] {
        assert_public(status);
        assert!(query_id(status).is_some());
    }
    world.gateway.drain();
    let draining = client.query("SELECT 1").await.expect_err("no new work");
    assert_eq!(draining.code(), Code::Unavailable);
    assert_public(&draining);
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_cancelled_and_revoked_streams_say_so() {
    let shop = shop::open().await;
    let end = async |mut stream: tonic::Streaming<arrow_flight::FlightData>| {
        let ended = async {
            while let Some(message) = stream.next().await {
                if let Err(status) = message {
                    return Some(status);
                }
            }
            None
        };
        tokio::time::timeout(Duration::from_secs(5), ended).await.expect("it ends").expect("with an error")
    };
    let info = shop.clerk.info(&statement(ENDLESS)).await.expect("a plan").into_inner();
    let stream = shop.clerk.open(ticket(&info)).await.expect("a stream").into_inner();
    let request = CancelFlightInfoRequest { info: Some(info) };
    shop.clerk.act("CancelFlightInfo", request.encode_to_vec()).await.expect("cancelled");
    let cancelled = end(stream).await;
    assert_eq!(cancelled.code(), Code::Cancelled);

    let sql = ENDLESS
        .replace("FROM (SELECT unnest(range(0, 1000)) AS n) a", "FROM (SELECT id AS n FROM shop.orders.customers) a");
    let info = shop.clerk.info(&statement(&sql)).await.expect("a plan").into_inner();
    let stream = shop.clerk.open(ticket(&info)).await.expect("a stream").into_inner();
    shop.world.write("governance/policies/lock.cedar", "@id(\"lock\") forbid (principal, action, resource);");
    shop.world.gateway.reload().await.expect("a valid mesh");
    let revoked = end(stream).await;
    assert_eq!(revoked.code(), Code::PermissionDenied);
    for status in [&cancelled, &revoked] {
        assert_public(status);
        assert!(query_id(status).is_some(), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_what_is_not_offered_is_unimplemented() {
    let shop = shop::open().await;
    let ingest = CommandStatementIngest { table: "t".to_owned(), ..CommandStatementIngest::default() };
    let status = shop.clerk.put(vec![first(&ingest)]).await.expect_err("read only");
    assert_eq!(status.code(), Code::Unimplemented);
    assert_public(&status);
    let update = CommandStatementUpdate { query: "SELECT 1".to_owned(), transaction_id: None };
    let status = shop.clerk.put(vec![first(&update)]).await.expect_err("rows");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("hint: execute it as a query"), "{status}");
}
