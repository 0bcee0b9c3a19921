//! What a catalog says of a table and of storage, changed at random.

use std::sync::Arc;

use meshgate_fuzzing::Fuzz;
use meshgate_table::{DomainStores, Grant, Lease, StoreOptions};
use serde_json::Value;

use super::service::Hand;
use super::vending::Nobody;
use crate::rest::answer::Told;

const ANSWERS: [&str; 4] = [
    r#"{"metadata-location": "s3://lake/sales/t/1.metadata.json", "config": {"s3.access-key-id": "a",
        "s3.secret-access-key": "hunter2", "s3.session-token": "hunter2", "s3.session-token-expires-at-ms": "1760000000000"}}"#,
    r#"{"storage-credentials": [{"prefix": "s3://lake/sales/t", "config": {"s3.access-key-id": "a",
        "s3.secret-access-key": "hunter2", "s3.endpoint": "https://s3.eu-north-1.amazonaws.com", "client.region": "eu-north-1"}}]}"#,
    r#"{"read-restrictions": {"required-row-filter": {"type": "eq", "left": {"type": "reference", "id": 1},
        "right": {"type": "literal", "value": "EU"}}, "required-column-projections": [{"field-id": 4, "action": "show-last-4"}]}}"#,
    r#"{"read-restrictions": {"required-row-filter": {"type": "true"}, "required-column-projections": []}}"#,
];

#[test]
fn fuzz_rest_answer() {
    let grant = Grant { prefix_url: "s3://lake/sales/".to_owned(), credentials: None };
    let stores = DomainStores::new("sales", vec![grant], Vec::new(), StoreOptions::default()).unwrap();
    let words = [
        "s3://lake",
        "s3://hr",
        "s3",
        "/../",
        "%2e%2e",
        "null",
        "true",
        "\"type\": \"true\"",
        "\"prefix\": \"",
        "[]",
        "{}",
    ];
    Fuzz::text("rest_answer").all(ANSWERS).words(words).inputs(3_000).run(|input| {
        let Ok(told) = serde_json::from_slice::<Told>(input) else { return Ok("no answer".to_owned()) };
        if told.refuse_restrictions().is_err() {
            return Ok("restricted".to_owned());
        }
        let whole: Value = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        let restrictions = whole.get("read-restrictions").map(Value::to_string).unwrap_or_default();
        if ["action", "reference", "field-id"].iter().any(|word| restrictions.contains(word)) {
            return Err(format!("{restrictions} restricts nothing"));
        }
        let vended = told.vended(&["s3://lake/sales/t".to_owned()]);
        let lease = Lease::new(Arc::new(Nobody), Hand::new(), vended.clone());
        let Ok(leased) = stores.with_lease(&lease, &vended) else { return Ok("another endpoint".to_owned()) };
        if ["s3://lake/hr/a", "s3://hr/a", "s3://lake", "s3://lake/sales2/a"]
            .iter()
            .any(|url| leased.locate(url).is_ok())
        {
            return Err(format!("{vended:?} opens what is not granted"));
        }
        match leased.locate("s3://lake/sales/t/a").map_err(|error| error.to_string())?.grant {
            0 => Ok("nothing vended".to_owned()),
            _ => Ok("vended".to_owned()),
        }
    });
}
