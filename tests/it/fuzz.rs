//! Hostile requests to a whole gateway: statements that are planned and executed over governed tables, and messages on
//! the wire. Nothing is a failure of ours, nothing hidden arrives, and the gateway goes on.

use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, Any, CommandGetCatalogs,
    CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTables, CommandStatementQuery, CommandStatementUpdate,
    ProstMessageExt, TicketStatementQuery,
};
use meshgate_fuzzing::Fuzz;
use meshgate_model::{Failure, Fault};
use meshgate_testkit::{Reply, Wire, rows_text};
use prost::Message;
use tokio::runtime::Runtime;
use tonic::Code;

use crate::mesh::{builder, world};

/// In rows that an analyst of the EU does not see.
const CANARY: &str = "canary-hidden-note-0123456789";

const STATEMENTS: &[&str] = &[
    "SELECT * FROM crm.people.people ORDER BY id",
    "SELECT region, count(*), sum(x), min(born) FROM crm.people.people GROUP BY region HAVING count(*) > 1",
    "SELECT p.name, o.total FROM crm.people.people p LEFT JOIN sales.orders.orders o ON p.id = o.person WHERE o.total > 1.5",
    "WITH a AS (SELECT id, x FROM crm.people.people), b AS (SELECT * FROM a UNION ALL SELECT 1, 2) SELECT * FROM b",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT id, rank() OVER (PARTITION BY region ORDER BY x DESC NULLS LAST) FROM crm.people.people WHERE note LIKE '%0'",
    "SELECT CASE WHEN x > 2 THEN upper(name) ELSE substr(note, 1, 3) END, CAST(x AS DECIMAL(10, 2)) / 3 FROM crm.people.people",
    "SELECT * FROM crm.people.people WHERE id IN (SELECT person FROM sales.orders.orders) AND NOT EXISTS (SELECT 1 FROM sales.orders.orders WHERE total < 0)",
    "SELECT array_agg(name ORDER BY id), [x, 1][1], named_struct('a', x), unnest([1, 2]) FROM crm.people.people GROUP BY x",
    "SELECT date_trunc('month', born), born + INTERVAL '1' DAY, extract(YEAR FROM born), to_char(born, '%Y') FROM crm.people.people",
    "SELECT regexp_replace(name, '(a|b)+', 'x', 'g'), concat_ws('-', name, region), name || CAST(id AS VARCHAR) FROM crm.people.people",
    "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v (a, b) FULL JOIN crm.people.people USING (id) LIMIT 3 OFFSET 1",
    "SELECT CAST(note AS INT) FROM crm.people.people",
    "EXPLAIN SELECT count(DISTINCT x) FROM crm.people.people",
    "SELECT * FROM information_schema.columns WHERE table_name = 'people'",
    "DESCRIBE crm.people.people",
    "SHOW TABLES",
    "SELECT grouping(region), sum(x) FROM crm.people.people GROUP BY GROUPING SETS ((region), CUBE (x, id), ())",
];

const WORDS: &[&str] = &[
    "crm.people.people",
    "crm.people.payroll",
    "sales.orders.orders",
    "salary",
    "region",
    "note",
    " FROM ",
    " WHERE ",
    " UNION ",
    " EXCEPT ",
    " LATERAL ",
    " OVER ()",
    "count(*)",
    "NULL",
    "0",
    "-1",
    "1e308",
    "9223372036854775807",
    "''",
    "'NaN'::DOUBLE",
    "CAST(",
    " AS INT)",
    "INTERVAL '1' MONTH",
    "TIMESTAMP '2026-01-31'",
    "[]",
    "[1,2]",
    "{a: 1}",
    " IS NOT DISTINCT FROM ",
    " DISTINCT ",
    " ORDER BY 1",
    " LIMIT 0",
];

fn runtime() -> Runtime {
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    // As the binary has it.
    builder.enable_all().thread_stack_size(64 << 20).build().expect("a runtime")
}

#[test]
fn fuzz_sql() {
    let runtime = runtime();
    let (world, analyst) = runtime.block_on(async {
        let world = builder().await.engine(|options| {
            options.deadline_s_default = 10;
            options.result_rows_max = 10_000;
            options.recursion_rows_max = 10_000;
        });
        let world = world.start().await.expect("a valid mesh");
        let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
        (world, analyst)
    });
    let fuzz = Fuzz::text("sql").all(STATEMENTS.iter().copied()).words(WORDS.iter().copied());
    fuzz.inputs(2_000).bytes_max(4_000).time_max(Duration::from_secs(15)).run(|input| {
        let sql = String::from_utf8_lossy(input);
        match runtime.block_on(world.query(&analyst, &sql)) {
            Ok(batches) => {
                let hidden = rows_text(&batches).iter().any(|row| row.contains(CANARY));
                if hidden && !sql.contains(CANARY) {
                    Err("a hidden row arrives".to_owned())
                } else {
                    Ok("rows".to_owned())
                }
            }
            Err(error) if error.fault() == Fault::Internal => Err(format!("a failure of ours: {error:?}")),
            Err(error) => Ok(error.public().to_string()),
        }
    });
}

#[test]
fn fuzz_wire() {
    let runtime = runtime();
    let (_world, _wire, client) = runtime.block_on(async {
        let world = world().await;
        let wire = Wire::open(&world).await;
        let token = world.token("analyst", &["analysts"], &[("region", "EU")]).await;
        let client = wire.client(Some(&token)).await;
        (world, wire, client)
    });
    let sql = || STATEMENTS[0].to_owned();
    let commands = [
        CommandStatementQuery { query: sql(), transaction_id: None }.as_any(),
        CommandStatementUpdate { query: "SET meshgate.wire_types = 'native'".to_owned(), transaction_id: None }
            .as_any(),
        CommandGetCatalogs {}.as_any(),
        CommandGetDbSchemas { catalog: Some("crm".to_owned()), db_schema_filter_pattern: Some("p%".to_owned()) }
            .as_any(),
        CommandGetTables { include_schema: true, table_types: vec!["TABLE".to_owned()], ..Default::default() }.as_any(),
        CommandGetSqlInfo { info: vec![0, 8, 500] }.as_any(),
        TicketStatementQuery { statement_handle: "handle".into() }.as_any(),
        ActionCreatePreparedStatementRequest { query: sql(), transaction_id: None }.as_any(),
        ActionClosePreparedStatementRequest { prepared_statement_handle: "handle".into() }.as_any(),
    ];
    let actions = [
        "CreatePreparedStatement",
        "ClosePreparedStatement",
        "CancelQuery",
        "CancelFlightInfo",
        "RenewFlightEndpoint",
        "SetSessionOptions",
        "GetSessionOptions",
        "CloseSession",
    ];
    let fuzz = Fuzz::message("wire").all(commands.map(|any| any.encode_to_vec())).words(WORDS.iter().copied());
    fuzz.inputs(1_500).bytes_max(16 * 1024).time_max(Duration::from_secs(15)).run(|input| {
        let action = actions[input.len() % actions.len()];
        let replies = runtime.block_on(async {
            let mut replies = vec![client.action(action, input.to_vec()).await];
            let mut fetched = Reply::default();
            client.fetch(Ticket { ticket: input.to_vec().into() }, &mut fetched).await;
            replies.push(fetched);
            if let Ok(any) = Any::decode(input) {
                replies.extend([client.run(any.clone()).await, client.put(any).await]);
            }
            replies
        });
        let mut ends = Vec::new();
        for reply in replies {
            // A panic would end the stream without a status of ours.
            if matches!(reply.code(), Code::Internal | Code::Unknown | Code::DataLoss) {
                return Err(format!("{action}: {:?}", reply.failure));
            }
            if reply.received.iter().any(|bytes| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())) {
                return Err("a hidden row arrives".to_owned());
            }
            ends.push(reply.failure.map_or_else(|| "answered".to_owned(), |failure| failure.message().to_owned()));
        }
        Ok(ends.join(", "))
    });
}
