//! Storage credentials that come with a table.

use std::sync::Arc;

use meshgate_table::{CatalogGrant, Credentials, DomainStores, Error, Grant, S3Credentials, StoreOptions};
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

use super::service::{Cell, Hand, Said, Seen, Service, cell, plain_config, said};
use super::{CONFIG, options, reference, root, told};
use crate::rest::{Clients, RestTable};

/// A catalog and a store in one, which gives and knows one key at a time.
struct Lake {
    service: Service,
    table: Cell<Value>,
    /// The key that the store takes.
    key: Cell<&'static str>,
    /// How the store refuses others.
    refusal: Cell<(u16, &'static str)>,
    clock: Arc<Hand>,
    rest: RestTable,
    _kept: tempfile::TempDir,
}

const OBJECT: &str = "s3://lake/sales/orders/data/a.parquet";

impl Lake {
    async fn start(prefix: &str) -> Self {
        let (kept, root) = root();
        let mut table = told(&root, 0..3).await;
        table["metadata"]["location"] = "s3://lake/sales/orders".into();
        table["metadata-location"] = "s3://lake/sales/orders/metadata/1.metadata.json".into();
        let (table, key, refusal) = (cell(table), cell("k1"), cell((403, "<Error><Code>AccessDenied</Code></Error>")));
        let (answers, accepted, refused) = (table.clone(), key.clone(), refusal.clone());
        let service = Service::start(move |seen: &Seen| match seen.path.as_str() {
            CONFIG => said(200, plain_config()),
            path if path.contains("/tables/") => said(200, &*answers.lock()),
            _ => {
                let signed = seen.header("authorization").unwrap_or_default();
                let (status, body) = *refused.lock();
                if signed.contains(&format!("Credential={}/", accepted.lock())) {
                    object(signed)
                } else {
                    said(status, body)
                }
            }
        })
        .await;
        let grant = |prefix_url: &str| {
            let s3 =
                S3Credentials { endpoint: Some(service.url.clone()), allow_http: true, ..S3Credentials::default() };
            Grant { prefix_url: prefix_url.to_owned(), credentials: Some(Credentials::S3(s3)) }
        };
        let catalogs = vec![CatalogGrant::open(service.url.clone())];
        let stores = DomainStores::new("sales", vec![grant(prefix)], catalogs, options()).unwrap();
        let (clock, reference) = (Hand::new(), reference(&service.url));
        let client = Clients::default().of(&reference, &stores, &(clock.clone() as _)).unwrap();
        let rest = RestTable::new(client, &reference, stores);
        Self { service, table, key, refusal, clock, rest, _kept: kept }
    }

    /// What the catalog gives from now on.
    fn give(&self, given: &Value) {
        for (key, value) in given.as_object().unwrap() {
            self.table.lock()[key] = value.clone();
        }
    }

    async fn stores(&self) -> Arc<DomainStores> {
        self.rest.refresh().await.unwrap().1
    }

    fn tables_asked(&self) -> usize {
        self.service.asked("/tables/").len()
    }
}

/// The object is what it was asked with.
fn object(signed: &str) -> Said {
    said(200, signed).with("last-modified", "Tue, 24 Nov 2026 10:00:00 GMT").with("etag", "\"a\"")
}

async fn read(stores: &DomainStores, url: &str) -> Result<String, object_store::Error> {
    let located = stores.locate_literal(url).unwrap();
    let bytes = located.store.get(&located.path).await?.bytes().await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn key(id: &str) -> Value {
    json!({"s3.access-key-id": id, "s3.secret-access-key": "hunter2", "s3.session-token": "hunter3",
           "client.region": "eu-north-1"})
}

fn listed(prefix: &str, config: Value) -> Value {
    json!({"storage-credentials": [{"prefix": prefix, "config": config}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn vended_credentials_are_used_for_their_prefix_alone() {
    for (given, used) in [
        (listed("s3://lake/sales/orders", key("k1")), true),
        (listed("s3", key("k1")), true),
        (listed("s3://lake", key("k1")), true),
        (json!({"config": key("k1")}), true),
        (listed("s3://lake/sales/other", key("k1")), false),
        (listed("s3://lake/sales/ord", key("k1")), false),
        (listed("s3://other/sales/orders", key("k1")), false),
        (listed("gs://lake/sales/orders", json!({"gcs.oauth2.token": "x"})), false),
        (json!({}), false),
    ] {
        let lake = Lake::start("s3://lake/sales/").await;
        lake.give(&given);
        let stores = lake.stores().await;
        match read(&stores, OBJECT).await {
            Ok(signed) => assert!(used && signed.contains("/eu-north-1/"), "{given}"),
            Err(error) => assert!(!used && !error.to_string().contains("hunter"), "{given}: {error}"),
        }
        // The same stores while nothing is new, so that all that is known of snapshots stays.
        assert!(Arc::ptr_eq(&stores, &lake.stores().await), "{given}");
        assert!(!format!("{:?}", lake.rest).contains("hunter"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vended_credentials_widen_nothing() {
    let lake = Lake::start("s3://lake/sales/").await;
    lake.give(&json!({"storage-credentials": [
        {"prefix": "s3://lake", "config": key("k1")}, {"prefix": "s3://hr", "config": key("k1")},
    ]}));
    let stores = lake.stores().await;
    read(&stores, OBJECT).await.unwrap();
    for outside in ["s3://lake/hr/a", "s3://hr/a", "s3://lake/sales/../hr/a"] {
        assert!(matches!(stores.locate_literal(outside), Err(Error::OutsideStorage { .. })), "{outside}");
    }
    let located = stores.locate_literal(OBJECT).unwrap();
    assert!(located.store.get(&object_store::path::Path::from("hr/a")).await.is_err());
    assert!(lake.service.asked("/hr/").is_empty());
    // An endpoint that the platform has not named would be asked with what the catalog made up.
    let mut config = key("k1");
    config["s3.endpoint"] = format!("http://127.0.0.1:{}", 9).into();
    lake.give(&listed("s3://lake/sales/orders", config.clone()));
    let refused = lake.rest.refresh().await.map(|_| ()).expect_err("another endpoint");
    assert!(matches!(&refused, Error::Grant { reason, .. } if reason.contains("http://127.0.0.1:9")), "{refused}");
    config["s3.endpoint"] = format!("{}/", lake.service.url).into();
    lake.give(&listed("s3://lake/sales/orders", config));
    read(&*lake.stores().await, OBJECT).await.unwrap();
    let many: Vec<_> =
        (0..33).map(|at| json!({"prefix": format!("s3://lake/sales/{at}"), "config": key("k1")})).collect();
    lake.give(&json!({"storage-credentials": many}));
    assert!(matches!(lake.rest.refresh().await.map(|_| ()), Err(Error::Grant { .. })));
}

#[test]
fn without_an_endpoint_of_the_platform_there_is_amazon() {
    let grant = Grant { prefix_url: "s3://lake/sales/".to_owned(), credentials: None };
    let stores = DomainStores::new("sales", vec![grant], Vec::new(), StoreOptions::default()).unwrap();
    for (endpoint, good) in [
        ("https://s3.eu-north-1.amazonaws.com", true),
        ("http://s3.eu-north-1.amazonaws.com", false),
        ("https://amazonaws.com.example", false),
        ("https://169.254.169.254", false),
        ("nothing", false),
    ] {
        let mut config = key("k1");
        config["s3.endpoint"] = endpoint.into();
        let told: crate::rest::answer::Told = serde_json::from_value(listed("s3://lake/sales/t", config)).unwrap();
        let vended = told.vended(&[]);
        let lease = meshgate_table::Lease::new(Arc::new(Nobody), Hand::new(), vended.clone());
        assert_eq!(stores.with_lease(&lease, &vended).is_ok(), good, "{endpoint}");
    }
}

#[derive(Debug)]
pub(super) struct Nobody;

#[async_trait::async_trait]
impl meshgate_table::Vendor for Nobody {
    async fn vend(&self) -> Result<Vec<meshgate_table::Vended>, Error> {
        Err(Error::malformed("nobody vends"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_replaced_before_they_expire() {
    let lake = Lake::start("s3://lake/sales/").await;
    let expiring = |id: &str, seconds: i64| {
        let mut config = key(id);
        config["s3.session-token-expires-at-ms"] = lake.clock.millis_in(seconds).to_string().into();
        listed("s3://lake/sales/orders", config)
    };
    lake.give(&expiring("k1", 3600));
    let stores = lake.stores().await;
    lake.clock.forward(3500);
    read(&stores, OBJECT).await.unwrap();
    assert_eq!(lake.tables_asked(), 1);
    // A query that still runs then: the store is what it was, the key is not.
    lake.clock.forward(60);
    lake.give(&expiring("k2", 3600));
    *lake.key.lock() = "k2";
    let (one, other) = (read(&stores, OBJECT), read(&stores, OBJECT));
    let (one, other) = futures::join!(one, other);
    assert!(one.unwrap().contains("Credential=k2/") && other.unwrap().contains("Credential=k2/"));
    assert_eq!(lake.tables_asked(), 2);
    // Before: nothing was refused.
    assert_eq!(lake.service.asked("/lake/").len(), 3);
    // Until they have expired, those at hand are good without a catalog too.
    lake.clock.forward(3560);
    lake.give(&json!({"read-restrictions": {"required-row-filter": {"type": "false"}}}));
    assert!(read(&stores, OBJECT).await.unwrap().contains("Credential=k2/"));
    lake.clock.forward(60);
    assert!(read(&stores, OBJECT).await.is_err());
    assert_eq!(lake.service.asked("/lake/").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_a_store_refuses_are_replaced() {
    for refusal in [
        (403, "<Error><Code>AccessDenied</Code></Error>"),
        (401, ""),
        (400, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"),
    ] {
        let lake = Lake::start("s3://lake/sales/").await;
        *lake.refusal.lock() = refusal;
        lake.give(&listed("s3://lake/sales/orders", key("k1")));
        let stores = lake.stores().await;
        read(&stores, OBJECT).await.unwrap();
        lake.give(&listed("s3://lake/sales/orders", key("k2")));
        *lake.key.lock() = "k2";
        assert!(read(&stores, OBJECT).await.unwrap().contains("Credential=k2/"), "{refusal:?}");
        assert_eq!(lake.tables_asked(), 2);
        // Other credentials do not help here, and are not asked for again and again.
        *lake.key.lock() = "k3";
        assert!(read(&stores, OBJECT).await.is_err());
        assert_eq!(lake.tables_asked(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_restricted_is_not_read_to_its_end() {
    let lake = Lake::start("s3://lake/sales/").await;
    lake.give(&listed("s3://lake/sales/orders", key("k1")));
    let stores = lake.stores().await;
    read(&stores, OBJECT).await.unwrap();
    *lake.key.lock() = "k2";
    lake.give(&listed("s3://lake/sales/orders", key("k2")));
    lake.give(&json!({"read-restrictions": {"required-row-filter": {"type": "false"}}}));
    assert!(read(&stores, OBJECT).await.is_err());
}
