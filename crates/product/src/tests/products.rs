//! Versions side by side, status, columns, relationships, differences.

use meshgate_model::{Epoch, Severity};

use super::{CONTRACT, CONTRACT_FILE, PRODUCT, PRODUCT_FILE, TestMesh, address, errors, orders};
use crate::{LogicalType, OnBreach, Release, ScopeState, Status, diff};

const SECOND: &str = "domains/sales/products/orders/second.odcs.yaml";

/// A product with the second port and contract given.
fn two(version: &str, table: &str, contract_status: &str) -> TestMesh {
    let port = format!("{PRODUCT}  - name: orders\n    version: {version}\n    contractId: second\n");
    let contract = CONTRACT
        .replace("orders-contract", "second")
        .replace("version: 1.0.0", &format!("version: {version}"))
        .replace("status: active", &format!("status: {contract_status}"))
        .replace("- name: orders", &format!("- name: {table}"));
    TestMesh::valid().with(PRODUCT_FILE, &port).with(SECOND, &contract)
}

#[test]
fn versions_stand_side_by_side() {
    let release = two("2.1.0", "orders", "active").release();
    assert_eq!(release.findings(), []);
    let product = orders(&release);
    let versions: Vec<_> =
        product.versions.iter().map(|v| (v.major, v.version.as_str(), v.contract_ids[0].as_str())).collect();
    assert_eq!(versions, [(1, "1.0.0", "orders-contract"), (2, "2.1.0", "second")]);
    assert_eq!(product.current().map(|version| version.major), Some(2));
    assert!(release.table(&address("sales", "orders").table(1, "orders")).is_some());
    assert!(release.table(&address("sales", "orders").table(2, "orders")).is_some());
}

#[test]
fn the_most_careful_status_counts() {
    use Status::{Active, Deprecated, Draft, Proposed};
    for (product, contract, expected, current) in [
        ("active", "active", Some(Active), Some(2)),
        ("active", "deprecated", Some(Deprecated), Some(1)),
        ("active", "draft", Some(Draft), Some(1)),
        ("active", "Proposed", Some(Proposed), Some(1)),
        ("active", "under construction", Some(Draft), Some(1)),
        ("active", "retired", None, Some(1)),
        ("deprecated", "active", Some(Deprecated), None),
        ("draft", "deprecated", Some(Draft), None),
        ("retired", "active", None, None),
    ] {
        let mesh = two("2.0.0", "orders", contract).edit(PRODUCT_FILE, "status: active", &format!("status: {product}"));
        let release = mesh.release();
        assert_eq!(errors(release.findings()), [""; 0]);
        let found = orders(&release).versions.iter().find(|version| version.major == 2).map(|version| version.status);
        assert_eq!(found, expected, "{product} {contract}");
        assert_eq!(orders(&release).current().map(|version| version.major), current, "{product} {contract}");
    }
}

#[test]
fn ports_of_one_major_version_merge() {
    let release = two("1.4.0", "lines", "active").release();
    assert_eq!(release.findings(), []);
    let tables: Vec<_> = orders(&release).versions[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!((tables, orders(&release).versions.len()), (vec!["orders", "lines"], 1));

    let release = two("1.4.0", "orders", "active").release();
    assert_eq!(release.findings().iter().map(|f| f.code).collect::<Vec<_>>(), ["duplicate-table"]);
    assert!(matches!(orders(&release).state, ScopeState::Unavailable(_)));

    let release = two("1.4.0", "orders", "retired").release();
    assert_eq!(release.findings(), [], "a retired version takes no name");

    let release = two("1.4.0", "lines", "draft").release();
    assert_eq!(release.findings()[0].code, "mixed-status");
    assert_eq!(orders(&release).versions[0].status, Status::Draft);
}

#[test]
fn each_table_of_a_merged_version_has_what_its_own_contract_says() {
    let words = |texts: &[String]| texts.join(" ");
    for (first, second, shared, tables) in [
        ("", "tags: [restricted]\n", "", ["", "restricted"]),
        ("tags: [restricted]\n", "", "", ["restricted", ""]),
        ("tags: [a, b]\n", "tags: [b, c]\n", "b", ["a b", "b c"]),
    ] {
        let version = "version: 1.0.0\n";
        let release = two("1.4.0", "lines", "active")
            .edit(
                CONTRACT_FILE,
                version,
                &format!("{version}{first}slaProperties: [{{ property: latency, value: 4 }}]\n"),
            )
            .edit(
                SECOND,
                "version: 1.4.0\n",
                &format!("version: 1.4.0\n{second}slaProperties: [{{ property: retention, value: 9 }}]\n"),
            )
            .release();
        assert_eq!(release.findings(), []);
        let version = &orders(&release).versions[0];
        assert_eq!(words(&version.tags), shared, "{first} {second}");
        let found: Vec<_> = version.tables.iter().map(|table| (table.version.as_str(), words(&table.tags))).collect();
        let expected = [("1.0.0", tables[0].to_owned()), ("1.4.0", tables[1].to_owned())];
        assert_eq!(found, expected, "{first} {second}");
        assert_eq!(words(&version.contract_ids), "orders-contract second");
        assert_eq!(
            version.sla.iter().map(|(property, _)| property.as_str()).collect::<Vec<_>>(),
            ["latency", "retention"]
        );
    }
}

#[test]
fn ports_and_contracts_must_fit() {
    let repeated = format!("{PRODUCT}  - name: orders\n    version: 1.0.0\n    contractId: orders-contract\n");
    let codes = |mesh: TestMesh| -> Vec<&'static str> { mesh.findings().iter().map(|finding| finding.code).collect() };
    assert_eq!(codes(TestMesh::valid().with(PRODUCT_FILE, &repeated)), ["duplicate-port"]);
    let named_otherwise = repeated.replacen("name: orders\n    version", "name: again\n    version", 1);
    let twice = TestMesh::valid().with(PRODUCT_FILE, &named_otherwise).release();
    assert_eq!(twice.findings(), [], "one contract behind two ports");
    assert_eq!(orders(&twice).versions.iter().map(|version| version.tables.len()).collect::<Vec<_>>(), [1]);
    assert_eq!(
        codes(TestMesh::valid().with(SECOND, &CONTRACT.replace("orders-contract", "other"))),
        ["unused-contract"]
    );
    assert!(codes(TestMesh::valid().with(SECOND, CONTRACT)).contains(&"ambiguous-contract"));
    assert_eq!(codes(TestMesh::valid().with("domains/sales/products/orders/c.yaml", "")), ["unread-file"]);
    for (from, to) in [
        ("    properties:\n      - name: id\n        logicalType: integer\n", ""),
        ("    properties:\n      - name: id\n        logicalType: integer\n", "    properties: []\n"),
        ("schema:\n  - name: orders\n    properties:\n      - name: id\n        logicalType: integer\n", ""),
    ] {
        assert_eq!(codes(TestMesh::valid().edit(CONTRACT_FILE, from, to)), ["no-properties"]);
    }
}

#[test]
fn versions_of_one_contract_are_told_apart_by_the_port() {
    let ports = format!("{PRODUCT}  - name: orders\n    version: 2.0.0\n    contractId: orders-contract\n");
    let second = CONTRACT.replace("version: 1.0.0", "version: 2.0.0").replace("name: id", "name: number");
    let release = TestMesh::valid().with(PRODUCT_FILE, &ports).with(SECOND, &second).release();
    assert_eq!(release.findings(), []);
    let columns: Vec<_> = orders(&release).versions.iter().map(|v| v.tables[0].columns[0].name.clone()).collect();
    assert_eq!(columns, ["id", "number"]);

    let release = TestMesh::valid().with(PRODUCT_FILE, &ports).with(SECOND, CONTRACT).release();
    let codes: Vec<_> = release.findings().iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"ambiguous-contract"), "{codes:?}");
}

const TABLES: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: orders-contract
version: 1.0.0
name: Orders and lines
tags: [core]
servers:
  - { server: lake, type: local, path: ./data/sales, format: delta }
slaProperties:
  - { property: latency, value: 4, unit: h }
  - { property: endOfLife, value: \"2030-01-01\" }
customProperties:
  - { property: meshgate.onBreach, value: warn }
  - { property: somebody.else, value: [1, 2] }
schema:
  - name: orders
    id: orders_table
    businessName: Orders
    description: All orders.
    tags: [fact]
    customProperties:
      - { property: meshgate.onBreach, value: block }
      - { property: meshgate.maxStaleness, value: 30 }
    properties:
      - name: line
        primaryKey: true
        primaryKeyPosition: 2
      - name: id
        id: order_id
        physicalName: o_id
        logicalType: integer
        physicalType: bigint
        logicalTypeOptions: { format: i64 }
        primaryKey: true
        primaryKeyPosition: 1
        required: true
        classification: restricted
        criticalDataElement: true
        businessName: Number
        description: The number.
        examples: [1, \"two\", 3.50]
        tags: [key]
      - name: address
        logicalType: object
        properties:
          - name: city
            logicalType: string
      - name: labels
        logicalType: map
        map:
          key: { logicalType: string }
          value: { logicalType: integer }
      - name: parts
        logicalType: array
        items:
          logicalType: object
          properties: [{ name: sku }]
  - name: lines
    properties:
      - name: order_id
        unique: true
        relationships: [{ to: orders.id }, { to: /schema/orders_table/properties/order_id }, { to: orders.address.city }]
      - name: number
        primaryKey: true
    relationships:
      - from: [lines.order_id, lines.number]
        to: [orders.id, orders.line]
";

#[test]
fn partition_columns_are_in_the_order_of_their_positions() {
    let parquet = |columns: &str| {
        let text = TABLES.replace("format: delta", "format: parquet");
        let text = text.replacen("    properties:\n", &format!("    properties:\n{columns}\n"), 1);
        TestMesh::valid().with(CONTRACT_FILE, &text)
    };
    let column = |name: &str, more: &str| format!("      - {{name: {name}, partitioned: true, {more}}}");
    let columns = |columns: &[String]| columns.join("\n");
    let release = parquet(&columns(&[
        column("last", "logicalType: string"),
        column("second", "logicalType: date, partitionKeyPosition: 2"),
        column("first", "logicalType: integer, partitionKeyPosition: 1"),
        column("later", "logicalType: boolean, partitionKeyPosition: -1"),
    ]))
    .release();
    assert_eq!(errors(release.findings()), [""; 0]);
    let tables = &orders(&release).versions[0].tables;
    assert_eq!(tables[0].partition_by, ["first", "second", "last", "later"]);
    assert_eq!(tables[1].partition_by, [""; 0]);
    for bad in [
        columns(&[column("x", "logicalType: object")]),
        columns(&[column("x", "logicalType: array, items: {logicalType: string}")]),
        columns(&[
            column("x", "logicalType: string, partitionKeyPosition: 1"),
            column("y", "logicalType: string, partitionKeyPosition: 1"),
        ]),
    ] {
        let found = errors(parquet(&bad).release().findings());
        assert!(matches!(&found[..], [one] if one.contains("bad-partition")), "{bad}: {found:?}");
        // A log says how its table is partitioned.
        let text = TABLES.replacen("    properties:\n", &format!("    properties:\n{bad}\n"), 1);
        assert_eq!(errors(TestMesh::valid().with(CONTRACT_FILE, &text).release().findings()), [""; 0], "{bad}");
    }
}

#[test]
fn everything_a_contract_promises_is_in_the_release() {
    let release = TestMesh::valid().with(CONTRACT_FILE, TABLES).release();
    assert_eq!(release.findings(), []);
    let version = &orders(&release).versions[0];
    assert_eq!(
        (version.contract_title.as_deref(), &version.tags[..]),
        (Some("Orders and lines"), &["core".to_owned()][..])
    );
    let sla = [("latency", "4 h"), ("endOfLife", "2030-01-01")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(version.sla, sla);
    let [orders, lines] = &version.tables[..] else { panic!("{:?}", version.tables) };
    assert_eq!((orders.on_breach, orders.max_staleness_s), (OnBreach::Block, Some(30)));
    assert_eq!((lines.on_breach, lines.max_staleness_s), (OnBreach::Warn, None));
    assert_eq!((orders.business_name.as_deref(), orders.description.as_deref()), (Some("Orders"), Some("All orders.")));
    assert_eq!(
        (&orders.primary_key[..], &lines.primary_key[..]),
        (&["id".to_owned(), "line".to_owned()][..], &["number".to_owned()][..])
    );
    assert_eq!((orders.place.line, orders.columns[1].place.line), (Some(16), Some(28)));

    let [line, id, address, labels, parts] = &orders.columns[..] else { panic!("{:?}", orders.columns) };
    assert_eq!((line.physical_name.as_str(), line.unique, line.required), ("line", false, false));
    assert_eq!(
        (id.physical_name.as_str(), id.logical_type, id.physical_type.as_deref()),
        ("o_id", Some(LogicalType::Integer), Some("bigint"))
    );
    assert_eq!((id.format.as_deref(), id.timezone), (Some("i64"), false));
    assert_eq!((id.required, id.critical, id.classification.as_deref()), (true, true, Some("restricted")));
    assert_eq!((id.business_name.as_deref(), id.description.as_deref()), (Some("Number"), Some("The number.")));
    assert_eq!(
        (&id.examples[..], &id.tags[..]),
        (&["1".to_owned(), "two".to_owned(), "3.50".to_owned()][..], &["key".to_owned()][..])
    );
    assert_eq!((address.fields[0].name.as_str(), address.fields[0].logical_type), ("city", Some(LogicalType::String)));
    let entry: Vec<_> = labels.fields.iter().map(|field| (field.name.as_str(), field.logical_type)).collect();
    assert_eq!(entry, [("key", Some(LogicalType::String)), ("value", Some(LogicalType::Integer))]);
    let item = parts.items.as_ref().expect("items");
    assert_eq!((item.name.as_str(), item.fields[0].name.as_str()), ("item", "sku"));
    assert_eq!(lines.columns.iter().map(|column| column.unique).collect::<Vec<_>>(), [true, true]);

    let target = super::address("sales", "orders").table(1, "orders");
    let keys: Vec<_> = lines.relationships.iter().map(|r| (r.from.join(","), r.to_columns.join(","))).collect();
    let expected = [("order_id,number", "id,line"), ("order_id", "id"), ("order_id", "id")];
    assert_eq!(keys, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    assert!(lines.relationships.iter().all(|relationship| relationship.to == target));
}

#[test]
fn relationships_reach_other_contracts_of_the_product() {
    for reference in ["orders.id", "orders.odcs.yaml#/schema/orders/properties/id", "./orders.odcs.yaml#orders.id"] {
        for (version, major) in [("1.1.0", 1), ("2.0.0", 1)] {
            let mesh = two(version, "lines", "active").edit(
                SECOND,
                "logicalType: integer",
                &format!("relationships: [{{to: '{reference}'}}]"),
            );
            let release = mesh.release();
            assert_eq!(release.findings(), [], "{reference}");
            let version = orders(&release).versions.last().expect("a version");
            let table = version.tables.iter().find(|table| table.name == "lines").expect("the table");
            assert_eq!(table.relationships[0].to, address("sales", "orders").table(major, "orders"), "{reference}");
        }
    }
    let codes = |from: &str, to: &str| {
        let mesh = TestMesh::valid().with(CONTRACT_FILE, TABLES).edit(CONTRACT_FILE, from, to);
        mesh.findings().iter().map(|finding| (finding.severity, finding.code)).collect::<Vec<_>>()
    };
    let bad = [(Severity::Error, "bad-relationship")];
    assert_eq!(codes("[lines.order_id, lines.number]", "[orders.id, lines.number]"), bad);
    assert_eq!(codes("[orders.id, orders.line]", "[orders.id, lines.number]"), bad);
    assert_eq!(codes("{ to: orders.id }", "{ to: orders.odi }"), [(Severity::Error, "unknown-column")]);
    for elsewhere in [
        "https://x.example/c.yaml#/schema/a/properties/b",
        "https://x.example/orders.odcs.yaml#/schema/orders/properties/id",
        "../orders/orders.odcs.yaml#orders.id",
        "../orders/orders.odcs.yaml#orders.other",
        "file:///orders.odcs.yaml#orders.id",
    ] {
        let found = codes("{ to: orders.id }", &format!("{{ to: '{elsewhere}' }}"));
        assert_eq!(found, [(Severity::Warning, "unresolved-relationship")], "{elsewhere}");
    }
}

#[test]
fn differences_say_what_breaks_consumers() {
    let load = |mesh: TestMesh, epoch| -> Release { crate::load(mesh.path(), None, Epoch(epoch)).expect("a release") };
    let tables = || TestMesh::valid().with(CONTRACT_FILE, TABLES);
    for (from, to, expected, breaking) in [
        ("", "", "", false),
        (
            "      - name: number\n        primaryKey: true\n",
            "",
            "sales.orders_v1.lines.number: the column was removed",
            true,
        ),
        (
            "      - name: number",
            "      - name: extra\n      - name: number",
            "sales.orders_v1.lines.extra: the column was added",
            false,
        ),
        (
            "logicalType: integer\n        physicalType",
            "logicalType: string\n        physicalType",
            "the type changed from integer (bigint) to string (bigint)",
            true,
        ),
        (
            "      - name: line\n",
            "      - name: line\n        logicalType: integer\n",
            "the type changed from unknown to integer",
            false,
        ),
        ("        required: true\n", "", "the column may now be null", true),
        ("      - name: line\n", "      - name: line\n        required: true\n", "never null any more", false),
        ("        unique: true\n", "", "not unique any more", true),
        (
            "          - name: city",
            "          - name: town",
            "sales.orders_v1.orders.address.city: the column was removed",
            true,
        ),
        (
            "properties: [{ name: sku }]",
            "properties: [{ name: id }]",
            "sales.orders_v1.orders.parts[].sku: the column was removed",
            true,
        ),
        ("- name: lines", "- name: lanes", "sales.orders_v1.lines: the table was removed", true),
        ("classification: restricted", "classification: public", "from restricted to public", false),
        (
            "id: orders-contract\n",
            "id: orders-contract\nstatus: draft\n",
            "sales.orders_v1: the status changed from active to draft",
            true,
        ),
    ] {
        let changes = diff(&load(tables(), 1), &load(tables().edit(CONTRACT_FILE, from, to), 2));
        let found = changes.iter().find(|change| change.to_string().contains(expected));
        assert_eq!(found.map(|change| change.breaking), (!from.is_empty()).then_some(breaking), "{to:?}: {changes:#?}");
    }
    let all = |mesh: TestMesh, other: TestMesh| -> Vec<String> {
        diff(&load(mesh, 1), &load(other, 2)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        all(TestMesh::valid(), two("2.0.0", "orders", "active")),
        [
            "sales.orders: the unversioned name meant version 1 and now means version 2 (breaking)",
            "sales.orders_v2: the version was added"
        ]
    );
    let gone = || TestMesh::valid().without("domains/sales/products/orders");
    assert_eq!(all(TestMesh::valid(), gone()), ["sales.orders: the product was removed (breaking)"]);
    assert_eq!(all(gone(), TestMesh::valid()), ["sales.orders: the product was added"]);
}
