//! A mesh of two domains, with whatever policies a test puts into it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{AttributeValue, Epoch, Finding, Instant, Severity, TableAddress};
use meshgate_product::Release;

use crate::{Access, ColumnVerdict, Decision, Policies, RequestContext, Rows, sql};

pub(super) const GLOBAL: &str = "governance/policies/global.cedar";
pub(super) const SALES: &str = "domains/sales/policies/sales.cedar";
pub(super) const ORDERS: &str = "domains/sales/products/orders/policies/orders.cedar";
pub(super) const PEOPLE: &str = "domains/hr/products/people/policies/people.cedar";
pub(super) const HR: &str = "domains/hr/policies/hr.cedar";

const MESH: &str = "
name: acme
domains:
  sales: { owners: [sales-data], storage: [{ prefix: ./data/sales/ }] }
  hr: { owners: [hr-data], storage: [{ prefix: ./data/hr/ }] }
attributes:
  region: string
  clearance: integer
  vip: boolean
  countries: { set: string }
  levels: { set: integer }
purposes: [fraud-review, marketing]
";

const ORDERS_ODPS: &str = "
apiVersion: v1.0.0
kind: DataProduct
id: 7e0b5dd6-5d0e-4b3e-8f4e-0a7e6e5b0001
name: Orders
status: active
tags: [gold]
outputPorts:
  - { name: main, version: 1.2.0, contractId: orders-1 }
  - { name: next, version: 2.0.0, contractId: orders-2 }
";

pub(super) const ORDERS_1: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders-1
version: 1.2.0
status: active
servers: [{ server: main, type: local, path: ./data/sales/, format: delta }]
schema:
  - name: lines
    tags: [regional]
    properties:
      - { name: id, logicalType: integer }
      - { name: region, logicalType: string }
      - { name: amount, logicalType: number }
      - { name: embargoed, logicalType: boolean }
      - { name: email, logicalType: string, tags: [pii], classification: restricted }
      - name: address
        logicalType: object
        properties:
          - { name: street, logicalType: string, tags: [pii] }
          - { name: city, logicalType: string }
      - name: phones
        logicalType: array
        items: { logicalType: string, tags: [pii] }
      - name: parts
        logicalType: array
        items:
          logicalType: object
          properties:
            - { name: sku, logicalType: string }
            - { name: cost, logicalType: number, tags: [internal] }
  - name: archive
    properties:
      - { name: id, logicalType: integer }
      - { name: note, logicalType: string }
";

pub(super) const ORDERS_2: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders-2
version: 2.0.0
status: draft
servers: [{ server: main, type: local, path: ./data/sales/, format: delta }]
schema:
  - name: lines
    tags: [regional]
    properties:
      - { name: id, logicalType: integer }
      - { name: region, logicalType: string }
      - { name: amount, logicalType: number }
      - { name: embargoed, logicalType: boolean }
";

pub(super) const PEOPLE_ODPS: &str = "
apiVersion: v1.0.0
kind: DataProduct
id: 7e0b5dd6-5d0e-4b3e-8f4e-0a7e6e5b0002
name: People
status: active
outputPorts:
  - { name: main, version: 1.0.0, contractId: people-1 }
";

pub(super) const PEOPLE_1: &str = "
apiVersion: v3.1.0
kind: DataContract
id: people-1
version: 1.0.0
status: active
servers: [{ server: main, type: local, path: ./data/hr/, format: delta }]
schema:
  - name: grants
    properties:
      - { name: login, logicalType: string }
      - { name: region, logicalType: string }
      - { name: level, logicalType: integer }
  - name: staff
    properties:
      - { name: login, logicalType: string }
      - { name: salary, logicalType: integer }
";

/// A loaded mesh with its policies.
#[derive(Debug)]
pub(super) struct World {
    pub(super) directory: tempfile::TempDir,
    pub(super) release: Release,
    pub(super) policies: Policies,
    pub(super) findings: Vec<Finding>,
}

/// The mesh with these files more.
pub(super) fn world(files: &[(&str, &str)]) -> World {
    let world = unsound(files);
    let findings = world.release.findings().iter();
    let errors: Vec<_> = findings.filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    world
}

/// Lets the seeded bug live that `MESHGATE_MUTANT` names (`cargo xtask mutants`).
pub(super) fn let_mutant_live() {
    #[cfg(feature = "mutants")]
    if let Ok(name) = std::env::var("MESHGATE_MUTANT") {
        meshgate_model::let_live(&name);
    }
}

/// [`world`], with documents that may be broken.
pub(super) fn unsound(files: &[(&str, &str)]) -> World {
    let_mutant_live();
    let directory = tempfile::tempdir().expect("a directory");
    let own = [
        ("mesh.yaml", MESH),
        ("domains/sales/products/orders/product.odps.yaml", ORDERS_ODPS),
        ("domains/sales/products/orders/one.odcs.yaml", ORDERS_1),
        ("domains/sales/products/orders/two.odcs.yaml", ORDERS_2),
        ("domains/hr/products/people/product.odps.yaml", PEOPLE_ODPS),
        ("domains/hr/products/people/one.odcs.yaml", PEOPLE_1),
    ];
    for (file, text) in own.iter().chain(files) {
        let path = directory.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let release = meshgate_product::load(directory.path(), None, Epoch(1)).expect("a valid mesh");
    let (policies, findings) = Policies::compile(&release);
    World { directory, release, policies, findings }
}

/// [`world`], with policies in which nothing is wrong.
pub(super) fn sound(files: &[(&str, &str)]) -> World {
    let world = world(files);
    let found: Vec<_> = world.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
    world
}

/// Somebody with groups.
pub(super) fn user(name: &str, groups: &[&str], attributes: &[(&str, AttributeValue)]) -> Principal {
    let groups: BTreeSet<_> = groups.iter().map(|group| (*group).to_owned()).collect();
    let attributes: BTreeMap<_, _> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Principal::hypothetical(PrincipalKind::User, name, groups, attributes)
}

/// A user of the group `analysts` with the region EU.
pub(super) fn analyst() -> Principal {
    user("ann", &["analysts"], &[("region", AttributeValue::String("EU".to_owned()))])
}

/// 2026-01-15T12:00:00Z, no purpose, from 10.0.0.1.
pub(super) fn request() -> RequestContext {
    RequestContext { purpose: None, client_ip: Some([10, 0, 0, 1].into()), now: Instant(1_768_478_400_000_000) }
}

impl World {
    pub(super) fn table(&self, written: &str) -> TableAddress {
        sql::table_address(&self.release, written).expect("a table")
    }

    pub(super) fn decide(&self, principal: &Principal, table: &str) -> Arc<Decision> {
        self.policies.decide(principal, &self.release, &self.table(table), &request())
    }

    /// `absent`, `all` or the filter as text.
    pub(super) fn rows(&self, principal: &Principal, table: &str) -> String {
        match self.decide(principal, table).access() {
            Access::Absent => "absent".to_owned(),
            Access::Visible { rows: Rows::All, .. } => "all".to_owned(),
            Access::Visible { rows: Rows::Where(filter), .. } => filter.to_string(),
        }
    }

    /// How every column is read: `name=reading`, fields in braces.
    pub(super) fn columns(&self, principal: &Principal, table: &str) -> String {
        fn text(columns: &[ColumnVerdict]) -> String {
            let one = |column: &ColumnVerdict| match column.fields.as_slice() {
                [] => format!("{}={}", column.name, column.reading),
                fields => format!("{}={}{{{}}}", column.name, column.reading, text(fields)),
            };
            columns.iter().map(one).collect::<Vec<_>>().join(" ")
        }
        match self.decide(principal, table).access() {
            Access::Absent => "absent".to_owned(),
            Access::Visible { columns, .. } => text(columns),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}
