//! Each kind of bad input: code, file, line, column and suggestion.

use meshgate_model::Severity;

use super::{CONTRACT_FILE, MESH_FILE, PRODUCT, PRODUCT_FILE, TestMesh};

/// One edit of the valid mesh and the one finding it must lead to.
struct Case {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    severity: Severity,
    code: &'static str,
    line: u32,
    column: u32,
    /// Part of the message or the hint.
    says: &'static str,
}

const fn case(
    file: &'static str,
    (from, to): (&'static str, &'static str),
    code: &'static str,
    (line, column): (u32, u32),
    says: &'static str,
) -> Case {
    Case { file, from, to, severity: Severity::Error, code, line, column, says }
}

const fn warning(mut case: Case) -> Case {
    case.severity = Severity::Warning;
    case
}

const CASES: &[Case] = &[
    // The text itself.
    case(MESH_FILE, ("name: acme", "name: [acme"), "yaml-syntax", (2, 8), "YAML"),
    case(MESH_FILE, ("name: acme", "name: acme\nname: beta"), "duplicate-key", (2, 1), "the first is in line 1"),
    case(CONTRACT_FILE, ("    type: local", "    type: local\n    type: s3"), "duplicate-key", (9, 5), "line 8"),
    case(CONTRACT_FILE, ("id: orders-contract", "id: *nothing"), "yaml-syntax", (3, 5), ""),
    case(CONTRACT_FILE, ("kind:", "---\nkind:"), "several-documents", (3, 1), "one document"),
    // mesh.yaml
    case(MESH_FILE, ("name: acme", "nam: acme"), "missing-field", (1, 1), "name"),
    case(MESH_FILE, ("attributes:", "atributes:"), "unknown-field", (7, 1), "did you mean `attributes`?"),
    case(MESH_FILE, ("    owners:", "    owner:"), "unknown-field", (4, 5), "did you mean `owners`?"),
    case(MESH_FILE, ("      - prefix:", "      - path:"), "unknown-field", (6, 9), "`path`"),
    case(MESH_FILE, ("[sales-data]", "sales-data"), "wrong-type", (4, 13), "a list, not the text `sales-data`"),
    case(MESH_FILE, ("./data/sales/", "memory:///x"), "bad-location", (6, 17), "`memory` is no scheme"),
    case(
        MESH_FILE,
        ("- prefix: ./data/sales/", "- catalog: postgres://db.example/lake\n        credentials: lake"),
        "unknown-field",
        (7, 22),
        "asked without `credentials`",
    ),
    case(MESH_FILE, ("region: string", "region: sting"), "unknown-value", (8, 11), "did you mean `string`?"),
    case(MESH_FILE, ("region: string", "region: { set: boolean }"), "unknown-value", (8, 11), "{ set: string }"),
    case(MESH_FILE, ("region: string", "purpose: string"), "reserved-name", (8, 3), "every principal has `purpose`"),
    case(MESH_FILE, ("region: string", "re-gion: string"), "bad-name", (8, 3), "letters, digits"),
    case(MESH_FILE, ("name: acme", "name: a b"), "bad-name", (1, 7), "`a b`"),
    case(MESH_FILE, ("attributes:", "  meshgate: {}\nattributes:"), "reserved-name", (7, 3), "another name"),
    case(MESH_FILE, ("attributes:", "  Market: {}\nattributes:"), "bad-name", (7, 3), "`Market`"),
    warning(case(MESH_FILE, ("attributes:", "  market:\nattributes:"), "missing-domain", (7, 3), "`domains/market`")),
    // domain.yaml
    case("domains/sales/domain.yaml", ("title: Sales", "titel: Sales"), "unknown-field", (1, 1), "`title`?"),
    case("domains/sales/domain.yaml", ("title: Sales", "name: sale"), "wrong-name", (1, 7), "`sales`"),
    // Products
    case(PRODUCT_FILE, ("status: active", "status: activ"), "unknown-value", (5, 9), "did you mean `active`?"),
    warning(case(PRODUCT_FILE, ("status: active", "status: in labour"), "unknown-value", (5, 9), "counts as draft")),
    case(PRODUCT_FILE, ("status: active\n", ""), "missing-field", (1, 1), "`status`"),
    case(PRODUCT_FILE, ("outputPorts", "output_ports"), "unknown-field", (6, 1), "did you mean `outputPorts`?"),
    case(PRODUCT_FILE, ("version: 1.0.0", "version: 1.0"), "wrong-type", (8, 14), "put it in quotes: \"1.0\""),
    case(PRODUCT_FILE, ("version: 1.0.0", "version: latest"), "bad-version", (8, 14), "\"1.0.0\""),
    case(PRODUCT_FILE, ("DataProduct", "DataContract"), "wrong-kind", (2, 7), "kind: DataProduct"),
    case(PRODUCT_FILE, ("v1.0.0", "v2.0.0"), "unsupported-version", (1, 13), "v0.9.0 to v1.0.0"),
    case(PRODUCT_FILE, ("orders-contract", "order-contract"), "unknown-contract", (9, 17), "`orders-contract`?"),
    warning(case(
        PRODUCT_FILE,
        ("    contractId: orders-contract\n", ""),
        "port-without-contract",
        (7, 5),
        "not served",
    )),
    // Contracts
    case(CONTRACT_FILE, ("DataContract", "Contract"), "wrong-kind", (2, 7), "kind: DataContract"),
    case(CONTRACT_FILE, ("v3.1.0", "v2.2.2"), "unsupported-version", (1, 13), "v3.0.0 to v3.2.0"),
    case(CONTRACT_FILE, ("v3.1.0", "3.1.0"), "unsupported-version", (1, 13), "did you mean `v3.1.0`?"),
    case(CONTRACT_FILE, ("apiVersion: v3.1.0\n", ""), "missing-field", (1, 1), "apiVersion: v3.2.0"),
    case(CONTRACT_FILE, ("schema:", "shema:"), "unknown-field", (11, 1), "did you mean `schema`?"),
    case(CONTRACT_FILE, ("logicalType: integer", "logicaltype: integer"), "unknown-field", (15, 9), "`logicalType`?"),
    case(CONTRACT_FILE, ("logicalType: integer", "logicalType: int"), "unknown-value", (15, 22), "`integer`"),
    case(CONTRACT_FILE, ("logicalType: integer", "logicalType: vector"), "newer-field", (15, 22), "new in v3.2.0"),
    case(
        CONTRACT_FILE,
        ("status: active", "status: active\ncontext: Ask."),
        "newer-field",
        (6, 1),
        "`context` is new in v3.2.0",
    ),
    case(CONTRACT_FILE, ("type: local", "type: locale"), "unknown-value", (8, 11), "did you mean `local`?"),
    case(CONTRACT_FILE, ("    path:", "    location:"), "unknown-field", (9, 5), "a server of type local"),
    case(CONTRACT_FILE, ("    format: delta\n", ""), "missing-field", (7, 5), "`format`"),
    case(
        CONTRACT_FILE,
        ("logicalType: integer", "required: yes"),
        "wrong-type",
        (15, 19),
        "true or false, not the text `yes`",
    ),
    case(CONTRACT_FILE, ("- name: id", "- name: 7"), "wrong-type", (14, 15), "put it in quotes: \"7\""),
    case(CONTRACT_FILE, ("- name: id", "- id: a.b\n        name: id"), "bad-id", (14, 13), "`a.b`"),
    case(CONTRACT_FILE, ("integer\n", "integer\n      - name: id\n"), "duplicate-column", (16, 15), "line 14"),
    warning(case(
        CONTRACT_FILE,
        ("integer\n", "integer\n      - name: ID\n"),
        "similar-names",
        (16, 15),
        "upper and lower",
    )),
    case(CONTRACT_FILE, ("integer\n", "integer\n        items: {}\n"), "unknown-field", (16, 9), "an integer property"),
    case(
        CONTRACT_FILE,
        (
            "integer\n",
            "integer\n        quality:\n          - metric: nullValues\n            mustBe: 0\n            mustNotBe: 1\n",
        ),
        "bad-check",
        (17, 13),
        "more than one operator",
    ),
    case(
        CONTRACT_FILE,
        ("integer\n", "integer\n        quality: [{metric: nullValues}]\n"),
        "bad-check",
        (16, 19),
        "`mustBe: 0`",
    ),
    case(
        CONTRACT_FILE,
        ("status: active", "status: active\ncustomProperties:\n  - property: meshgate.onbreach\n    value: warn"),
        "unknown-field",
        (7, 15),
        "did you mean `meshgate.onBreach`?",
    ),
    case(
        CONTRACT_FILE,
        ("status: active", "status: active\ncustomProperties:\n  - property: meshgate.onBreach\n    value: ignore"),
        "unknown-value",
        (8, 12),
        "block or warn",
    ),
    case(
        CONTRACT_FILE,
        ("status: active", "status: active\ncustomProperties:\n  - property: meshgate.maxStaleness\n    value: soon"),
        "wrong-type",
        (8, 12),
        "seconds",
    ),
    case(
        CONTRACT_FILE,
        ("integer\n", "integer\n        customProperties: [{property: meshgate.onBreach, value: warn}]\n"),
        "unknown-field",
        (16, 39),
        "no name that begins with `meshgate.` has a meaning here",
    ),
    case(
        CONTRACT_FILE,
        ("integer\n", "integer\n        relationships: [{to: orders.di}]\n"),
        "unknown-column",
        (16, 30),
        "did you mean `id`?",
    ),
    warning(case(
        CONTRACT_FILE,
        ("integer\n", "integer\n        relationships: [{to: people.id}]\n"),
        "unresolved-relationship",
        (16, 30),
        "not in this product",
    )),
    case(
        CONTRACT_FILE,
        ("    properties:", "    relationships: [{from: [orders.id], to: [orders.id, orders.id]}]\n    properties:"),
        "bad-relationship",
        (13, 21),
        "1 columns and `to` has 2",
    ),
    case(
        CONTRACT_FILE,
        ("    properties:", "    relationships: [{from: orders.id, to: [orders.id]}]\n    properties:"),
        "bad-relationship",
        (13, 21),
        "write both as text",
    ),
    case(
        CONTRACT_FILE,
        ("integer\n", "integer\n        relationships: [{to: people}]\n"),
        "bad-relationship",
        (16, 30),
        "write table.column",
    ),
];

#[test]
fn bad_input_is_told_by_code_place_and_suggestion() {
    let mut failures = Vec::new();
    for case in CASES {
        let Case { file, from, to, .. } = case;
        let findings = TestMesh::valid().edit(file, from, to).findings();
        let told = findings.iter().any(|finding| {
            let place = &finding.place;
            finding.code == case.code
                && finding.severity == case.severity
                && place.file.as_os_str() == *file
                && (place.line, place.column) == (Some(case.line), Some(case.column))
                && finding.to_string().contains(case.says)
        });
        if !told {
            failures.push(format!("{to:?}: no {} at {}:{}: {findings:#?}", case.code, case.line, case.column));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_order() {
    let findings = TestMesh::valid()
        .edit(CONTRACT_FILE, "schema:", "shema: 1\nschema:")
        .edit(CONTRACT_FILE, "logicalType: integer", "required: 1\n        unique: 2")
        .edit(CONTRACT_FILE, "status: active", "stauts: active")
        .edit(PRODUCT_FILE, "name: Orders", "nmae: Orders")
        .findings();
    let lines: Vec<_> =
        findings.iter().map(|f| (f.place.to_string().replace("domains/sales/products/orders/", ""), f.code)).collect();
    let expected = [
        ("orders.odcs.yaml:5:1", "unknown-field"),
        ("orders.odcs.yaml:11:1", "unknown-field"),
        ("orders.odcs.yaml:16:19", "wrong-type"),
        ("orders.odcs.yaml:17:17", "wrong-type"),
        ("product.odps.yaml:4:1", "unknown-field"),
    ];
    assert_eq!(lines, expected.map(|(place, code)| (place.to_owned(), code)));
}

#[test]
fn the_same_is_said_once() {
    let product = format!("{PRODUCT}  - name: orders\n    version: 2.0.0\n    contractId: orders-contract\n");
    let findings = TestMesh::valid()
        .with(PRODUCT_FILE, &product)
        .edit(CONTRACT_FILE, "./data/sales/orders", "./data/people")
        .edit(CONTRACT_FILE, "schema:", "schema:\n  - name: lines\n    properties: [{ name: id }]")
        .findings();
    let told: Vec<_> = findings.iter().map(|finding| finding.message.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(told, ["`./data/people/lines`", "`./data/people/orders`"], "{findings:#?}");
}

#[test]
fn aliases_and_merges_are_read_and_bombs_are_not() {
    let mesh = TestMesh::valid().edit(
        CONTRACT_FILE,
        "      - name: id\n        logicalType: integer\n",
        "      - &id\n        name: id\n        logicalType: integer\n      - <<: *id\n        name: other\n",
    );
    let release = mesh.release();
    assert_eq!(super::errors(release.findings()), [""; 0]);
    assert_eq!(super::orders(&release).versions[0].tables[0].columns.len(), 2);

    let level = |n: usize| format!("x{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 10].join(", "));
    let bomb = format!("x0: &x0 [1, 2]\n{}", (1..9).map(level).collect::<String>());
    let findings = TestMesh::valid().with(CONTRACT_FILE, &bomb).findings();
    assert!(findings.iter().any(|finding| finding.code == "too-large"), "{findings:#?}");
    let deep = format!("a: {}1{}", "[".repeat(100), "]".repeat(100));
    let findings = TestMesh::valid().with(CONTRACT_FILE, &deep).findings();
    assert!(findings.iter().any(|finding| matches!(finding.code, "too-large" | "yaml-syntax")), "{findings:#?}");
}
