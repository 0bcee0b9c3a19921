//! Hostile bytes for everything that comes back to us sealed, and for the messages of clients.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementIngest,
    CommandStatementQuery, CommandStatementUpdate, ProstMessageExt, TicketStatementQuery,
};
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_gateway::{Description, Part, SessionOptions, Settled, StatementKind};
use meshgate_identity::Credential;
use meshgate_model::{Epoch, Fingerprint, Instant, QueryId, Secret};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::metadata::Metadata;
use crate::prepared::{Prepared, PreparedStatements};
use crate::seal::{Purpose, Sealer, tests::Counting as Nonces};
use crate::session::messages::{OptionValue, SessionOptionValue, SetSessionOptionsRequest, StringListValue};
use crate::session::{bearer, cookie};
use crate::shelf::tests::Hand;
use crate::ticket::{Content, Parameters, QueryTicket, Ticket};
use crate::{Error, Settings, server};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ANA: Fingerprint = Fingerprint([1; 32]);
const KEY: [u8; 32] = [7; 32];

fn sealer() -> Sealer {
    Sealer::new(&KEY, Arc::new(Nonces::default()))
}

fn tickets() -> Vec<Ticket> {
    let mut options = SessionOptions::default();
    options.set("catalog", Some("sales")).expect("a good option");
    let query = |sql: &str, parameters| {
        let query = QueryTicket {
            id: QueryId(42),
            epoch: Epoch(3),
            sql: sql.to_owned(),
            options: options.clone(),
            parameters,
            snapshots: vec![Settled { table: sql.to_owned(), asked: String::new(), version: "7".to_owned(), place: 9 }],
            part: Part { index: 1, of: 2 },
        };
        Ticket { owner: ANA, until: Instant(1000), content: Content::Query(Box::new(query)) }
    };
    vec![
        query("SELECT 1", Parameters::None),
        query("SELECT * FROM sales.orders.lines WHERE id = ?", Parameters::Inline("ipc".into())),
        query(&"SELECT 1, ".repeat(50), Parameters::Kept([9; 16])),
        Ticket { owner: ANA, until: Instant(1000), content: Content::Nothing },
    ]
}

#[test]
fn fuzz_ticket() {
    let sealer = sealer();
    let sealed: Vec<_> = tickets().into_iter().map(|ticket| ticket.seal(&sealer)).collect();
    let others = [sealer.seal(Purpose::Handle, b"claim"), sealer.seal(Purpose::Bearer, b"claim")];
    let inputs = sealed.iter().map(|bytes| bytes.to_vec()).chain(others);
    Fuzz::bytes("ticket").all(inputs).inputs(50_000).run(|input| {
        match Ticket::open(&sealer, input, ANA, Instant(999)) {
            Ok(_) if sealed.iter().any(|given| given == input) => Ok("accepted".to_owned()),
            Ok(ticket) => Err(format!("a forged ticket is accepted: {ticket:?}")),
            Err(Error::Gone) => Ok("refused".to_owned()),
            Err(other) => Err(format!("{other:?} tells more than that it is refused")),
        }
    });
}

/// What is inside a ticket, as if the key were known: it is refused or means something, and nothing else happens.
#[test]
fn fuzz_claim() {
    let sealer = sealer();
    let inputs = tickets().into_iter().map(|ticket| {
        let sealed = ticket.seal(&sealer);
        sealer.open(Purpose::Ticket, &sealed).expect("ours")
    });
    Fuzz::message("claim").all(inputs).inputs(20_000).bytes_max(4096).run(|input| {
        let sealed = sealer.seal(Purpose::Ticket, input);
        match Ticket::open(&sealer, &sealed, ANA, Instant(999)) {
            Ok(Ticket { content: Content::Query(_), .. }) => Ok("a query".to_owned()),
            Ok(_) => Ok("nothing".to_owned()),
            Err(Error::Gone) => Ok("refused".to_owned()),
            Err(other) => Err(format!("{other:?} tells more than that it is refused")),
        }
    });
}

#[test]
fn fuzz_handle() {
    let settings = Settings::new(KEY, Arc::new(Hand::default()), Arc::new(Nonces::default()));
    let (all, sealer) = (PreparedStatements::new(&settings), sealer());
    let handles = [0, 1, 2].map(|_| {
        let empty = Arc::new(Schema::empty());
        let description = Description { kind: StatementKind::Query, schema: empty.clone(), parameters: empty };
        all.keep(&sealer, ANA, Prepared::new("SELECT ?".to_owned(), SessionOptions::default(), description, None))
    });
    let inputs = handles.iter().map(|bytes| bytes.to_vec()).chain([sealer.seal(Purpose::Ticket, b"claim")]);
    Fuzz::bytes("handle").all(inputs).inputs(50_000).run(|input| {
        let known = handles.iter().any(|given| given == input);
        if !known {
            all.close(&sealer, ANA, input);
        }
        match all.find(&sealer, ANA, input) {
            Ok(_) if known => Ok("accepted".to_owned()),
            Err(Error::Gone) if !known => Ok("refused".to_owned()),
            other => Err(format!("known: {known}, found: {other:?}")),
        }
    });
}

#[test]
fn fuzz_bearer() {
    let sealer = sealer();
    let bearers = [("ana", "p:w"), ("", ""), ("ben", "a long password of many words")]
        .map(|(user, password)| bearer::seal(&sealer, [4; 16], user, &Secret::new(password), Instant(10)));
    Fuzz::text("bearer").all(bearers.clone()).words(["mgf_", "=", "-", "_"]).inputs(50_000).run(|input| {
        let text = String::from_utf8_lossy(input).into_owned();
        let known = bearers.contains(&text);
        match bearer::open(&sealer, &Secret::new(text), Instant(9)) {
            Some((_, _, Credential::Basic { .. })) if known => Ok("accepted".to_owned()),
            None if !known => Ok("refused".to_owned()),
            other => Err(format!("known: {known}, opened: {other:?}")),
        }
    });
}

#[test]
fn fuzz_cookie() {
    let given = cookie::set(*b"0123456789abcdef");
    let with = |text: &str| format!("a=b; {text}; c=\"d\"");
    Fuzz::text("cookie").all([given.clone(), with(&given), cookie::unset()]).words(["meshgate-session=", ";"]).run(
        |input| {
            let mut metadata = MetadataMap::new();
            let Ok(value) = MetadataValue::try_from(input) else { return Ok("no header".to_owned()) };
            metadata.append("cookie", value);
            Ok(cookie::read(&metadata).map_or("none", |_| "a session").to_owned())
        },
    );
}

#[test]
fn fuzz_descriptor() {
    let settings = Settings::new(KEY, Arc::new(Hand::default()), Arc::new(Nonces::default()));
    let metadata = Metadata::new(&settings).expect("metadata");
    let text = || Some("sales".to_owned());
    let commands = [
        CommandStatementQuery { query: "SELECT 1".to_owned(), transaction_id: Some("t".into()) }.as_any(),
        CommandPreparedStatementQuery { prepared_statement_handle: "handle".into() }.as_any(),
        CommandStatementUpdate { query: "USE a".to_owned(), transaction_id: None }.as_any(),
        CommandStatementIngest { table: "t".to_owned(), ..CommandStatementIngest::default() }.as_any(),
        CommandGetCatalogs {}.as_any(),
        CommandGetDbSchemas { catalog: text(), db_schema_filter_pattern: text() }.as_any(),
        CommandGetTables {
            catalog: text(),
            db_schema_filter_pattern: Some("%".to_owned()),
            table_name_filter_pattern: Some("_a%".to_owned()),
            table_types: vec!["TABLE".to_owned()],
            include_schema: true,
        }
        .as_any(),
        CommandGetTableTypes {}.as_any(),
        CommandGetSqlInfo { info: vec![0, 1, 500] }.as_any(),
        CommandGetXdbcTypeInfo { data_type: Some(4) }.as_any(),
        CommandGetCrossReference { pk_table: "a".to_owned(), fk_table: "b".to_owned(), ..Default::default() }.as_any(),
        TicketStatementQuery { statement_handle: "handle".into() }.as_any(),
    ];
    let inputs = commands.map(|any| any.encode_to_vec());
    Fuzz::message("descriptor")
        .all(inputs)
        .words(["type.googleapis.com/arrow.flight.protocol.sql."])
        .inputs(30_000)
        .run(|input| match server::command(input) {
            Ok(command) => Ok(format!("{} {}", command.type_url(), metadata.schema(&command).is_some())),
            Err(Error::Malformed(_)) => Ok("malformed".to_owned()),
            Err(other) => Err(format!("{other:?}")),
        });
}

#[test]
fn fuzz_session_options() {
    let option = |value| SessionOptionValue { option_value: Some(value) };
    let list = StringListValue { values: vec!["a".to_owned(), "b".to_owned()] };
    let session_options = [
        ("catalog", option(OptionValue::String("sales".to_owned()))),
        ("deadline_s", option(OptionValue::Int64(30))),
        ("wire_types", option(OptionValue::String("native".to_owned()))),
        ("purpose", option(OptionValue::Double(f64::NAN))),
        ("schema", option(OptionValue::StringList(list))),
        ("timezone", SessionOptionValue { option_value: None }),
    ];
    let session_options = session_options.map(|(name, value)| (name.to_owned(), value)).into();
    let input = SetSessionOptionsRequest { session_options }.encode_to_vec();
    Fuzz::message("session_options").input(input).words(SessionOptions::NAMES.iter().copied()).run(|input| {
        let Ok(request) = SetSessionOptionsRequest::decode(input) else { return Ok("malformed".to_owned()) };
        let mut options = SessionOptions::default();
        let refused = request.session_options.iter().filter(|(name, value)| {
            let before = options.clone();
            let refused = options.set(name, value.to_text().as_deref()).is_err();
            assert!(!refused || options == before, "what is refused changes nothing");
            refused
        });
        Ok(format!("{} refused", if refused.count() > 0 { "some" } else { "none" }))
    });
}
