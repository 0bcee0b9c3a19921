//! What is found when a release is loaded, and what is not.

use crate::fixture;

const ROWS: &str = "permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");";
const PII: &str = "forbid (principal, action == Action::\"read\", resource) when { resource.tags.contains(\"pii\") };";

/// An annotation, the policy under it, the server of the entitlement table, and what is found.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("@rows(\"region = 'x' AND id > 1\")", ROWS, "", &[]),
    ("@rows(\"$vip\")", ROWS, "", &[]),
    ("@rows(\"coalesce(region, 'x')\")", ROWS, "", &["a row filter must be true or false, and this one is Utf8View"]),
    ("@rows(\"region IN (SELECT region FROM hr.people.grants WHERE level > 1 AND login = $user)\")", ROWS, "", &[]),
    (
        "@rows(\"region IN (SELECT region FROM hr.people.grants WHERE login)\")",
        ROWS,
        "",
        &[
            "the entitlement hr.people_v1.grants cannot be read: a row filter must be true or false, and this one is Utf8View",
        ],
    ),
    (
        "@rows(\"region IN (SELECT region FROM hr.people.grants WHERE level IN (SELECT level FROM hr.people.grants WHERE login))\")",
        ROWS,
        "",
        &[
            "the entitlement hr.people_v1.grants cannot be read: the entitlement hr.people_v1.grants cannot be read: a row filter must be true or false, and this one is Utf8View",
        ],
    ),
    (
        "@rows(\"region IN (SELECT region FROM hr.people.grants)\")",
        ROWS,
        "type: pubsub, project: p",
        &["the entitlement hr.people_v1.grants is stored as `pubsub`, which the gateway does not read"],
    ),
    ("@mask(\"show-last-4\")", PII, "", &["`show-last-4` applies to strings"]),
    (
        "@mask(\"sql:concat($value, '!')\")",
        PII,
        "",
        &["a `sql:` mask must have its column's type, Date32, and this one is Utf8"],
    ),
    (
        "@mask(\"sql:CASE WHEN region IN (SELECT region FROM hr.people.grants WHERE login) THEN $value END\")",
        PII,
        "",
        &["the entitlement hr.people_v1.grants cannot be read: a row filter must be true or false, and this one is Utf8View";
            3],
    ),
];

#[test]
fn types_are_checked_against_contracts() {
    for (annotation, policy, server, expected) in CASES {
        let (release, policies) = fixture::mesh(&format!("@id(\"p\") {annotation} {policy}"), server);
        let found = super::check(&release, &policies);
        let told: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
        let expected =
            expected.iter().map(|why| format!("policy `p` cannot be applied to sales.orders_v1.lines: {why}"));
        assert_eq!(told, expected.collect::<Vec<_>>(), "{annotation}");
        assert!(found.iter().all(|finding| finding.scope.to_string() == "product sales.orders"), "{annotation}");
    }
}
