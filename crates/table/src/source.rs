//! Where a table is and which of its versions is meant.

use std::fmt;

use arrow::datatypes::DataType;
use meshgate_model::Instant;

/// The table formats, as plain words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Delta Lake.
    Delta,
    /// Apache Iceberg.
    Iceberg,
    /// A directory of Parquet files.
    Parquet,
}

/// A table as its contract's server names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    /// The format.
    pub format: Format,
    /// `file:///...`, `s3://...`: the table's directory (ends in `/`), one Iceberg metadata file, or one Parquet file.
    /// Empty if the table is found through a catalog.
    pub url: String,
    /// The catalog that knows where the table is.
    pub catalog: Option<CatalogRef>,
    /// What the contract tells of files that have no log to tell it.
    pub layout: Layout,
}

/// What is told of files without a log: empty for all formats that keep one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Layout {
    /// The table's address, for errors that users read.
    pub table: String,
    /// The columns whose values are in the names of directories, from the outermost, with their types.
    pub partitions: Vec<(String, DataType)>,
    /// The columns that are in files, by their names there, with the types that the contract names.
    pub columns: Vec<(String, Option<DataType>)>,
}

/// A table of a catalog.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CatalogRef {
    /// `sqlite:///absolute/path`, `postgres://...`, `http(s)://...`.
    pub url: String,
    /// The catalog's name.
    pub catalog: String,
    /// The namespace, dot-separated.
    pub namespace: String,
    /// The warehouse, if the document names one.
    pub warehouse: Option<String>,
    /// The table's name.
    pub table: String,
}

/// Which version of a table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Pin {
    /// The newest.
    Latest,
    /// A Delta version number; an Iceberg snapshot id, branch or tag.
    Version(String),
    /// The version that was the newest at that time.
    Timestamp(Instant),
}

impl Source {
    /// A table by its location.
    pub fn at(format: Format, url: impl Into<String>) -> Self {
        Self { format, url: url.into(), catalog: None, layout: Layout::default() }
    }

    /// A table by its catalog.
    pub fn in_catalog(format: Format, catalog: CatalogRef) -> Self {
        Self { format, url: String::new(), catalog: Some(catalog), layout: Layout::default() }
    }

    /// The same, with what its contract tells.
    pub fn with_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }
}

impl Format {
    /// The format's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delta => "Delta",
            Self::Iceberg => "Iceberg",
            Self::Parquet => "Parquet",
        }
    }

    /// Whether a table's log keeps versions that can be asked for.
    pub fn has_versions(self) -> bool {
        match self {
            Self::Delta | Self::Iceberg => true,
            Self::Parquet => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
