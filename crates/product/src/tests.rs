//! Meshes of small inline documents: what they load to, and what is said about those that are wrong.

mod documents;
mod findings;
mod fuzz;
mod locations;
mod mesh;
mod products;

use std::fs;
use std::path::Path;

use meshgate_model::{Epoch, Finding, Name, ProductAddress, Severity};

use crate::{Error, Product, Release};

/// A mesh directory that lives as long as the test.
struct TestMesh(tempfile::TempDir);

pub(crate) const MESH: &str = "\
name: acme
domains:
  sales:
    owners: [sales-data]
    storage:
      - prefix: ./data/sales/
attributes:
  region: string
";

const PRODUCT: &str = "\
apiVersion: v1.0.0
kind: DataProduct
id: orders-product
name: Orders
status: active
outputPorts:
  - name: orders
    version: 1.0.0
    contractId: orders-contract
";

const CONTRACT: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: orders-contract
version: 1.0.0
status: active
servers:
  - server: lake
    type: local
    path: ./data/sales/orders
    format: delta
schema:
  - name: orders
    properties:
      - name: id
        logicalType: integer
";

const MESH_FILE: &str = "mesh.yaml";
const PRODUCT_FILE: &str = "domains/sales/products/orders/product.odps.yaml";
const CONTRACT_FILE: &str = "domains/sales/products/orders/orders.odcs.yaml";

impl TestMesh {
    /// A mesh of one product with one table, all of it valid.
    fn valid() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
            .with(MESH_FILE, MESH)
            .with("domains/sales/domain.yaml", "title: Sales\n")
            .with(PRODUCT_FILE, PRODUCT)
            .with(CONTRACT_FILE, CONTRACT)
    }

    /// Writes a file, whatever was there.
    fn with(self, file: &str, text: &str) -> Self {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("a file stands in a directory")).expect("made");
        fs::write(path, text).expect("written");
        self
    }

    /// Replaces text in a file; the text must be there.
    fn edit(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.0.path().join(file)).expect("a file to edit");
        assert!(text.contains(from), "{file} has no {from:?}");
        self.with(file, &text.replacen(from, to, 1))
    }

    fn without(self, path: &str) -> Self {
        let path = self.0.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Release, Error> {
        crate::load(self.path(), None, Epoch(1))
    }

    /// The release of a mesh whose global part is valid.
    fn release(&self) -> Release {
        self.load().unwrap_or_else(|error| panic!("{error}: {:#?}", error.findings()))
    }

    /// What there is to say, refused or not.
    fn findings(&self) -> Vec<Finding> {
        match self.load() {
            Ok(release) => release.findings().to_vec(),
            Err(error) => error.findings().to_vec(),
        }
    }
}

fn address(domain: &str, product: &str) -> ProductAddress {
    let name = |text| Name::parse(text).expect("a name");
    ProductAddress::new(name(domain), name(product))
}

fn orders(release: &Release) -> &Product {
    release.product(&address("sales", "orders")).expect("the product")
}

fn errors(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect()
}
