//! Scopes of policies: who is stopped by what is wrong in which.

use meshgate_model::Severity;

use super::fixture::{GLOBAL, HR, ORDERS, PEOPLE, SALES, analyst, user, world};

#[test]
fn an_id_is_taken_for_those_who_are_asked_together() {
    let text = "@id(\"x\") permit (principal, action in Action::\"access\", resource);";
    for (first, second, expected) in [
        (SALES, HR, None),
        (SALES, PEOPLE, None),
        (ORDERS, PEOPLE, None),
        (SALES, ORDERS, Some("product sales.orders")),
        (GLOBAL, PEOPLE, Some("product hr.people")),
        (GLOBAL, SALES, Some("domain sales")),
    ] {
        let world = world(&[(first, text), (second, text)]);
        let told: Vec<_> = world.findings.iter().map(|found| (found.scope.to_string(), found.code)).collect();
        let expected: Vec<_> = expected.into_iter().map(|scope| (scope.to_owned(), "duplicate-policy-id")).collect();
        assert_eq!(told, expected, "{first} {second}");
        let tables = ["sales.orders.lines", "hr.people.staff"];
        let decided = tables.map(|table| world.decide(&analyst(), table).determining().to_vec());
        assert!(expected.len() == 1 || decided.iter().any(|ids| ids.len() == 1 && ids[0].id == "x"), "{decided:?}");
    }
}

#[test]
fn an_error_takes_its_scope_out_and_nothing_else() {
    let open = "permit (principal, action in Action::\"access\", resource);";
    let broken = "permit (principal, action, resource) when { principal.nope };";
    let tables = ["sales.orders.lines", "hr.people.staff"];
    for (file, expected) in [
        (GLOBAL, ["absent", "absent"]),
        (SALES, ["absent", "all"]),
        (ORDERS, ["absent", "all"]),
        (PEOPLE, ["all", "absent"]),
    ] {
        let world = world(&[("governance/policies/open.cedar", open), (file, broken)]);
        let errors: Vec<_> = world.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(!errors.is_empty());
        assert_eq!(tables.map(|table| world.rows(&analyst(), table)), expected, "{file}");
        let orders = world.table(tables[0]).product;
        assert_eq!(world.policies.is_broken(&orders), expected[0] == "absent");
    }
}

#[test]
fn a_table_that_a_wide_policy_does_not_fit_takes_only_its_product_out() {
    let world = world(&[(
        GLOBAL,
        r#"permit (principal, action in Action::"access", resource);
           @id("regional") @rows("region IS NULL")
           forbid (principal, action == Action::"query", resource) unless { principal in Group::"all" };"#,
    )]);
    let found: Vec<_> =
        world.findings.iter().map(|finding| (finding.scope.to_string(), finding.message.clone())).collect();
    let message =
        |table: &str| format!("the row filter of `regional` names the column `region`, which {table} does not have");
    assert_eq!(
        found,
        [
            ("product hr.people".to_owned(), message("hr.people_v1.staff")),
            ("product sales.orders".to_owned(), message("sales.orders_v1.archive")),
        ]
    );
    assert_eq!(world.rows(&user("u", &["all"], &[]), "hr.people.staff"), "absent");
}
