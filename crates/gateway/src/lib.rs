//! The use-cases of the gate, one readable function each.
//!
//! [`Gateway`] is what every wire calls: authenticate, describe, plan, execute, change a session, list. It knows the
//! order of the steps and nothing of gRPC or HTTP.

mod api;
mod error;
mod options;

pub use api::{
    Caller, Description, ForeignKeyEntry, Planned, PrimaryKeyEntry, QueryStream, Statement, StatementKind, TableEntry,
};
pub use error::Error;
pub use options::{SessionOptions, WireTypes};

use meshgate_identity::{ClientInfo, Credential};
use meshgate_model::QueryId;

/// The gate.
#[derive(Debug)]
pub struct Gateway {}

impl Gateway {
    /// Checks a credential.
    pub async fn authenticate(&self, _credential: Credential, _client: ClientInfo) -> Result<Caller, Error> {
        Err(Error::Draining)
    }

    /// Says what a statement is, without executing it.
    pub async fn describe(&self, _: &Caller, _: &SessionOptions, _sql: &str) -> Result<Description, Error> {
        Err(Error::Draining)
    }

    /// Plans a query and keeps the plan until it is executed or expires.
    pub async fn plan(&self, _: &Caller, _: &SessionOptions, _: &Statement) -> Result<Planned, Error> {
        Err(Error::Draining)
    }

    /// Executes a planned query (again, if need be, planning it once more from its statement under the same id).
    pub async fn execute(
        &self,
        _: &Caller,
        _: &SessionOptions,
        _: QueryId,
        _: &Statement,
    ) -> Result<QueryStream, Error> {
        Err(Error::Draining)
    }

    /// Runs SET, RESET or USE.
    pub async fn change_session(&self, _: &Caller, _: &mut SessionOptions, _sql: &str) -> Result<(), Error> {
        Err(Error::Draining)
    }

    /// The catalogs (domains and `meshgate`) in which the caller may query something, sorted.
    pub fn catalogs(&self, _: &Caller) -> Result<Vec<String>, Error> {
        Err(Error::Draining)
    }

    /// `(catalog, schema)` pairs in which the caller may query something, sorted.
    pub fn schemas(&self, _: &Caller) -> Result<Vec<(String, String)>, Error> {
        Err(Error::Draining)
    }

    /// Everything the caller may query that the filter takes (called with catalog, schema, table), sorted.
    pub fn tables(&self, _: &Caller, _: &dyn Fn(&str, &str, &str) -> bool) -> Result<Vec<TableEntry>, Error> {
        Err(Error::Draining)
    }

    /// Primary keys of one table; empty for a table that is not visible.
    pub fn primary_keys(&self, _: &Caller, _: [Option<&str>; 2], _table: &str) -> Result<Vec<PrimaryKeyEntry>, Error> {
        Err(Error::Draining)
    }

    /// Foreign keys whose both ends the caller may query, sorted.
    pub fn foreign_keys(&self, _: &Caller) -> Result<Vec<ForeignKeyEntry>, Error> {
        Err(Error::Draining)
    }

    /// Whether new work is taken.
    pub fn is_serving(&self) -> bool {
        false
    }
}
