//! The denial matrix: `denials.md`, asked of a gateway on its sockets. What is served and not listed there fails.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow_flight::sql::{Any, Command};
use meshgate_testkit::{Client, Reply, Wire, World, rows_text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mesh::world;

/// The columns of the matrix: who, with which groups and attributes. Nobody comes first and has no token.
const PRINCIPALS: [Who; 5] = [
    ("nobody", &[], &[]),
    ("stranger", &[], &[]),
    ("analyst", &["analysts"], &[("region", "EU")]),
    ("owner", &["crm-owners", "sales-owners"], &[]),
    ("steward", &["stewards"], &[]),
];

/// A name, groups, attributes.
type Who = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

struct Row {
    kind: String,
    request: String,
    expected: Vec<String>,
}

fn matrix() -> Vec<Row> {
    let text = include_str!("denials.md");
    let mut lines = text.lines().filter(|line| line.starts_with('|'));
    let header = cells(lines.next().expect("a header"));
    let names = PRINCIPALS.iter().map(|(name, ..)| (*name).to_owned());
    assert_eq!(header[2..], names.collect::<Vec<_>>(), "the columns");
    let rows = lines.skip(1).map(|line| {
        let mut cells = cells(line);
        assert_eq!(cells.len(), PRINCIPALS.len() + 2, "{line}");
        let expected = cells.split_off(2);
        Row { kind: cells.remove(0), request: cells.remove(0), expected }
    });
    rows.collect()
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn any(name: &str) -> Any {
    Any { type_url: format!("type.googleapis.com/arrow.flight.protocol.sql.{name}"), value: Vec::new().into() }
}

async fn ask(wire: &Wire, client: &Client, row: &Row) -> String {
    let code = |reply: Reply| format!("{:?}", reply.code());
    match row.kind.as_str() {
        "sql" => code(client.query(&row.request).await),
        "command" => code(client.run(any(&row.request)).await),
        "put" => code(client.put(any(&row.request)).await),
        "action" => code(client.action(&row.request, Vec::new()).await),
        "http" => get(wire, &row.request).await,
        other => panic!("{other} is no kind of request"),
    }
}

/// The status of a GET.
async fn get(wire: &Wire, path: &str) -> String {
    let mut stream = TcpStream::connect(wire.http).await.expect("the listener answers");
    let request = format!("GET {path} HTTP/1.1\r\nhost: meshgate\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.split(' ').nth(1).expect("a status").to_owned()
}

async fn clients(world: &World, wire: &Wire) -> Vec<Client> {
    let mut clients = Vec::new();
    for (name, groups, attributes) in PRINCIPALS {
        let token = if name == "nobody" { None } else { Some(world.token(name, groups, attributes).await) };
        clients.push(wire.client(token.as_ref()).await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_the_matrix_says() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let clients = clients(&world, &wire).await;
    let mut wrong = Vec::new();
    for row in matrix() {
        for ((client, expected), (name, ..)) in clients.iter().zip(&row.expected).zip(PRINCIPALS) {
            let found = ask(&wire, client, &row).await;
            // Sessions hang on the connection: what one row sets another must not see.
            client.action("CloseSession", Vec::new()).await;
            if found != *expected {
                wrong.push(format!("{} {} as {name}: {found}, not {expected}", row.kind, row.request));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_served_stands_in_the_matrix() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = wire.client(Some(&world.token("steward", &["stewards"], &[]).await)).await;
    let listed = |kind: &str| {
        let rows = matrix().into_iter().filter(|row| row.kind == kind);
        rows.map(|row| row.request).collect::<BTreeSet<_>>()
    };
    for route in meshgate_http::ROUTES {
        assert!(listed("http").contains(route), "{route}");
    }
    for action in steward.list_actions().await {
        assert!(listed("action").contains(&action), "{action}");
    }
    // The system's own tables, and every command that the library knows by the name it would be asked for.
    let tables = steward.query("SELECT table_catalog || '.' || table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'SYSTEM TABLE'").await;
    for table in rows_text(&tables.batches) {
        assert!(listed("sql").iter().any(|sql| sql.contains(&table)) || is_small(&table), "{table}");
    }
    for command in COMMANDS {
        assert!(listed("command").contains(*command) || listed("put").contains(*command), "{command}");
    }
}

/// Tables of the gateway that say nothing but what the session itself has set.
fn is_small(table: &str) -> bool {
    table == "meshgate.access.session"
        || table.starts_with("information_schema.")
        || table.contains(".information_schema.")
}

/// Every command of Flight SQL that a descriptor can carry.
const COMMANDS: &[&str] = &[
    "CommandGetCatalogs",
    "CommandGetCrossReference",
    "CommandGetDbSchemas",
    "CommandGetExportedKeys",
    "CommandGetImportedKeys",
    "CommandGetPrimaryKeys",
    "CommandGetSqlInfo",
    "CommandGetTableTypes",
    "CommandGetTables",
    "CommandGetXdbcTypeInfo",
    "CommandPreparedStatementQuery",
    "CommandPreparedStatementUpdate",
    "CommandStatementIngest",
    "CommandStatementQuery",
    "CommandStatementSubstraitPlan",
    "CommandStatementUpdate",
];

/// Does not compile when the library learns a new command: it has to be listed above and in the matrix then.
#[expect(dead_code, reason = "it only has to compile")]
fn is_known(command: Command) {
    use Command as C;
    match command {
        C::CommandGetCatalogs(_)
        | C::CommandGetCrossReference(_)
        | C::CommandGetDbSchemas(_)
        | C::CommandGetExportedKeys(_)
        | C::CommandGetImportedKeys(_)
        | C::CommandGetPrimaryKeys(_)
        | C::CommandGetSqlInfo(_)
        | C::CommandGetTableTypes(_)
        | C::CommandGetTables(_)
        | C::CommandGetXdbcTypeInfo(_)
        | C::CommandPreparedStatementQuery(_)
        | C::CommandPreparedStatementUpdate(_)
        | C::CommandStatementIngest(_)
        | C::CommandStatementQuery(_)
        | C::CommandStatementSubstraitPlan(_)
        | C::CommandStatementUpdate(_) => {}
        // Messages that no descriptor carries.
        C::ActionBeginSavepointRequest(_)
        | C::ActionBeginSavepointResult(_)
        | C::ActionBeginTransactionRequest(_)
        | C::ActionBeginTransactionResult(_)
        | C::ActionCancelQueryRequest(_)
        | C::ActionCancelQueryResult(_)
        | C::ActionClosePreparedStatementRequest(_)
        | C::ActionCreatePreparedStatementRequest(_)
        | C::ActionCreatePreparedStatementResult(_)
        | C::ActionCreatePreparedSubstraitPlanRequest(_)
        | C::ActionEndSavepointRequest(_)
        | C::ActionEndTransactionRequest(_)
        | C::DoPutPreparedStatementResult(_)
        | C::DoPutUpdateResult(_)
        | C::TicketStatementQuery(_)
        | C::Unknown(_) => {}
    }
}

/// Functions that are served: `functions.txt`, one a line, as `SHOW FUNCTIONS` lists them.
#[tokio::test(flavor = "multi_thread")]
async fn every_function_is_listed() {
    let world = world().await;
    let stranger = world.user("stranger", &[], &[]).await;
    let batches = world.query(&stranger, "SHOW FUNCTIONS").await.expect("a listing");
    let mut served = BTreeSet::new();
    for batch in &batches {
        let names = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).expect("names are text");
        served.extend(names.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    let listed = include_str!("functions.txt").lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let new = served.difference(&listed).collect::<Vec<_>>();
    let gone = listed.difference(&served).collect::<Vec<_>>();
    assert!(new.is_empty() && gone.is_empty(), "served and not listed: {new:?}; listed and not served: {gone:?}");
}
