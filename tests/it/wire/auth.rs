//! A: who calls.

use arrow_flight::{HandshakeRequest, Ticket};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use meshgate_model::Secret;
use meshgate_testkit::{Wire, World};
use tonic::{Code, Status};

use super::{Raw, shop, statement, ticket};
use crate::mesh;

const PASSWORD: &str = "p:w d:äx"; // a colon, a blank and a letter beyond ASCII

async fn open() -> (World, Wire, Raw) {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    world.add_user("ana", PASSWORD, &["stewards"]).await;
    let wire = Wire::open(&world).await;
    let raw = Raw::connect(&wire).await;
    (world, wire, raw)
}

fn empty() -> Vec<HandshakeRequest> {
    vec![HandshakeRequest::default()]
}

fn basic(padded: bool, password: &str) -> String {
    let text = format!("ana:{password}");
    let encoded = if padded { STANDARD.encode(&text) } else { STANDARD_NO_PAD.encode(&text) };
    assert_eq!(encoded.contains('='), padded, "a text whose length tells the two apart");
    format!("Basic {encoded}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_handshake_with_a_password_gives_a_bearer() {
    let (_world, _wire, raw) = open().await;
    for padded in [true, false] {
        let (headers, answers) =
            raw.with("authorization", &basic(padded, PASSWORD)).handshake(empty()).await.expect("let in");
        assert_eq!(answers, 1);
        let bearers = headers.get_all("authorization").iter().collect::<Vec<_>>();
        let [bearer] = bearers.as_slice() else { panic!("one bearer, not {bearers:?}") };
        let bearer = bearer.to_str().expect("ASCII");
        assert!(bearer.starts_with("Bearer "), "{bearer}");
        assert_eq!(raw.with("authorization", bearer).text("SELECT 1").await, ["1"]);
    }
    let wrong = raw.with("authorization", &basic(true, "p:w d:éx")).handshake(empty()).await.expect_err("wrong");
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert!(!wrong.message().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_handshake_with_a_bearer_echoes_it() {
    let (world, _wire, raw) = open().await;
    let token = world.token("sam", &["stewards"], &[]).await;
    let given = format!("Bearer {}", token.expose());
    let payload = HandshakeRequest { payload: "anything".into(), ..HandshakeRequest::default() };
    for sent in [empty(), Vec::new(), vec![payload]] {
        let (headers, answers) = raw.with("authorization", &given).handshake(sent).await.expect("let in");
        assert_eq!(answers, 1);
        assert_eq!(headers.get("authorization").expect("the header").to_str().expect("ASCII"), given);
    }
    // A bearer of a handshake is one as well.
    let (headers, _) = raw.with("authorization", &basic(true, PASSWORD)).handshake(empty()).await.expect("let in");
    let ours = headers.get("authorization").expect("a bearer").to_str().expect("ASCII").to_owned();
    let (headers, _) = raw.with("authorization", &ours).handshake(empty()).await.expect("let in");
    assert_eq!(headers.get("authorization").expect("the header").to_str().expect("ASCII"), ours);
    for bad in ["Bearer mg_nobody", "Bearer mgf_AAAA", "Digest x", "Basic !"] {
        let refused = raw.with("authorization", bad).handshake(empty()).await.expect_err(bad);
        assert_eq!(refused.code(), Code::Unauthenticated, "{bad}");
        assert!(!refused.message().is_empty(), "{bad}");
    }
    assert_eq!(raw.handshake(empty()).await.expect_err("nobody").code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_credentials_on_every_call_and_headers_nobody_knows() {
    let (world, _wire, raw) = open().await;
    let token = world.token("sam", &["stewards"], &[]).await;
    let as_password = STANDARD.encode(format!("token:{}", token.expose()));
    for header in [
        format!("Bearer {}", token.expose()),
        format!("bearer {}", token.expose()),
        basic(true, PASSWORD),
        basic(false, PASSWORD),
        format!("Basic {as_password}"),
    ] {
        let client = raw.with("authorization", &header);
        assert_eq!(client.text("SELECT count(*) FROM shop.orders.customers").await, ["2"], "{header}");
        client.act("GetSessionOptions", Vec::new()).await.expect("every kind of call");
    }
    let odd = raw.bearer(&token).with("auth-token-bin", "").with("x-dbeaver", "ä?").with("databasename", "any");
    assert_eq!(odd.text("SELECT 1").await, ["1"]);
    // JDBC sends every connection property that it does not know.
    let mut many = raw.bearer(&token);
    for number in 0..32 {
        many = many.with(&format!("x-property-{number}"), &"v".repeat(1000));
    }
    assert_eq!(many.text("SELECT 1").await, ["1"], "32 KiB of headers");
    let two = raw.bearer(&token).with("authorization", &basic(true, PASSWORD));
    let refused = two.query("SELECT 1").await.expect_err("which of them?");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("two `authorization` headers"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_bearer_none_is_nobody() {
    let (_world, _wire, raw) = open().await;
    for client in [raw.clone(), raw.with("authorization", "Bearer None"), raw.with("authorization", "Bearer ")] {
        let refused = client.query("SELECT 1").await.expect_err("nobody");
        assert_eq!(refused.code(), Code::Unauthenticated);
        let text = refused.message();
        assert!(text.len() > 20 && !text.contains("Error"), "to be read by people: {text}");
    }
    let open =
        shop::builder().await.identity(|identity| identity.anonymous = true).start().await.expect("a valid mesh");
    let wire = Wire::open(&open).await;
    let raw = Raw::connect(&wire).await;
    for client in [raw.clone(), raw.with("authorization", "Bearer None")] {
        assert_eq!(client.text("SELECT 1").await, ["1"]);
        // Policy still decides what nobody sees.
        assert_eq!(client.text("SELECT count(*) FROM shop.orders.customers").await, ["NotFound"]);
    }
    let given = raw.with("authorization", "Bearer None").handshake(empty()).await.expect("let in");
    assert_eq!(given.0.get("authorization").expect("echoed"), "Bearer None");
}

/// Code, text and details, and which headers came: all that a client is told.
fn told(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let names = status.metadata().keys().filter_map(|key| match key {
        tonic::metadata::KeyRef::Ascii(key) if key.as_str() != "date" => Some(key.to_string()),
        _ => None,
    });
    (status.code(), status.message().to_owned(), status.details().to_vec(), names.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_handles_of_another_are_garbage() {
    let world = mesh::world().await;
    let wire = Wire::open(&world).await;
    let client = async |token: Secret| Raw::connect(&wire).await.bearer(&token);
    let steward = client(world.token("steward", &["stewards"], &[]).await).await;
    let analyst = client(world.token("analyst", &["analysts"], &[("region", "EU")]).await).await;
    let info = steward.info(&statement("SELECT count(*) FROM crm.people.people")).await.expect("a plan").into_inner();
    let real = steward.get(ticket(&info)).await.expect("its owner's");
    assert_eq!(meshgate_testkit::rows_text(&real.batches), ["6"]);
    let of_another = told(&analyst.get(ticket(&info)).await.expect_err("another's"));
    let garbage = told(&analyst.get(Ticket { ticket: "garbage".into() }).await.expect_err("garbage"));
    assert_eq!(of_another, garbage);
    assert_eq!(garbage.0, Code::NotFound);
    // And what is kept here under a handle: a statement and a transaction.
    let handle = super::prepared::create(&steward, "SELECT 1").await.prepared_statement_handle;
    let by_handle = async |client: &Raw, handle: bytes::Bytes| {
        let command = arrow_flight::sql::CommandPreparedStatementQuery { prepared_statement_handle: handle };
        client.info(&command).await
    };
    assert!(by_handle(&steward, handle.clone()).await.is_ok());
    let of_another = told(&by_handle(&analyst, handle.clone()).await.expect_err("another's"));
    assert_eq!(of_another, told(&by_handle(&analyst, "garbage".into()).await.expect_err("garbage")));
    let transaction = super::transactions::begin(&steward).await;
    let within = async |client: &Raw, id: bytes::Bytes| client.info(&super::transactions::within(id, "SELECT 1")).await;
    assert!(within(&steward, transaction.clone()).await.is_ok());
    let of_another = told(&within(&analyst, transaction.clone()).await.expect_err("another's"));
    assert_eq!(of_another, told(&within(&analyst, "garbage".into()).await.expect_err("garbage")));
    // One kind is not good as another.
    assert_eq!(of_another, told(&within(&steward, handle).await.expect_err("a statement's")));
    assert!(by_handle(&steward, transaction).await.is_err());
}
