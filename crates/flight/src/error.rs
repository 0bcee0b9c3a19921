//! What can go wrong on this wire.

use arrow::error::ArrowError;
use meshgate_model::{Failure, Fault, PublicText, QueryId};

/// Why a call, or the whole listener, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gateway refused or failed.
    #[error(transparent)]
    Gateway(#[from] meshgate_gateway::Error),
    /// The credential could not be read.
    #[error(transparent)]
    Credential(#[from] meshgate_identity::Error),
    /// More than one `authorization` header: which of them is meant is not ours to guess.
    #[error("two `authorization` headers")]
    TwoCredentials,
    /// A ticket or handle that is forged, expired, closed, or somebody else's. All of them look alike.
    #[error("unknown ticket or handle")]
    Gone,
    /// A transaction that is forged, has ended or expired, or is somebody else's.
    #[error("unknown transaction")]
    NoTransaction,
    /// A message that does not say what it should.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// Parameters that are no Arrow data.
    #[error("malformed parameters")]
    Parameters(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement that returns rows was sent as an update.
    #[error("a query was sent as an update")]
    NotAnUpdate,
    /// Something that is not offered.
    #[error("not offered: {0}")]
    Unsupported(&'static str),
    /// A message or binding beyond the limit.
    #[error("larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A value has no place in the compatible type of its column.
    #[error("a value of type {from} does not fit {to}")]
    Inexact {
        /// The engine's type.
        from: String,
        /// The wire's type.
        to: String,
    },
    /// Cancelled by the caller's request, or because the gateway stops.
    #[error("{0}")]
    Stopped(&'static str),
    /// The client's side of the stream failed.
    #[error("the client's stream failed")]
    Client(#[source] Box<tonic::Status>),
    /// Arrow could not build or encode what we asked for.
    #[error("encoding failed")]
    Encode(#[from] ArrowError),
    /// Arrow Flight could not build what we asked for.
    #[error("building a metadata result failed")]
    Flight(#[from] arrow_flight::error::FlightError),
    /// A task of ours did not end as it should.
    #[error("a task failed")]
    Task(#[from] tokio::task::JoinError),
    /// The listener failed.
    #[error("the Flight listener failed")]
    Transport(#[from] tonic::transport::Error),
    /// The services could not be described.
    #[error("gRPC reflection failed")]
    Reflection(#[from] crate::reflection::Unreflected),
    /// Any of these, in a query that has an id.
    #[error("query {id}")]
    InQuery {
        /// The query.
        id: QueryId,
        /// What happened.
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    /// What ended a client's stream: a message beyond the limit on messages, which is refused before it is read, or the client.
    pub(crate) fn of_stream(status: tonic::Status, limit_bytes: usize) -> Self {
        if status.code() == tonic::Code::OutOfRange {
            Self::TooLarge { limit_bytes }
        } else {
            Self::Client(Box::new(status))
        }
    }

    /// Says in which query it happened.
    pub(crate) fn in_query(id: QueryId) -> impl Fn(Error) -> Error {
        move |error| if error.query().is_some() { error } else { Error::InQuery { id, source: Box::new(error) } }
    }

    /// The query in which it happened.
    pub(crate) fn query(&self) -> Option<QueryId> {
        match self {
            Self::InQuery { id, .. } => Some(*id),
            Self::Gateway(error) => error.query(),
            _ => None,
        }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Gateway(error) => error.fault(),
            Self::Credential(error) => error.fault(),
            Self::TwoCredentials => Fault::Unauthenticated,
            Self::Gone | Self::NoTransaction => Fault::NotFound,
            Self::Malformed(_) | Self::Parameters(_) | Self::NotAnUpdate | Self::Inexact { .. } => Fault::Invalid,
            Self::Unsupported(_) => Fault::Unsupported,
            Self::TooLarge { .. } => Fault::Limited,
            Self::Stopped(_) | Self::Client(_) => Fault::Cancelled,
            Self::Encode(_) | Self::Flight(_) | Self::Task(_) | Self::Transport(_) | Self::Reflection(_) => {
                Fault::Internal
            }
            Self::InQuery { source, .. } => source.fault(),
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Gateway(error) => error.public(),
            Self::Credential(error) => error.public(),
            Self::TwoCredentials => {
                PublicText::new("the request has two `authorization` headers").hint("send one of them")
            }
            Self::Gone => PublicText::new("the ticket or handle is unknown or has expired")
                .hint("run or prepare the statement again"),
            Self::NoTransaction => {
                PublicText::new("the transaction is unknown, has ended or has expired").hint("begin another")
            }
            Self::Malformed(what) => PublicText::new(format!("the request cannot be read: {what}")),
            Self::Parameters(_) => PublicText::new("the parameters cannot be read as Arrow data"),
            Self::NotAnUpdate => {
                PublicText::new("the statement returns rows and was sent as an update").hint("execute it as a query")
            }
            Self::Unsupported(what) => PublicText::new(format!("{what} is not offered by this gateway")),
            Self::TooLarge { limit_bytes } => {
                PublicText::new(format!("what was sent is larger than the limit of {limit_bytes} bytes"))
                    .hint("send fewer rows of parameters")
            }
            Self::Inexact { from, to } => {
                PublicText::new(format!("a value of type {from} cannot be sent as {to} without loss"))
                    .hint("SET meshgate.wire_types = 'native', or cast the column")
            }
            Self::Stopped(why) => PublicText::new(*why),
            Self::Client(_) => PublicText::new("the client ended its stream"),
            Self::Encode(_) | Self::Flight(_) | Self::Task(_) | Self::Transport(_) | Self::Reflection(_) => {
                PublicText::internal()
            }
            Self::InQuery { source, .. } => source.public(),
        }
    }
}
