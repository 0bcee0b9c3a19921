//! The release: everything a mesh directory says, parsed, validated, immutable.

use std::collections::BTreeMap;
use std::path::PathBuf;

use meshgate_model::{AttributeTypes, Epoch, Finding, Name, Place, ProductAddress, TableAddress};

/// One state of a mesh directory. Made by [`crate::load`] only.
#[derive(Debug)]
pub struct Release {
    pub(crate) epoch: Epoch,
    pub(crate) mesh: Mesh,
    pub(crate) domains: BTreeMap<Name, Domain>,
    pub(crate) findings: Vec<Finding>,
}

impl Release {
    /// The number of this release in the gateway's life.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The platform's file, mesh.yaml.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// All domains by name, broken ones included.
    pub fn domains(&self) -> &BTreeMap<Name, Domain> {
        &self.domains
    }

    /// A product, broken ones included.
    pub fn product(&self, address: &ProductAddress) -> Option<&Product> {
        self.domains.get(&address.domain)?.products.get(&address.product)
    }

    /// A table of a version that is neither retired nor absent. Whether its product may be served is in [`Product::state`].
    pub fn table(&self, address: &TableAddress) -> Option<(&Product, &Version, &Table)> {
        let product = self.product(&address.product)?;
        let version = product.versions.iter().find(|version| version.major == address.major)?;
        let table = version.tables.iter().find(|table| table.name == address.table)?;
        Some((product, version, table))
    }

    /// Everything that validation had to say, in document order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// mesh.yaml and governance/.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// The mesh's name, part of every URN.
    pub name: String,
    /// The absolute directory it was read from.
    pub directory: PathBuf,
    /// Principal attributes that policies may use.
    pub attributes: AttributeTypes,
    /// Purposes a session may declare.
    pub purposes: Vec<String>,
    /// governance/policies/*.cedar.
    pub policies: Vec<PolicySource>,
}

/// One domain: what the platform grants it in mesh.yaml, and what it says of itself in domain.yaml.
#[derive(Debug, Clone)]
pub struct Domain {
    /// The directory name: the SQL catalog.
    pub name: Name,
    /// Groups whose members manage the domain.
    pub owners: Vec<String>,
    /// What it may read from.
    pub storage: Vec<StorageGrant>,
    /// Whom to charge.
    pub cost_centre: Option<String>,
    /// The human title.
    pub title: Option<String>,
    /// What the domain is about.
    pub description: Option<String>,
    /// domains/<domain>/policies/*.cedar.
    pub policies: Vec<PolicySource>,
    /// Its products by directory name, retired ones (without versions) included.
    pub products: BTreeMap<Name, Product>,
    /// Whether its documents are valid.
    pub state: ScopeState,
}

/// A place a domain may read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StorageGrant {
    /// Everything under a URL that ends in `/`: `file:///...`, `s3://bucket/...`. Relative prefixes of mesh.yaml are
    /// resolved against the mesh directory (not through symbolic links: the store does that when it opens files).
    Prefix {
        /// The normalised URL, ending in `/`.
        url: String,
        /// Names a `[credentials.<name>]` table of the gateway's config.
        credentials: Option<String>,
    },
    /// A catalog service the domain may ask.
    Catalog {
        /// The catalog's URL.
        url: String,
        /// Names a `[credentials.<name>]` table of the gateway's config.
        credentials: Option<String>,
    },
}

/// Whether a scope can be served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ScopeState {
    /// Valid.
    #[default]
    Serving,
    /// Invalid: every query on it fails with `unavailable`; owners see the reasons.
    Unavailable(
        /// Why, one sentence each.
        Vec<String>,
    ),
}

/// One Cedar file, as read.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// The file, relative to the mesh directory.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
}

/// A data product with all its served versions.
#[derive(Debug, Clone)]
pub struct Product {
    /// Where it is.
    pub address: ProductAddress,
    /// ODPS `id`: never changes.
    pub id: String,
    /// ODPS `name`: the title.
    pub title: Option<String>,
    /// ODPS `description.purpose`, or what there is of the description.
    pub description: Option<String>,
    /// ODPS `tags`.
    pub tags: Vec<String>,
    /// The document's own status.
    pub status: Status,
    /// domains/<domain>/products/<product>/policies/*.cedar.
    pub policies: Vec<PolicySource>,
    /// One for each major version of its output ports, ascending; retired ones are left out.
    pub versions: Vec<Version>,
    /// Whether its documents and its domain's are valid.
    pub state: ScopeState,
    /// The ODPS document.
    pub place: Place,
}

impl Product {
    /// The version the unsuffixed name means: the highest `active` major, if any.
    pub fn current(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.status == Status::Active)
    }
}

/// ODPS and ODCS `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Owners only.
    Proposed,
    /// Owners only.
    Draft,
    /// Served to whom policy permits.
    Active,
    /// Served, and marked wherever it is shown.
    Deprecated,
    /// As if it did not exist.
    Retired,
}

/// A major version of a product: one or several output ports with their contracts.
#[derive(Debug, Clone)]
pub struct Version {
    /// The number in the address.
    pub major: u32,
    /// The first port's version as written, such as `1.2.0`; each table has its own port's.
    pub version: String,
    /// The most careful of the product's and the contracts' status, in the order draft, proposed, deprecated, active.
    pub status: Status,
    /// ODCS `id` of each contract, in the order of the ports.
    pub contract_ids: Vec<String>,
    /// ODCS `name` of the first contract.
    pub contract_title: Option<String>,
    /// The ODCS `tags` that all its contracts have. What one contract alone says is among its tables' tags.
    pub tags: Vec<String>,
    /// `slaProperties` of all contracts as `(property, value with unit)`.
    pub sla: Vec<(String, String)>,
    /// In the order of the ports and their contracts.
    pub tables: Vec<Table>,
}

/// One schema object of a contract.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where it is.
    pub address: TableAddress,
    /// `schema[].name`.
    pub name: String,
    /// The version of its output port as written.
    pub version: String,
    /// ODCS `id` of its contract.
    pub contract_id: String,
    /// `slaProperties` of its contract as `(property, value with unit)`.
    pub sla: Vec<(String, String)>,
    /// Where its data is.
    pub location: Location,
    /// The columns it promises, in order.
    pub columns: Vec<Column>,
    /// Its own `tags` and those of its contract.
    pub tags: Vec<String>,
    /// `businessName`.
    pub business_name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// Names of the columns with `primaryKey: true`, by `primaryKeyPosition`.
    pub primary_key: Vec<String>,
    /// Names of the columns with `partitioned: true`, by `partitionKeyPosition`.
    pub partition_by: Vec<String>,
    /// Foreign keys.
    pub relationships: Vec<Relationship>,
    /// `meshgate.onBreach`.
    pub on_breach: OnBreach,
    /// `meshgate.maxStaleness` in seconds, if the product sets its own.
    pub max_staleness_s: Option<u64>,
    /// The schema object in the contract.
    pub place: Place,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// Columns of this table.
    pub from: Vec<String>,
    /// The table it points to.
    pub to: TableAddress,
    /// Columns there, one for each of `from`.
    pub to_columns: Vec<String>,
}

/// What happens to queries while the stored table breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBreach {
    /// They fail with a clear error.
    #[default]
    Block,
    /// They go on; the catalog shows the breach.
    Warn,
}

/// Where a table's data is. URLs are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A Delta table's directory.
    Delta {
        /// `file:///...` or `s3://...`, ending in `/`.
        url: String,
    },
    /// An Iceberg table's directory (ends in `/`) or one metadata file (ends in `.metadata.json`).
    Iceberg {
        /// `file:///...` or `s3://...`.
        url: String,
    },
    /// A table of an Iceberg catalog.
    IcebergCatalog {
        /// `sqlite:///absolute/path`, `postgres://...`, `http(s)://...`; a SQLite path is absolute,
        /// resolved and not percent-encoded.
        url: String,
        /// The catalog's name.
        catalog: String,
        /// The namespace, dot-separated.
        namespace: String,
        /// The warehouse, if the document names one.
        warehouse: Option<String>,
        /// The table's name.
        table: String,
    },
    /// A directory of Parquet files or one file.
    Parquet {
        /// `file:///...` or `s3://...`.
        url: String,
    },
    /// A server kind this gateway does not read: the table is listed but a query fails with `unavailable`.
    Foreign {
        /// `servers[].type`, or the format; `none` without a server.
        kind: String,
    },
}

/// A column, or a field inside one.
#[derive(Debug, Clone)]
pub struct Column {
    /// `name`: what queries say.
    pub name: String,
    /// `physicalName`, or `name`.
    pub physical_name: String,
    /// `logicalType`, if given.
    pub logical_type: Option<LogicalType>,
    /// `physicalType` as written.
    pub physical_type: Option<String>,
    /// `logicalTypeOptions.format` as written: the width of a number, the pattern of a text.
    pub format: Option<String>,
    /// `logicalTypeOptions.timezone`: the values are instants.
    pub timezone: bool,
    /// `required`.
    pub required: bool,
    /// `unique` or the whole primary key.
    pub unique: bool,
    /// `classification`.
    pub classification: Option<String>,
    /// `tags`.
    pub tags: Vec<String>,
    /// `criticalDataElement`.
    pub critical: bool,
    /// `businessName`.
    pub business_name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `examples`, as text.
    pub examples: Vec<String>,
    /// Fields of an `object`; `key` and `value` of a `map`.
    pub fields: Vec<Column>,
    /// The element of an `array`.
    pub items: Option<Box<Column>>,
    /// Where it is promised.
    pub place: Place,
}

/// ODCS `logicalType` of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogicalType {
    /// `string`
    String,
    /// `date`
    Date,
    /// `timestamp`
    Timestamp,
    /// `time`
    Time,
    /// `number`
    Number,
    /// `integer`
    Integer,
    /// `object`
    Object,
    /// `array`
    Array,
    /// `boolean`
    Boolean,
    /// `map` (3.2)
    Map,
    /// `vector` (3.2)
    Vector,
}

impl LogicalType {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Object => "object",
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Map => "map",
            Self::Vector => "vector",
        }
    }
}
