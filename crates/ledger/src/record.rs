//! What is recorded. These types are the format on disk: fields are added, never renamed.

use std::net::IpAddr;

use meshgate_identity::{ClientInfo, Principal, PrincipalKind};
use meshgate_model::{Epoch, Fault, QueryId};
use serde::{Serialize, Serializer};

/// The longest text a client can have recorded of what it calls itself.
const USER_AGENT_CHARS_MAX: usize = 512;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A query is about to give rows away.
    Intent(Intent),
    /// A query ended.
    Outcome(Outcome),
    /// Something was refused.
    Denial(Denial),
    /// A gateway started.
    Started(Started),
    /// A gateway stopped in good order.
    Stopped(Stopped),
    /// A release of the mesh came into force.
    Released(Released),
    /// A segment begins: always its first record. Written by the ledger itself.
    #[non_exhaustive]
    #[expect(missing_docs, reason = "the format's own business")]
    Segment { number: u64, format: u32 },
    /// A crash left an unfinished write. Written by the ledger itself.
    #[non_exhaustive]
    #[expect(missing_docs, reason = "the format's own business")]
    Recovered { torn_bytes: u64, kept_in: String },
    /// Nothing could be recorded for a while: written by the ledger itself as soon as it can. `since` is when that began;
    /// `refused` records were refused, and what asked for them did not happen; `lost` were of what had happened.
    #[non_exhaustive]
    #[expect(missing_docs, reason = "the format's own business")]
    Interrupted { since: String, refused: u64, lost: u64 },
}

/// Durable before the first byte of a result leaves.
#[derive(Clone, Debug, Serialize)]
pub struct Intent {
    /// Which query.
    #[serde(serialize_with = "display")]
    pub query: QueryId,
    /// Who asks.
    pub principal: Who,
    /// From where.
    pub client: Client,
    /// The statement as given.
    pub statement: String,
    /// The declared purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The release it runs under.
    #[serde(serialize_with = "epoch_number")]
    pub epoch: Epoch,
    /// Everything it reads.
    pub tables: Vec<TableUse>,
}

/// One table of a query, and under which rules it is read.
#[derive(Clone, Debug, Serialize)]
pub struct TableUse {
    /// The SQL address with the major version.
    pub table: String,
    /// The product's version.
    pub version: String,
    /// The snapshot: the Delta version or the Iceberg snapshot id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The ids of the policies that decided.
    pub policies: Vec<String>,
    /// The ids of the policies whose row filters apply; empty if all rows are visible.
    pub filters: Vec<String>,
    /// Which columns are masked and how.
    pub masks: Vec<MaskUse>,
}

/// One masked column.
#[derive(Clone, Debug, Serialize)]
pub struct MaskUse {
    /// The column's name in the contract.
    pub column: String,
    /// The mask's name, or the id of the policy that gives it.
    pub mask: String,
}

/// How a query ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Which query.
    #[serde(serialize_with = "display")]
    pub query: QueryId,
    /// How many rows left.
    pub rows: u64,
    /// How many bytes left.
    pub bytes: u64,
    /// From the intent to the end.
    pub duration_ms: u64,
    /// How.
    #[serde(flatten)]
    pub end: End,
}

/// The ways a query can end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum End {
    /// All rows left.
    Completed,
    /// The client or an operator ended it, or the client went away.
    Cancelled,
    /// The principal lost the right, or its rules changed.
    Revoked,
    /// It failed.
    Failed {
        /// The kind of failure.
        #[serde(serialize_with = "fault_word")]
        fault: Fault,
    },
}

/// A refusal: of a credential, a statement, a table.
#[derive(Clone, Debug, Serialize)]
pub struct Denial {
    /// Which query, if it came so far.
    #[serde(serialize_with = "display_option", skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryId>,
    /// Who asked, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Who>,
    /// From where.
    pub client: Client,
    /// What was asked, if it came so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The kind of refusal.
    #[serde(serialize_with = "fault_word")]
    pub fault: Fault,
    /// Why, in the words for operators.
    pub reason: String,
    /// How often it happened: more than once if this is the first of many in a short time that have no records of their
    /// own.
    #[serde(skip_serializing_if = "is_once")]
    pub times: u64,
}

/// A gateway began to serve.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
}

/// A gateway ended in good order.
#[derive(Clone, Debug, Serialize)]
pub struct Stopped {
    /// Why.
    pub reason: String,
}

/// A release came into force.
#[derive(Clone, Debug, Serialize)]
pub struct Released {
    /// Its number.
    #[serde(serialize_with = "epoch_number")]
    pub epoch: Epoch,
    /// How many findings of severity error it has, each of which takes something out of service.
    pub errors: u64,
    /// How many findings it has in all.
    pub findings: u64,
}

/// A principal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Who {
    /// `user` or `service`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// The groups at that moment.
    pub groups: Vec<String>,
    /// How it proved who it is.
    pub authentication: &'static str,
}

/// Where a request came from, as far as anybody knows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Client {
    /// The peer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        let kind = match principal.kind() {
            PrincipalKind::User => "user",
            PrincipalKind::Service => "service",
        };
        let groups = principal.groups().iter().cloned().collect();
        Self { kind, name: principal.name().to_owned(), groups, authentication: principal.authentication().as_str() }
    }
}

impl From<&ClientInfo> for Client {
    fn from(client: &ClientInfo) -> Self {
        let user_agent = client.user_agent.as_ref().map(|text| text.chars().take(USER_AGENT_CHARS_MAX).collect());
        Self { address: client.address, user_agent }
    }
}

macro_rules! record_from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Record {
            fn from(record: $kind) -> Self {
                Self::$kind(record)
            }
        }
    )*};
}

record_from!(Intent, Outcome, Denial, Started, Stopped, Released);

fn display<S: Serializer>(id: &QueryId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn display_option<S: Serializer>(id: &Option<QueryId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn epoch_number<S: Serializer>(epoch: &Epoch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(epoch.0)
}

fn is_once(times: &u64) -> bool {
    *times == 1
}

fn fault_word<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match fault {
        Fault::Invalid => "invalid",
        Fault::Unauthenticated => "unauthenticated",
        Fault::Denied => "denied",
        Fault::NotFound => "not_found",
        Fault::Conflict => "conflict",
        Fault::Limited => "limited",
        Fault::Unavailable => "unavailable",
        Fault::Cancelled => "cancelled",
        Fault::DeadlineExceeded => "deadline_exceeded",
        Fault::Unsupported => "unsupported",
        Fault::Internal => "internal",
    })
}
