//! What one principal finds in the catalog of a small mesh. Nothing is stored: no listing opens a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use meshgate_engine::TableName;
use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{Epoch, Instant};
use meshgate_policy::RequestContext;
use meshgate_table::StoreOptions;

use crate::caller::View;
use crate::{MeshSource, SessionOptions};

const MESH: &str = "\
name: acme
domains:
  sales: { owners: [sales-data], storage: [{ prefix: ./data/ }] }
";

const PRODUCT: &str = "\
apiVersion: v1.0.0
kind: DataProduct
id: orders
status: active
outputPorts:
  - { name: main, version: 1.0.0, contractId: one }
  - { name: next, version: 2.0.0, contractId: two }
";

const ONE: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: one
version: 1.0.0
status: active
servers: [{ server: files, type: local, path: ./data/one, format: delta }]
schema:
  - name: lines
    properties:
      - name: id
        logicalType: integer
        businessName: Number
        criticalDataElement: true
        examples: [7, 8]
      - name: email
        logicalType: string
        examples: [ann@example.com]
        tags: [pii]
      - name: address
        logicalType: object
        properties:
          - { name: city, logicalType: string }
          - { name: street, logicalType: string, tags: [secret] }
";

const POLICY: &str = r#"
permit (principal in Group::"finders", action == Action::"discover", resource);
permit (principal in Group::"readers", action in Action::"access", resource);
@mask("replace-with-null") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("pii") };
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("secret") };
"#;

/// The cells of a system table as text, for somebody of one group.
fn rows(group: &str, schema: &str, table: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let home = "domains/sales/products/orders";
    for (file, text) in [
        ("mesh.yaml", MESH),
        ("governance/policies/all.cedar", POLICY),
        ("domains/sales/domain.yaml", "title: Sales"),
        (&format!("{home}/product.odps.yaml"), PRODUCT),
        (&format!("{home}/one.odcs.yaml"), ONE),
        (
            &format!("{home}/two.odcs.yaml"),
            &ONE.replace("id: one", "id: two").replace("status: active", "status: draft"),
        ),
    ] {
        let path = directory.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let source = MeshSource {
        directory: directory.path().to_owned(),
        environment: None,
        credentials: BTreeMap::new(),
        stores: StoreOptions::default(),
    };
    let mesh = source.load(Epoch(1), None).expect("a valid mesh");
    let found: Vec<_> = mesh.release.findings().iter().map(ToString::to_string).collect();
    assert_eq!(found, [""; 0]);
    let principal =
        Principal::hypothetical(PrincipalKind::User, "ann", BTreeSet::from([group.to_owned()]), BTreeMap::new());
    let view = View {
        mesh: Arc::new(mesh),
        principal: Arc::new(principal),
        request: RequestContext { purpose: None, client_ip: None, now: Instant::default() },
    };
    let name = TableName { catalog: "meshgate".to_owned(), schema: schema.to_owned(), table: table.to_owned() };
    let batch = super::table(&view, &SessionOptions::default(), &name).expect("a system table");
    cells(&batch)
}

fn cells(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>().expect("printable columns");
    let row = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn versions_that_are_not_out_are_for_owners() {
    let versions = |group: &str| -> Vec<String> {
        let rows = rows(group, "catalog", "products");
        rows.iter().map(|row| row.split('|').skip(1).take(3).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(versions("finders"), ["orders 1.0.0 active"]);
    assert_eq!(versions("readers"), ["orders 1.0.0 active"]);
    assert_eq!(versions("sales-data"), ["orders 1.0.0 active", "orders_v2 2.0.0 draft"]);
    assert_eq!(versions("others"), [""; 0]);
}

#[test]
fn columns_are_told_with_all_that_the_contract_says_and_no_more_than_may_be_read() {
    let rows = rows("readers", "catalog", "columns");
    let said: Vec<_> = rows.iter().map(|row| row.splitn(4, '|').nth(3).unwrap_or_default()).collect();
    assert_eq!(said[0], "id|1|Int64|integer|-||-|Number|7, 8|true");
    assert_eq!(said[1], "email|2|Utf8View|string|-|pii|-|-|-|false", "an example of a masked column is a value");
    assert!(
        said[2].contains("city") && !said[2].contains("street"),
        "a hidden field is no part of the type: {rows:#?}"
    );
}
