//! Every way to write a policy wrong, with what is said about it and where.

use super::fixture::{GLOBAL, ORDERS, PEOPLE, SALES, world};

/// File, text, and the findings: `file:line:column: severity: message [code]`, one per line, with hints after ` ? `.
pub(super) type Case = (&'static str, &'static str, &'static [&'static str]);

pub(super) const CASES: &[Case] = &[
    // Cedar
    (
        SALES,
        "permit (principal, action, resource)",
        &["sales.cedar:1:37: error: unexpected end of input [policy-syntax] ? expected `;` or identifier"],
    ),
    (
        SALES,
        "// fine\npermit (principal, action, resource);\nallow (principal, action, resource);",
        &[
            "sales.cedar:3:1: error: invalid policy effect: allow [policy-syntax] ? effect must be either `permit` or `forbid`",
        ],
    ),
    (
        SALES,
        "permit (principal == ?principal, action, resource);",
        &[
            "sales.cedar:1:22: error: expected a static policy, got a template containing the slot ?principal [policy-syntax] ? try removing the template slot(s) from this policy",
        ],
    ),
    (
        SALES,
        "permit (principal, action, resource)\nwhen { principal.regoin == \"EU\" };",
        &[
            "sales.cedar:2:8: error: attribute `regoin` on entity type `Service` not found [policy-type] ? did you mean `region`?",
            "sales.cedar:2:8: error: attribute `regoin` on entity type `User` not found [policy-type] ? did you mean `region`?",
        ],
    ),
    // Annotations
    (
        SALES,
        "@row(\"a\") permit (principal, action, resource);",
        &["sales.cedar:1:1: error: there is no annotation `@row` [unknown-annotation] ? did you mean `@rows`?"],
    ),
    (SALES, "@id(\"\") permit (principal, action, resource);", &["sales.cedar:1:1: error: `@id` is empty [policy-id]"]),
    (
        SALES,
        "@id(\"x\") permit (principal, action, resource);\n@id(\"x\") forbid (principal, action, resource);",
        &["sales.cedar:2:1: error: the policy id `x` is taken: sales.cedar:1:1 has it [duplicate-policy-id]"],
    ),
    (
        SALES,
        "@rows(\"id = 1\") permit (principal, action == Action::\"read\", resource);",
        &[
            "sales.cedar:1:1: error: `@rows` says nothing here: the policy does not cover the action `query` [misplaced-annotation]",
        ],
    ),
    (
        SALES,
        "@mask(\"show-last-4\") permit (principal, action == Action::\"read\", resource);",
        &["sales.cedar:1:1: error: `@mask` belongs on a `forbid` that covers the action `read` [misplaced-annotation]"],
    ),
    (
        SALES,
        "@mask(\"show-last-4\") forbid (principal, action == Action::\"query\", resource);",
        &["sales.cedar:1:1: error: `@mask` belongs on a `forbid` that covers the action `read` [misplaced-annotation]"],
    ),
    (
        SALES,
        "@mask(\"show-last-5\")\nforbid (principal, action == Action::\"read\", resource);",
        &["sales.cedar:1:8: error: there is no mask `show-last-5` [unknown-mask] ? did you mean `show-last-4`?"],
    ),
    (
        SALES,
        "@mask(\"qqqqqqq\")\nforbid (principal, action == Action::\"read\", resource);",
        &[
            "sales.cedar:1:8: error: there is no mask `qqqqqqq` [unknown-mask] ? one of replace-with-null, mask-alphanum, show-first-4, show-last-4, mask-to-fixed-value, truncate-to-year, truncate-to-month, sha-256-global, sha-256-query-local, hmac-sha-256, or sql:<expression>",
        ],
    ),
    (
        SALES,
        "@mask(\"show-last-4\") forbid (principal, action in Action::\"access\", resource);",
        &[
            "sales.cedar:1:1: warning: this forbid masks columns, and denies the whole table besides [wide-forbid] ? limit it to `action == Action::\"read\"`",
        ],
    ),
    (
        SALES,
        "@rows(\"id = 1\") forbid (principal, action in Action::\"access\", resource);",
        &[
            "sales.cedar:1:1: warning: this forbid hides some rows, and all columns of all rows besides [wide-forbid] ? limit it to `action == Action::\"query\"`",
        ],
    ),
    (
        SALES,
        "forbid (principal, action == Action::\"access\", resource);",
        &[
            "sales.cedar:1:1: error: this policy never applies: none of its actions is about its principals and resources [policy-type] ? write `action in Action::\"access\"`",
        ],
    ),
    (
        SALES,
        "permit (principal, action == Action::\"access\", resource);",
        &[
            "sales.cedar:1:1: warning: this policy never applies: none of its actions is about its principals and resources [policy-type] ? write `action in Action::\"access\"`",
        ],
    ),
    (
        SALES,
        "permit (principal, action == Action::\"qery\", resource);",
        &[
            "sales.cedar:1:30: error: unrecognized action `Action::\"qery\"` [policy-type] ? did you mean `Action::\"query\"`?",
        ],
    ),
    (
        SALES,
        "permit (principal in Grupp::\"x\", action, resource);",
        &["sales.cedar:1:22: error: unrecognized entity type `Grupp` [policy-type] ? did you mean `Group`?"],
    ),
    // Rows
    (
        SALES,
        "@id(\"a\")\n  @rows(\"id = 1 AND regoin = 'x'\")\npermit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[
            "sales.cedar:2:21: error: the row filter of `a` names the column `regoin`, which sales.orders_v1.lines does not have [unknown-column] ? did you mean `region`?",
        ],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"id = 1\n AND regoin = 'x'\")\npermit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[
            "sales.cedar:2:6: error: the row filter of `a` names the column `regoin`, which sales.orders_v1.lines does not have [unknown-column] ? did you mean `region`?",
        ],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"region = 'x'\") permit (principal, action == Action::\"query\", resource);",
        &[
            "sales.cedar:1:17: error: the row filter of `a` names the column `region`, which sales.orders_v1.archive does not have [unknown-column] ? limit the policy by its resource, such as `resource in Product::\"..\"`",
        ],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"region = 'x'\") permit (principal, action == Action::\"query\", resource) when { resource.tags.contains(\"regional\") };",
        &[],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"region = 'x'\") permit (principal, action == Action::\"query\", resource) unless { principal in Group::\"x\" || resource == Table::\"sales.orders.archive\" };",
        &[],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"region = 'x'\") permit (principal, action == Action::\"query\", resource) unless { principal in Group::\"x\" && resource == Table::\"sales.orders.archive\" };",
        &[
            "sales.cedar:1:17: error: the row filter of `a` names the column `region`, which sales.orders_v1.archive does not have [unknown-column] ? limit the policy by its resource, such as `resource in Product::\"..\"`",
        ],
    ),
    (
        SALES,
        "@id(\"a\") @rows(\"address.cty = 'x'\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\") when { resource.version == \"1.2.0\" };",
        &[
            "sales.cedar:1:17: error: the row filter of `a` names the column `address.cty`, which sales.orders_v1.lines does not have [unknown-column] ? did you mean `city`?",
        ],
    ),
    (
        SALES,
        "@rows(\"region\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[
            "sales.cedar:1:8: error: a row filter is true or false of a row, but in sales.orders_v1.lines `region` is a column of another type [row-filter]",
            "sales.cedar:1:8: error: a row filter is true or false of a row, but in sales.orders_v2.lines `region` is a column of another type [row-filter]",
        ],
    ),
    (
        SALES,
        "@rows(\"id + 1\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[
            "sales.cedar:1:8: error: a row filter is true or false of a row, but `id + 1` is the result of arithmetic [row-filter]",
        ],
    ),
    (
        SALES,
        "@rows(\"id = $regio\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &["sales.cedar:1:13: error: there is no parameter `$regio` [row-filter] ? did you mean `$region`?"],
    ),
    (
        SALES,
        "@rows(\"id = \\\"x\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &["sales.cedar:1:8: error: the SQL does not parse: Expected close delimiter '\"' before EOF. [row-filter]"],
    ),
    (
        SALES,
        "@rows(\"id = sum(1)\") permit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &["sales.cedar:1:13: error: `sum` is an aggregate, and a policy looks at one row at a time [row-filter]"],
    ),
    // Masks
    (
        SALES,
        "@id(\"m\") @mask(\"sql:upper($valu)\") forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.email\");",
        &["sales.cedar:1:27: error: there is no parameter `$valu` [mask-expression] ? did you mean `$value`?"],
    ),
    (
        SALES,
        "@id(\"m\") @mask(\"sql:concat($value, regoin)\") forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.email\");",
        &[
            "sales.cedar:1:36: error: the mask of `m` names the column `regoin`, which sales.orders_v1.lines does not have [unknown-column] ? did you mean `region`?",
        ],
    ),
    (
        SALES,
        "@id(\"m\") @mask(\"mask-alphanum\") forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.email\");\n@id(\"n\") @mask(\"show-last-4\") forbid (principal, action == Action::\"read\", resource) when { resource.tags.contains(\"pii\") };",
        &[
            "sales.cedar:2:17: warning: `m` and `n` can both mask sales.orders.lines.email, differently: who is under both reads NULL [mask-conflict]",
        ],
    ),
    // Things that are not there
    (
        SALES,
        "@id(\"f\") forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.emial\");",
        &[
            "sales.cedar:1:1: warning: `f` is about Column::\"sales.orders.lines.emial\", which does not exist [unknown-entity] ? did you mean `email`?",
        ],
    ),
    (
        SALES,
        "@id(\"f\") forbid (principal, action, resource in Product::\"sales.order\");",
        &[
            "sales.cedar:1:1: warning: `f` is about Product::\"sales.order\", which does not exist [unknown-entity] ? did you mean `orders`?",
        ],
    ),
    (
        SALES,
        "@id(\"f\") forbid (principal, action, resource in Table::\"orders\");",
        &[
            "sales.cedar:1:1: warning: `f` is about Table::\"orders\", which does not exist [unknown-entity] ? the id has the form domain.product.table",
        ],
    ),
    (
        SALES,
        "@id(\"f\") forbid (principal, action, resource in Product::\"hr.people\");",
        &[
            "sales.cedar:1:1: warning: `f` is about Product::\"hr.people\", but policies here are asked for the domain sales only [unknown-entity]",
        ],
    ),
    // Entitlements
    (
        ORDERS,
        "@id(\"e\") @rows(\"region IN (SELECT region FROM hr.people.grants WHERE login = $user)\")\npermit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[
            "orders.cedar:1:1: notice: `e` reads hr.people.grants of another domain with the gateway's own rights [foreign-entitlement] ? ask the owners of hr, or move it to governance/policies",
        ],
    ),
    (
        GLOBAL,
        "@id(\"e\") @rows(\"region IN (SELECT region FROM hr.people.grants WHERE login = $user)\")\npermit (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
        &[],
    ),
    (
        PEOPLE,
        "@id(\"e\") @rows(\"login IN (SELECT login FROM hr.people.staff)\")\npermit (principal, action == Action::\"query\", resource == Table::\"hr.people.staff\");",
        &[
            "people.cedar:1:1: error: the entitlement of `e` goes in a circle: hr.people.staff -> hr.people.staff [entitlement-cycle] ? an entitlement table must not be under a policy that leads back to it; exclude it with `unless { resource == Table::\"..\" }`",
        ],
    ),
    (
        PEOPLE,
        "@id(\"e\") @rows(\"login IN (SELECT login FROM hr.people.staff)\")\npermit (principal, action == Action::\"query\", resource == Table::\"hr.people.grants\");\n@id(\"f\") @rows(\"login IN (SELECT login FROM hr.people.grants)\")\npermit (principal, action == Action::\"query\", resource == Table::\"hr.people.staff\");",
        &[
            "people.cedar:1:1: error: the entitlement of `e` goes in a circle: hr.people.grants -> hr.people.staff -> hr.people.grants [entitlement-cycle] ? an entitlement table must not be under a policy that leads back to it; exclude it with `unless { resource == Table::\"..\" }`",
            "people.cedar:3:1: error: the entitlement of `f` goes in a circle: hr.people.staff -> hr.people.grants -> hr.people.staff [entitlement-cycle] ? an entitlement table must not be under a policy that leads back to it; exclude it with `unless { resource == Table::\"..\" }`",
        ],
    ),
    (
        PEOPLE,
        "@id(\"e\") @rows(\"login IN (SELECT lgin FROM hr.people.staff)\")\npermit (principal, action == Action::\"query\", resource == Table::\"hr.people.grants\");",
        &[
            "people.cedar:1:34: error: the table hr.people.staff has no column `lgin` [row-filter] ? did you mean `login`?",
        ],
    ),
];

#[test]
fn each_is_refused_with_its_place() {
    let mut wrong = Vec::new();
    for (file, text, expected) in CASES {
        let world = world(&[(file, text)]);
        let mut found: Vec<String> = world
            .findings
            .iter()
            .map(|finding| {
                let name = finding.place.file.file_name().expect("a name").to_string_lossy().into_owned();
                let whole = finding.to_string().replace(&finding.place.file.display().to_string(), &name);
                whole.replace("\n  hint: ", " ? ")
            })
            .collect();
        found.sort();
        if found != *expected {
            wrong.push(format!("{text}\n  expected {expected:#?}\n  found {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
