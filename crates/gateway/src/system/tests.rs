//! What one principal finds in the catalog of a small mesh. Nothing is stored: no listing opens a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use meshgate_engine::TableName;
use meshgate_govern::{Listing, Wanted};
use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{Clock, Epoch, Instant};
use meshgate_policy::RequestContext;
use meshgate_table::{
    CacheOptions, DomainStores, Error, Format, OpenTable, PastVersion, Pin, Snapshot, Source, StoreOptions,
    TableFormat, Tables,
};
use parking_lot::Mutex;

use super::Versions;
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
  - { name: marks, version: 1.0.0, contractId: marks }
  - { name: nothing, version: 1.0.0, contractId: nothing }
";

const MARKS: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: marks
version: 1.0.0
status: active
servers: [{ server: files, type: local, path: ./data/marks, format: delta }]
schema: [{ name: marks, properties: [{ name: code, logicalType: string }] }]
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
@rows("code = 'a'")
permit (principal in Group::"some", action in Action::"access", resource == Table::"sales.orders.marks");
@mask("replace-with-null") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("pii") };
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("secret") };
"#;

/// What somebody of one group sees.
fn view(group: &str) -> View {
    let directory = tempfile::tempdir().expect("a directory");
    let home = "domains/sales/products/orders";
    for (file, text) in [
        ("mesh.yaml", MESH),
        ("governance/policies/all.cedar", POLICY),
        ("domains/sales/domain.yaml", "title: Sales"),
        (&format!("{home}/product.odps.yaml"), PRODUCT),
        (&format!("{home}/one.odcs.yaml"), ONE),
        (&format!("{home}/marks.odcs.yaml"), MARKS),
        (&format!("{home}/nothing.odcs.yaml"), &MARKS.replace("marks", "nothing")),
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
    View {
        mesh: Arc::new(mesh),
        principal: Arc::new(principal),
        request: RequestContext { purpose: None, client_ip: None, now: Instant::default() },
    }
}

/// The cells of a system table as text, for somebody of one group.
fn rows(group: &str, schema: &str, table: &str) -> Vec<String> {
    let view = view(group);
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

/// A table with two versions, which counts how often it is opened.
#[derive(Debug, Default)]
struct Counting {
    opened: Mutex<Vec<String>>,
}

#[async_trait]
impl TableFormat for Counting {
    fn format(&self) -> Format {
        Format::Delta
    }

    async fn open(&self, source: &Source, _: &Arc<DomainStores>) -> Result<Arc<dyn OpenTable>, Error> {
        let name = source.url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        self.opened.lock().push(name.clone());
        if name == "nothing" { Err(Error::malformed("a test")) } else { Ok(Arc::new(Self::default())) }
    }
}

#[async_trait]
impl OpenTable for Counting {
    async fn snapshot(&self, _: &Pin) -> Result<Arc<Snapshot>, Error> {
        Err(Error::malformed("nothing is read"))
    }

    async fn history(&self, versions_max: usize) -> Result<Vec<PastVersion>, Error> {
        let version = |version: i64| PastVersion {
            version: version.to_string(),
            timestamp: Some(Instant(version * 1_000_000)),
            operation: Some("WRITE".to_owned()),
            names: if version == 1 { vec!["main".to_owned(), "monthly".to_owned()] } else { Vec::new() },
            is_current: version == 1,
        };
        Ok((0..2).rev().map(version).take(versions_max).collect())
    }
}

#[tokio::test]
async fn versions_are_for_who_reads_all_of_a_table_and_only_tables_that_are_asked_for_are_opened() {
    let name = |table: &str| TableName {
        catalog: "meshgate".to_owned(),
        schema: "catalog".to_owned(),
        table: table.to_owned(),
    };
    let format = Arc::new(Counting::default());
    let tables = Arc::new(Tables::new(vec![format.clone()], CacheOptions::default(), Arc::new(Still)));
    let ask = async |group: &str, wanted: &[(&str, &str)]| {
        let versions = Versions::asked(&view(group), &tables, &name("snapshots")).expect("that table");
        let found = versions.rows(&Wanted::only(wanted)).await;
        (
            found.map(|rows| cells(&rows)).map_err(|error| error.public().to_string()),
            std::mem::take(&mut *format.opened.lock()),
        )
    };
    let (of_marks, of_lines) = (
        [
            "sales|orders|marks|1|1970-01-01T00:00:01Z|WRITE|main, monthly|true",
            "sales|orders|marks|0|1970-01-01T00:00:00Z|WRITE|-|false",
        ],
        [("domain", "sales"), ("product", "orders"), ("table_name", "lines")],
    );
    // `lines` has a masked column and a hidden field; `nothing` cannot be read.
    let (found, opened) = ask("readers", &[]).await;
    assert_eq!(found.expect("rows"), of_marks);
    assert_eq!(opened, ["marks", "nothing"]);
    let (found, opened) = ask("readers", &[("table_name", "marks")]).await;
    assert_eq!(found.expect("rows"), of_marks);
    assert_eq!(opened, ["marks"]);
    assert_eq!(ask("readers", &of_lines).await, (Ok(Vec::new()), Vec::new()));
    let (found, opened) =
        ask("readers", &[("domain", "sales"), ("product", "orders"), ("table_name", "nothing")]).await;
    assert_eq!(found.expect_err("it is all that is asked for"), "the table's data cannot be read just now");
    assert_eq!(opened, ["nothing"]);
    // Part of the rows is not all of the table; who may only discover it, or nothing, sees no history either.
    for (group, marks) in [("some", false), ("finders", false), ("others", false), ("readers", true)] {
        let (found, _) = ask(group, &[("table_name", "marks")]).await;
        assert_eq!(!found.expect("rows").is_empty(), marks, "{group}");
    }
    assert!(Versions::asked(&view("readers"), &tables, &name("tables")).is_none());
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::default()
    }
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
