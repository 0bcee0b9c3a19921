//! Documents of a product from a few words.

use std::fmt::Write;

/// A column of a contract.
#[derive(Debug, Clone)]
pub struct Column {
    name: String,
    logical: Option<String>,
    extra: Vec<String>,
}

impl Column {
    /// A column of a `logicalType`.
    pub fn new(name: &str, logical: &str) -> Self {
        Self { name: name.to_owned(), logical: Some(logical.to_owned()), extra: Vec::new() }
    }

    /// A column of any name, of whatever type it is stored in.
    pub fn stored(name: &str) -> Self {
        let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        Self { name: quoted, logical: None, extra: Vec::new() }
    }

    /// With a tag.
    pub fn tag(self, tag: &str) -> Self {
        self.line(&format!("tags: [{tag}]"))
    }

    /// With a further line of YAML, such as `primaryKey: true`.
    pub fn line(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }
}

/// A product with one version and one contract; each of its tables is a directory.
#[derive(Debug, Clone)]
pub struct Product {
    pub(crate) domain: String,
    pub(crate) name: String,
    tables: Vec<(String, String, String, Vec<Column>)>,
}

impl Product {
    /// A product without tables.
    pub fn new(domain: &str, name: &str) -> Self {
        Self { domain: domain.to_owned(), name: name.to_owned(), tables: Vec::new() }
    }

    /// Adds a table: its format (`delta`, `iceberg` or `parquet`) and where it lies, relative to the mesh.
    pub fn table(mut self, name: &str, format: &str, path: &str, columns: Vec<Column>) -> Self {
        self.tables.push((name.to_owned(), format.to_owned(), path.to_owned(), columns));
        self
    }

    /// The ODPS document.
    pub fn odps(&self) -> String {
        let Self { domain, name, tables } = self;
        let mut text = format!(
            "apiVersion: v1.0.0\nkind: DataProduct\nid: {domain}-{name}\nname: {name}\nstatus: active\noutputPorts:\n"
        );
        for (table, ..) in tables {
            let _ = writeln!(text, "  - name: {table}\n    version: 1.0.0\n    contractId: {domain}-{name}-{table}");
        }
        text
    }

    /// The ODCS documents: file name and text.
    pub fn odcs(&self) -> Vec<(String, String)> {
        let Self { domain, name, tables } = self;
        tables
            .iter()
            .map(|(table, format, path, columns)| {
                let mut text = format!(
                    "apiVersion: v3.1.0\nkind: DataContract\nid: {domain}-{name}-{table}\nversion: 1.0.0\nstatus: active\n\
                     servers:\n  - server: files\n    type: local\n    path: {path}\n    format: {format}\nschema:\n  \
                     - name: {table}\n    properties:\n"
                );
                for column in columns {
                    let _ = writeln!(text, "      - name: {}", column.name);
                    let logical = column.logical.iter().map(|logical| format!("logicalType: {logical}"));
                    for line in logical.chain(column.extra.iter().cloned()) {
                        let _ = writeln!(text, "        {line}");
                    }
                }
                (format!("{table}.odcs.yaml"), text)
            })
            .collect()
    }
}
