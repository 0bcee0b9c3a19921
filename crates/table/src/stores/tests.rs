//! Containment: what lies outside a grant is never opened, however it is written.

use std::fs;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{CatalogGrant, DomainStores, Grant, StoreOptions};
use crate::Error;

pub(super) fn stores(prefixes: &[&str]) -> std::sync::Arc<DomainStores> {
    let grants = prefixes.iter().map(|p| Grant { prefix_url: (*p).to_owned(), credentials: None }).collect();
    DomainStores::new("sales", grants, vec![CatalogGrant::open("https://catalog.example/v1")], StoreOptions::default())
        .expect("good grants")
}

#[tokio::test]
async fn nothing_outside_the_prefix_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let base = root.path().canonicalize().unwrap();
    let (inside, outside) = (base.join("sales"), base.join("hr"));
    fs::create_dir_all(inside.join("t")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(inside.join("t/a b.parquet"), b"mine").unwrap();
    fs::write(outside.join("secret"), b"theirs").unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("door")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), inside.join("t/window")).unwrap();
    std::os::unix::fs::symlink(outside.join("not yet"), inside.join("t/dangling")).unwrap();
    std::os::unix::fs::symlink(inside.join("t"), inside.join("same")).unwrap();
    let stores = stores(&[inside.to_str().unwrap()]);
    let base = base.to_str().unwrap();

    for good in ["/sales/t/a b.parquet", "/sales/../sales/t/./a b.parquet", "/sales/same/a b.parquet"] {
        let found = stores.locate(&format!("{base}{good}")).unwrap();
        assert_eq!(found.store.get(&found.path).await.unwrap().bytes().await.unwrap(), "mine", "{good}");
    }
    let encoded = stores.locate(&format!("file://{base}/sales/t/a%20b.parquet")).unwrap();
    assert_eq!(encoded.store.head(&encoded.path).await.unwrap().size, 4);

    for bad in [
        "/hr/secret",
        "/sales/../hr/secret",
        "/sales/%2e%2e/hr/secret",
        "/sales/t/..%2f..%2fhr/secret",
        "/sales/door/secret",
        "/sales/t/window",
        "/sales/t/dangling",
        "/salesx/secret",
        "",
    ] {
        let error = stores.locate(&format!("file://{base}{bad}")).expect_err(bad);
        assert!(matches!(error, Error::OutsideStorage { .. }), "{bad}: {error}");
    }
    for foreign in ["s3://lake/sales/t", "gs://lake/x", "http://example.com/x", "t/a", "file://other/x"] {
        assert!(stores.locate(foreign).is_err(), "{foreign}");
        assert!(stores.locate_literal(foreign).is_err(), "{foreign}");
    }

    // The store checks again, whatever it is asked for, and never writes.
    let store = encoded.store;
    for bad in ["hr/secret", "sales/door/secret", "sales/t/window"] {
        let path = Path::parse(format!("{base}/{bad}").trim_start_matches('/')).unwrap();
        assert!(store.get(&path).await.is_err(), "{bad}");
        assert!(store.head(&path).await.is_err(), "{bad}");
        assert!(store.get_ranges(&path, &[0..1, 1..2]).await.is_err(), "{bad}");
    }
    assert!(store.list_with_delimiter(None).await.is_err());
    let table = Path::parse(format!("{base}/sales").trim_start_matches('/')).unwrap();
    let listed: Vec<_> = futures::TryStreamExt::try_collect(store.list(Some(&table))).await.unwrap_or_default();
    let listed: Vec<_> = listed.iter().map(|meta| meta.location.filename().unwrap_or_default().to_owned()).collect();
    assert!(!listed.iter().any(|name| name == "secret" || name == "window"), "{listed:?}");
    let new = table.clone().join("new");
    assert!(store.put(&new, PutPayload::from_static(b"x")).await.is_err());
    assert!(store.delete(&encoded.path).await.is_err());
    assert!(store.copy(&encoded.path, &new).await.is_err());
    assert!(store.rename(&encoded.path, &new).await.is_err());
    assert_eq!(fs::read(inside.join("t/a b.parquet")).unwrap(), b"mine");
}

#[test]
fn buckets_and_prefixes_are_borders() {
    let stores = stores(&["s3://lake/sales/", "s3://lake/sales/eu/"]);
    let found = stores.locate("s3a://lake/sales/eu/t/part-0.parquet").unwrap();
    assert_eq!((found.grant, found.url.as_str()), (1, "s3://lake/sales/eu/t/part-0.parquet"));
    assert_eq!(stores.locate("s3://lake/sales/us/t").unwrap().grant, 0);
    for bad in ["s3://lake/hr/t", "s3://lake/sales2/t", "s3://other/sales/t", "s3://lake/sales/../hr/t", "s3://lake"] {
        assert!(stores.locate(bad).is_err(), "{bad}");
    }
}

#[test]
fn catalogs_are_listed() {
    let stores = stores(&["s3://lake/sales/"]);
    for (url, allowed) in [
        ("https://catalog.example/v1", true),
        ("https://catalog.example/v1/", true),
        ("https://catalog.example/v1/ns", true),
        ("https://catalog.example/v10", false),
        ("https://catalog.example/v1/../admin", false),
        ("https://catalog.example/v1/%2e%2e/admin", false),
        ("https://catalog.example", false),
    ] {
        assert_eq!(stores.catalog(url).is_ok(), allowed, "{url}");
    }
}
