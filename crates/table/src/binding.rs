//! How columns of files are matched to columns of the table.

use std::collections::HashMap;

use datafusion::common::ScalarValue;

/// The key of a field's metadata that holds its id, in table schemas and in Parquet files.
pub const FIELD_ID: &str = "PARQUET:field_id";

/// The key of a table field's metadata that holds its name in files, where that differs from the table's.
pub const PHYSICAL_NAME: &str = "meshgate.physical_name";

/// The rule of a table.
#[derive(Clone, PartialEq, Debug)]
pub enum Binding {
    /// By name: [`PHYSICAL_NAME`], or else the field's own.
    Name,
    /// By [`FIELD_ID`].
    FieldId {
        /// Which ids columns of files without ids have.
        names: Option<NameMapping>,
        /// Values of columns that a file lacks because it is older than they are; NULL where nothing stands here.
        defaults: HashMap<i32, ScalarValue>,
    },
}

/// The ids of columns in files that were written without ids, level by level.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameMapping {
    /// By every name the column ever had.
    pub fields: HashMap<String, (Option<i32>, NameMapping)>,
}

impl Binding {
    /// By field id, with nothing else to know.
    pub fn ids() -> Self {
        Self::FieldId { names: None, defaults: HashMap::new() }
    }
}
