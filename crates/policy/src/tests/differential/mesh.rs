//! A mesh in the abstract, and the documents that say the same.

use std::fmt::Write;

use meshgate_model::{Name, ProductAddress, TableAddress};

/// Domains with their products.
#[derive(Debug, Clone)]
pub(super) struct Mesh {
    pub(super) domains: Vec<Domain>,
}

#[derive(Debug, Clone)]
pub(super) struct Domain {
    pub(super) name: &'static str,
    pub(super) owners: &'static str,
    pub(super) products: Vec<Product>,
}

#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) name: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) versions: Vec<Version>,
}

#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) status: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

/// A column, a field or the element of a list.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) classification: Option<&'static str>,
    pub(super) critical: bool,
    pub(super) fields: Vec<Column>,
    pub(super) items: Option<Box<Column>>,
}

/// A value of the columns that row filters look at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(String),
}

/// One value for each of [`LOOKED_AT`].
pub(super) type Row = Vec<Value>;

/// The columns that every table has.
pub(super) const LOOKED_AT: [&str; 5] = ["id", "level", "region", "place.city", "flag"];

/// The table of entitlements, which no policy with an entitlement is about.
pub(super) const RIGHTS: &str = "rights.grants.given";

/// A table with what it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) domain: &'a Domain,
    pub(super) product: &'a Product,
    pub(super) version: &'a Version,
    pub(super) table: &'a Table,
}

impl Mesh {
    pub(super) fn tables(&self) -> impl Iterator<Item = Placed<'_>> {
        self.domains.iter().flat_map(|domain| {
            domain.products.iter().flat_map(move |product| {
                product.versions.iter().flat_map(move |version| {
                    version.tables.iter().map(move |table| Placed { domain, product, version, table })
                })
            })
        })
    }

    /// The rows of the entitlement table.
    pub(super) fn rights(&self) -> &[Row] {
        self.tables().find(|placed| placed.id() == RIGHTS).map_or(&[], |placed| &placed.table.rows)
    }

    /// Files with their texts.
    pub(super) fn documents(&self) -> Vec<(String, String)> {
        let mut mesh = String::from("name: acme\npurposes: [fraud-review, marketing]\nattributes:\n");
        mesh += "  region: string\n  clearance: integer\n  vip: boolean\n  countries: { set: string }\n  levels: { set: integer }\n";
        mesh += "domains:\n";
        let mut files = Vec::new();
        for domain in &self.domains {
            let name = domain.name;
            let _ =
                writeln!(mesh, "  {name}: {{ owners: [{}], storage: [{{ prefix: ./data/{name}/ }}] }}", domain.owners);
            for product in &domain.products {
                let home = format!("domains/{name}/products/{}", product.name);
                files.push((format!("{home}/product.odps.yaml"), product.document()));
                files.extend(product.versions.iter().map(|version| {
                    (format!("{home}/v{}.odcs.yaml", version.major), version.document(name, product.name))
                }));
            }
        }
        files.push(("mesh.yaml".to_owned(), mesh));
        files
    }
}

impl Placed<'_> {
    pub(super) fn id(&self) -> String {
        format!("{}.{}", self.product_id(), self.table.name)
    }

    pub(super) fn product_id(&self) -> String {
        format!("{}.{}", self.domain.name, self.product.name)
    }

    pub(super) fn address(&self) -> TableAddress {
        let name = |text: &str| Name::parse(text).expect("a name");
        ProductAddress::new(name(self.domain.name), name(self.product.name)).table(self.version.major, self.table.name)
    }
}

impl Product {
    fn document(&self) -> String {
        let mut text = format!(
            "apiVersion: v1.0.0\nkind: DataProduct\nid: {0}-product\nname: {0}\nstatus: active\ntags: [{1}]\noutputPorts:\n",
            self.name,
            self.tags.join(", ")
        );
        for version in &self.versions {
            let _ = writeln!(
                text,
                "  - {{ name: port-{0}, version: {1}, contractId: {2}-{0} }}",
                version.major,
                version.number(),
                self.name
            );
        }
        text
    }
}

impl Version {
    /// The version as written.
    pub(super) fn number(&self) -> String {
        format!("{}.2.0", self.major)
    }

    fn document(&self, domain: &str, product: &str) -> String {
        let mut text = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: {product}-{}\nversion: {}\nstatus: {}\ntags: [{}]\n\
             servers: [{{ server: main, type: local, path: ./data/{domain}/, format: delta }}]\nschema:\n",
            self.major,
            self.number(),
            self.status,
            self.tags.join(", ")
        );
        for table in &self.tables {
            let _ = writeln!(text, "  - name: {}\n    tags: [{}]\n    properties:", table.name, table.tags.join(", "));
            for column in &table.columns {
                let _ = writeln!(text, "      - {}", column.text(true));
            }
        }
        text
    }
}

impl Column {
    /// The fields inside: those of a struct, or of the structs in a list.
    pub(super) fn inside(&self) -> &[Self] {
        self.items.as_deref().map_or(&self.fields, Self::inside)
    }

    /// As it stands in a contract.
    pub(super) fn text(&self, named: bool) -> String {
        let mut text = String::from("{ ");
        if named {
            let _ = write!(text, "name: {}, ", self.name);
        }
        let _ = write!(
            text,
            "logicalType: {}, tags: [{}], criticalDataElement: {}",
            self.kind,
            self.tags.join(", "),
            self.critical
        );
        if let Some(word) = self.classification {
            let _ = write!(text, ", classification: {word}");
        }
        if !self.fields.is_empty() {
            let fields: Vec<_> = self.fields.iter().map(|field| field.text(true)).collect();
            let _ = write!(text, ", properties: [{}]", fields.join(", "));
        }
        if let Some(items) = &self.items {
            let _ = write!(text, ", items: {}", items.text(false));
        }
        text + " }"
    }
}
