//! What real systems leaked, by the numbers of the project's list of incidents: those that take more than one request.
//! The others are lines of `catalogue.txt`; `ELSEWHERE` says where the rest is tested, and what cannot happen here.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_flight::sql::{CommandGetTables, ProstMessageExt};
use meshgate_gateway::{SessionOptions, Statement};
use meshgate_model::Failure;
use meshgate_testkit::{Column, Product, Wire, World, WorldBuilder, rows_text};
use tonic::Code;

use crate::mesh::{builder, people, world};

const SQL: &str = "SELECT count(*), min(id), max(id) FROM crm.people.people";
const ANALYSTS: &str = "3\t1\t3";
const STEWARDS: &str = "6\t1\t6";
const ABSENT: &str = "does not exist";

/// Incidents that are tested in other places, and those that this system has no room for.
const ELSEWHERE: &[(u8, &str)] = &[
    (18, "there are no materialised views, nor anything else that is computed for one and read by another"),
    (47, "no issuer but the gateway itself: OpenID Connect is not built"),
    (48, "no claims but the gateway's own: OpenID Connect is not built"),
    (50, "no server for agents is built"),
    (52, "tests/clients/test_hostile.py throws these at the binary"),
];

#[test]
fn every_incident_has_its_test_or_a_reason() {
    let numbers = |text: &str, before: &str| {
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        text.split(before).skip(1).filter_map(|rest| digits(rest).parse::<u8>().ok()).collect::<BTreeSet<_>>()
    };
    let mut tested = numbers(include_str!("catalogue.txt"), "incident_");
    tested.extend(numbers(include_str!("incidents.rs"), concat!("fn ", "incident_")));
    let told = ELSEWHERE.iter().map(|(number, _)| *number).collect::<BTreeSet<_>>();
    println!("{} incidents tested, {} elsewhere or impossible", tested.len(), told.len());
    assert!(tested.is_disjoint(&told), "{:?}", tested.intersection(&told));
    assert!((1..=52).all(|number| tested.contains(&number) || told.contains(&number)), "{tested:?}");
    assert!(tested.len() >= 40, "{tested:?}");
}

async fn people_of(world: &World) -> [meshgate_gateway::Caller; 2] {
    [world.user("steward", &["stewards"], &[]).await, world.user("analyst", &["analysts"], &[("region", "EU")]).await]
}

/// PostgreSQL ran the plan that one role had made for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn incident_5_a_plan_of_one_is_not_run_for_another() {
    let world = world().await;
    let [steward, analyst] = people_of(&world).await;
    let (options, statement) = (SessionOptions::default(), Statement { sql: SQL.to_owned(), ..Statement::default() });
    let planned = world.gateway.plan(&steward, &options, &statement).await.expect("a plan");
    let stream = world.gateway.execute(&analyst, &options, planned.id, &statement).await.expect("a plan of its own");
    let rows: Vec<_> = futures::TryStreamExt::try_collect(stream.batches).await.expect("rows");
    assert_eq!(rows_text(&rows), [ANALYSTS]);
}

/// The identity changed within a session, and in parallel workers.
#[tokio::test(flavor = "multi_thread")]
async fn incident_6_a_connection_has_no_identity() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = wire.client(Some(&world.token("steward", &["stewards"], &[]).await)).await;
    let analyst = steward.with_token(&world.token("analyst", &["analysts"], &[("region", "EU")]).await);
    // Over one connection, in turn and at once.
    for _ in 0..20 {
        let (of_steward, of_analyst, again) =
            tokio::join!(steward.query(SQL), analyst.query(SQL), analyst.prepared(SQL));
        assert_eq!(rows_text(&of_steward.batches), [STEWARDS]);
        assert_eq!(rows_text(&of_analyst.batches), [ANALYSTS]);
        assert_eq!(rows_text(&again.batches), [ANALYSTS]);
    }
}

/// What was computed for whoever sees everything was given to the next one: by a cache of conditions, of results, of
/// statements, of values to choose from.
async fn no_answer_is_kept_for_another(sql: &str, steward_sees: &str, analyst_sees: &str) {
    let world = world().await;
    let [steward, analyst] = people_of(&world).await;
    for _ in 0..3 {
        assert_eq!(world.text(&steward, sql).await, [steward_sees]);
        assert_eq!(world.text(&analyst, sql).await, [analyst_sees]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_16_a_condition_is_not_remembered_for_another() {
    no_answer_is_kept_for_another("SELECT count(*) FROM crm.people.people WHERE x = 5", "2", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_41_values_to_choose_from_are_not_remembered_for_another() {
    let sql = "SELECT string_agg(DISTINCT region, ',' ORDER BY region) FROM crm.people.people";
    no_answer_is_kept_for_another(sql, "EU,US", "EU").await;
}

/// A policy that changed did not reach what was cached: results, then statements.
#[tokio::test(flavor = "multi_thread")]
async fn incident_17_a_changed_policy_changes_the_next_answer() {
    let world = world().await;
    let [_, analyst] = people_of(&world).await;
    assert_eq!(world.text(&analyst, SQL).await, [ANALYSTS]);
    world.write(
        "governance/policies/less.cedar",
        "@id(\"less\") @rows(\"id < 3\") forbid (principal, action == Action::\"query\", resource == Table::\"crm.people.people\");",
    );
    world.gateway.reload().await.expect("a valid mesh");
    assert_eq!(world.text(&analyst, SQL).await, ["1\t3\t3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_24_a_prepared_statement_takes_the_rules_in_force() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let analyst = wire.client(Some(&world.token("analyst", &["analysts"], &[("region", "EU")]).await)).await;
    let handle = analyst.prepare(SQL).await.expect("a handle");
    assert_eq!(rows_text(&analyst.execute(&handle).await.batches), [ANALYSTS]);
    world.write(
        "governance/policies/closed.cedar",
        "@id(\"closed\") forbid (principal, action == Action::\"query\", resource == Table::\"crm.people.people\");",
    );
    world.gateway.reload().await.expect("a valid mesh");
    let closed = analyst.execute(&handle).await;
    assert_eq!(closed.code(), Code::NotFound, "{:?}", closed.failure);
}

/// A policy file that could not be read was left out, and everything was open.
#[tokio::test(flavor = "multi_thread")]
async fn incident_19_a_policy_that_cannot_be_read_closes() {
    let broken = "@id(\"no-names\") forbid (principal, action == Action::\"read\", resource == Column::\"crm.people";
    let refused = builder().await.file("governance/policies/broken.cedar", broken).start().await;
    assert!(refused.is_err(), "a global policy that cannot be read");
    let world =
        builder().await.file("domains/crm/policies/broken.cedar", broken).start().await.expect("the rest is valid");
    let [steward, _] = people_of(&world).await;
    let answer = world.text(&steward, SQL).await;
    assert!(answer[0].starts_with("error: "), "{answer:?}");
    assert_eq!(world.text(&steward, "SELECT count(*) FROM sales.orders.orders").await, ["10"]);
}

/// The policies used were not recorded for views and sub-queries.
#[tokio::test(flavor = "multi_thread")]
async fn incident_21_the_trail_names_the_policies_of_every_table_that_was_read() {
    let sql = "WITH w AS (SELECT id FROM crm.people.people) \
               SELECT count(*) FROM w WHERE id IN (SELECT person FROM sales.orders.orders)";
    let world = world().await;
    let [_, analyst] = people_of(&world).await;
    world.query(&analyst, sql).await.expect("rows");
    world.flush_audit().await;
    let trail = text_of(&world.audit());
    for word in ["analysts-own-region", "analysts-orders", "crm.people_v1.people", "sales.orders_v1.orders"] {
        assert!(trail.contains(word), "{word} in {trail}");
    }
}

/// Who deleted the last policy of a table opened it.
#[tokio::test(flavor = "multi_thread")]
async fn incident_22_without_policies_nothing_is_open() {
    let world = world().await;
    let [steward, analyst] = people_of(&world).await;
    world.write("governance/policies/all.cedar", "");
    world.gateway.reload().await.expect("a mesh without policies is valid");
    for caller in [&steward, &analyst] {
        let answer = world.text(caller, SQL).await;
        assert!(answer[0].contains(ABSENT), "{answer:?}");
    }
}

/// A world of one table of people at a place, which one rule opens to everybody.
async fn placed(at: &str, prepare: impl FnOnce(&WorldBuilder)) -> Result<World, meshgate_gateway::Error> {
    let columns = || vec![Column::new("id", "integer"), Column::new("name", "string")];
    let world = WorldBuilder::new().domain("mall").domain("hr").delta("hr", "people", vec![people()]).await;
    let world = world.delta("mall", "bait", vec![people()]).await;
    prepare(&world);
    let rule = "@id(\"all\") permit (principal, action in Action::\"access\", resource in Domain::\"mall\");";
    world
        .product(&Product::new("mall", "pub").table("bait", "delta", at, columns()))
        .product(&Product::new("mall", "pubs").table("bait", "delta", "data/mall/bait/", columns()))
        .file("governance/policies/all.cedar", rule)
        .start()
        .await
}

const BAIT: &str = "SELECT count(*) FROM mall.pub.bait";

/// What follows the star of a pattern was ignored: one name was taken for another that begins alike.
#[tokio::test(flavor = "multi_thread")]
async fn incident_33_a_name_is_not_the_beginning_of_another() {
    let world = placed("data/mall/bait/", |_| ()).await.expect("a valid mesh");
    let rule = "@id(\"one\") permit (principal, action in Action::\"access\", resource in Product::\"mall.pub\");";
    world.write("governance/policies/all.cedar", rule);
    world.gateway.reload().await.expect("a valid mesh");
    let caller = world.user("somebody", &[], &[]).await;
    assert_eq!(world.text(&caller, BAIT).await, ["6"]);
    let other = world.text(&caller, "SELECT count(*) FROM mall.pubs.bait").await;
    assert!(other[0].contains(ABSENT), "{other:?}");
}

/// A table was placed where its owner may not read.
#[tokio::test(flavor = "multi_thread")]
async fn incident_34_a_location_outside_of_the_domain_is_refused() {
    for at in ["data/hr/people/", "data/mall/../hr/people/", "data/mall/%2e%2e/hr/people/", "data/mallet/", "/etc/"] {
        let world = placed(at, |_| ()).await.expect("the other products are valid");
        let caller = world.user("somebody", &[], &[]).await;
        let answer = world.text(&caller, BAIT).await;
        assert!(answer[0].starts_with("error: "), "{at}: {answer:?}");
        assert_eq!(world.text(&caller, "SELECT count(*) FROM mall.pubs.bait").await, ["6"], "{at}");
    }
}

/// A location was checked when it was given, not when it was used.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn incident_36_a_location_is_checked_when_it_is_read() {
    let world = placed("data/mall/late/", |_| ()).await.expect("a valid mesh: the table comes later");
    let caller = world.user("somebody", &[], &[]).await;
    let data = world.mesh().join("data");
    std::os::unix::fs::symlink(data.join("hr/people"), data.join("mall/late")).expect("a link");
    let answer = world.text(&caller, BAIT).await;
    assert!(answer[0].starts_with("error: "), "{answer:?}");
}

/// A table's own files named files of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn incident_37_a_table_does_not_name_the_files_of_others() {
    for way in ["../../hr/people/", "%2e%2e/%2e%2e/hr/people/", "{absolute}", "file://{absolute}"] {
        let world = placed("data/mall/bait/", |world| {
            let (bait, hr) = (world.data("mall", "bait"), world.data("hr", "people"));
            let named = |table: &Path| {
                let commit = text_of(&table.join("_delta_log"));
                let (_, rest) = commit.split_once("\"add\":{\"path\":\"").expect("a file");
                rest.split('"').next().expect("a path").to_owned()
            };
            let to = format!("{}{}", way.replace("{absolute}", &format!("{}/", hr.display())), named(&hr));
            let commit = bait.join("_delta_log/00000000000000000000.json");
            let text = std::fs::read_to_string(&commit).expect("a commit").replace(&named(&bait), &to);
            assert!(text.contains(&to), "{text}");
            std::fs::write(&commit, text).expect("a commit");
        });
        let world = placed_or_panic(world.await);
        let caller = world.user("somebody", &[], &[]).await;
        let answer = world.text(&caller, "SELECT name FROM mall.pub.bait").await;
        assert!(answer[0].starts_with("error: "), "{way}: {answer:?}");
    }
}

fn placed_or_panic(world: Result<World, meshgate_gateway::Error>) -> World {
    world.unwrap_or_else(|error| panic!("{}", error.public()))
}

/// A second way in ran SQL without the rules of the first.
#[tokio::test(flavor = "multi_thread")]
async fn incident_39_nothing_runs_sql_over_http() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world().await;
    let wire = Wire::open(&world).await;
    for path in ["/sql", "/query", "/v1/statement", "/api/v1/sql", "/graphql", "/sql?query=SELECT+1", "/_sql"] {
        for method in ["GET", "POST"] {
            let mut stream = tokio::net::TcpStream::connect(wire.http).await.expect("the listener");
            let body = "SELECT name FROM crm.people.people";
            let length = body.len();
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.expect("a request");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 404"), "{method} {path}: {answer}");
        }
    }
}

/// The rows of one role came with the columns of another.
#[tokio::test(flavor = "multi_thread")]
async fn incident_44_rows_of_one_group_keep_the_masks_of_the_other() {
    let policy = r#"
@id("eu") @rows("region = 'EU'")
permit (principal in Group::"eu", action in Action::"access", resource in Table::"crm.people.people");
@id("us") @rows("region = 'US'")
permit (principal in Group::"us", action in Action::"access", resource in Table::"crm.people.people");
@id("no-names-of-us") @mask("replace-with-null")
forbid (principal in Group::"us", action == Action::"read", resource == Column::"crm.people.people.name");
"#;
    let world = builder().await.file("governance/policies/all.cedar", policy).start().await.expect("a valid mesh");
    let sql = "SELECT count(*), count(name) FROM crm.people.people";
    for (groups, seen) in [(&["eu"][..], "3\t3"), (&["us"], "3\t0"), (&["eu", "us"], "6\t0"), (&["us", "eu"], "6\t0")] {
        let caller = world.user("somebody", groups, &[]).await;
        assert_eq!(world.text(&caller, sql).await, [seen], "{groups:?}");
    }
}

/// A handle of another's session was good if one knew it.
#[tokio::test(flavor = "multi_thread")]
async fn incident_45_a_handle_is_its_principals() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = wire.client(Some(&world.token("steward", &["stewards"], &[]).await)).await;
    let analyst = wire.client(Some(&world.token("analyst", &["analysts"], &[("region", "EU")]).await)).await;
    let handle = steward.prepare(SQL).await.expect("a handle");
    assert_eq!(rows_text(&steward.execute(&handle).await.batches), [STEWARDS]);
    let (stolen, garbage) = (analyst.execute(&handle).await, analyst.execute(b"garbage").await);
    let words = |reply: &meshgate_testkit::Reply| {
        reply.failure.as_ref().map(|failure| (failure.code(), failure.message().to_owned()))
    };
    assert_ne!(stolen.code(), Code::Ok);
    assert_eq!(words(&stolen), words(&garbage));
}

/// A request without a credential became that of the user `default`.
#[tokio::test(flavor = "multi_thread")]
async fn incident_46_without_a_credential_nothing_is_answered() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let nobody = wire.client(None).await;
    assert_eq!(nobody.query("SELECT 1").await.code(), Code::Unauthenticated);
    assert_eq!(nobody.run(CommandGetTables::default().as_any()).await.code(), Code::Unauthenticated);
    assert_eq!(nobody.prepare(SQL).await.map_err(|status| status.code()), Err(Code::Unauthenticated));
    assert_eq!(nobody.action("CloseSession", Vec::new()).await.code(), Code::Unauthenticated);
}

/// A token stood in a log.
#[tokio::test(flavor = "multi_thread")]
async fn incident_49_no_token_stands_in_the_trail() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let token = world.token("analyst", &["analysts"], &[("region", "EU")]).await;
    let wrong = meshgate_model::Secret::new("mg_nobodys-token-0123456789");
    assert_eq!(wire.client(Some(&token)).await.query(SQL).await.code(), Code::Ok);
    assert_eq!(wire.client(Some(&wrong)).await.query(SQL).await.code(), Code::Unauthenticated);
    world.gateway.stop();
    world.flush_audit().await;
    let trail = text_of(&world.audit());
    assert!(trail.contains("analyst") && trail.contains("denial"), "{trail}");
    for secret in [&token, &wrong] {
        assert!(!trail.contains(secret.expose()) && !format!("{secret:?}").contains(secret.expose()), "{trail}");
    }
}

/// The files of a directory that are lines of JSON.
fn text_of(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("a file").path());
    let json = files.filter(|path| path.extension().is_some_and(|end| end == "json" || end == "jsonl"));
    json.map(|path| std::fs::read_to_string(path).expect("text")).collect()
}
