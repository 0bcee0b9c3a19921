//! E: sessions; and what is not supported.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use arrow_flight::sql::{
    ActionCreatePreparedSubstraitPlanRequest, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTables,
    CommandStatementIngest, CommandStatementSubstraitPlan, ProstMessageExt,
};
use arrow_flight::{Criteria, FlightData, HandshakeRequest};
use base64::Engine as _;
use meshgate_testkit::{Wire, rows_text};
use prost::Message;
use tonic::Code;

use super::{Raw, SLOW, first, prepared, shop, statement, ticket};

/// The messages of format/Flight.proto, declared once more: what is sent here is not made by what reads it.
#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
    #[prost(bool, optional, tag = "2")]
    bool: Option<bool>,
    #[prost(sfixed64, optional, tag = "3")]
    int64: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    session_options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Closed {
    #[prost(int32, tag = "1")]
    status: i32,
}

const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;
const CLOSED: i32 = 1;

async fn set_values(client: &Raw, options: Vec<(&str, OptionValue)>) -> (BTreeMap<String, i32>, Option<String>) {
    let session_options = options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let body = Options { session_options }.encode_to_vec();
    let (headers, results) = client.act("SetSessionOptions", body).await.expect("always an answer");
    assert_eq!(results.len(), 1);
    let errors = Errors::decode(results[0].clone()).expect("its message").errors;
    let cookie = headers.get("set-cookie").map(|cookie| cookie.to_str().expect("ASCII").to_owned());
    (errors.into_iter().map(|(name, error)| (name, error.value)).collect(), cookie)
}

/// Sets options to texts; what could not be set, and why.
pub(super) async fn set(client: &Raw, options: &[(&str, &str)]) -> BTreeMap<String, i32> {
    let texts = options.iter().map(|(name, value)| (*name, text(value)));
    set_values(client, texts.collect()).await.0
}

pub(super) async fn get(client: &Raw) -> BTreeMap<String, String> {
    let (_, results) = client.act("GetSessionOptions", Vec::new()).await.expect("always an answer");
    let options = Options::decode(results[0].clone()).expect("its message").session_options;
    options.into_iter().map(|(name, value)| (name, value.string.expect("a text"))).collect()
}

pub(super) async fn close(client: &Raw) {
    let (_, results) = client.act("CloseSession", Vec::new()).await.expect("always an answer");
    assert_eq!(Closed::decode(results[0].clone()).expect("its message").status, CLOSED);
}

fn text(value: &str) -> OptionValue {
    OptionValue { string: Some(value.to_owned()), ..OptionValue::default() }
}

/// `name=value` of a `set-cookie` header.
fn crumb(set_cookie: &str) -> String {
    set_cookie.split(';').next().expect("a first part").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_options_are_set_told_and_erased() {
    let shop = shop::open().await;
    let unset = BTreeMap::from([("wire_types".to_owned(), "compatible".to_owned())]);
    let fresh = get(&shop.clerk).await;
    assert!(unset.iter().all(|(name, value)| fresh.get(name) == Some(value)), "{fresh:?}");
    assert!(!fresh.contains_key("catalog"), "{fresh:?}");
    let all = [
        ("catalog", "shop"),
        ("schema", "orders"),
        ("purpose", "fraud"),
        ("deadline_s", "30"),
        ("wire_types", "native"),
        ("timezone", "Europe/Berlin"),
        ("ipc_compression", "lz4"),
        ("endpoints", "2"),
    ];
    assert!(set(&shop.clerk, &all).await.is_empty());
    let told = get(&shop.clerk).await;
    assert_eq!(told, all.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    // One that is wrong does not keep the others from being set.
    let mixed = set(
        &shop.clerk,
        &[("no_such_option", "1"), ("deadline_s", "soon"), ("purpose", "espionage"), ("schema", "other")],
    );
    let expected = [("deadline_s", INVALID_VALUE), ("no_such_option", INVALID_NAME), ("purpose", INVALID_VALUE)];
    assert_eq!(mixed.await, expected.map(|(name, error)| (name.to_owned(), error)).into());
    let told = get(&shop.clerk).await;
    assert_eq!(
        (told["schema"].as_str(), told["purpose"].as_str(), told["deadline_s"].as_str()),
        ("other", "fraud", "30")
    );
    // Numbers may come as numbers; a value that is unset erases.
    let sixty = OptionValue { int64: Some(60), ..OptionValue::default() };
    let (errors, _) = set_values(&shop.clerk, vec![("deadline_s", sixty), ("schema", OptionValue::default())]).await;
    assert!(errors.is_empty(), "{errors:?}");
    let told = get(&shop.clerk).await;
    assert_eq!(told.get("deadline_s").map(String::as_str), Some("60"));
    assert!(!told.contains_key("schema"));
    close(&shop.clerk).await;
    assert_eq!(get(&shop.clerk).await, fresh);
    close(&shop.clerk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2_a_session_is_found_by_cookie_token_or_connection() {
    let shop = shop::open().await;
    let token = shop.world.token("eve", &["clerks"], &[]).await;
    shop.world.add_user("ana", "pw", &["clerks"]).await;
    let schema = async |client: &Raw| get(client).await.get("schema").cloned().unwrap_or_default();

    // By connection: over another one there is nothing, and nobody else's options on the same.
    let one = Raw::connect(&shop.wire).await;
    let (eve, ana) = (one.bearer(&token), one.with("authorization", "Basic YW5hOnB3"));
    let (_, cookie) = set_values(&eve, vec![("schema", text("one"))]).await;
    let cookie = crumb(&cookie.expect("a new session has a cookie"));
    assert_eq!((schema(&eve).await.as_str(), schema(&ana).await.as_str()), ("one", ""));
    let other = Raw::connect(&shop.wire).await.bearer(&token);
    assert_eq!(schema(&other).await, "");

    // By cookie: from anywhere, but its owner's alone.
    let with_cookie = other.with("cookie", &format!("a=b; {cookie}; c=d"));
    assert_eq!(schema(&with_cookie).await, "one");
    let (_, again) = set_values(&with_cookie, vec![("schema", text("two"))]).await;
    assert_eq!(again, None, "it has its cookie");
    assert_eq!((schema(&eve).await.as_str(), schema(&other).await.as_str()), ("two", ""));
    let thief = ana.with("cookie", &cookie);
    assert_eq!(schema(&thief).await, "");
    let (_, own) = set_values(&thief, vec![("schema", text("three"))]).await;
    assert_ne!(crumb(&own.expect("a session of its own")), cookie);
    assert_eq!(schema(&eve).await, "two");

    // By the bearer of a handshake: each handshake begins a session.
    let login = async || {
        let (headers, _) = ana.handshake(vec![HandshakeRequest::default()]).await.expect("let in");
        one.with("authorization", headers.get("authorization").expect("a bearer").to_str().expect("ASCII"))
    };
    let (first, second) = (login().await, login().await);
    assert!(set(&first, &[("schema", "four")]).await.is_empty());
    assert_eq!((schema(&first).await.as_str(), schema(&second).await.as_str()), ("four", ""));

    // What was closed is gone for whoever found it.
    close(&with_cookie).await;
    assert_eq!((schema(&with_cookie).await.as_str(), schema(&eve).await.as_str()), ("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn e2_a_connection_s_session_ends_with_it() {
    let shop = shop::open().await;
    let token = shop.world.token("eve", &["clerks"], &[]).await;
    for _ in 0..3 {
        let client = Raw::connect(&shop.wire).await.bearer(&token);
        assert!(!get(&client).await.contains_key("schema"));
        assert!(set(&client, &[("schema", "orders")]).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_catalog_and_schema_act_everywhere() {
    let shop = shop::open().await;
    let sql = "SELECT count(*) FROM customers";
    assert_eq!(shop.clerk.text(sql).await, ["NotFound"]);
    assert!(prepared::try_create(&shop.clerk, sql).await.is_err());
    assert!(set(&shop.clerk, &[("catalog", "shop"), ("schema", "orders")]).await.is_empty());
    assert_eq!(shop.clerk.text(sql).await, ["2"]);
    assert_eq!(shop.clerk.text("SELECT count(*) FROM orders.customers").await, ["2"]);
    let made = prepared::create(&shop.clerk, sql).await;
    assert_eq!(shop.clerk.schema(&statement(sql)).await.expect("a schema").fields().len(), 1);
    assert_eq!(shop.clerk.text("DESCRIBE customers").await.len(), 1);
    assert_eq!(shop.clerk.text("SHOW COLUMNS FROM customers").await.len(), 1);
    assert_eq!(
        shop.clerk
            .text("SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name = 'customers'")
            .await,
        ["orders"]
    );
    // What is prepared keeps the names it was prepared with.
    assert!(set(&shop.clerk, &[("schema", "other")]).await.is_empty());
    assert_eq!(shop.clerk.text(sql).await, ["NotFound"]);
    let got = prepared::execute(&shop.clerk, &made.prepared_statement_handle).await.expect("rows");
    assert_eq!(rows_text(&got.batches), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_deadline_and_timezone_act() {
    let shop = shop::open().await;
    assert!(set(&shop.clerk, &[("timezone", "+02:00")]).await.is_empty());
    let stamp =
        "SELECT CAST(arrow_cast(TIMESTAMP '2026-01-01T00:00:00', 'Timestamp(Second, Some(\"+02:00\"))') AS VARCHAR)";
    let shown = shop.clerk.text(stamp).await;
    assert!(shown[0].contains("+02:00"), "{shown:?}");
    let now = shop.clerk.query("SELECT now() AS t").await.expect("a row");
    assert!(now.schema.field(0).data_type().to_string().contains("+02:00"), "{:?}", now.schema);
    assert!(set(&shop.clerk, &[("deadline_s", "1")]).await.is_empty());
    assert_eq!(shop.clerk.text(SLOW).await, ["DeadlineExceeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_a_purpose_opens_what_is_for_it() {
    const FOR_MARKETING: &str = r#"@id("for-marketing")
        permit (principal in Group::"marketeers", action in Action::"access", resource in Product::"shop.orders")
        when { context has purpose && context.purpose == "marketing" };"#;
    let world = shop::builder().await.file("governance/policies/marketing.cedar", FOR_MARKETING).start().await;
    let world = world.expect("a valid mesh");
    let wire = Wire::open(&world).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("mia", &["marketeers"], &[]).await);
    let sql = "SELECT count(*) FROM shop.orders.customers";
    for (purpose, seen) in [("", false), ("marketing", true), ("fraud", false)] {
        assert!(set(&client, &[("purpose", purpose)]).await.is_empty());
        let rows = client.text(sql).await;
        assert_eq!(rows, if seen { ["2"] } else { ["NotFound"] }, "{purpose}");
        let catalogs = client.run(&CommandGetCatalogs {}).await.expect("catalogs");
        let schemas = client.run(&CommandGetDbSchemas::default()).await.expect("schemas");
        let tables = client.run(&CommandGetTables::default()).await.expect("tables");
        for (got, line) in [(catalogs, "shop"), (schemas, "shop\torders"), (tables, "shop\torders\tcustomers\tTABLE")] {
            assert_eq!(rows_text(&got.batches).contains(&line.to_owned()), seen, "{purpose}: {line}");
        }
    }
    // A plan that was made for a purpose is executed for it, and a ticket is good for no other.
    assert!(set(&client, &[("purpose", "marketing")]).await.is_empty());
    let info = client.info(&statement(sql)).await.expect("a plan").into_inner();
    assert!(set(&client, &[("purpose", "")]).await.is_empty());
    assert_eq!(rows_text(&client.get(ticket(&info)).await.expect("rows").batches), ["2"]);
    assert_eq!(client.text(sql).await, ["NotFound"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_what_is_not_supported_is_refused_before_it_is_read() {
    let shop = shop::open().await;
    // A stream that never ends: an answer can only come before it is consumed.
    let endless = |message: FlightData| {
        use futures::StreamExt;
        futures::stream::iter([message]).chain(futures::stream::pending())
    };
    let ingest = CommandStatementIngest { table: "t".to_owned(), ..CommandStatementIngest::default() };
    let within_a_second = async |command: FlightData| {
        let mut service = shop.clerk.service.clone();
        let put = service.do_put(shop.clerk.request(endless(command)));
        let answer = tokio::time::timeout(Duration::from_secs(1), async {
            match put.await {
                Ok(response) => response.into_inner().message().await.map(|_| ()),
                Err(status) => Err(status),
            }
        });
        answer.await.expect("an answer within a second").expect_err("not supported").code()
    };
    assert_eq!(within_a_second(first(&ingest)).await, Code::Unimplemented);
    let mut in_transaction = ingest.clone();
    in_transaction.transaction_id = Some(super::transactions::begin(&shop.clerk).await);
    assert_eq!(within_a_second(first(&in_transaction)).await, Code::Unimplemented);
    let substrait = CommandStatementSubstraitPlan::default();
    assert_eq!(within_a_second(first(&substrait)).await, Code::Unimplemented);
    assert_eq!(shop.clerk.info(&substrait).await.expect_err("not supported").code(), Code::Unimplemented);

    let mut service = shop.clerk.service.clone();
    let exchange = service.do_exchange(shop.clerk.request(endless(FlightData::default())));
    let refused = tokio::time::timeout(Duration::from_secs(1), async {
        match exchange.await {
            Ok(response) => response.into_inner().message().await.map(|_| ()),
            Err(status) => Err(status),
        }
    });
    assert_eq!(refused.await.expect("within a second").expect_err("not supported").code(), Code::Unimplemented);
    let listed = shop.clerk.service.clone().list_flights(shop.clerk.request(Criteria::default())).await;
    assert_eq!(listed.expect_err("not supported").code(), Code::Unimplemented);
    let plan = ActionCreatePreparedSubstraitPlanRequest::default().as_any().encode_to_vec();
    for (action, body) in [("CreatePreparedSubstraitPlan", plan), ("BeginSavepoint", vec![]), ("SelfDestruct", vec![])]
    {
        assert_eq!(shop.clerk.act(action, body).await.expect_err(action).code(), Code::Unimplemented, "{action}");
    }
    assert_eq!(base64::engine::general_purpose::STANDARD.encode("ana:pw"), "YW5hOnB3");
}
