//! The documents of twin worlds: rules and columns.

use super::Secrets;
use crate::Column;

/// What holds in all worlds.
pub(super) const POLICY: &str = r#"
@id("readers-own-region") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.staff.people");
@id("readers-own-region-lake") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"lake.staff.people");

@id("readers-by-city") @rows("length(address.city) < 4")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.nest.people");

@id("readers-own-region-parts") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Product::"hr.parts");
@id("readers-own-region-loose") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Product::"hr.loose");
@id("readers-own-region-lake-parts") @rows("region = $region")
permit (principal in Group::"readers", action in Action::"access", resource in Product::"lake.parts");

@id("orders-of-visible-people")
@rows("person IN (SELECT id FROM hr.staff.people WHERE region = $region)")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"hr.staff.orders");
@id("orders-of-visible-people-lake")
@rows("person IN (SELECT id FROM lake.staff.people WHERE region = $region)")
permit (principal in Group::"readers", action in Action::"access", resource in Table::"lake.staff.orders");

@id("letters") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("letters") };
@id("last") @mask("show-last-4")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("last") };
@id("nothing") @mask("replace-with-null")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("nothing") };
@id("fixed") @mask("mask-to-fixed-value")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("fixed") };
@id("year") @mask("truncate-to-year")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("year") };
@id("hidden")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("hidden") };
"#;

/// What rules for others look like.
pub(super) const OTHERS: &str = r#"
@id("CNRY-policy-stewards") permit (principal in Group::"CNRY-stewards", action in Action::"access", resource);
@id("CNRY-policy-auditors") @rows("region = 'CNRY-policy-text'")
permit (principal in Group::"auditors", action in Action::"access", resource in Table::"hr.staff.people");
@id("CNRY-policy-nobody")
forbid (principal in Group::"CNRY-nobody", action == Action::"query", resource);
"#;

/// For a world that stores only what the reader sees.
pub(super) const PERMIT_ALL: &str = r#"
@id("all") permit (principal, action in Action::"access", resource);
"#;

/// The columns of people.
pub(super) fn people_columns(secrets: Secrets) -> Vec<Column> {
    let fields = |zip: bool| {
        let mut text = "properties:\n          - name: city\n            logicalType: string".to_owned();
        if zip {
            text.push_str("\n          - name: zip\n            logicalType: string\n            tags: [hidden]");
        }
        text
    };
    let mut columns = vec![
        Column::new("id", "integer").line("primaryKey: true"),
        Column::new("region", "string"),
        Column::new("team", "string").line("description: The team"),
        Column::new("salary", "integer"),
        Column::new("score", "number"),
        Column::new("note", "string"),
        Column::new("seen", "timestamp"),
        Column::new("price", "number").line("physicalType: decimal(12,2)"),
        Column::new("flag", "boolean"),
        Column::new("mail", "string").tag("letters"),
        Column::new("code", "string").tag("last"),
        Column::new("bonus", "integer").tag("nothing"),
        Column::new("pin", "integer").tag("fixed"),
        Column::new("birth", "date").tag("year"),
        Column::new("label", "string"),
        Column::new("words", "array").line("items:\n          logicalType: string"),
        Column::new("address", "object").line(&fields(secrets.column)),
    ];
    if secrets.column {
        columns.push(Column::new("secret", "string").tag("hidden").line("description: CNRY-description"));
    }
    columns
}

/// The columns of people where the region is in the names of directories.
pub(super) fn in_directories(secrets: Secrets) -> Vec<Column> {
    let mut columns = people_columns(secrets);
    columns[1] = Column::new("region", "string").line("partitioned: true");
    columns
}

/// The columns of orders.
pub(super) fn orders_columns() -> Vec<Column> {
    ["id", "person", "units"]
        .map(|name| Column::new(name, "integer"))
        .into_iter()
        .chain([Column::new("status", "string")])
        .collect()
}
