//! Policies that meet: several masks, forbidden rows, principals who differ in one thing, rules that cannot be evaluated.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use meshgate_gateway::SessionOptions;
use meshgate_testkit::{Column, Product, World, WorldBuilder};

const POLICY: &str = r#"
@id("regional") @rows("region = $region")
permit (principal in Group::"regional", action in Action::"access", resource in Table::"d.p.t");

@id("all") permit (principal in Group::"all", action in Action::"access", resource in Product::"d.p");

@id("ula-alone") permit (principal == User::"ula", action in Action::"access", resource in Product::"d.q");

@id("vips") @rows("$vip")
permit (principal in Group::"vips", action in Action::"access", resource in Table::"d.p.t");

@id("no-secrets") @rows("secret")
forbid (principal, action == Action::"query", resource == Table::"d.p.t") unless { principal in Group::"cleared" };

@id("first") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource == Column::"d.p.t.twice");
@id("second") @mask("show-last-4")
forbid (principal, action == Action::"read", resource == Column::"d.p.t.twice");

@id("small") @rows("100 / (id - 2) > 0 OR CAST(twice AS INT) = 1")
permit (principal in Group::"small", action in Action::"access", resource in Table::"d.k.t");
@id("keepers") permit (principal in Group::"keepers", action in Action::"access", resource in Product::"d.k");
@id("share") @mask("sql:100 / ($value - 3)")
forbid (principal in Group::"small", action == Action::"read", resource == Column::"d.k.t.share");
@id("no-keys")
forbid (principal in Group::"small", action == Action::"read", resource == Column::"d.k.t.secret");

@id("from-inside")
forbid (principal, action == Action::"query", resource == Table::"d.p.net") when { context.clientIp.isLoopback() };
"#;

/// A user's name, groups and attributes, and the ids they see.
type Person<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

async fn world() -> World {
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let regions = StringArray::from(vec!["EU", "EU", "US", "US"]);
    let secrets = arrow::array::BooleanArray::from(vec![Some(false), Some(true), Some(false), None]);
    let share: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let twice = StringArray::from(vec!["abcd-1234"; 4]);
    let batch = RecordBatch::try_from_iter([
        ("id", ids),
        ("region", Arc::new(regions) as ArrayRef),
        ("secret", Arc::new(secrets)),
        ("twice", Arc::new(twice)),
        ("share", share),
    ])
    .expect("four rows");
    let columns = || {
        vec![
            Column::new("id", "integer"),
            Column::new("region", "string"),
            Column::new("secret", "boolean"),
            Column::new("twice", "string"),
        ]
    };
    let product = Product::new("d", "p").table("t", "delta", "data/d/t/", columns()).table(
        "net",
        "delta",
        "data/d/t/",
        columns(),
    );
    let mut keyed = columns();
    keyed[2] = Column::new("secret", "boolean").line("primaryKey: true").line("primaryKeyPosition: 1");
    keyed.push(Column::new("share", "integer"));
    let keyed = Product::new("d", "k").table("t", "delta", "data/d/t/", keyed);
    let of_ula = Product::new("d", "q").table("t", "delta", "data/d/t/", columns());
    WorldBuilder::new()
        .domain("d")
        .attributes("{ region: string, vip: boolean }")
        .file("governance/policies/all.cedar", POLICY)
        .product(&product)
        .product(&of_ula)
        .product(&keyed)
        .delta("d", "t", vec![batch])
        .await
        .start()
        .await
        .expect("a valid mesh")
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_who_differ_in_one_thing_see_what_is_theirs() {
    let world = world().await;
    let absent = "error: table `d.p.t` does not exist (hint: names are domain.product.table; `SHOW TABLES` lists what you may query)";
    let eu = [("region", "EU")];
    let absent_there = absent.replace("d.p.t", "d.q.t");
    let people: [Person; 8] = [
        ("a", &["regional"], &eu, &["1"]),
        ("b", &["regional"], &[("region", "US")], &["3"]),
        ("c", &["regional"], &[], &[]),
        ("d", &["all"], &eu, &["1", "3"]),
        ("e", &[], &eu, &[absent]),
        ("f", &["all", "cleared"], &eu, &["1", "2", "3", "4"]),
        ("g", &["vips"], &[], &[]),
        ("h", &["vips"], &[("vip", "true")], &["1", "3"]),
    ];
    // Twice: the second time decisions are known.
    for _ in 0..2 {
        for (name, groups, attributes, expected) in people {
            let caller = world.user(name, groups, attributes).await;
            let seen = world.text(&caller, "SELECT id FROM d.p.t ORDER BY id").await;
            assert_eq!(seen, expected, "{name}");
        }
        // One table is one person's.
        for (name, expected) in [("ula", "4"), ("ulb", absent_there.as_str())] {
            let caller = world.user(name, &[], &[]).await;
            assert_eq!(world.text(&caller, "SELECT count(*) FROM d.q.t").await, [expected], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_masks_leave_nothing_and_a_rule_that_fails_denies() {
    let world = world().await;
    let caller = world.user("d", &["all"], &[]).await;
    assert_eq!(world.text(&caller, "SELECT twice FROM d.p.t WHERE id = 1").await, ["NULL"]);
    // Where the caller comes from is not known, so whether the rule forbids is not either.
    let seen = world.text(&caller, "SELECT count(*) FROM d.p.net").await;
    assert!(seen[0].contains("does not exist"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_fails_hides_its_row_and_a_mask_that_fails_shows_nothing() {
    let world = world().await;
    let caller = world.user("s", &["small"], &[]).await;
    // For 1 the filter is false on its left side and fails on its right, for 2 it fails on its left.
    let seen = world.text(&caller, "SELECT id, share FROM d.k.t ORDER BY id").await;
    assert_eq!(seen, ["3\tNULL", "4\t100"]);
    assert_eq!(world.text(&caller, "SELECT count(*) FROM d.k.t WHERE share IS NULL").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_hidden_column_is_none() {
    let world = world().await;
    for (groups, keys) in [(["small"], 0), (["all"], 0), (["keepers"], 1)] {
        let caller = world.user("k", &groups, &[]).await;
        let listed = world.gateway.primary_keys(&caller, &SessionOptions::default(), [Some("d"), Some("k")], "t");
        assert_eq!(listed.expect("a listing").len(), keys, "{groups:?}");
    }
}
