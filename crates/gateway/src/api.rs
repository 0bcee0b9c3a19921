//! What the wires hand in and get back.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use meshgate_identity::{ClientInfo, Credential, Principal};
use meshgate_model::{Epoch, Fingerprint, QueryId};
use tokio_util::sync::CancellationToken;

use crate::{Error, Settled, Snapshots};

/// An authenticated caller. Made by [`crate::Gateway::authenticate`] only.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) principal: Arc<Principal>,
    pub(crate) client: ClientInfo,
    /// Kept to check again, while a query runs, that it is still valid.
    pub(crate) credential: Credential,
}

impl Caller {
    /// The principal's name.
    pub fn name(&self) -> &str {
        self.principal.name()
    }

    /// What its rights depend on; sealed into tickets and handles.
    pub fn fingerprint(&self) -> Fingerprint {
        self.principal.fingerprint()
    }

    /// Where it calls from.
    pub fn client(&self) -> &ClientInfo {
        &self.client
    }
}

/// One SQL statement, with the values of its parameters if it has any.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// The text, with `?` or `$n` for parameters.
    pub sql: String,
    /// One column per parameter, bound by position; the statement runs once per row.
    pub parameters: Option<RecordBatch>,
    /// Versions of tables that are settled already: by its transaction, or when it was planned. What is not settled there
    /// is read at its newest version and settled with it.
    pub snapshots: Option<Arc<Snapshots>>,
    /// Which part of the result to execute, if its plan has several.
    pub part: Part,
}

/// One of several parts of a result. Together they are the whole; no row is in two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Part {
    /// The only part.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

impl Default for Part {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// What a statement is, for a client that prepares it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Whether it returns rows or changes the session.
    pub kind: StatementKind,
    /// The rows' schema; empty for a session statement. Engine types: the wire adapts them.
    pub schema: SchemaRef,
    /// One nullable field for each parameter, in order; type Null if nothing is known of it.
    pub parameters: SchemaRef,
}

/// Whether a statement returns rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatementKind {
    /// Rows.
    Query,
    /// SET, RESET, USE: changes the session's options.
    Session,
}

/// A statement that was planned and waits to be executed.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The query's id.
    pub id: QueryId,
    /// The release it was planned under.
    pub epoch: Epoch,
    /// The rows' schema (engine types), with the query's metadata.
    pub schema: SchemaRef,
    /// JSON for `app_metadata`: query id and, per table, product, version and snapshot.
    pub app_metadata: String,
    /// The versions that it reads. Who executes it later, or elsewhere, hands them in again.
    pub snapshots: Vec<Settled>,
    /// In how many parts it can be executed: as many as the session asked for, or one.
    pub parts: u32,
}

/// A running query. Dropping it stops the execution.
pub struct QueryStream {
    /// The query's id.
    pub id: QueryId,
    /// The rows' schema: equal to the planned one.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: BoxStream<'static, Result<RecordBatch, Error>>,
    /// Cancelled when the principal loses a right: what was read and is not sent yet must not be sent either.
    pub revoked: CancellationToken,
}

/// A table as metadata commands list it.
#[derive(Clone, Debug)]
pub struct TableEntry {
    /// The domain.
    pub catalog: String,
    /// The product, with its version suffix where that is how it is addressed.
    pub schema: String,
    /// The table.
    pub name: String,
    /// `TABLE` or `SYSTEM TABLE`.
    pub kind: &'static str,
    /// The contract's description.
    pub remarks: Option<String>,
    /// The visible columns, from the contract; nothing is opened for it. Field metadata `remarks` holds descriptions.
    pub columns: SchemaRef,
}

/// A primary key column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryKeyEntry {
    /// The domain.
    pub catalog: String,
    /// The product.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Its position in the key, from 1.
    pub position: i32,
}

/// A column of a foreign key, both ends visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyEntry {
    /// The key that is pointed to: catalog, schema, table, column.
    pub primary: [String; 4],
    /// The key that points: catalog, schema, table, column.
    pub foreign: [String; 4],
    /// The column's position in the key, from 1.
    pub position: i32,
}
