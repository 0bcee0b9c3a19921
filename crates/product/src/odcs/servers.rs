//! The kinds of server the contract standard knows, with the fields of each.

use crate::shape::{Field, Kind, Shape, may, must};
use crate::yaml::Node;

use super::fields::{CUSTOM_PROPERTY, ROLE};

const V31: u16 = 310;
const V32: u16 = 320;

/// What all servers share.
static COMMON: &[Field] = &[
    may("id", Kind::Id).since(V31),
    must("server", Kind::Text),
    must("type", Kind::Word(TYPES)),
    may("description", Kind::Text),
    may("environment", Kind::Text),
    may("roles", Kind::List(&ROLE)),
    may("customProperties", Kind::Custom(&CUSTOM_PROPERTY, &[])),
];

const LOCATION: Field = may("location", Kind::Text);
const FORMAT: Field = may("format", Kind::Text);
const ENCODING: Field = may("encoding", Kind::Text).since(V32);
const DELIMITER: Field = may("delimiter", Kind::Text);
const HOST: Field = may("host", Kind::Text);
const HOST_NEEDED: Field = must("host", Kind::Text);
const PORT: Field = may("port", Kind::NumberOrText);
const PORT_NEEDED: Field = must("port", Kind::NumberOrText);
const DATABASE: Field = may("database", Kind::Text);
const DATABASE_NEEDED: Field = must("database", Kind::Text);
const SCHEMA: Field = may("schema", Kind::Text);
const SCHEMA_NEEDED: Field = must("schema", Kind::Text);
const CATALOG: Field = may("catalog", Kind::Text);
const CATALOG_NEEDED: Field = must("catalog", Kind::Text);
const ACCOUNT: Field = may("account", Kind::Text);
const ACCOUNT_NEEDED: Field = must("account", Kind::Text);
const REGION: Field = may("region", Kind::Text);
const STREAM: Field = may("stream", Kind::Text);
const WAREHOUSE: Field = may("warehouse", Kind::Text);

macro_rules! servers {
    ($($($name:literal)|+ since $since:expr => [$($field:expr),* $(,)?];)*) => {
        /// Every type with the edition it came with.
        static TYPES: &[(&str, u16)] = &[$($(($name, $since)),+),*];

        /// The shape of a server is told by its type.
        pub(super) fn shape_of(node: &Node) -> &'static Shape {
            static OTHER: Shape = Shape { what: "a server", fields: &[COMMON, ANY] };
            match node.text("type").unwrap_or_default() {
                $($($name)|+ => {
                    static SHAPE: Shape =
                        Shape { what: concat!("a server of type ", servers!(@first $($name)+)), fields: &[COMMON, &[$($field),*]] };
                    &SHAPE
                })*
                _ => &OTHER,
            }
        }
    };
    (@first $first:literal $($rest:literal)*) => { $first };
}

servers! {
    "api" since 0 => [must("location", Kind::Text)];
    "athena" since 0 => [may("stagingDir", Kind::Text), SCHEMA_NEEDED, CATALOG, may("regionName", Kind::Text),
        may("workgroup", Kind::Text).since(V32)];
    "azure" since 0 => [must("location", Kind::Text), must("format", Kind::Text), ENCODING, DELIMITER];
    "bigquery" since 0 => [must("project", Kind::Text), must("dataset", Kind::Text)];
    "btrieve" since V32 => [HOST_NEEDED, PORT, DATABASE_NEEDED];
    "clickhouse" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE_NEEDED];
    "databricks" since 0 => [HOST, CATALOG_NEEDED, SCHEMA_NEEDED];
    "denodo" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE];
    "dremio" since 0 => [HOST_NEEDED, PORT_NEEDED, SCHEMA];
    "duckdb" since 0 => [DATABASE_NEEDED, may("schema", Kind::NumberOrText)];
    "exasol" since V32 => [HOST_NEEDED, PORT, SCHEMA];
    "fastobjects" | "poet" | "versant" since V32 => [DATABASE_NEEDED, HOST, PORT];
    "glue" since 0 => [ACCOUNT_NEEDED, DATABASE_NEEDED, LOCATION, FORMAT, ENCODING];
    "hana" since V32 => [HOST_NEEDED, PORT, DATABASE, SCHEMA];
    "cloudsql" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE_NEEDED, SCHEMA_NEEDED];
    "db2" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE_NEEDED, SCHEMA];
    "hive" | "impala" | "zen" since V31 => [HOST_NEEDED, PORT, DATABASE_NEEDED];
    "iceberg" since V32 => [CATALOG_NEEDED, must("catalogUrl", Kind::Text), may("namespace", Kind::Text), WAREHOUSE];
    "informix" since 0 => [HOST_NEEDED, PORT, DATABASE_NEEDED];
    "ingres" | "vectorwise" since V32 => [DATABASE_NEEDED, HOST_NEEDED, PORT];
    "kafka" since 0 => [HOST_NEEDED, FORMAT, ENCODING];
    // The text of the standard asks for `stream`, its JSON schema does not know it.
    "kinesis" since 0 => [STREAM, REGION, FORMAT, ENCODING];
    "local" since 0 => [must("path", Kind::Text), must("format", Kind::Text), ENCODING];
    // Here and for PostgreSQL, the text lets out what the JSON schema asks for.
    "mysql" since 0 => [HOST_NEEDED, PORT, DATABASE_NEEDED];
    "oracle" since 0 => [HOST_NEEDED, PORT_NEEDED, must("serviceName", Kind::Text)];
    "postgresql" | "postgres" since 0 => [HOST_NEEDED, PORT, DATABASE_NEEDED, SCHEMA];
    "presto" since 0 => [HOST_NEEDED, CATALOG, SCHEMA];
    "pubsub" since 0 => [must("project", Kind::Text)];
    "redshift" since 0 => [HOST, DATABASE_NEEDED, SCHEMA_NEEDED, REGION, ACCOUNT];
    "s3" since 0 => [must("location", Kind::Text), may("endpointUrl", Kind::Text), FORMAT, ENCODING, DELIMITER];
    "sftp" since 0 => [must("location", Kind::Text), FORMAT, ENCODING, DELIMITER];
    "snowflake" since 0 => [HOST, PORT, ACCOUNT_NEEDED, DATABASE_NEEDED, SCHEMA_NEEDED, WAREHOUSE];
    "sqlserver" since 0 => [HOST_NEEDED, PORT, DATABASE_NEEDED, SCHEMA_NEEDED];
    "synapse" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE_NEEDED];
    "teradata" since V32 => [HOST_NEEDED, PORT, DATABASE];
    "trino" since 0 => [HOST_NEEDED, PORT_NEEDED, CATALOG_NEEDED, SCHEMA_NEEDED];
    "vertica" since 0 => [HOST_NEEDED, PORT_NEEDED, DATABASE_NEEDED, SCHEMA_NEEDED];
    "custom" since 0 => [ACCOUNT, CATALOG, DATABASE, may("dataset", Kind::Text), DELIMITER,
        may("endpointUrl", Kind::Text), FORMAT, ENCODING, HOST, LOCATION, may("path", Kind::Text), PORT,
        may("project", Kind::Text), REGION, may("regionName", Kind::Text), SCHEMA, may("serviceName", Kind::Text),
        may("stagingDir", Kind::Text), WAREHOUSE, STREAM];
}

/// For a type nobody knows: every field of every server, so that only the type is reported.
const ANY: &[Field] = &[
    ACCOUNT,
    CATALOG,
    may("catalogUrl", Kind::Text),
    DATABASE,
    may("dataset", Kind::Text),
    DELIMITER,
    may("endpointUrl", Kind::Text),
    FORMAT,
    may("encoding", Kind::Text),
    HOST,
    LOCATION,
    may("namespace", Kind::Text),
    may("path", Kind::Text),
    PORT,
    may("project", Kind::Text),
    REGION,
    may("regionName", Kind::Text),
    SCHEMA,
    may("serviceName", Kind::Text),
    may("stagingDir", Kind::Text),
    WAREHOUSE,
    may("workgroup", Kind::Text),
    STREAM,
];
