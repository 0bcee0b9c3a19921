//! Apache Iceberg tables
