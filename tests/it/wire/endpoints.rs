//! S8: several endpoints, and gateways that redeem each other's tickets.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use meshgate_testkit::{Column, Product, Wire, World, WorldBuilder, rows_text};
use tonic::Code;

use super::{Ahead, Got, Raw, statement, ticket};

const ROWS: i64 = 60_000;

const POLICY: &str = r#"
@id("all") permit (principal in Group::"stewards", action in Action::"access", resource);
@id("odd") @rows("id % 2 = 1") permit (principal in Group::"odd", action in Action::"access", resource);
@id("masked") permit (principal in Group::"masked", action in Action::"access", resource);
@id("hash") @mask("sha-256-global")
forbid (principal in Group::"masked", action == Action::"read", resource) when { resource.tags.contains("pii") };
"#;

fn batch(from: i64, to: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    let names = (from..to).map(|id| format!("name {id}")).collect::<Vec<_>>();
    let names: ArrayRef = Arc::new(arrow::array::StringArray::from(names));
    RecordBatch::try_from_iter([("id", ids), ("name", names)]).expect("rows")
}

async fn world() -> World {
    let columns = vec![Column::new("id", "integer"), Column::new("name", "string").tag("pii")];
    let product = Product::new("big", "rows").table("rows", "delta", "data/big/rows/", columns);
    // Several files of unequal length.
    WorldBuilder::new()
        .domain("big")
        .file("governance/policies/all.cedar", POLICY)
        .product(&product)
        .delta("big", "rows", vec![batch(0, 1_000), batch(1_000, 45_000), batch(45_000, ROWS)])
        .await
        .start()
        .await
        .expect("a valid mesh")
}

fn ids(got: &[Got]) -> Vec<i64> {
    let batches = got.iter().flat_map(|got| &got.batches);
    let mut ids =
        batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect::<Vec<_>>();
    ids.sort_unstable();
    ids
}

async fn redeem_all(clients: &[&Raw], sql: &str) -> Vec<Got> {
    let info = clients[0].info(&statement(sql)).await.unwrap_or_else(|status| panic!("{sql}: {status}")).into_inner();
    assert!(!info.ordered);
    let mut got = Vec::new();
    for (at, endpoint) in info.endpoint.iter().enumerate() {
        assert!(endpoint.location.is_empty());
        let client = clients[at % clients.len()];
        got.push(client.get(endpoint.ticket.clone().expect("a ticket")).await.expect("a part"));
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_several_endpoints_only_when_asked_for() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = Raw::connect(&wire).await.bearer(&world.token("sam", &["stewards"], &[]).await);
    let sql = "SELECT id, name FROM big.rows.rows";
    let all = (0..ROWS).collect::<Vec<_>>();
    let whole = redeem_all(&[&steward], sql).await;
    assert_eq!((whole.len(), ids(&whole)), (1, all.clone()));
    for asked in ["2", "3", "7"] {
        let parts = redeem_all(&[&steward.with("meshgate-endpoints", asked)], sql).await;
        assert_eq!(parts.len().to_string(), asked);
        assert!(parts.iter().all(|part| part.batches.iter().any(|batch| batch.num_rows() > 0)), "{asked}");
        assert_eq!(ids(&parts), all, "each row once");
        assert!(parts.iter().all(|part| part.schema.fields() == whole[0].schema.fields()));
    }
    steward.query("SET meshgate.endpoints = 4").await.expect("an option");
    let filtered = format!("{sql} AS r WHERE id % 3 = 0 AND name LIKE 'name%'");
    let parts = redeem_all(&[&steward], &filtered).await;
    assert_eq!((parts.len(), ids(&parts)), (4, all.iter().copied().filter(|id| id % 3 == 0).collect()));
    // More than the gateway allows are not given.
    let many = redeem_all(&[&steward.with("meshgate-endpoints", "1000")], sql).await;
    assert_eq!((many.len(), ids(&many)), (16, all));
    // What has an order, groups rows, or depends on chance or time has one.
    for single in [
        "SELECT id FROM big.rows.rows ORDER BY id",
        "SELECT id FROM big.rows.rows LIMIT 5",
        "SELECT count(*) FROM big.rows.rows",
        "SELECT DISTINCT id FROM big.rows.rows",
        "SELECT a.id FROM big.rows.rows a JOIN big.rows.rows b ON a.id = b.id",
        "SELECT id FROM big.rows.rows UNION ALL SELECT id FROM big.rows.rows",
        "SELECT id, now() FROM big.rows.rows",
        "SELECT id, random() FROM big.rows.rows",
        "SELECT id, row_number() OVER () FROM big.rows.rows",
        "SELECT id FROM big.rows.rows WHERE id IN (SELECT id FROM big.rows.rows)",
        "SELECT table_name FROM information_schema.tables",
        "SELECT 1",
    ] {
        assert_eq!(redeem_all(&[&steward], single).await.len(), 1, "{single}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_what_is_hidden_does_not_decide_how_results_are_parted() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let raw = Raw::connect(&wire).await.with("meshgate-endpoints", "3");
    let odd = raw.bearer(&world.token("olga", &["odd"], &[]).await);
    let masked = raw.bearer(&world.token("max", &["masked"], &[]).await);
    let got = redeem_all(&[&odd], "SELECT id, name FROM big.rows.rows").await;
    assert_eq!((got.len(), ids(&got)), (1, (0..ROWS).filter(|id| id % 2 == 1).collect()));
    let got = redeem_all(&[&masked], "SELECT id, name FROM big.rows.rows").await;
    assert_eq!((got.len(), ids(&got)), (1, (0..ROWS).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_parts_are_of_one_version_and_end_with_the_rights() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = Raw::connect(&wire).await.bearer(&world.token("sam", &["stewards"], &[]).await);
    let client = steward.with("meshgate-endpoints", "2");
    let info = client.info(&statement("SELECT id FROM big.rows.rows")).await.expect("a plan").into_inner();
    let tickets = info.endpoint.iter().map(|endpoint| endpoint.ticket.clone().expect("a ticket")).collect::<Vec<_>>();
    assert_eq!(tickets.len(), 2);
    let first = client.get(tickets[0].clone()).await.expect("a part");
    world.append("big", "rows", batch(ROWS, ROWS + 5_000)).await;
    let second = client.get(tickets[1].clone()).await.expect("a part");
    assert_eq!(ids(&[first, second]), (0..ROWS).collect::<Vec<_>>(), "of the version that was planned");
    // With other rights the parts would not make a whole.
    let rule = "@id(\"few\") @rows(\"id < 10\") permit (principal in Group::\"stewards\", action in Action::\"access\", resource);";
    let policy = POLICY.replace(
        "@id(\"all\") permit (principal in Group::\"stewards\", action in Action::\"access\", resource);",
        rule,
    );
    assert!(policy.contains("few"));
    world.write("governance/policies/all.cedar", &policy);
    world.gateway.reload().await.expect("a valid mesh");
    let refused = client.get(tickets[0].clone()).await.expect_err("other rights");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_another_gateway_with_the_key_redeems() {
    let world = world().await;
    let sibling = world.sibling().await;
    let (here, there) = (Wire::open(&world).await, Wire::open(&sibling).await);
    let stranger = Wire::open_with(&sibling, |settings| settings.seal_key = [8; 32]).await;
    let token = world.token("sam", &["stewards"], &[]).await;
    let client = async |wire: &Wire| Raw::connect(wire).await.bearer(&token);
    let (one, two, other) = (client(&here).await, client(&there).await, client(&stranger).await);
    let info = one.info(&statement("SELECT count(*) FROM big.rows.rows")).await.expect("a plan").into_inner();
    world.append("big", "rows", batch(ROWS, ROWS + 1)).await;
    for client in [&two, &one, &two] {
        let got = client.get(ticket(&info)).await.expect("either gateway");
        assert_eq!(rows_text(&got.batches), [ROWS.to_string()], "the version that was promised");
    }
    assert_eq!(other.get(ticket(&info)).await.expect_err("another key").code(), Code::NotFound);
    // Parts, here and there.
    let parts = redeem_all(&[&one.with("meshgate-endpoints", "4"), &two], "SELECT id FROM big.rows.rows").await;
    assert_eq!(ids(&parts), (0..=ROWS).collect::<Vec<_>>());
    // Nobody else's, wherever it is redeemed, and not for ever.
    let thief = Raw::connect(&there).await.bearer(&world.token("tom", &["stewards"], &[]).await);
    assert_eq!(thief.get(ticket(&info)).await.expect_err("another's").code(), Code::NotFound);
    let clock = Arc::new(Ahead::default());
    clock.by(601);
    let late = Wire::open_with(&sibling, |settings| settings.clock = clock).await;
    assert_eq!(client(&late).await.get(ticket(&info)).await.expect_err("expired").code(), Code::NotFound);
}
