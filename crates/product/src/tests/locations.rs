//! Which server is used, where tables are, and that nothing outside of a domain's storage can be named.

use meshgate_model::Severity;

use super::{CONTRACT_FILE, MESH_FILE, TestMesh, errors, orders};
use crate::Location;

/// Loads a contract with these servers and gives the first table's location, or the codes of the errors.
fn locate(mesh: &TestMesh, environment: Option<&str>) -> Result<Location, Vec<&'static str>> {
    let release = crate::load(mesh.path(), environment, meshgate_model::Epoch(1)).expect("a release");
    let root = url::Url::from_directory_path(mesh.path()).expect("an absolute path").to_string();
    let codes: Vec<_> = release.findings().iter().filter(|f| f.severity == Severity::Error).map(|f| f.code).collect();
    if !codes.is_empty() {
        return Err(codes);
    }
    let table = &orders(&release).versions[0].tables[0];
    let plain = |url: &str| url.replace(&root, "file:///M/").replace(&*mesh.path().to_string_lossy(), "/M");
    Ok(match table.location.clone() {
        Location::Delta { url } => Location::Delta { url: plain(&url) },
        Location::Iceberg { url } => Location::Iceberg { url: plain(&url) },
        Location::Parquet { url } => Location::Parquet { url: plain(&url) },
        Location::IcebergCatalog { url, catalog, namespace, warehouse, table } => {
            Location::IcebergCatalog { url: plain(&url), catalog, namespace, warehouse, table }
        }
        foreign => foreign,
    })
}

const SERVER: &str = "  - server: lake\n    type: local\n    path: ./data/sales/orders\n    format: delta\n";

fn served_by(servers: &str) -> TestMesh {
    TestMesh::valid()
        .edit(
            MESH_FILE,
            "attributes:",
            "      - prefix: s3://lake/sales\n      - catalog: https://catalog.example/api\nattributes:",
        )
        .edit(CONTRACT_FILE, "v3.1.0", "v3.2.0")
        .edit(CONTRACT_FILE, SERVER, servers)
}

fn delta(url: &str) -> Location {
    Location::Delta { url: url.to_owned() }
}

#[test]
fn servers_lead_to_locations() {
    let iceberg = |url: &str| Location::Iceberg { url: url.to_owned() };
    let catalog = |url: &str, namespace: &str, table: &str| Location::IcebergCatalog {
        url: url.to_owned(),
        catalog: "lake".to_owned(),
        namespace: namespace.to_owned(),
        warehouse: None,
        table: table.to_owned(),
    };
    for (server, expected) in [
        ("type: local, path: data/sales/orders, format: DELTA", delta("file:///M/data/sales/orders/")),
        ("type: local, path: 'data/sales/{table}/', format: delta", delta("file:///M/data/sales/orders/")),
        ("type: local, path: data/sales, format: delta", delta("file:///M/data/sales/")),
        ("type: s3, location: 's3a://lake/sales/{model}', format: delta", delta("s3://lake/sales/orders/")),
        ("type: custom, location: s3://lake/sales/x, format: iceberg", iceberg("s3://lake/sales/x/")),
        ("type: custom, path: data/sales/x, format: iceberg", iceberg("file:///M/data/sales/x/")),
        (
            "type: s3, location: s3://lake/sales/x/metadata/v3.metadata.json",
            iceberg("s3://lake/sales/x/metadata/v3.metadata.json"),
        ),
        (
            "type: local, path: data/sales/x/*.parquet, format: parquet",
            Location::Parquet { url: "file:///M/data/sales/x/".to_owned() },
        ),
        (
            "type: local, path: data/sales/x.parquet, format: parquet",
            Location::Parquet { url: "file:///M/data/sales/x.parquet".to_owned() },
        ),
        ("type: local, path: data/sales/x.csv, format: csv", Location::Foreign { kind: "csv".to_owned() }),
        ("type: pubsub, project: p", Location::Foreign { kind: "pubsub".to_owned() }),
        (
            "type: iceberg, catalog: lake, catalogUrl: 'sqlite:///./data/sales/c.db', namespace: ns",
            catalog("sqlite:///M/data/sales/c.db", "ns", "orders"),
        ),
        (
            "type: iceberg, catalog: lake, catalogUrl: 'sqlite:data/sales/c.db', namespace: ns",
            catalog("sqlite:///M/data/sales/c.db", "ns", "orders"),
        ),
        (
            "type: iceberg, catalog: lake, catalogUrl: 'sqlite:data/sales/my%20own/c.db', namespace: ns",
            catalog("sqlite:///M/data/sales/my own/c.db", "ns", "orders"),
        ),
        (
            "type: iceberg, catalog: lake, catalogUrl: 'https://catalog.example/api/', namespace: a.b",
            catalog("https://catalog.example/api", "a.b", "orders"),
        ),
    ] {
        let mesh = served_by(&format!("  - {{server: lake, {server}}}\n"));
        assert_eq!(locate(&mesh, None), Ok(expected), "{server}");
    }
    let absolute = TestMesh::valid();
    let path = absolute.path().join("data/sales/c.db").display().to_string();
    for slashes in ["//", "///"] {
        let server = format!(
            "  - {{server: a, type: iceberg, catalog: lake, catalogUrl: 'sqlite:{slashes}{path}', namespace: n}}\n"
        );
        let mesh = absolute.path().join(CONTRACT_FILE);
        let text = super::CONTRACT.replace(SERVER, &server).replace("v3.1.0", "v3.2.0");
        std::fs::write(mesh, text).expect("written");
        assert_eq!(locate(&absolute, None), Ok(catalog("sqlite:///M/data/sales/c.db", "n", "orders")));
    }
}

#[test]
fn nothing_outside_of_the_storage_can_be_named() {
    for server in [
        "type: local, path: ./data/people/x, format: delta",
        "type: local, path: ./data/sales/../people/x, format: delta",
        "type: local, path: ./data/sales/%2e%2e/people/x, format: delta",
        "type: local, path: ./data/sales/%2E./people/x, format: delta",
        "type: local, path: ./data/sales/%252e%252e/people/x, format: delta",
        "type: local, path: ./data/sales%2f..%2fpeople/x, format: delta",
        "type: local, path: ./data/sales2/x, format: delta",
        "type: local, path: /etc/x, format: delta",
        "type: local, path: 'file:///etc/x', format: delta",
        "type: local, path: ../../../../../../../../../../../../etc, format: delta",
        "type: s3, location: 's3://lake/sales/../people/x', format: delta",
        "type: s3, location: 's3://lake/salesman/x', format: delta",
        "type: s3, location: 's3://other/sales/x', format: delta",
        "type: s3, location: 'S3://LAKE/sales/x', format: delta",
        "type: s3, location: 'http://lake/sales/x', format: delta",
        "type: s3, location: 'memory:///data/sales/x', format: delta",
        "type: azure, location: 'abfss://c@a.dfs.core.windows.net/sales/x', format: delta",
        "type: custom, location: /etc/x, format: parquet",
        "type: local, path: /tmp/x.metadata.json, format: iceberg",
        "type: iceberg, catalog: c, catalogUrl: 'sqlite:////etc/c.db', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'sqlite://data/sales/../c.db', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'sqlite:s3://lake/sales/c.db', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'https://catalog.example/other', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'https://elsewhere.example/api', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'postgres://db.example/x', namespace: n",
        "type: iceberg, catalog: c, catalogUrl: 'ldap://db.example/x', namespace: n",
    ] {
        let mesh = served_by(&format!("  - {{server: lake, {server}}}\n"));
        assert_eq!(locate(&mesh, None), Err(vec!["location-outside-storage"]), "{server}");
    }
    for server in [
        "type: local, path: 'data/sales/x?y', format: delta",
        "type: local, path: 'data/sales/{other}', format: delta",
        "type: local, path: 'file://host/data/sales/x', format: delta",
        "type: local, path: '', format: delta",
        "type: s3, location: 's3://key:secret@lake/sales/x', format: delta",
        "type: iceberg, catalog: c, catalogUrl: 'https://u:p@catalog.example/api', namespace: n",
    ] {
        let mesh = served_by(&format!("  - {{server: lake, {server}}}\n"));
        assert_eq!(locate(&mesh, None), Err(vec!["bad-location"]), "{server}");
    }
}

#[test]
fn a_physical_name_cannot_leave_the_storage_either() {
    let mesh = served_by("  - {server: l, type: local, path: 'data/sales/{table}', format: delta}\n");
    let mesh = mesh.edit(CONTRACT_FILE, "- name: orders", "- name: orders\n    physicalName: ../people/x");
    assert_eq!(locate(&mesh, None), Err(vec!["location-outside-storage"]));
}

#[test]
fn physical_names_are_appended_for_several_tables() {
    let mesh = TestMesh::valid().edit(
        CONTRACT_FILE,
        "schema:",
        "schema:\n  - name: lines\n    physicalName: order_lines\n    properties: [{name: id}]",
    );
    let release = mesh.release();
    assert_eq!(errors(release.findings()), [""; 0]);
    let urls: Vec<_> = orders(&release).versions[0]
        .tables
        .iter()
        .map(|table| match &table.location {
            Location::Delta { url } => url.rsplit("/data/").next().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(urls, ["sales/orders/order_lines/", "sales/orders/orders/"]);
}

#[test]
fn the_environment_chooses_the_server() {
    let server = |path: &str, environment: &str| {
        let environment = if environment.is_empty() { String::new() } else { format!(", environment: {environment}") };
        format!("  - {{server: s, type: local, path: data/sales/{path}, format: delta{environment}}}\n")
    };
    let foreign = "  - {server: s, type: pubsub, project: p, environment: prod}\n".to_owned();
    let ok = |path: &str| Ok(delta(&format!("file:///M/data/sales/{path}/")));
    let cases = [
        ("one server is used", vec![server("a", "dev")], Some("prod"), ok("a")),
        ("by name", vec![server("a", "dev"), server("b", "prod")], Some("dev"), ok("a")),
        ("prod is the default", vec![server("a", "dev"), server("b", "prod")], None, ok("b")),
        ("else the one for all", vec![server("a", "dev"), server("b", "")], Some("prod"), ok("b")),
        ("the readable one", vec![foreign.clone(), server("b", "prod")], Some("prod"), ok("b")),
        ("no choice", vec![server("a", "dev"), server("b", "uat")], Some("prod"), Err(vec!["no-server"])),
        ("two", vec![server("a", "prod"), server("b", "prod")], Some("prod"), Err(vec!["ambiguous-server"])),
        ("two for all", vec![server("a", ""), server("b", "")], None, Err(vec!["ambiguous-server"])),
        (
            "only foreign ones",
            vec![foreign.clone(), foreign],
            Some("prod"),
            Ok(Location::Foreign { kind: "pubsub".to_owned() }),
        ),
    ];
    for (what, servers, environment, expected) in cases {
        assert_eq!(locate(&served_by(&servers.concat()), environment), expected, "{what}");
    }
}

#[test]
fn foreign_servers_and_foreign_endpoints_are_notices() {
    for (servers, code) in [
        ("  - {server: s, type: kafka, host: h}\n", "foreign-server"),
        (
            "  - {server: s, type: s3, location: s3://lake/sales/x, format: delta, endpointUrl: 'http://evil'}\n",
            "unused-field",
        ),
    ] {
        let release = served_by(servers).release();
        let found: Vec<_> = release.findings().iter().map(|finding| (finding.severity, finding.code)).collect();
        assert_eq!(found, [(Severity::Notice, code)]);
    }
    let release =
        TestMesh::valid().edit(CONTRACT_FILE, SERVER, "").edit(CONTRACT_FILE, "servers:", "servers: []").release();
    assert_eq!(release.findings()[0].code, "no-server");
    assert_eq!(orders(&release).versions[0].tables[0].location, Location::Foreign { kind: "none".to_owned() });
}
