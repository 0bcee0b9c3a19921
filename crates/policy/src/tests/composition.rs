//! Composition of rows and masks against a second, small evaluator.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use meshgate_identity::Principal;
use proptest::prelude::*;

use super::fixture::{ORDERS, World, user, world};
use crate::sql::{self, Surroundings};
use crate::{Access, BinaryOp, Expr, Literal, Mask, Reading, Rows, compose};

/// A row of three nullable booleans.
type Row = [Option<bool>; 3];

/// SQL's truth of an expression: true, false or unknown.
fn truth(expr: &Expr, row: &Row) -> Option<bool> {
    match expr {
        Expr::Column(path) => row[["a", "b", "c"].iter().position(|name| *name == path[0]).expect("a column")],
        Expr::Literal(Literal::Boolean(value)) => Some(*value),
        Expr::Literal(Literal::Null) => None,
        Expr::Not(inner) => truth(inner, row).map(|value| !value),
        Expr::Binary(left, BinaryOp::And, right) => match (truth(left, row), truth(right, row)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Expr::Binary(left, BinaryOp::Or, right) => match (truth(left, row), truth(right, row)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Expr::IsNull { expr, negated } => Some(truth(expr, row).is_none() != *negated),
        other => panic!("not generated: {other:?}"),
    }
}

/// The documentation, read to the letter: a permit shows a row where it is true, a forbid leaves it where it is false.
fn shown(permits: &[Option<Expr>], forbids: &[Expr], row: &Row) -> bool {
    permits.iter().any(|permit| permit.as_ref().is_none_or(|expr| truth(expr, row) == Some(true)))
        && forbids.iter().all(|expr| truth(expr, row) == Some(false))
}

fn passes(rows: &Rows, row: &Row) -> bool {
    match rows {
        Rows::All => true,
        Rows::Where(expr) => truth(expr, row) == Some(true),
    }
}

fn every_row() -> impl Iterator<Item = Row> {
    let values = [Some(true), Some(false), None];
    values.into_iter().flat_map(move |a| values.into_iter().flat_map(move |b| values.map(|c| [a, b, c])))
}

fn exprs() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["a", "b", "c"]).prop_map(|name| Expr::Column(vec![name.to_owned()])),
        any::<Option<bool>>().prop_map(|value| Expr::Literal(value.map_or(Literal::Null, Literal::Boolean))),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = (inner.clone(), inner.clone(), prop::bool::ANY);
        prop_oneof![
            inner.clone().prop_map(|expr| Expr::Not(Box::new(expr))),
            (inner, any::<bool>()).prop_map(|(expr, negated)| Expr::IsNull { expr: Box::new(expr), negated }),
            pair.prop_map(|(left, right, and)| {
                Expr::Binary(Box::new(left), if and { BinaryOp::And } else { BinaryOp::Or }, Box::new(right))
            }),
        ]
    })
}

fn permits() -> impl Strategy<Value = Vec<Option<Expr>>> {
    prop::collection::vec(prop::option::weighted(0.85, exprs()), 1..6)
}

fn forbids() -> impl Strategy<Value = Vec<Expr>> {
    prop::collection::vec(exprs(), 0..5)
}

proptest! {
    #[test]
    fn rows_are_as_documented(permits in permits(), forbids in forbids()) {
        let rows = compose::rows(permits.clone(), forbids.clone());
        for row in every_row() {
            prop_assert_eq!(passes(&rows, &row), shown(&permits, &forbids, &row), "{:?}", row);
        }
    }

    #[test]
    fn what_is_printed_means_the_same(expr in exprs()) {
        let surroundings = Surroundings {
            attributes: &WORLD.release.mesh().attributes, release: &WORLD.release, masked_value: false,
        };
        let again = sql::parse(&expr.to_string(), surroundings).expect("printed SQL").expr;
        for row in every_row() {
            prop_assert_eq!(truth(&again, &row), truth(&expr, &row), "{}", expr);
        }
    }

    #[test]
    fn one_more_permit_shows_more_and_one_more_forbid_less(
        permits in permits(), forbids in forbids(), permit in prop::option::of(exprs()), forbid in exprs(),
    ) {
        let before = compose::rows(permits.clone(), forbids.clone());
        let more = compose::rows(permits.iter().cloned().chain([permit]).collect(), forbids.clone());
        let less = compose::rows(permits, forbids.into_iter().chain([forbid]).collect());
        for row in every_row() {
            prop_assert!(!passes(&before, &row) || passes(&more, &row));
            prop_assert!(!passes(&less, &row) || passes(&before, &row));
        }
    }

    #[test]
    fn masks_that_differ_give_null(masks in prop::collection::vec(prop::sample::select(vec![
        Mask::ReplaceWithNull, Mask::ShowLast4, Mask::Sha256Global, Mask::Sql(Expr::MaskedValue),
    ]), 1..5)) {
        let same = masks.iter().all(|mask| *mask == masks[0]);
        let expected = if same { masks[0].clone() } else { Mask::ReplaceWithNull };
        prop_assert_eq!(compose::masks(masks), Reading::Masked(expected));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any set of groups turns on any set of policies: decisions are what the reference says, and joining a group whose
    /// policies are all permits never takes anything away (nor does one whose policies are all forbids give anything).
    #[test]
    fn decisions_are_as_documented(on in prop::collection::btree_set(0..POLICIES.len(), 0..POLICIES.len())) {
        let told = told(&member(&on));
        prop_assert_eq!(&told, &expected(&on));
        for (number, policy) in POLICIES.iter().enumerate() {
            let joined: BTreeSet<usize> = on.iter().copied().chain([number]).collect();
            let other = self::told(&member(&joined));
            let (less, more) = if policy.permits { (&told, &other) } else { (&other, &told) };
            prop_assert!(less.0.is_subset(&more.0), "{}: {:?} {:?}", policy.text, less, more);
            prop_assert!(less.1 <= more.1, "{}: {:?} {:?}", policy.text, less, more);
        }
    }
}

/// A policy that is satisfied for members of the group `p<its number>`.
struct Gated {
    permits: bool,
    query: bool,
    read: bool,
    /// A column or a negated one, of a table of booleans.
    rows: Option<(&'static str, bool)>,
    mask: Option<&'static str>,
    text: &'static str,
}

const POLICIES: &[Gated] = &[
    Gated { permits: true, query: true, read: false, rows: Some(("a", true)), mask: None, text: "permit query a" },
    Gated { permits: true, query: true, read: true, rows: Some(("b", false)), mask: None, text: "permit access not b" },
    Gated { permits: true, query: true, read: false, rows: None, mask: None, text: "permit query" },
    Gated { permits: true, query: false, read: true, rows: None, mask: None, text: "permit read" },
    Gated { permits: false, query: true, read: false, rows: Some(("c", true)), mask: None, text: "forbid query c" },
    Gated {
        permits: false,
        query: true,
        read: false,
        rows: Some(("a", false)),
        mask: None,
        text: "forbid query not a",
    },
    Gated { permits: false, query: true, read: false, rows: None, mask: None, text: "forbid query" },
    Gated { permits: false, query: false, read: true, rows: None, mask: Some("show-last-4"), text: "forbid read 4" },
    Gated { permits: false, query: false, read: true, rows: None, mask: Some("mask-alphanum"), text: "forbid read x" },
    Gated { permits: false, query: false, read: true, rows: None, mask: None, text: "forbid read" },
];

/// What is visible of all rows, and how much of the column: 0 hidden, 1 replaced, 2 masked, 3 plain. (Between masks no
/// order is claimed; NULL is below them.)
type Told = (BTreeSet<Row>, u8);

fn expected(on: &BTreeSet<usize>) -> Told {
    let policies = || on.iter().map(|number| &POLICIES[*number]);
    let holds = |rows: Option<(&str, bool)>, row: &Row| match rows {
        None => Some(true),
        Some((column, wanted)) => {
            row[["a", "b", "c"].iter().position(|name| *name == column).expect("a column")].map(|value| value == wanted)
        }
    };
    let rows: BTreeSet<Row> = every_row()
        .filter(|row| policies().any(|policy| policy.query && policy.permits && holds(policy.rows, row) == Some(true)))
        .filter(|row| {
            policies().all(|policy| !policy.query || policy.permits || holds(policy.rows, row) == Some(false))
        })
        .collect();
    let asked = policies().any(|policy| policy.query && policy.permits)
        && !policies().any(|policy| policy.query && !policy.permits && policy.rows.is_none());
    let forbids: Vec<_> = policies().filter(|policy| policy.read && !policy.permits).collect();
    let permitted = policies().any(|policy| policy.read && policy.permits);
    let column = match (permitted, forbids.as_slice()) {
        (false, _) => 0,
        (true, []) => 3,
        (true, forbids) if forbids.iter().any(|policy| policy.mask.is_none()) => 0,
        (true, [_]) => 2,
        (true, _) => 1,
    };
    (rows, if asked { column } else { 0 })
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let policies: Vec<String> = POLICIES
        .iter()
        .enumerate()
        .map(|(number, policy)| {
            let rows = policy.rows.map_or_else(String::new, |(column, wanted)| {
                format!("@rows(\"{}{column}\") ", if wanted { "" } else { "NOT " })
            });
            let mask = policy.mask.map_or_else(String::new, |mask| format!("@mask(\"{mask}\") "));
            let effect = if policy.permits { "permit" } else { "forbid" };
            let action = match (policy.query, policy.read) {
                (true, true) => "in Action::\"access\"",
                (true, false) => "== Action::\"query\"",
                _ => "== Action::\"read\"",
            };
            let about = "resource in Table::\"sales.orders.flags\"";
            format!("{rows}{mask}{effect} (principal in Group::\"p{number}\", action {action}, {about});\n")
        })
        .collect();
    let contract = "
apiVersion: v3.1.0
kind: DataContract
id: orders-1
version: 1.2.0
status: active
servers: [{ server: main, type: local, path: ./data/sales/, format: delta }]
schema:
  - name: flags
    properties:
      - { name: a, logicalType: boolean }
      - { name: b, logicalType: boolean }
      - { name: c, logicalType: boolean }
";
    world(&[(ORDERS, &policies.concat()), ("domains/sales/products/orders/one.odcs.yaml", contract)])
});

fn member(on: &BTreeSet<usize>) -> Principal {
    let groups: Vec<String> = on.iter().map(|number| format!("p{number}")).collect();
    user("u", &groups.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

fn told(principal: &Principal) -> Told {
    match WORLD.decide(principal, "sales.orders.flags").access() {
        Access::Absent => (BTreeSet::new(), 0),
        Access::Visible { rows, columns } => {
            let visible = every_row().filter(|row| passes(rows, row)).collect();
            let column = match &columns[0].reading {
                Reading::Hidden => 0,
                Reading::Masked(Mask::ReplaceWithNull) => 1,
                Reading::Masked(_) => 2,
                Reading::Plain => 3,
            };
            (visible, column)
        }
    }
}
