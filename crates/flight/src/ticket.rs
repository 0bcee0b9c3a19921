//! Tickets: what GetFlightInfo promises and DoGet redeems, sealed.

use bytes::Bytes;
use meshgate_gateway::{Part, SessionOptions, Settled};
use meshgate_model::{Epoch, Fingerprint, Instant, QueryId, mutant};
use prost::Message;

use crate::Error;
use crate::seal::{Purpose, Sealer};
use crate::shelf::Id;

/// What a ticket claims.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ticket {
    /// For whom.
    pub(crate) owner: Fingerprint,
    /// Until when.
    pub(crate) until: Instant,
    /// What for.
    pub(crate) content: Content,
}

/// What can be fetched with a ticket.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Content {
    /// The rows of a planned query.
    Query(Box<QueryTicket>),
    /// No rows: the statement changed the session when it was sent.
    Nothing,
}

/// Everything needed to execute a query, whoever keeps its plan.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct QueryTicket {
    /// The planned query.
    pub(crate) id: QueryId,
    /// The release it was planned under.
    pub(crate) epoch: Epoch,
    /// The statement.
    pub(crate) sql: String,
    /// The options it was planned with.
    pub(crate) options: SessionOptions,
    /// Its parameters.
    pub(crate) parameters: Parameters,
    /// The versions of tables that it was planned with.
    pub(crate) snapshots: Vec<Settled>,
    /// Which part of the result this is for.
    pub(crate) part: Part,
}

/// Where a statement's parameters are.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Parameters {
    /// It has none.
    None,
    /// In the ticket, as an Arrow stream.
    Inline(Bytes),
    /// On this gateway, as they are too large for a ticket.
    Kept(Id),
}

impl Ticket {
    /// Seals it.
    pub(crate) fn seal(self, sealer: &Sealer) -> Bytes {
        sealer.seal(Purpose::Ticket, &TicketMessage::from(self).encode_to_vec()).into()
    }

    /// Opens one of this caller's that is still good. Everything else is [`Error::Gone`].
    pub(crate) fn open(sealer: &Sealer, bytes: &[u8], owner: Fingerprint, now: Instant) -> Result<Self, Error> {
        let claim = sealer.open(Purpose::Ticket, bytes).ok_or(Error::Gone)?;
        let ticket = TicketMessage::decode(claim.as_slice()).ok().and_then(|message| Self::try_from(message).ok());
        // SECURITY: no difference between forged, expired and somebody else's.
        ticket
            .filter(|ticket| {
                (ticket.owner == owner || mutant("a ticket is anybody's"))
                    && (ticket.until > now || mutant("an expired ticket is accepted"))
            })
            .ok_or(Error::Gone)
    }
}

#[derive(Clone, PartialEq, Message)]
struct TicketMessage {
    #[prost(bytes = "vec", tag = "1")]
    owner: Vec<u8>,
    #[prost(sfixed64, tag = "2")]
    until_micros: i64,
    #[prost(message, optional, tag = "3")]
    query: Option<QueryMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryMessage {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    epoch: u64,
    #[prost(string, tag = "3")]
    sql: String,
    /// Values in the order of [`SessionOptions::NAMES`].
    #[prost(string, repeated, tag = "4")]
    options: Vec<String>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    inline: Option<Bytes>,
    #[prost(bytes = "vec", optional, tag = "6")]
    kept: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "7")]
    snapshots: Vec<SettledMessage>,
    #[prost(uint32, tag = "8")]
    part: u32,
    #[prost(uint32, tag = "9")]
    parts: u32,
}

#[derive(Clone, PartialEq, Message)]
struct SettledMessage {
    #[prost(string, tag = "1")]
    table: String,
    #[prost(string, tag = "2")]
    asked: String,
    #[prost(string, tag = "3")]
    version: String,
    #[prost(fixed64, tag = "4")]
    place: u64,
}

impl From<Ticket> for TicketMessage {
    fn from(ticket: Ticket) -> Self {
        let query = match ticket.content {
            Content::Nothing => None,
            Content::Query(query) => {
                let (inline, kept) = match query.parameters {
                    Parameters::None => (None, None),
                    Parameters::Inline(bytes) => (Some(bytes), None),
                    Parameters::Kept(id) => (None, Some(id.to_vec())),
                };
                let options = SessionOptions::NAMES.iter().map(|name| query.options.get(name).unwrap_or_default());
                Some(QueryMessage {
                    id: query.id.0.to_be_bytes().to_vec(),
                    epoch: query.epoch.0,
                    sql: query.sql,
                    options: options.collect(),
                    inline,
                    kept,
                    snapshots: query.snapshots.into_iter().map(SettledMessage::from).collect(),
                    part: query.part.index,
                    parts: query.part.of,
                })
            }
        };
        Self { owner: ticket.owner.0.to_vec(), until_micros: ticket.until.micros(), query }
    }
}

impl TryFrom<TicketMessage> for Ticket {
    type Error = Error;

    fn try_from(message: TicketMessage) -> Result<Self, Error> {
        let owner = Fingerprint(message.owner.try_into().map_err(|_| Error::Gone)?);
        let content = message.query.map(QueryTicket::try_from).transpose()?;
        let content = content.map_or(Content::Nothing, |query| Content::Query(Box::new(query)));
        Ok(Self { owner, until: Instant(message.until_micros), content })
    }
}

impl TryFrom<QueryMessage> for QueryTicket {
    type Error = Error;

    fn try_from(message: QueryMessage) -> Result<Self, Error> {
        let mut options = SessionOptions::default();
        for (name, value) in SessionOptions::NAMES.iter().zip(&message.options) {
            options.set(name, Some(value))?;
        }
        let parameters = match (message.inline, message.kept) {
            (None, None) => Parameters::None,
            (Some(bytes), _) => Parameters::Inline(bytes),
            (None, Some(id)) => Parameters::Kept(id.try_into().map_err(|_| Error::Gone)?),
        };
        let id = QueryId(u128::from_be_bytes(message.id.try_into().map_err(|_| Error::Gone)?));
        let snapshots = message.snapshots.into_iter().map(Settled::from).collect();
        let part = Part { index: message.part, of: message.parts.max(1) };
        Ok(Self { id, epoch: Epoch(message.epoch), sql: message.sql, options, parameters, snapshots, part })
    }
}

impl From<Settled> for SettledMessage {
    fn from(Settled { table, asked, version, place }: Settled) -> Self {
        Self { table, asked, version, place }
    }
}

impl From<SettledMessage> for Settled {
    fn from(SettledMessage { table, asked, version, place }: SettledMessage) -> Self {
        Self { table, asked, version, place }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshgate_gateway::{Part, SessionOptions, Settled};
    use meshgate_model::{Epoch, Fingerprint, Instant, QueryId};

    use super::{Content, Parameters, QueryTicket, Ticket};
    use crate::seal::{Purpose, Sealer, tests::Counting};

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    fn ticket(parameters: Parameters) -> Ticket {
        let mut options = SessionOptions::default();
        for (name, value) in [("catalog", "sales"), ("wire_types", "native"), ("deadline_s", "30"), ("endpoints", "3")]
        {
            options.set(name, Some(value)).expect("a good option");
        }
        let text = str::to_owned;
        let snapshots =
            vec![Settled { table: text("a.b_v1.c"), asked: String::new(), version: text("7"), place: u64::MAX }];
        let (sql, part) = (text("SELECT 1"), Part { index: 1, of: 3 });
        let query = QueryTicket { id: QueryId(42), epoch: Epoch(3), sql, options, parameters, snapshots, part };
        Ticket { owner: ANA, until: Instant(1000), content: Content::Query(Box::new(query)) }
    }

    #[test]
    fn comes_back_as_it_went() {
        let sealer = Sealer::new(&[7; 32], Arc::new(Counting::default()));
        let nothing = Ticket { content: Content::Nothing, ..ticket(Parameters::None) };
        let kinds = [Parameters::None, Parameters::Inline("ipc".into()), Parameters::Kept([9; 16])];
        for given in kinds.map(ticket).into_iter().chain([nothing]) {
            let sealed = given.clone().seal(&sealer);
            assert_eq!(Ticket::open(&sealer, &sealed, ANA, Instant(999)).expect("good"), given);
        }
    }

    #[test]
    fn expired_foreign_and_forged_ones_are_all_the_same() {
        let sealer = Sealer::new(&[7; 32], Arc::new(Counting::default()));
        let sealed = ticket(Parameters::None).seal(&sealer);
        let other_kind = sealer.seal(Purpose::Handle, b"claim");
        let no_ticket = sealer.seal(Purpose::Ticket, b"\xff\xff");
        let mut flipped = sealed.to_vec();
        flipped[40] ^= 1;
        for (bytes, owner, now) in [
            (sealed.as_ref(), BEN, 999),
            (sealed.as_ref(), ANA, 1000),
            (&flipped, ANA, 999),
            (&other_kind, ANA, 999),
            (&no_ticket, ANA, 999),
            (b"", ANA, 999),
            (b"garbage", ANA, 999),
        ] {
            let error = Ticket::open(&sealer, bytes, owner, Instant(now)).expect_err("no good");
            assert_eq!(error.to_string(), "unknown ticket or handle");
        }
    }
}
