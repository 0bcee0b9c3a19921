//! Policies that were sound until a product changed its documents: what is out of service then.

use meshgate_model::Severity;

use super::fixture::{
    GLOBAL, ORDERS, ORDERS_1, ORDERS_2, PEOPLE, PEOPLE_1, PEOPLE_ODPS, SALES, analyst, sound, unsound,
};

const OPEN: &str = "permit (principal, action in Action::\"access\", resource);\n";
const ENTITLED: &str =
    "@id(\"e\") @rows(\"region IN (SELECT g.region FROM hr.people.grants AS g WHERE g.login = $user)\")
    forbid (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");";
const ENTITLED_MASK: &str =
    "@id(\"e\") @mask(\"sql:CASE WHEN region IN (SELECT region FROM hr.people.grants) THEN $value END\")
    forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.email\");";
const REGIONAL: &str = "@id(\"r\") @rows(\"region = $region\")
    forbid (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");";
const TAGGED: &str = "@id(\"t\") @rows(\"region IN (SELECT region FROM hr.people.grants)\")
    forbid (principal, action == Action::\"query\", resource) when { resource.tags.contains(\"regional\") };";
const SENSITIVE: &str = "@id(\"s\") @rows(\"region IS NULL\")
    forbid (principal, action == Action::\"query\", resource) when { resource.tags.contains(\"sensitive\") };";
const LEADS_BACK: &str = "@id(\"b\") @rows(\"region IN (SELECT region FROM sales.orders.lines)\")
    forbid (principal, action == Action::\"query\", resource == Table::\"hr.people.grants\");";

const ORDERS_ODCS: &str = "domains/sales/products/orders/one.odcs.yaml";
const ORDERS_2_ODCS: &str = "domains/sales/products/orders/two.odcs.yaml";
const PEOPLE_DOCUMENT: &str = "domains/hr/products/people/product.odps.yaml";
const PEOPLE_ODCS: &str = "domains/hr/products/people/one.odcs.yaml";

/// Global policies, the documents that change, and the errors then.
type Case<'a> = (&'a str, &'a [(&'a str, String)], &'a [&'a str]);

#[test]
fn no_product_breaks_more_than_products() {
    let renamed = |text: &str| text.replace("name: region,", "name: area,");
    let cases: &[Case<'_>] = &[
        (
            REGIONAL,
            &[(ORDERS_ODCS, renamed(ORDERS_1)), (ORDERS_2_ODCS, renamed(ORDERS_2))],
            &[
                "product sales.orders: the row filter of `r` names the column `region`, which sales.orders_v1.lines does not have",
            ],
        ),
        (
            ENTITLED,
            &[(PEOPLE_DOCUMENT, PEOPLE_ODPS.replace("status: active", "status: deprecated"))],
            &["product sales.orders: the product hr.people has no active version"],
        ),
        (
            SENSITIVE,
            &[(PEOPLE_ODCS, PEOPLE_1.replace("- name: staff", "- name: staff\n    tags: [sensitive]"))],
            &[
                "product hr.people: the row filter of `s` names the column `region`, which hr.people_v1.staff does not have",
            ],
        ),
        (
            ENTITLED_MASK,
            &[(PEOPLE_DOCUMENT, PEOPLE_ODPS.replace("status: active", "status: deprecated"))],
            &["product sales.orders: the product hr.people has no active version"],
        ),
        (
            ENTITLED,
            &[(PEOPLE_DOCUMENT, "broken: [".to_owned())],
            &["product sales.orders: the product hr.people has no active version"],
        ),
        (
            ENTITLED,
            &[(PEOPLE_ODCS, PEOPLE_1.replace("name: grants", "name: rights"))],
            &["product sales.orders: version 1 of the product hr.people has no table `grants`"],
        ),
        (
            ENTITLED,
            &[(PEOPLE_ODCS, PEOPLE_1.replace("name: region", "name: area"))],
            &["product sales.orders: the table hr.people.grants has no column `region`"],
        ),
        (
            TAGGED,
            &[(PEOPLE_ODCS, PEOPLE_1.replace("- name: grants", "- name: grants\n    tags: [regional]"))],
            &["product hr.people: the entitlement of `t` goes in a circle: hr.people.grants -> hr.people.grants"],
        ),
        (
            TAGGED,
            &[(PEOPLE, LEADS_BACK.to_owned())],
            &[
                "product hr.people: the entitlement of `b` goes in a circle: hr.people.grants -> sales.orders.lines -> hr.people.grants",
            ],
        ),
    ];
    for (policies, changed, expected) in cases {
        let policies = format!("{OPEN}{policies}");
        let before = sound(&[(GLOBAL, &policies)]);
        assert_ne!(before.rows(&analyst(), "sales.orders.lines"), "absent", "{policies}");
        let changed: Vec<_> = changed.iter().map(|(file, text)| (*file, text.as_str())).collect();
        let after = unsound(&[&[(GLOBAL, policies.as_str())], changed.as_slice()].concat());
        let errors = after.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let errors: Vec<_> = errors.map(|finding| format!("{}: {}", finding.scope, finding.message)).collect();
        assert_eq!(errors, *expected, "{policies}");
        for (table, product) in [("sales.orders.lines", "sales.orders"), ("hr.people_v1.staff", "hr.people")] {
            let out = errors.iter().any(|error| error.starts_with(&format!("product {product}")));
            let served = after.release.product(&before.table(table).product).is_some_and(|p| !p.versions.is_empty());
            let Some(table) = served.then(|| after.table(table)) else { continue };
            assert_eq!(after.policies.is_broken(&table.product), out, "{policies}");
        }
    }
}

#[test]
fn an_entitlement_that_is_lost_opens_nothing() {
    let deprecated = PEOPLE_ODPS.replace("status: active", "status: deprecated");
    let elsewhere =
        ENTITLED.replace("resource == Table::\"sales.orders.lines\"", "resource == Table::\"sales.orders.gone\"");
    for (policy, severity) in [(ENTITLED, Severity::Error), (elsewhere.as_str(), Severity::Warning)] {
        let world = unsound(&[(SALES, OPEN), (ORDERS, policy), (PEOPLE_DOCUMENT, &deprecated)]);
        let told = world.findings.iter().find(|finding| finding.code == "row-filter").expect("a finding");
        assert_eq!((told.severity, told.scope.to_string().as_str()), (severity, "product sales.orders"));
        assert!(world.policies.uses().is_empty());
        let absent = world.rows(&analyst(), "sales.orders.lines") == "absent";
        assert_eq!(absent, severity == Severity::Error);
    }
}

/// What only the author of a policy can have got wrong stays an error of the policy.
#[test]
fn mistakes_of_a_text_are_its_own() {
    for (policy, code) in [
        ("@rows(\"regoin = 'x'\") forbid (principal, action == Action::\"query\", resource);", "unknown-column"),
        (
            "@rows(\"login IN (SELECT login FROM nowhere.people.grants)\") forbid (principal, action == Action::\"query\", resource == Table::\"hr.people.staff\");",
            "row-filter",
        ),
        (
            "@rows(\"login IN (SELECT login FROM hr.gone.grants WHERE sum(1) = 1)\") forbid (principal, action == Action::\"query\", resource == Table::\"hr.people.staff\");",
            "row-filter",
        ),
        (
            "@rows(\"login IN (SELECT login FROM hr.people.grants)\") forbid (principal, action == Action::\"query\", resource);",
            "entitlement-cycle",
        ),
    ] {
        let world = unsound(&[(GLOBAL, &format!("{OPEN}{policy}"))]);
        let mesh =
            world.findings.iter().filter(|f| f.severity == Severity::Error && f.scope == meshgate_model::Scope::Mesh);
        assert!(mesh.into_iter().any(|finding| finding.code == code), "{policy} {:?}", world.findings);
    }
}

#[test]
fn a_mistake_is_told_once() {
    let world = unsound(&[(
        GLOBAL,
        "@id(\"u\") @rows(\"regoin\") permit (principal, action == Action::\"query\", resource in Domain::\"hr\");
         @id(\"b\") @rows(\"region\") permit (principal, action == Action::\"query\", resource == Table::\"hr.people.grants\");
         @id(\"m\") @mask(\"sql:concat($value, regoin)\") forbid (principal, action == Action::\"read\", resource in Domain::\"hr\");",
    )]);
    let told: Vec<_> = world.findings.iter().map(|finding| format!("{} {}", finding.scope, finding.code)).collect();
    assert_eq!(
        told,
        ["product hr.people unknown-column", "product hr.people row-filter", "product hr.people unknown-column"]
    );
    assert!(
        world.policies.uses().is_empty(),
        "nothing is left for another check to repeat: {:?}",
        world.policies.uses()
    );
}
