//! Explain, policy tests and diff.

use std::path::Path;

use meshgate_model::AttributeValue;

use super::fixture::{GLOBAL, ORDERS, SALES, World, analyst, request, sound, user};
use crate::diff::purposes;
use crate::{diff, run_test_file, run_tests};

fn mesh() -> World {
    sound(&[
        (
            ORDERS,
            r#"@id("own-region") @rows("region = $region")
               permit (principal in Group::"analysts", action in Action::"access", resource == Table::"sales.orders.lines");
               @id("read") permit (principal in Group::"analysts", action == Action::"read", resource in Table::"sales.orders.lines");
               @id("mask") @mask("show-last-4") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("pii") };
               @id("internal") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("internal") };"#,
        ),
        (SALES, r#"@id("out") forbid (principal in Group::"out", action, resource);"#),
        (
            "domains/sales/policies/tests/sales.yaml",
            "- name: analysts\n  principal: { name: ann, groups: [analysts], attributes: { region: EU } }\n  resource: sales.orders.lines\n  expect:\n    rows: region = $region\n    columns: { id: plain, email: show-last-4, parts.cost: hidden, address.street: show-last-4, phones: show-last-4 }\n\
             - name: the same in other words\n  principal: { groups: [analysts], attributes: { region: EU } }\n  resource: sales.orders_v1.lines\n  expect: { rows: \"region = 'EU'\" }\n\
             - name: nobody\n  principal: {}\n  resource: sales.orders.lines\n  expect: { visible: false }\n",
        ),
    ])
}

#[test]
fn explanations_name_the_policies() {
    let world = mesh();
    let explain =
        |principal, table: &str| world.policies.explain(&principal, &world.release, &world.table(table), &request());
    let seen = explain(analyst(), "sales.orders.lines");
    assert!(seen.visible && seen.reason.is_none());
    assert_eq!(seen.rows.as_deref(), Some("region = 'EU'"));
    let policies =
        |policies: &[crate::PolicyRef]| policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(policies(&seen.policies), "own-region");
    let columns: Vec<_> = seen
        .columns
        .iter()
        .map(|column| format!("{} {} {}", column.path, column.reading, policies(&column.policies)))
        .collect();
    assert_eq!(columns[0], "id plain read");
    assert_eq!(columns[4], "email show-last-4 mask");
    assert!(columns.contains(&"address.street show-last-4 mask".to_owned()), "{columns:?}");
    assert!(columns.contains(&"parts.cost hidden internal".to_owned()), "{columns:?}");

    let reason = |principal, table: &str| explain(principal, table).reason.unwrap_or_default();
    assert_eq!(reason(user("u", &[], &[]), "sales.orders.lines"), "no policy permits it");
    assert_eq!(reason(user("u", &["analysts", "out"], &[]), "sales.orders.lines"), "it is forbidden by out");
    assert_eq!(policies(&explain(user("u", &["analysts", "out"], &[]), "sales.orders.lines").policies), "out");
    assert_eq!(
        reason(analyst(), "sales.orders_v2.lines"),
        "the version is draft, and only owners of its domain see those"
    );
}

#[test]
fn test_files_are_found_and_run() {
    let world = mesh();
    let outcomes = run_tests(&world.path(), &world.release, &world.policies, request().now);
    let told: Vec<_> = outcomes.iter().map(|o| (o.line, o.name.as_str(), o.failures.as_slice())).collect();
    assert_eq!(told, [(1, "analysts", [].as_slice()), (7, "the same in other words", &[]), (11, "nobody", &[])]);
    assert_eq!(outcomes[0].file, Path::new("domains/sales/policies/tests/sales.yaml"));
}

#[test]
fn what_is_not_as_expected_is_told() {
    let world = mesh();
    let ann = "principal: { groups: [analysts], attributes: { region: EU } }, resource: sales.orders.lines";
    let cases = [
        (format!("{ann}, expect: {{ rows: all }}"), "rows: expected all, but they are region = 'EU'"),
        (
            format!("{ann}, expect: {{ columns: {{ email: plain }} }}"),
            "column email: expected plain, but it is show-last-4",
        ),
        (format!("{ann}, expect: {{ columns: {{ emial: plain }} }}"), "the contract has no column `emial`"),
        (format!("{ann}, expect: {{ visible: false }}"), "the table is visible, by own-region"),
        (format!("{ann}, expect: {{ rowz: all }}"), "`expect` has no `rowz` (did you mean `rows`?)"),
        (format!("{ann}, expect: {{ rows: regio = $regin }}"), "`rows`: there is no parameter `$regin`"),
        (ann.to_owned(), "`expect` is missing"),
        (
            "principal: {}, resource: sales.orders.lines, expect: {}".to_owned(),
            "the table is not visible: no policy permits it",
        ),
        (
            "principal: {}, resource: sales.orders.nope, expect: {}".to_owned(),
            "the table is not visible: the release has no table",
        ),
        ("principal: {}, resource: sales.nope, expect: {}".to_owned(), "there is no table `sales.nope`"),
        (
            "principal: { kind: robot }, resource: sales.orders.lines, expect: {}".to_owned(),
            "`kind` is user or service, not `robot`",
        ),
        (
            "principal: { attributes: { clearance: high } }, resource: sales.orders.lines, expect: {}".to_owned(),
            "cannot be `high`",
        ),
        (
            "principal: { attributes: { regoin: EU } }, resource: sales.orders.lines, expect: {}".to_owned(),
            "did you mean `region`?",
        ),
        (
            "principal: {}, resource: sales.orders.lines, clientIp: here, expect: {}".to_owned(),
            "`here` is no IP address",
        ),
        ("principal: {}, resource: sales.orders.lines, now: today, expect: {}".to_owned(), "`now` is no time"),
    ];
    for (text, expected) in cases {
        let text = format!("- {{ {text} }}");
        let outcomes = run_test_file(Path::new("t.yaml"), &text, &world.release, &world.policies, request().now);
        assert!(outcomes.len() == 1 && !outcomes[0].passed(), "{text}");
        assert!(outcomes[0].failures.join("\n").contains(expected), "{text}: {:?}", outcomes[0].failures);
    }
    for text in ["a: 1", "- [", "- 1\n---\n- 2"] {
        let outcomes = run_test_file(Path::new("t.yaml"), text, &world.release, &world.policies, request().now);
        assert!(outcomes.iter().any(|outcome| !outcome.passed()), "{text}");
    }
}

#[test]
fn changes_are_listed_by_principal() {
    let old = sound(&[(
        ORDERS,
        r#"@rows("region = 'EU'") permit (principal in Group::"a", action in Action::"access", resource == Table::"sales.orders.lines");
           permit (principal in Group::"a", action == Action::"read", resource in Table::"sales.orders.lines");
           permit (principal == Service::"robot", action in Action::"access", resource in Table::"sales.orders.archive");"#,
    )]);
    let new = sound(&[
        (
            ORDERS,
            r#"permit (principal in Group::"a", action in Action::"access", resource in Table::"sales.orders.lines");
               permit (principal == User::"eve", action in Action::"access", resource == Table::"sales.orders.archive") when { context has purpose && context.purpose == "marketing" };"#,
        ),
        (
            GLOBAL,
            r#"@mask("mask-alphanum") forbid (principal, action == Action::"read", resource == Column::"sales.orders.lines.address.street");"#,
        ),
    ]);
    let changes = diff((&old.release, &old.policies), (&new.release, &new.policies), request().now);
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Group::\"a\": sales.orders_v1.lines: rows: region = 'EU' -> all",
            "Group::\"a\": sales.orders_v1.lines: column address.street: plain -> mask-alphanum",
            "Service::\"robot\": sales.orders_v1.archive: loses the table",
            "User::\"eve\" (for marketing): sales.orders_v1.archive: gains the table",
        ]
    );
    assert_eq!(diff((&old.release, &old.policies), (&old.release, &old.policies), request().now), []);
    let asked = |table: &str| {
        let [before, after] = [&old, &new].map(|world| (&world.release, &world.policies));
        purposes(before, after, &old.table(table)).len()
    };
    assert_eq!(asked("sales.orders.archive"), 2);
    assert_eq!(asked("hr.people.staff"), 0, "no policy about it asks for a purpose");
    assert_ne!(
        old.rows(&user("u", &["a"], &[("region", AttributeValue::String("x".into()))]), "sales.orders.lines"),
        "absent"
    );
}
