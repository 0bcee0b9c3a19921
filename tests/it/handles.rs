//! Handles are claims: nothing but the very bytes that were given to a principal opens anything, and only for it.

use std::collections::BTreeMap;

use arrow_flight::Ticket;
use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use meshgate_testkit::{Client, Reply, Wire};
use prost::Message;

use crate::mesh::world;

const SQL: &str = "SELECT count(*) FROM crm.people.people";

/// The sealed part of a ticket for a query.
async fn ticket(client: &Client) -> Vec<u8> {
    let info = client.info(CommandStatementQuery { query: SQL.to_owned(), transaction_id: None }.as_any()).await;
    let ticket = info.info.expect("a plan").endpoint[0].ticket.clone().expect("a ticket");
    let any = Any::decode(ticket.ticket).expect("an Any");
    let statement: TicketStatementQuery = any.unpack().expect("a message").expect("a ticket of a statement");
    statement.statement_handle.to_vec()
}

async fn redeem(client: &Client, sealed: &[u8]) -> Reply {
    let any = TicketStatementQuery { statement_handle: sealed.to_vec().into() }.as_any();
    let mut reply = Reply::default();
    client.fetch(Ticket { ticket: any.encode_to_vec().into() }, &mut reply).await;
    reply
}

/// Everything that is nearly the same: each bit turned, each with four others, each length, parts of two put together.
fn forgeries(real: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let bits = real.len() * 8;
    let turned = |bits: &[usize]| {
        let mut forged = real.to_vec();
        bits.iter().for_each(|bit| forged[bit / 8] ^= 1 << (bit % 8));
        forged
    };
    let flipped = (0..bits).flat_map(|bit| {
        let others = [1, 8, 13, bits / 2].map(|away| turned(&[bit, (bit + away) % bits]));
        std::iter::once(turned(&[bit])).chain(others)
    });
    let cut = (0..real.len()).map(|length| real[..length].to_vec());
    let longer = (0..=255).map(|byte| [real, &[byte]].concat());
    let spliced = (1..real.len().min(other.len())).map(|at| [&real[..at], &other[at..]].concat());
    let swapped = (1..real.len()).map(|at| [&real[at..], &real[..at]].concat());
    flipped
        .chain(cut)
        .chain(longer)
        .chain(spliced)
        .chain(swapped)
        .filter(|forged| forged != real && forged != other)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_handle_is_accepted() {
    let world = world().await;
    let wire = Wire::open(&world).await;
    let steward = wire.client(Some(&world.token("steward", &["stewards"], &[]).await)).await;
    let analyst = wire.client(Some(&world.token("analyst", &["analysts"], &[("region", "EU")]).await)).await;
    let (mine, other) = (ticket(&steward).await, ticket(&steward).await);
    let (kept, another) =
        (steward.prepare(SQL).await.expect("a handle"), steward.prepare(SQL).await.expect("a handle"));

    // What a real one gives, before and after; twice within its life.
    for _ in 0..2 {
        assert_eq!(redeem(&steward, &mine).await.code(), tonic::Code::Ok);
        assert_eq!(steward.execute(&kept).await.code(), tonic::Code::Ok);
    }
    let garbage = (redeem(&steward, b"garbage").await, steward.execute(b"garbage").await);
    let words = |reply: &Reply| match &reply.failure {
        Some(failure) => (failure.code(), failure.message().to_owned(), failure.details().to_vec()),
        None => (tonic::Code::Ok, format!("{:?}", reply.batches), Vec::new()),
    };
    let (of_tickets, of_handles) = (words(&garbage.0), words(&garbage.1));

    let mut tried = BTreeMap::new();
    let mut wrong = Vec::new();
    for forged in forgeries(&mine, &other) {
        *tried.entry("tickets").or_insert(0) += 1;
        let reply = redeem(&steward, &forged).await;
        if words(&reply) != of_tickets {
            wrong.push(format!("a forged ticket: {:?}", words(&reply)));
        }
    }
    for forged in forgeries(&kept, &another) {
        *tried.entry("handles").or_insert(0) += 1;
        let reply = steward.execute(&forged).await;
        if words(&reply) != of_handles {
            wrong.push(format!("a forged handle: {:?}", words(&reply)));
        }
    }
    // Somebody else's, and one kind for the other.
    for (what, reply, expected) in [
        ("another's ticket", redeem(&analyst, &mine).await, &of_tickets),
        ("another's handle", analyst.execute(&kept).await, &of_handles),
        ("a handle as a ticket", redeem(&steward, &kept).await, &of_tickets),
        ("a ticket as a handle", steward.execute(&mine).await, &of_handles),
    ] {
        if words(&reply) != *expected {
            wrong.push(format!("{what}: {:?}", words(&reply)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{tried:?} forgeries, none accepted");
    assert!(tried.values().sum::<usize>() >= 10_000, "{tried:?}");
    assert_eq!(redeem(&steward, &mine).await.code(), tonic::Code::Ok);
    assert_eq!(steward.execute(&kept).await.code(), tonic::Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_mixes_two_releases() {
    const RELOADS: u64 = 1_000;
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let policy = |region: &str| {
        format!(
            "@id(\"own-region\") @rows(\"region = '{region}'\")\n\
             permit (principal in Group::\"analysts\", action in Action::\"access\", resource in Table::\"crm.people.people\");"
        )
    };
    // Both references of one statement see the people of one region, whichever is in force.
    let sql =
        "SELECT a.region, b.region, count(*) FROM crm.people.people a CROSS JOIN crm.people.people b GROUP BY 1, 2";
    let reloading = async {
        for number in 0..RELOADS {
            world.write("governance/policies/all.cedar", &policy(if number % 2 == 0 { "EU" } else { "US" }));
            world.gateway.reload().await.expect("a valid mesh");
            tokio::task::yield_now().await;
        }
    };
    let seen = std::sync::Mutex::new(BTreeMap::new());
    let asking = async {
        loop {
            let answer = match world.query(&analyst, sql).await {
                Ok(batches) => {
                    let rows = meshgate_testkit::rows_text(&batches);
                    assert_eq!(rows.len(), 1, "{rows:?}");
                    let cells = rows[0].split('\t').collect::<Vec<_>>();
                    assert_eq!((cells[0], cells[2]), (cells[1], "9"), "{rows:?}");
                    cells[0].to_owned()
                }
                // Rules changed while it ran.
                Err(error) => format!("{:?}", meshgate_model::Failure::fault(&error)),
            };
            *seen.lock().expect("nobody panicked").entry(answer).or_insert(0) += 1;
        }
    };
    tokio::select! {
        () = reloading => {}
        () = asking => {}
    }
    let seen = seen.into_inner().expect("nobody panicked");
    println!("{seen:?} over {RELOADS} reloads");
    assert!(seen.contains_key("EU") && seen.contains_key("US"), "{seen:?}");
    assert!(seen.keys().all(|key| ["EU", "US", "Denied"].contains(&key.as_str())), "{seen:?}");
    assert_eq!(world.gateway.epoch().0, RELOADS + 1);
}
