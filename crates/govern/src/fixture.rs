//! A small mesh for tests: `sales.orders.lines` under policies, `hr.people.grants` for entitlements.

use meshgate_model::{Epoch, Name, ProductAddress};
use meshgate_policy::Policies;
use meshgate_product::{Release, Table};

const MESH: &str = "
name: acme
domains:
  sales: { owners: [s], storage: [{ prefix: ./data/sales/ }] }
  hr: { owners: [h], storage: [{ prefix: ./data/hr/ }] }
attributes: { vip: boolean }
";

const LINES: &str = "
  - name: lines
    properties:
      - { name: id, logicalType: integer }
      - { name: region, logicalType: string }
      - { name: email, logicalType: string, tags: [pii] }
      - { name: phone, logicalType: string, tags: [pii] }
      - { name: born, logicalType: date, tags: [pii] }
";

const GRANTS: &str = "
  - name: grants
    properties:
      - { name: login, physicalType: varchar }
      - { name: region, logicalType: string }
      - { name: level, logicalType: integer }
";

const LOCAL: &str = "type: local, path: ./data/hr/, format: delta";

/// The mesh with these global policies and this server of the entitlement table, a local one if it is empty.
pub(crate) fn mesh(policies: &str, server: &str) -> (Release, Policies) {
    let directory = tempfile::tempdir().expect("a directory");
    let put = |file: &str, text: &str| {
        let path = directory.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    };
    put("mesh.yaml", MESH);
    put("governance/policies/global.cedar", policies);
    let server = if server.is_empty() { LOCAL } else { server };
    for (number, domain, product, schema, server) in [
        (1, "sales", "orders", LINES, "type: local, path: ./data/sales/, format: delta"),
        (2, "hr", "people", GRANTS, server),
    ] {
        let home = format!("domains/{domain}/products/{product}");
        put(
            &format!("{home}/product.odps.yaml"),
            &format!(
                "apiVersion: v1.0.0\nkind: DataProduct\nid: 7e0b5dd6-5d0e-4b3e-8f4e-0a7e6e5b000{number}\nname: {product}\n\
                 status: active\noutputPorts: [{{ name: main, version: 1.0.0, contractId: {product} }}]\n"
            ),
        );
        put(
            &format!("{home}/one.odcs.yaml"),
            &format!(
                "apiVersion: v3.1.0\nkind: DataContract\nid: {product}\nversion: 1.0.0\nstatus: active\n\
                 servers: [{{ server: main, {server} }}]\nschema:{schema}"
            ),
        );
    }
    let release = meshgate_product::load(directory.path(), None, Epoch(1)).expect("a mesh");
    let (compiled, findings) = Policies::compile(&release);
    assert!(findings.is_empty(), "{findings:?}");
    (release, compiled)
}

/// A table of version 1.
pub(crate) fn table<'a>(release: &'a Release, domain: &str, product: &str, table: &str) -> &'a Table {
    let name = |text: &str| Name::parse(text).expect("a name");
    let address = ProductAddress::new(name(domain), name(product)).table(1, table);
    release.table(&address).expect("a table").2
}
