//! What is decided: the three scopes, rows, columns, nested fields, failure.

use std::sync::Arc;

use meshgate_identity::{Authentication, Principal, PrincipalKind};
use meshgate_model::{AttributeValue, Epoch, Instant, Name, ProductAddress};

use super::fixture::{GLOBAL, HR, ORDERS, PEOPLE, SALES, World, analyst, request, sound, user, world};
use crate::{Access, Policies, RequestContext};

const LINES: &str = "sales.orders.lines";
const ALL_PLAIN: &str =
    "id=plain region=plain amount=plain embargoed=plain email=plain address=plain phones=plain parts=plain";

fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

/// The three scopes of the documentation.
fn documented() -> World {
    sound(&[
        (
            GLOBAL,
            r#"@id("mask-pii") @mask("show-last-4")
               forbid (principal, action == Action::"read", resource) when { resource.tags.contains("pii") }
               unless { principal in Group::"pii-readers" };"#,
        ),
        (
            SALES,
            r#"@id("no-embargoed") @rows("embargoed")
               forbid (principal, action == Action::"query", resource == Table::"sales.orders.lines")
               unless { principal in Group::"legal" };"#,
        ),
        (
            ORDERS,
            r#"@id("analysts-own-region") @rows("region = $region")
               permit (principal in Group::"analysts", action in Action::"access", resource in Table::"sales.orders.lines");
               permit (principal in Group::"legal", action in Action::"access", resource in Product::"sales.orders");
               permit (principal == User::"eve", action == Action::"read", resource in Product::"sales.orders");"#,
        ),
    ])
}

#[test]
fn three_scopes_together() {
    let world = documented();
    let masked = "id=plain region=plain amount=plain embargoed=plain email=show-last-4 \
                  address=plain{street=show-last-4 city=plain} phones=show-last-4 parts=plain";
    assert_eq!(world.rows(&analyst(), LINES), "region = 'EU' AND NOT embargoed");
    assert_eq!(world.columns(&analyst(), LINES), masked);
    let decision = world.decide(&analyst(), LINES);
    let ids: Vec<_> = decision.determining().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["analysts-own-region", "no-embargoed"]);
    assert_eq!(decision.table(), &world.table(LINES));

    let both = user("bob", &["legal", "analysts", "pii-readers"], &[]);
    assert_eq!(world.rows(&both, LINES), "all");
    assert_eq!(world.columns(&both, LINES), ALL_PLAIN);
    assert_eq!(world.rows(&user("kim", &["analysts"], &[]), LINES), "region = NULL AND NOT embargoed");

    for nobody in [user("eve", &[], &[]), user("ann", &[], &[("region", text("EU"))])] {
        assert_eq!(world.rows(&nobody, LINES), "absent");
    }
    assert_eq!(world.rows(&analyst(), "sales.orders.archive"), "absent");
    assert_eq!(world.rows(&both, "sales.orders.archive"), "all");
    assert_eq!(world.rows(&both, "hr.people.staff"), "absent");
    let service = Principal::hypothetical(PrincipalKind::Service, "eve", Default::default(), Default::default());
    assert_eq!(world.rows(&service, LINES), "absent");
}

#[test]
fn a_scope_is_asked_about_its_own_resources_only() {
    let open = "permit (principal, action in Action::\"access\", resource);";
    let closed = "forbid (principal, action in Action::\"access\", resource);";
    let world = sound(&[(SALES, open), (PEOPLE, closed)]);
    assert_eq!(world.rows(&analyst(), LINES), "all");
    assert_eq!(world.rows(&analyst(), "hr.people.staff"), "absent");
    let world = sound(&[(GLOBAL, closed), (SALES, open), (ORDERS, open)]);
    assert_eq!(world.rows(&analyst(), LINES), "absent");
    assert_eq!(sound(&[]).rows(&analyst(), LINES), "absent", "nothing is permitted by default");
}

#[test]
fn rows_of_several_policies() {
    let world = sound(&[(
        ORDERS,
        r#"@rows("region = $region") permit (principal, action in Action::"access", resource == Table::"sales.orders.lines");
           permit (principal in Group::"columns", action == Action::"read", resource);
           @rows("amount < 10 OR id IN ($levels)")
           permit (principal in Group::"small", action == Action::"query", resource == Table::"sales.orders.lines");
           @rows("$vip") permit (principal in Group::"vips", action == Action::"query", resource in Product::"sales.orders");
           @rows("amount > $clearance") forbid (principal in Group::"low", action == Action::"query", resource == Table::"sales.orders.lines");
           forbid (principal in Group::"out", action == Action::"query", resource);"#,
    )]);
    let rows =
        |groups: &[&str], attributes: &[(&str, AttributeValue)]| world.rows(&user("u", groups, attributes), LINES);
    assert_eq!(rows(&[], &[]), "region = NULL");
    assert_eq!(
        rows(&["small"], &[("region", text("US")), ("levels", AttributeValue::IntegerSet([1, 2].into()))]),
        "region = 'US' OR amount < 10 OR id IN (1, 2)"
    );
    assert_eq!(rows(&["small"], &[]), "region = NULL OR amount < 10 OR id IN (NULL)");
    assert_eq!(
        rows(&["small", "low"], &[("clearance", AttributeValue::Integer(-3))]),
        "(region = NULL OR amount < 10 OR id IN (NULL)) AND NOT amount > -3"
    );
    assert_eq!(rows(&["vips"], &[("vip", AttributeValue::Boolean(true))]), "region = NULL OR TRUE");
    assert_eq!(rows(&["out", "small"], &[]), "absent");
}

#[test]
fn masks_of_several_policies() {
    let world = world(&[(
        ORDERS,
        r#"permit (principal, action in Action::"access", resource);
           @mask("show-first-4") forbid (principal in Group::"a", action == Action::"read", resource in Column::"sales.orders.lines.email");
           @mask("show-first-4") forbid (principal in Group::"b", action == Action::"read", resource in Column::"sales.orders.lines.email");
           @mask("mask-alphanum") forbid (principal in Group::"c", action == Action::"read", resource in Column::"sales.orders.lines.email");
           @mask("sql:concat(left($value, 1), $region)") forbid (principal in Group::"d", action == Action::"read", resource == Column::"sales.orders.lines.email");
           forbid (principal in Group::"e", action == Action::"read", resource == Column::"sales.orders.lines.email");"#,
    )]);
    let email = |groups: &[&str]| {
        let columns = world.columns(&user("u", groups, &[("region", text("it's"))]), LINES);
        let (_, rest) = columns.split_once("email=").expect("the column");
        rest.split_once(" address").expect("the next one").0.to_owned()
    };
    assert_eq!(email(&[]), "plain");
    assert_eq!(email(&["a", "b"]), "show-first-4");
    assert_eq!(email(&["a", "c"]), "replace-with-null");
    assert_eq!(email(&["d"]), "sql:concat(left($value, 1), 'it''s')");
    assert_eq!(email(&["a", "e"]), "hidden");
    let warnings: Vec<_> = world.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(warnings, ["mask-conflict"; 5]);
}

#[test]
fn nested_fields() {
    let world = sound(&[(
        ORDERS,
        r#"permit (principal, action == Action::"query", resource);
           permit (principal in Group::"all", action == Action::"read", resource in Table::"sales.orders.lines");
           permit (principal in Group::"street", action == Action::"read", resource == Column::"sales.orders.lines.address.street");
           permit (principal in Group::"address", action == Action::"read", resource == Column::"sales.orders.lines.address");
           permit (principal in Group::"sku", action == Action::"read", resource == Column::"sales.orders.lines.parts.sku");
           forbid (principal in Group::"no-city", action == Action::"read", resource == Column::"sales.orders.lines.address.city");
           forbid (principal in Group::"no-street", action == Action::"read", resource == Column::"sales.orders.lines.address.street");
           forbid (principal in Group::"no-address", action == Action::"read", resource == Column::"sales.orders.lines.address");
           @mask("mask-to-fixed-value") forbid (principal in Group::"no-cost", action == Action::"read", resource)
           when { resource.tags.contains("internal") };
           forbid (principal in Group::"no-phone", action == Action::"read", resource)
           when { !(resource has classification) && resource.tags.contains("pii") && resource in Column::"sales.orders.lines.phones" };"#,
    )]);
    let cases: &[(&[&str], &str)] = &[
        (&["all"], ALL_PLAIN),
        (&["all", "no-city"], "address=plain{street=plain city=hidden}"),
        (&["all", "no-city", "no-street"], "address=hidden"),
        (&["all", "no-address"], "address=hidden"),
        (&["street"], "address=plain{street=plain city=hidden} phones=hidden parts=hidden"),
        (&["street", "no-street"], "address=hidden"),
        (&["street", "no-address"], "address=hidden"),
        (&["address"], "email=hidden address=plain phones=hidden parts=hidden"),
        (&["sku"], "parts=plain{sku=plain cost=hidden}"),
        (&["all", "no-cost"], "parts=plain{sku=plain cost=mask-to-fixed-value}"),
        (&["sku", "no-cost"], "parts=plain{sku=plain cost=hidden}"),
        (&["all", "no-phone"], "address=plain phones=hidden parts=plain"),
        (&[], "email=hidden address=hidden phones=hidden parts=hidden"),
    ];
    for (groups, expected) in cases {
        let columns = world.columns(&user("u", groups, &[]), LINES);
        assert!(columns.contains(expected), "{groups:?}: {columns}");
    }
}

/// A mask is on the whole of a column: what is inside and under stricter rules must not be seen through it.
#[test]
fn a_mask_obeys_the_rules_of_what_is_inside() {
    let world = world(&[(
        ORDERS,
        r#"permit (principal, action in Action::"access", resource in Table::"sales.orders.lines");
           @mask("sql:$value") forbid (principal, action == Action::"read", resource == Column::"sales.orders.lines.address");
           @mask("sql:$value") forbid (principal, action == Action::"read", resource == Column::"sales.orders.lines.parts");
           forbid (principal in Group::"no-city", action == Action::"read", resource == Column::"sales.orders.lines.address.city");
           @mask("show-last-4")
           forbid (principal in Group::"four", action == Action::"read", resource == Column::"sales.orders.lines.address.street");
           @mask("sql:$value")
           forbid (principal in Group::"same", action == Action::"read", resource == Column::"sales.orders.lines.address.street");
           forbid (principal in Group::"no-cost", action == Action::"read", resource == Column::"sales.orders.lines.parts.cost");"#,
    )]);
    let cases: &[(&[&str], &str)] = &[
        (&[], "address=sql:$value phones=plain parts=sql:$value"),
        (&["same"], "address=sql:$value phones=plain parts=sql:$value"),
        (&["four"], "address=replace-with-null phones=plain parts=sql:$value"),
        (&["no-city"], "address=hidden phones=plain parts=sql:$value"),
        (&["no-cost", "four"], "address=replace-with-null phones=plain parts=hidden"),
    ];
    for (groups, expected) in cases {
        let columns = world.columns(&user("u", groups, &[]), LINES);
        assert!(columns.ends_with(expected), "{groups:?}: {columns}");
    }
}

/// Else one more forbid would show more.
#[test]
fn what_fails_inside_a_hidden_column_denies_all_the_same() {
    let policies = r#"permit (principal, action in Action::"access", resource);
        forbid (principal, action == Action::"read", resource == Column::"sales.orders.lines.address.city")
        when { context.clientIp.isLoopback() };
        forbid (principal in Group::"no-address", action == Action::"read", resource == Column::"sales.orders.lines.address");"#;
    let world = sound(&[(ORDERS, policies)]);
    for groups in [&[][..], &["no-address"]] {
        let ask = |client_ip| {
            let (principal, request) = (user("u", groups, &[]), RequestContext { client_ip, ..request() });
            world.policies.decide(&principal, &world.release, &world.table(LINES), &request).is_visible()
        };
        assert!(ask(Some([10, 0, 0, 1].into())));
        assert!(!ask(None), "{groups:?}");
    }
}

#[test]
fn what_fails_denies() {
    let all = "permit (principal, action in Action::\"access\", resource);";
    let by_address =
        "forbid (principal, action == Action::\"query\", resource) when { context.clientIp.isLoopback() };";
    let world = sound(&[(GLOBAL, all), (SALES, by_address)]);
    let ask = |world: &World, principal: &Principal, client_ip, table: &str| {
        let request = RequestContext { client_ip, ..request() };
        world.policies.decide(principal, &world.release, &world.table(table), &request).is_visible()
    };
    assert!(ask(&world, &analyst(), Some([10, 0, 0, 1].into()), LINES));
    assert!(!ask(&world, &analyst(), Some([127, 0, 0, 1].into()), LINES));
    assert!(!ask(&world, &analyst(), None, LINES), "the policy cannot be evaluated");
    assert!(ask(&world, &analyst(), None, "hr.people.staff"), "nothing there asks for the address");

    let mistyped = user("u", &[], &[("region", AttributeValue::Integer(1))]);
    assert_eq!(world.rows(&mistyped, LINES), "absent");
    assert_eq!(world.rows(&user("u", &[], &[("unknown", text("x"))]), LINES), "all");

    let overflow = "forbid (principal, action == Action::\"read\", resource == Column::\"sales.orders.lines.id\")
        when { principal has clearance && principal.clearance + 1 > 5 };";
    let world = sound(&[(GLOBAL, all), (SALES, overflow)]);
    assert_eq!(world.rows(&user("u", &[], &[("clearance", AttributeValue::Integer(7))]), LINES), "all");
    assert_eq!(world.rows(&user("u", &[], &[("clearance", AttributeValue::Integer(i64::MAX))]), LINES), "absent");
}

#[test]
fn a_policy_about_a_table_may_look_at_its_columns() {
    let has_email = "Column::\"sales.orders.lines.email\" in resource";
    let text = format!(
        "permit (principal, action in Action::\"access\", resource) when {{ resource is Column || {has_email} }};
         forbid (principal in Group::\"out\", action == Action::\"query\", resource) when {{ {has_email} }};"
    );
    let world = sound(&[(ORDERS, &text)]);
    assert_eq!(world.rows(&analyst(), LINES), "all");
    assert_eq!(world.rows(&analyst(), "sales.orders.archive"), "absent");
    assert_eq!(world.rows(&user("u", &["out"], &[]), LINES), "absent");

    // One of two columns that policies about columns cannot tell apart.
    let region = "permit (principal, action == Action::\"query\", resource) when { Column::\"hr.people.grants.region\" in resource };
        permit (principal, action == Action::\"read\", resource);";
    let world = sound(&[(PEOPLE, region)]);
    assert_eq!(world.columns(&analyst(), "hr.people.grants"), "login=plain region=plain level=plain");
    assert_eq!(world.rows(&analyst(), "hr.people.staff"), "absent");
}

#[test]
fn policies_speak_of_their_own_release() {
    let world = sound(&[(GLOBAL, "permit (principal, action in Action::\"access\", resource);")]);
    let later = meshgate_product::load(&world.path(), None, Epoch(2)).expect("the same mesh");
    let decision = world.policies.decide(&analyst(), &later, &world.table(LINES), &request());
    assert!(matches!(decision.access(), Access::Absent));
    assert!(world.decide(&analyst(), LINES).is_visible());
    let absent = world.table(LINES).product.table(1, "nothing");
    assert!(!world.policies.decide(&analyst(), &world.release, &absent, &request()).is_visible());
}

#[test]
fn drafts_are_for_owners() {
    let world = sound(&[(GLOBAL, "permit (principal in Group::\"analysts\", action, resource);")]);
    let draft = "sales.orders_v2.lines";
    let owner = user("o", &["sales-data", "analysts"], &[]);
    assert_eq!(world.rows(&analyst(), LINES), "all");
    assert_eq!(world.rows(&analyst(), draft), "absent");
    assert_eq!(world.rows(&owner, draft), "all");
    assert_eq!(world.rows(&user("o", &["sales-data"], &[]), draft), "absent", "an owner needs a permit");
    assert_eq!(world.rows(&user("o", &["hr-data", "analysts"], &[]), draft), "absent");

    let sees = |principal: &Principal, table: &str| {
        world.policies.discover_table(principal, &world.release, &world.table(table), &request())
    };
    assert!(sees(&analyst(), LINES) && !sees(&analyst(), draft));
    assert!(sees(&owner, draft) && !sees(&user("x", &[], &[]), LINES));
}

#[test]
fn discovery_and_management() {
    let world = sound(&[(
        SALES,
        r#"permit (principal in Group::"curious", action == Action::"discover", resource is Product);
           permit (principal in Group::"stewards", action == Action::"manage", resource == Domain::"sales");
           permit (principal in Group::"helpers", action == Action::"manage", resource == Product::"sales.orders");
           forbid (principal == User::"mallory", action, resource);"#,
    )]);
    let name = |text: &str| Name::parse(text).expect("a name");
    let orders = ProductAddress::new(name("sales"), name("orders"));
    let asked = |principal: &Principal| {
        let (release, request) = (&world.release, &request());
        [
            world.policies.discover_product(principal, release, &orders, request),
            world.policies.discover_table(principal, release, &world.table(LINES), request),
            world.policies.manages_product(principal, release, &orders, request),
            world.policies.manages_domain(principal, release, &name("sales"), request),
            world.policies.manages_domain(principal, release, &name("hr"), request),
        ]
    };
    assert_eq!(asked(&analyst()), [false; 5]);
    assert_eq!(asked(&user("c", &["curious"], &[])), [true, false, false, false, false]);
    assert_eq!(asked(&user("s", &["stewards"], &[])), [false, false, false, true, false]);
    assert_eq!(asked(&user("h", &["helpers"], &[])), [false, false, true, false, false]);
    assert_eq!(asked(&user("o", &["sales-data"], &[])), [true, true, true, true, false]);
    assert_eq!(asked(&user("mallory", &["curious", "stewards"], &[])), [false; 5]);
    assert_eq!(world.rows(&user("o", &["sales-data"], &[]), LINES), "absent", "owning is not reading");
}

#[test]
fn decisions_are_kept_for_requests_that_are_alike() {
    let all = r#"permit (principal, action in Action::"access", resource);"#;
    let world = sound(&[
        (GLOBAL, all),
        (
            ORDERS,
            r#"@rows("$purpose = 'fraud-review' AND $now IS NOT NULL") permit (principal, action == Action::"query", resource);"#,
        ),
        (
            HR,
            r#"forbid (principal, action == Action::"query", resource) when { context.now > datetime("2026-02-01") };"#,
        ),
    ]);
    let ask = |principal: &Principal, table: &str, request: &RequestContext| {
        world.policies.decide(principal, &world.release, &world.table(table), request)
    };
    let now = request();
    let purposeful = RequestContext { purpose: Some("marketing".to_owned()), ..request() };
    let later = RequestContext { now: Instant(1_900_000_000_000_000), client_ip: None, ..request() };
    let first = ask(&analyst(), LINES, &now);
    assert!(Arc::ptr_eq(&first, &ask(&analyst(), LINES, &later)));
    assert!(!Arc::ptr_eq(&first, &ask(&analyst(), LINES, &purposeful)));
    assert!(!Arc::ptr_eq(&first, &ask(&user("ann", &["analysts"], &[]), LINES, &now)));
    let region = [("region", text("EU"))];
    assert!(Arc::ptr_eq(&first, &ask(&user("bob", &["analysts"], &region), LINES, &now)), "nobody asks for the name");
    let robot = Principal::hypothetical(
        PrincipalKind::Service,
        "ann",
        analyst().groups().clone(),
        analyst().attributes().clone(),
    );
    assert!(!Arc::ptr_eq(&first, &ask(&robot, LINES, &now)));
    assert!(!Arc::ptr_eq(&first, &ask(&analyst().supposing(Authentication::Password), LINES, &now)));
    let staff = |request: &RequestContext| ask(&analyst(), "hr.people.staff", request).is_visible();
    assert!(staff(&now) && !staff(&later) && staff(&now));
}

#[test]
fn decisions_are_not_shared_where_a_name_counts() {
    for policy in [
        r#"forbid (principal == User::"eve", action == Action::"query", resource);"#,
        r#"@rows("region <> $user") forbid (principal, action == Action::"query", resource == Table::"sales.orders.lines");"#,
        r#"@rows("region IN (SELECT region FROM hr.people.grants WHERE login = $user)") forbid (principal, action == Action::"query", resource == Table::"sales.orders.lines");"#,
        r#"@mask("sql:concat($user, $value)") forbid (principal, action == Action::"read", resource == Column::"sales.orders.lines.email");"#,
        r#"forbid (principal, action == Action::"query", resource) when { principal is User && [User::"eve"].contains(principal) };"#,
    ] {
        let world =
            sound(&[(GLOBAL, &format!("permit (principal, action in Action::\"access\", resource);\n{policy}"))]);
        let told = ["ann", "eve"].map(|name| {
            let asked = user(name, &[], &[]);
            (world.rows(&asked, LINES), world.columns(&asked, LINES))
        });
        assert_ne!(told[0], told[1], "{policy}");
    }
}

#[test]
fn uses_are_where_policies_can_come_to_bear() {
    let world = documented();
    let mut found: Vec<_> = Policies::uses(&world.policies)
        .iter()
        .map(|used| match &used.what {
            crate::Used::Rows(expr) => format!("{} {} {expr}", used.policy, used.table),
            crate::Used::Mask { column, mask } => format!("{} {} {} {mask}", used.policy, used.table, column.join(".")),
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "analysts-own-region sales.orders_v1.lines region = $region",
            "analysts-own-region sales.orders_v2.lines region = $region",
            "mask-pii sales.orders_v1.lines address.street show-last-4",
            "mask-pii sales.orders_v1.lines email show-last-4",
            "mask-pii sales.orders_v1.lines phones show-last-4",
            "no-embargoed sales.orders_v1.lines embargoed",
            "no-embargoed sales.orders_v2.lines embargoed",
        ]
    );
}
