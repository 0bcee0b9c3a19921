//! Columns that policies cannot tell apart are asked about once: that must be the same as asking about each.

use std::fmt::Write;

use proptest::prelude::*;

use super::fixture::{ORDERS, SALES, analyst, world};

/// Never satisfied, but it looks at names: with it, every column is asked about by itself.
const LOOKS_AT_NAMES: &str =
    "forbid (principal, action == Action::\"read\", resource) when { resource.name == \"no such column\" };";

const EFFECTS: &[&str] =
    &["permit", "permit", "forbid", "@mask(\"mask-alphanum\") forbid", "@mask(\"replace-with-null\") forbid"];

const CONDITIONS: &[&str] = &[
    "resource in Table::\"sales.orders.wide\"",
    "resource.tags.contains(\"a\")",
    "resource.tags.containsAny([\"a\", \"b\"])",
    "resource.tags == [\"b\"]",
    "resource.logicalType == \"string\"",
    "resource.critical",
    "resource has classification",
    "resource has classification && resource.classification == \"x\"",
    "resource == Column::\"sales.orders.wide.c0\"",
    "resource in Column::\"sales.orders.wide.c1\"",
    "resource in [Column::\"sales.orders.wide.c2\", Column::\"sales.orders.wide.c0.f1\"]",
    "resource is Column in Column::\"sales.orders.wide.c3[]\"",
    "Column::\"sales.orders.wide.c1\".tags == resource.tags",
];

const SHAPES: usize = 4;

/// What a column says of itself, and which of the shapes it has.
#[derive(Debug, Clone)]
struct Spec {
    kind: &'static str,
    tags: Vec<&'static str>,
    classification: Option<&'static str>,
    critical: bool,
    shape: usize,
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let kind = prop::sample::select(vec!["string", "integer"]);
    let tags = prop::sample::subsequence(vec!["a", "b"], 0..=2).prop_shuffle();
    let classification = prop::option::of(prop::sample::select(vec!["x", "y"]));
    let spec = (kind, tags, classification, prop::bool::weighted(0.3), 0..SHAPES)
        .prop_map(|(kind, tags, classification, critical, shape)| Spec { kind, tags, classification, critical, shape });
    prop::collection::vec(spec, 5..20)
}

/// The contract: the fields and elements of each column are what the next columns are.
fn contract(specs: &[Spec]) -> String {
    let mut text = String::from(
        "apiVersion: v3.1.0\nkind: DataContract\nid: orders-1\nversion: 1.2.0\nstatus: active\n\
         servers: [{ server: main, type: local, path: ./data/sales/, format: delta }]\n\
         schema:\n  - name: wide\n    properties:\n",
    );
    for (at, spec) in specs.iter().enumerate() {
        let inner = |step: usize| about(&specs[(at + step) % specs.len()]);
        let fields = format!(
            "properties: [{{ name: f0, logicalType: string, {} }}, {{ name: f1, logicalType: string, {} }}]",
            inner(1),
            inner(2)
        );
        let kind = match spec.shape {
            0 => format!("logicalType: {}", spec.kind),
            1 => format!("logicalType: object, {fields}"),
            2 => format!("logicalType: array, items: {{ logicalType: string, {} }}", inner(3)),
            _ => format!("logicalType: array, items: {{ logicalType: object, {}, {fields} }}", inner(3)),
        };
        let _ = writeln!(text, "      - {{ name: c{at}, {kind}, {} }}", about(spec));
    }
    text
}

fn about(spec: &Spec) -> String {
    let classification = spec.classification.map_or_else(String::new, |word| format!(", classification: {word}"));
    format!("tags: [{}], criticalDataElement: {}{classification}", spec.tags.join(", "), spec.critical)
}

fn policies() -> impl Strategy<Value = String> {
    let policy = (prop::sample::select(EFFECTS), prop::sample::select(CONDITIONS), prop::bool::weighted(0.2));
    prop::collection::vec(policy, 1..8).prop_map(|policies| {
        let mut text = String::from("permit (principal, action == Action::\"query\", resource);\n");
        for (effect, condition, negated) in policies {
            let word = if negated { "unless" } else { "when" };
            let _ =
                writeln!(text, "{effect} (principal, action == Action::\"read\", resource) {word} {{ {condition} }};");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn asking_once_is_asking_about_each(specs in specs(), policies in policies()) {
        let contract = contract(&specs);
        let decided = |more: &str| {
            let files = [(ORDERS, policies.as_str()), ("domains/sales/products/orders/one.odcs.yaml", &contract), (SALES, more)];
            let world = world(&files);
            prop_assert!(!world.policies.is_broken(&world.table("sales.orders.wide").product), "{:?}", world.findings);
            Ok(format!("{:?}", world.decide(&analyst(), "sales.orders.wide").access()))
        };
        prop_assert_eq!(decided("")?, decided(LOOKS_AT_NAMES)?, "{}", policies);
    }
}
