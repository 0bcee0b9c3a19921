//! Metadata commands: what there is, as far as the caller may query it.
//!
//! [`names`] lists catalogs, schemas, tables and table types, with [`pattern`] for filters and [`column`] for what is
//! said of columns; [`keys`] lists primary and foreign keys; [`sql_info`] and [`xdbc`] say what the server can do.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::Command;
use meshgate_gateway::{Caller, Gateway, SessionOptions};

use crate::{Error, Settings};

mod column;
mod functions;
mod keys;
mod names;
mod pattern;
mod sql_info;
mod xdbc;

use sql_info::ServerInfo;

/// What does not depend on the caller.
#[derive(Debug)]
pub(crate) struct Metadata {
    server: ServerInfo,
    types: RecordBatch,
}

/// Who asks, and in which session.
pub(crate) struct Asker<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) caller: &'a Caller,
    pub(crate) options: &'a SessionOptions,
}

impl Metadata {
    /// Says what the settings say of the server.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { server: ServerInfo::new(settings)?, types: xdbc::all_types()? })
    }

    /// The schema of a metadata command's rows; nothing for other commands.
    pub(crate) fn schema(&self, command: &Command) -> Option<SchemaRef> {
        Some(match command {
            Command::CommandGetCatalogs(_) => names::catalogs_schema(),
            Command::CommandGetDbSchemas(_) => names::schemas_schema(),
            Command::CommandGetTables(command) => names::tables_schema(command.include_schema),
            Command::CommandGetTableTypes(_) => names::table_types_schema(),
            Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => keys::foreign_schema(),
            Command::CommandGetSqlInfo(_) => self.server.schema(),
            Command::CommandGetXdbcTypeInfo(_) => self.types.schema(),
            _ => return None,
        })
    }

    /// The rows of a metadata command; nothing for other commands.
    pub(crate) fn rows(&self, asker: &Asker<'_>, command: &Command) -> Result<Option<RecordBatch>, Error> {
        Ok(Some(match command {
            Command::CommandGetCatalogs(_) => names::catalogs(asker)?,
            Command::CommandGetDbSchemas(command) => names::schemas(asker, command)?,
            Command::CommandGetTables(command) => names::tables(asker, command)?,
            Command::CommandGetTableTypes(_) => names::table_types()?,
            Command::CommandGetPrimaryKeys(command) => keys::primary(asker, command)?,
            Command::CommandGetExportedKeys(command) => keys::exported(asker, command)?,
            Command::CommandGetImportedKeys(command) => keys::imported(asker, command)?,
            Command::CommandGetCrossReference(command) => keys::cross_reference(asker, command)?,
            Command::CommandGetSqlInfo(command) => self.server.rows(&command.info)?,
            Command::CommandGetXdbcTypeInfo(command) => xdbc::of_type(&self.types, command.data_type)?,
            _ => return Ok(None),
        }))
    }
}
