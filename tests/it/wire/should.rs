//! S1 to S4, S6, S7 and S11. S5, S8, S9 and S10 stand where they belong.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionCreatePreparedStatementRequest, Any, CommandGetCatalogs,
    ProstMessageExt,
};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo, HandshakeRequest,
    RenewFlightEndpointRequest,
};
use base64::Engine as _;
use bytes::Bytes;
use futures::StreamExt;
use meshgate_testkit::{Wire, rows_text};
use prost::Message;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{Ahead, ENDLESS, Raw, eventually, numbers, prepared, sessions, shop, statement, ticket};

/// The newest form of the result, which says whether the statement is an update.
#[derive(Clone, PartialEq, Message)]
struct Prepared {
    #[prost(bytes = "bytes", tag = "1")]
    handle: Bytes,
    #[prost(bool, optional, tag = "4")]
    is_update: Option<bool>,
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_is_update_is_told() {
    let shop = shop::open().await;
    for (sql, is_update) in
        [("SELECT 1", false), ("SHOW TABLES", false), ("USE shop", true), ("RESET meshgate.schema", true)]
    {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let (_, results) =
            shop.clerk.act("CreatePreparedStatement", request.as_any().encode_to_vec()).await.expect("prepared");
        let any = Any::decode(results[0].clone()).expect("an Any");
        let made = Prepared::decode(any.value).expect("the message");
        assert_eq!(made.is_update, Some(is_update), "{sql}");
        assert!(!made.handle.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_get_schema_plans_nothing_and_authorises_again() {
    let shop = shop::open().await;
    let sql = "SELECT id FROM shop.orders.customers";
    let made = prepared::create(&shop.clerk, sql).await;
    let by_handle = prepared::query(&made.prepared_statement_handle);
    assert_eq!(shop.clerk.schema(&statement(sql)).await.expect("a schema").fields().len(), 1);
    assert_eq!(shop.clerk.schema(&by_handle).await.expect("a schema").fields().len(), 1);
    assert!(shop.clerk.schema(&statement("USE shop")).await.expect("a schema").fields().is_empty());
    assert!(!sessions::get(&shop.clerk).await.contains_key("catalog"), "asking for a schema changes nothing");
    shop.world.write("governance/policies/lock.cedar", "@id(\"lock\") forbid (principal, action, resource);");
    shop.world.gateway.reload().await.expect("a valid mesh");
    assert_eq!(shop.clerk.schema(&statement(sql)).await.expect_err("no right").code(), Code::NotFound);
    assert_eq!(shop.clerk.schema(&by_handle).await.expect_err("no right").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_polling_gives_an_info_at_once() {
    let shop = shop::open().await;
    let made = prepared::create(&shop.clerk, "SELECT 5 AS x").await;
    let by_handle = prepared::query(&made.prepared_statement_handle);
    let polled = [
        shop.clerk.poll(&statement("SELECT 5 AS x")).await.expect("an answer"),
        shop.clerk.poll(&by_handle).await.expect("an answer"),
    ];
    for poll in polled {
        let info = poll.info.expect("an info, always");
        // No descriptor to poll again with: everything there is to wait for is over, which is what the progress says.
        assert_eq!((poll.flight_descriptor, poll.progress), (None, Some(1.0)));
        assert_eq!((info.total_records, info.total_bytes), (-1, -1), "nothing is told of the rows");
        assert_eq!(rows_text(&shop.clerk.get(ticket(&info)).await.expect("rows").batches), ["5"]);
    }
    let poll = shop.clerk.poll(&CommandGetCatalogs {}).await.expect("an answer");
    assert!(poll.info.is_some() && poll.flight_descriptor.is_none());
    let failed = shop.clerk.poll(&statement("SELEC 1")).await.expect_err("no statement");
    assert_eq!(failed.code(), Code::InvalidArgument);
}

async fn cancel(client: &Raw, info: &FlightInfo) -> Result<CancelStatus, tonic::Status> {
    let request = CancelFlightInfoRequest { info: Some(info.clone()) };
    let (_, results) = client.act("CancelFlightInfo", request.encode_to_vec()).await?;
    Ok(CancelFlightInfoResult::decode(results[0].clone()).expect("its message").status())
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_cancelling_stops_streams_and_what_was_not_fetched() {
    let shop = shop::open().await;
    for by_query in [false, true] {
        let info = shop.clerk.info(&statement(ENDLESS)).await.expect("a plan").into_inner();
        let mut stream = shop.clerk.open(ticket(&info)).await.expect("a stream").into_inner();
        stream.next().await.expect("a schema").expect("no error");
        assert_eq!(shop.world.gateway.running(), 1);
        // Nobody else's query.
        assert_eq!(cancel(&shop.steward, &info).await.expect_err("another's").code(), Code::NotFound);
        if by_query {
            let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
            let result: ActionCancelQueryResult =
                shop.clerk.sql_action("CancelQuery", &request).await.expect("cancelled");
            assert_eq!(result.result, 1, "cancelled");
        } else {
            assert_eq!(cancel(&shop.clerk, &info).await.expect("an answer"), CancelStatus::Cancelled);
        }
        let end = async {
            while let Some(message) = stream.next().await {
                if let Err(status) = message {
                    return Some(status.code());
                }
            }
            None
        };
        let end = tokio::time::timeout(Duration::from_secs(5), end).await.expect("it ends");
        assert_eq!(end, Some(Code::Cancelled));
        eventually("it stops", Duration::from_secs(1), || shop.world.gateway.running() == 0).await;
        assert_eq!(shop.clerk.get(ticket(&info)).await.expect_err("cancelled").code(), Code::Cancelled);
    }
    // Before anybody has fetched it.
    let info = shop.clerk.info(&statement("SELECT 1")).await.expect("a plan").into_inner();
    assert_eq!(cancel(&shop.clerk, &info).await.expect("an answer"), CancelStatus::Cancelled);
    assert_eq!(shop.clerk.get(ticket(&info)).await.expect_err("cancelled").code(), Code::Cancelled);
    let renewal = RenewFlightEndpointRequest { endpoint: Some(info.endpoint[0].clone()) };
    let refused = shop.clerk.act("RenewFlightEndpoint", renewal.encode_to_vec()).await.expect_err("cancelled");
    assert_eq!(refused.code(), Code::Cancelled);
    // Metadata is made when it is asked for; of nothing there is nothing to cancel.
    let info = shop.clerk.info(&CommandGetCatalogs {}).await.expect("metadata").into_inner();
    assert_eq!(cancel(&shop.clerk, &info).await.expect("an answer"), CancelStatus::NotCancellable);
    let none = cancel(&shop.clerk, &FlightInfo::default()).await.expect("an answer");
    assert_eq!(none, CancelStatus::NotCancellable);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_tickets_say_when_they_expire_and_can_be_renewed() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    let clock = Arc::new(Ahead::default());
    let set = clock.clone();
    let wire = Wire::open_with(&world, |settings| {
        settings.clock = set;
        settings.ticket_ttl_s = 100;
    })
    .await;
    let client = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    let other = Raw::connect(&wire).await.bearer(&world.token("sam", &["stewards"], &[]).await);
    let info = client.info(&statement("SELECT 1")).await.expect("a plan").into_inner();
    let renew = async |client: &Raw, endpoint: &FlightEndpoint| {
        let request = RenewFlightEndpointRequest { endpoint: Some(endpoint.clone()) };
        let (_, results) = client.act("RenewFlightEndpoint", request.encode_to_vec()).await?;
        Ok::<_, tonic::Status>(FlightEndpoint::decode(results[0].clone()).expect("its message"))
    };
    let ends = |endpoint: &FlightEndpoint| endpoint.expiration_time.expect("an end").seconds;
    clock.by(60);
    let renewed = renew(&client, &info.endpoint[0]).await.expect("renewed");
    assert!((59..=61).contains(&(ends(&renewed) - ends(&info.endpoint[0]))));
    assert_eq!(renew(&other, &renewed).await.expect_err("another's").code(), Code::NotFound);
    clock.by(120);
    assert_eq!(client.get(ticket(&info)).await.expect_err("expired").code(), Code::NotFound);
    assert_eq!(renew(&client, &info.endpoint[0]).await.expect_err("expired").code(), Code::NotFound);
    assert!(client.get(renewed.ticket.clone().expect("a ticket")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_bearers_are_rotated_and_keep_their_session() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    world.add_user("ana", "pw", &["clerks"]).await;
    let clock = Arc::new(Ahead::default());
    let set = clock.clone();
    let wire = Wire::open_with(&world, |settings| {
        settings.clock = set;
        settings.bearer_ttl_s = 1000;
    })
    .await;
    let raw = Raw::connect(&wire).await;
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("ana:pw"));
    let (headers, _) =
        raw.with("authorization", &basic).handshake(vec![HandshakeRequest::default()]).await.expect("let in");
    let mut bearer = headers.get("authorization").expect("a bearer").to_str().expect("ASCII").to_owned();
    let client = |bearer: &str| raw.with("authorization", bearer);
    assert!(sessions::set(&client(&bearer), &[("catalog", "shop"), ("schema", "orders")]).await.is_empty());
    let rotated = async |bearer: &str| {
        let (headers, _) = client(bearer).act("GetSessionOptions", Vec::new()).await.expect("an answer");
        headers.get("authorization").map(|value| value.to_str().expect("ASCII").to_owned())
    };
    assert_eq!(rotated(&bearer).await, None, "not while it is young");
    for hop in 1..=4 {
        clock.by(600 * hop);
        let fresh = rotated(&bearer).await.expect("a fresh one");
        assert_ne!(fresh, bearer);
        assert_eq!(client(&fresh).text("SELECT count(*) FROM customers").await, ["2"], "the same session");
        bearer = fresh;
    }
    clock.by(600 * 4 + 1001);
    assert_eq!(client(&bearer).text("SELECT 1").await, ["Unauthenticated"], "left alone, it ends");
    // Tokens that were not made here are not ours to replace.
    let token = world.token("sam", &["stewards"], &[]).await;
    let (headers, _) = raw.bearer(&token).act("GetSessionOptions", Vec::new()).await.expect("an answer");
    assert!(headers.get("authorization").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_the_query_id_is_in_app_metadata() {
    let shop = shop::open().await;
    let info = shop.clerk.info(&statement("SELECT id FROM shop.orders.customers")).await.expect("a plan").into_inner();
    let told = std::str::from_utf8(&info.app_metadata).expect("JSON");
    let id = told.split("\"query_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    assert_eq!(id.len(), 36, "{told}");
    for word in ["\"product\":\"shop.orders\"", "\"snapshot\":\"0\"", "\"version\":\"1.0.0\""] {
        assert!(told.contains(word), "{word} in {told}");
    }
    let got = shop.clerk.get(ticket(&info)).await.expect("rows");
    assert_eq!(got.schema.metadata().get("meshgate.query").map(String::as_str), Some(told));
    shop.world.flush_audit().await;
    let files = std::fs::read_dir(shop.world.audit()).expect("the trail");
    let trail = files.map(|file| std::fs::read_to_string(file.expect("a file").path()).unwrap_or_default());
    assert!(trail.collect::<String>().contains(id), "the trail knows it");
    let other = shop.clerk.info(&statement("SELECT id FROM shop.orders.customers")).await.expect("a plan").into_inner();
    assert!(!std::str::from_utf8(&other.app_metadata).expect("JSON").contains(id), "each query has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_health_and_reflection_answer_without_a_credential() {
    let shop = shop::open().await;
    let channel = Channel::from_shared(format!("http://{}", shop.wire.flight)).expect("a URL");
    let channel = channel.connect().await.expect("the listener answers");
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "arrow.flight.protocol.FlightService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.expect("an answer").into_inner().status, 1, "SERVING");
    }
    let mut reflection = ServerReflectionClient::new(channel);
    let mut ask = async |request: MessageRequest| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let mut answers =
            reflection.server_reflection_info(futures::stream::iter([request])).await.expect("an answer").into_inner();
        let answer = answers.message().await.expect("no error").expect("one answer");
        answer.message_response.expect("a message")
    };
    let MessageResponse::ListServicesResponse(listed) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("no list")
    };
    let names = listed.service.into_iter().map(|service| service.name).collect::<Vec<_>>();
    for name in ["arrow.flight.protocol.FlightService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let symbol = MessageRequest::FileContainingSymbol("arrow.flight.protocol.FlightService.DoGet".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = ask(symbol).await else { panic!("no file") };
    let file = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    for name in ["FlightDescriptor", "PollFlightInfo", "total_records", "data_body"] {
        assert!(file.contains(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_draining_lets_streams_end() {
    let shop = shop::open().await;
    let sql = format!("SELECT n, repeat('x', 1000) AS text FROM ({}) t", numbers(50));
    let info = shop.clerk.info(&statement(&sql)).await.expect("a plan").into_inner();
    let mut stream = shop.clerk.open(ticket(&info)).await.expect("a stream").into_inner();
    stream.next().await.expect("a schema").expect("no error");
    let channel = Channel::from_shared(format!("http://{}", shop.wire.flight)).expect("a URL");
    let mut health = HealthClient::new(channel.connect().await.expect("the listener answers"));
    let mut watched =
        health.watch(HealthCheckRequest { service: String::new() }).await.expect("an answer").into_inner();
    assert_eq!(watched.message().await.expect("no error").expect("a status").status, 1, "SERVING");
    shop.wire.shut_down();
    assert_eq!(watched.message().await.expect("no error").expect("a status").status, 2, "NOT_SERVING");
    let refused = shop.steward.query("SELECT 1").await.expect_err("no new calls");
    // Refused by the gateway, or not sent at all by the client, whose connection, on which nothing runs, is closed. What the
    // client says by itself has an error of its own as its source.
    assert!(refused.code() == Code::Unavailable || refused.source().is_some(), "{refused:?}");
    // What runs is not cut off.
    let mut messages = 0;
    while let Some(message) = stream.next().await {
        message.expect("to its end");
        messages += 1;
    }
    assert!(messages > 20, "{messages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_what_does_not_end_in_time_is_told_so() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    let wire = Wire::open_with(&world, |settings| settings.drain_s = 1).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    let info = client.info(&statement(ENDLESS)).await.expect("a plan").into_inner();
    let mut stream = client.open(ticket(&info)).await.expect("a stream").into_inner();
    stream.next().await.expect("a schema").expect("no error");
    wire.shut_down();
    let end = async {
        while let Some(message) = stream.next().await {
            if let Err(status) = message {
                return Some(status);
            }
        }
        None
    };
    let end = tokio::time::timeout(Duration::from_secs(5), end).await.expect("it ends").expect("with an error");
    assert_eq!((end.code(), end.message()), (Code::Cancelled, "the gateway shut down while the query ran"));
}
