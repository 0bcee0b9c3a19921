//! Tokens: asked for once, replaced before they expire and when they are refused.

use futures::future::join_all;
use meshgate_model::Secret;
use meshgate_table::{CatalogLogin, Error, Pin};
use serde_json::json;

use super::service::{Seen, Service, cell, error, plain_config, said};
use super::{CONFIG, Gateway, credentials, ids, root, told};

const TOKENS: &str = "/v1/oauth/tokens";

fn client(server: Option<String>) -> Option<CatalogLogin> {
    let (id, secret) = (Secret::new("gate way"), Secret::new("hunter2&"));
    Some(CatalogLogin::Client { id, secret, scope: "PRINCIPAL_ROLE:ALL".to_owned(), server })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_once_until_it_expires() {
    let (_kept, root) = root();
    let table = told(&root, 0..3).await;
    let mut number = 0;
    let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
        TOKENS => {
            number += 1;
            said(200, json!({"access_token": format!("t{number}"), "token_type": "bearer", "expires_in": 3600}))
        }
        CONFIG => said(200, plain_config()),
        _ => said(200, &table),
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, Some(credentials(client(None))));
    let other = {
        let mut other = gateway.source.clone();
        other.catalog.as_mut().unwrap().table = "other".to_owned();
        other
    };
    // Tables of one catalog share its token, and of those that need one at the same time one asks.
    let both = [&gateway.source, &other];
    let asked = both.map(|source| gateway.bench.tables.snapshot(&gateway.bench.stores, source, &Pin::Latest, None));
    assert!(join_all(asked).await.iter().all(Result::is_ok));
    let tokens = service.asked(TOKENS);
    let form = "grant_type=client_credentials&client_id=gate+way&client_secret=hunter2%26&scope=PRINCIPAL_ROLE%3AALL";
    assert_eq!(
        tokens.iter().map(|seen| (seen.method.as_str(), seen.body.as_str())).collect::<Vec<_>>(),
        [("POST", form)]
    );
    assert!(tokens[0].header("authorization").is_none());
    // Until shortly before it expires.
    gateway.clock.forward(3500);
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    assert_eq!(service.asked(TOKENS).len(), 1);
    gateway.clock.forward(60);
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    assert_eq!(service.asked(TOKENS).len(), 2);
    let bearers: Vec<_> =
        service.asked("tables").iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(bearers, ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_replaced_once() {
    let (_kept, root) = root();
    let table = told(&root, 0..3).await;
    let good = cell("t1".to_owned());
    let (accepted, mut number) = (good.clone(), 0);
    let giver = Service::start(move |_: &Seen| {
        number += 1;
        said(200, json!({"access_token": format!("t{number}"), "token_type": "Bearer"}))
    })
    .await;
    let service = Service::start(move |seen: &Seen| {
        let is_good = seen.header("authorization") == Some(&format!("Bearer {}", accepted.lock()));
        match seen.path.as_str() {
            // 419 is the standard's word for a token that has expired.
            _ if !is_good => error(if seen.path == CONFIG { 401 } else { 419 }, seen.header("authorization").unwrap()),
            CONFIG => said(200, plain_config()),
            _ => said(200, &table),
        }
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, Some(credentials(client(Some(format!("{}/token", giver.url))))));
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    *good.lock() = "t2".to_owned();
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    assert_eq!(giver.asked("/token").len(), 2);
    assert!(service.asked("oauth").is_empty());
    // Once: a catalog that refuses all tokens is not asked for ever.
    *good.lock() = "none".to_owned();
    let before = service.asked("tables").len();
    let trouble = gateway.trouble().await;
    assert_eq!(service.asked("tables").len(), before + 2);
    let shown = format!("{trouble} {trouble:?}");
    assert!(shown.contains("[credentials.lake-catalog]: 419") && !shown.contains("t3"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_known_is_named() {
    let (_kept, root) = root();
    for (status, body, expected) in [
        (401, r#"{"error": "invalid_client", "error_description": "hunter2&"}"#, "no token is given for the client of"),
        (200, "{}", "no JSON of one"),
        (200, r#"{"access_token": "x", "token_type": "N_A"}"#, "of a kind other than bearer"),
    ] {
        let service = Service::start(move |_: &Seen| said(status, body)).await;
        let gateway = Gateway::new(&root, &service.url, Some(credentials(client(None))));
        let trouble = gateway.trouble().await;
        let shown = format!("{trouble} {trouble:?}");
        assert!(matches!(trouble, Error::Catalog { .. }) && shown.contains(expected), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(service.asked("").len(), 1, "{status}");
    }
}
