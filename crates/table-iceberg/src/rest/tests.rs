//! REST catalogs: a service of the test's own answers as real ones do, and as they should not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meshgate_model::{Failure, Fault, Secret};
use meshgate_table::conformance::{Bench, batch};
use meshgate_table::{
    CatalogCredentials, CatalogGrant, CatalogLogin, CatalogRef, DomainStores, Error, Format, Grant, Pin, Source,
    StoreOptions,
};
use serde_json::{Value, json};

use crate::{IcebergFormat, write};
use service::{Hand, Seen, Service, cell, error, plain_config, said};

mod fuzz;
mod login;
mod service;
mod vending;

/// A gateway of one domain, whose tables are in a directory and in a catalog.
struct Gateway {
    bench: Bench,
    clock: Arc<Hand>,
    source: Source,
}

fn reference(url: &str) -> CatalogRef {
    CatalogRef {
        url: url.to_owned(),
        catalog: "lake".to_owned(),
        namespace: "sales.eu".to_owned(),
        warehouse: Some("wh 1".to_owned()),
        table: "orders".to_owned(),
    }
}

fn credentials(login: Option<CatalogLogin>) -> CatalogCredentials {
    CatalogCredentials {
        name: "lake-catalog".to_owned(),
        login,
        headers: Vec::new(),
        authorities: None,
        allow_http: true,
        vended: true,
    }
}

fn token(text: &str) -> Option<CatalogCredentials> {
    Some(credentials(Some(CatalogLogin::Token(Secret::new(text)))))
}

/// Stores that give up soon.
fn options() -> StoreOptions {
    StoreOptions { retry_timeout: Duration::from_millis(400), retries_max: 1, ..StoreOptions::default() }
}

impl Gateway {
    fn new(root: &Path, url: &str, credentials: Option<CatalogCredentials>) -> Self {
        let grant = Grant { prefix_url: root.display().to_string(), credentials: None };
        Self::over(grant, url, vec![CatalogGrant { url: url.to_owned(), credentials }], StoreOptions::default())
    }

    fn over(grant: Grant, url: &str, catalogs: Vec<CatalogGrant>, options: StoreOptions) -> Self {
        let clock = Hand::new();
        let format = Arc::new(IcebergFormat::new(clock.clone()));
        let mut bench = Bench::over(format, clock.clone(), grant.clone()).unwrap();
        bench.stores = DomainStores::new("sales", vec![grant], catalogs, options).unwrap();
        Self { bench, clock, source: Source::in_catalog(Format::Iceberg, reference(url)) }
    }

    /// The rows of the newest version, which is asked for.
    async fn ids(&self) -> Result<Vec<String>, String> {
        self.clock.forward(2);
        self.bench.rows(&self.source, &Pin::Latest, &["id"], None).await.map_err(|error| error.to_string())
    }

    /// What is wrong with the newest version.
    async fn trouble(&self) -> Error {
        self.clock.forward(2);
        self.bench.tables.snapshot(&self.bench.stores, &self.source, &Pin::Latest, None).await.expect_err("an error")
    }
}

/// A table in a directory, as a catalog tells of it.
async fn told(root: &Path, rows: std::ops::Range<i32>) -> Value {
    let file = write(&root.join("table"), [batch(rows.start, rows.end).unwrap()], &[]).await.unwrap();
    let metadata: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    json!({"metadata-location": format!("file://{}", file.display()), "metadata": metadata, "config": {}})
}

fn root() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

const CONFIG: &str = "/v1/config";

fn ids(range: std::ops::Range<i32>) -> Vec<String> {
    let mut ids: Vec<_> = range.map(|id| id.to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_asked_for_as_the_standard_says() {
    let (_kept, root) = root();
    let table = told(&root, 0..3).await;
    let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/v1/config" => said(200, json!({"defaults": {"prefix": "no"}, "overrides": {"prefix": "a b/c"}})),
        "/api/v1/a%20b/c/namespaces/sales%1Feu/tables/orders" => said(200, &table),
        _ => error(404, "no such path"),
    })
    .await;
    let mut signed = token("hunter2").unwrap();
    signed.headers = vec![("X-Project".to_owned(), Secret::new("p1"))];
    let gateway = Gateway::new(&root, &format!("{}/api", service.url), Some(signed));
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    let configs = service.asked("config");
    assert_eq!(configs.iter().map(|seen| seen.query.as_str()).collect::<Vec<_>>(), ["warehouse=wh+1"]);
    for seen in service.asked("") {
        assert_eq!((seen.method.as_str(), seen.header("authorization")), ("GET", Some("Bearer hunter2")));
        assert_eq!(seen.header("x-project"), Some("p1"));
    }
    let tables = service.asked("tables");
    assert!(tables.iter().all(|seen| seen.header("x-iceberg-access-delegation") == Some("vended-credentials")));
    let names = "/api/v1/a%20b/c/namespaces/sales.eu/tables/orders";
    assert!(service.asked(names).is_empty(), "the levels of a namespace are not separated by dots");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_known_is_not_read_again() {
    let (_kept, root) = root();
    let table = cell(told(&root, 0..3).await);
    let answers = table.clone();
    let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
        CONFIG => said(200, plain_config()),
        _ => said(200, &*answers.lock()),
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, None);
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    // It would fail if it was read.
    table.lock()["metadata"] = json!({"format-version": 99});
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    *table.lock() = told(&root, 3..5).await;
    assert_eq!(gateway.ids().await.unwrap(), ids(0..5));
    table.lock()["metadata-location"] = format!("file://{}/elsewhere.metadata.json", root.display()).into();
    table.lock()["metadata"] = json!({"format-version": 99});
    assert!(matches!(gateway.trouble().await, Error::Format { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_with_tags_is_asked_for_what_is_new() {
    let (_kept, root) = root();
    let table = cell((told(&root, 0..3).await, "\"one\""));
    let answers = table.clone();
    let service = Service::start(move |seen: &Seen| {
        let (table, tag) = &*answers.lock();
        match seen.path.as_str() {
            CONFIG => said(200, plain_config()),
            _ if seen.header("if-none-match") == Some(tag) => said(304, ""),
            _ => said(200, table).with("etag", tag),
        }
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, None);
    for _ in 0..3 {
        assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    }
    let tags = |service: &Service| {
        let asked = service.asked("tables");
        asked.iter().map(|seen| seen.header("if-none-match").map(str::to_owned)).collect::<Vec<_>>()
    };
    let tagged = |tag: &str| Some(format!("\"{tag}\""));
    // One query asks once; rows() makes two of the same age.
    assert_eq!(tags(&service), [None, tagged("one"), tagged("one")]);
    *table.lock() = (told(&root, 3..5).await, "\"two\"");
    assert_eq!(gateway.ids().await.unwrap(), ids(0..5));
    assert_eq!(gateway.ids().await.unwrap(), ids(0..5));
    assert_eq!(tags(&service)[3..], [tagged("one"), tagged("two")]);
    // What may be read can change without a new version, so that all of it is told now and then.
    table.lock().0["read-restrictions"] = json!({"required-row-filter": {"type": "false"}});
    gateway.clock.forward(60);
    assert!(matches!(gateway.trouble().await, Error::UnsupportedFeature { .. }));
    assert!(matches!(gateway.trouble().await, Error::UnsupportedFeature { .. }));
    assert_eq!(tags(&service)[5..], [None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_restrictions_close_a_table() {
    let (_kept, root) = root();
    let table = cell(told(&root, 0..3).await);
    let answers = table.clone();
    let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
        CONFIG => said(200, plain_config()),
        _ => said(200, &*answers.lock()),
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, None);
    let filter =
        json!({"type": "eq", "left": {"type": "reference", "id": 1}, "right": {"type": "literal", "value": 1}});
    for (restrictions, refused) in [
        (json!(null), None),
        (json!({}), None),
        (json!({"required-row-filter": null, "required-column-projections": []}), None),
        (json!({"required-row-filter": {"type": "true"}}), None),
        (json!({"required-row-filter": filter}), Some("a row filter that its catalog requires")),
        (json!({"required-row-filter": {"type": "true", "child": 1}}), Some("a row filter that")),
        (
            json!({"required-column-projections": [{"field-id": 2, "action": "show-last-4"}]}),
            Some("the action `show-last-4` on a column"),
        ),
        (json!({"required-column-projections": [{"field-id": 2, "action": "a/b"}]}), Some("the action `(none)`")),
        (json!({"required-column-projections": {"1": 2}}), Some("of an unknown kind")),
        (json!({"required-something": 1}), Some("of an unknown kind")),
        (json!("none"), Some("of an unknown form")),
    ] {
        table.lock()["read-restrictions"] = restrictions.clone();
        match refused {
            None => assert_eq!(gateway.ids().await.unwrap(), ids(0..3), "{restrictions}"),
            Some(refused) => {
                let trouble = gateway.trouble().await;
                assert!(
                    matches!(&trouble, Error::UnsupportedFeature { feature } if feature.contains(refused)),
                    "{trouble}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_whose_they_are() {
    let (_kept, root) = root();
    for (status, expected) in [
        (401, "it refuses the table sales.eu.orders to [credentials.lake-catalog]: 401 TestException ***"),
        (403, "it refuses the table sales.eu.orders to [credentials.lake-catalog]: 403"),
        (404, "no Iceberg table at sales.eu.orders of"),
        (302, "it redirects for the table sales.eu.orders, which is not followed: 302"),
        (400, "it does not give the table sales.eu.orders: 400"),
        (503, "it cannot answer just now: 503"),
    ] {
        let elsewhere = Service::start(|_: &Seen| said(200, "{}")).await;
        let to = format!("{}/secret", elsewhere.url);
        let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
            CONFIG => said(200, plain_config()),
            // A careless service repeats what it was sent.
            _ => {
                error(status, seen.header("authorization").unwrap().trim_start_matches("Bearer ")).with("location", &to)
            }
        })
        .await;
        let grant = Grant { prefix_url: root.display().to_string(), credentials: None };
        let catalog = CatalogGrant { url: service.url.clone(), credentials: token("hunter2") };
        let gateway = Gateway::over(grant, &service.url, vec![catalog], options());
        let trouble = gateway.trouble().await;
        let shown = format!("{trouble} {trouble:?}");
        assert!(shown.contains(expected) && !shown.contains("hunter2"), "{status}: {shown}");
        assert_eq!(matches!(trouble, Error::NotFound { .. }), status == 404, "{shown}");
        assert_eq!(trouble.fault(), Fault::Unavailable, "{shown}");
        assert!(elsewhere.asked("").is_empty(), "{status}");
    }
    let service = Service::start(|_: &Seen| error(403, "no")).await;
    let trouble = Gateway::new(&root, &service.url, None).trouble().await;
    assert!(trouble.to_string().contains("mesh.yaml names none for it"), "{trouble}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_back_is_not_missed() {
    let (_kept, root) = root();
    let table = told(&root, 0..3).await;
    let mut left = 3;
    let service = Service::start(move |seen: &Seen| {
        left -= 1;
        match seen.path.as_str() {
            _ if left >= 0 => error(503, "not yet"),
            CONFIG => said(200, plain_config()),
            _ => said(200, &table),
        }
    })
    .await;
    let gateway = Gateway::new(&root, &service.url, None);
    assert_eq!(gateway.ids().await.unwrap(), ids(0..3));
    assert_eq!(service.asked("").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_hangs_or_lies_is_an_error() {
    let (_kept, root) = root();
    // Takes connections and never answers.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        closed.local_addr().unwrap()
    };
    let soon = StoreOptions {
        request_timeout: Duration::from_millis(50),
        retry_timeout: Duration::ZERO,
        ..StoreOptions::default()
    };
    let endless = Service::start(|_: &Seen| said(200, " ".repeat((4 << 20) + 1))).await;
    let odd = Service::start(|_: &Seen| said(200, "<html>")).await;
    for (url, expected) in [
        (format!("http://{}", hanging.local_addr().unwrap()), "no answer in time"),
        (format!("http://{nobody}"), "refused"),
        (endless.url.clone(), "the answer is longer than"),
        (odd.url.clone(), "its configuration is no JSON of one"),
    ] {
        let grant = Grant { prefix_url: root.display().to_string(), credentials: None };
        let trouble = Gateway::over(grant, &url, vec![CatalogGrant::open(url.clone())], soon).trouble().await;
        assert!(matches!(&trouble, Error::Catalog { reason, .. } if reason.contains(expected)), "{trouble}");
        let public = trouble.public().to_string();
        assert!(!public.contains("127.0.0.1"), "{public}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_whom_the_platform_has_not_listed() {
    let (_kept, root) = root();
    let grant = || Grant { prefix_url: root.display().to_string(), credentials: None };
    let service = Service::start(|_: &Seen| said(200, plain_config())).await;
    let listed = |url: String| vec![CatalogGrant::open(url)];
    for catalogs in [Vec::new(), listed(format!("{}/api", service.url)), listed(format!("{}1", service.url))] {
        let gateway = Gateway::over(grant(), &service.url, catalogs, options());
        assert!(matches!(gateway.trouble().await, Error::OutsideStorage { .. }));
    }
    // Credentials are for `https://`, unless the operator says otherwise.
    let secret = CatalogCredentials { allow_http: false, ..token("hunter2").unwrap() };
    let catalog = CatalogGrant { url: service.url.clone(), credentials: Some(secret) };
    let trouble = Gateway::over(grant(), &service.url, vec![catalog], options()).trouble().await;
    assert!(trouble.to_string().contains("without `allow_http`"), "{trouble}");
    assert!(service.asked("").is_empty());

    // A catalog sends nobody elsewhere.
    let to = service.url.clone();
    let sending = Service::start(move |_: &Seen| said(200, json!({"overrides": {"uri": to}}))).await;
    let trouble = Gateway::over(grant(), &sending.url, listed(sending.url.clone()), options()).trouble().await;
    assert!(trouble.to_string().contains("which mesh.yaml does not list"), "{trouble}");
    assert!(service.asked("").is_empty());

    // Nor does the name of a table.
    let mut gateway = Gateway::over(grant(), &service.url, listed(service.url.clone()), options());
    gateway.source.catalog.as_mut().unwrap().table = "..".to_owned();
    assert!(matches!(gateway.trouble().await, Error::Catalog { .. }));
    assert!(service.asked("tables").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_others_stays_theirs() {
    let (_kept, root) = root();
    let table = told(&root.join("hr"), 0..3).await;
    std::fs::create_dir(root.join("sales")).unwrap();
    let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
        CONFIG => said(200, plain_config()),
        _ => said(200, &table),
    })
    .await;
    assert!(matches!(
        Gateway::new(&root.join("sales"), &service.url, None).trouble().await,
        Error::OutsideStorage { .. }
    ));
    assert_eq!(Gateway::new(&root.join("hr"), &service.url, None).ids().await.unwrap(), ids(0..3));
}
