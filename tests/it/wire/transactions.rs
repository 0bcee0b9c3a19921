//! S5: read-only transactions, whose statements read the same versions of tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int32Type;
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginTransactionRequest, ActionBeginTransactionResult,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, ActionEndTransactionRequest,
    CommandGetSqlInfo, CommandStatementQuery, CommandStatementUpdate, EndTransaction, ProstMessageExt,
};
use bytes::Bytes;
use meshgate_testkit::{Column, Product, Wire, World, rows_text};
use prost::Message;
use tonic::{Code, Status};

use super::{Ahead, Raw, first, prepared, shop, ticket};

pub(crate) async fn begin(client: &Raw) -> Bytes {
    let begun: ActionBeginTransactionResult =
        client.sql_action("BeginTransaction", &ActionBeginTransactionRequest {}).await.expect("begun");
    begun.transaction_id
}

async fn end(client: &Raw, transaction_id: &Bytes, action: EndTransaction) -> Result<(), Status> {
    let request = ActionEndTransactionRequest { transaction_id: transaction_id.clone(), action: action as i32 };
    let (_, results) = client.act("EndTransaction", request.as_any().encode_to_vec()).await?;
    assert!(results.is_empty());
    Ok(())
}

pub(crate) fn within(transaction: Bytes, sql: &str) -> CommandStatementQuery {
    CommandStatementQuery { query: sql.to_owned(), transaction_id: Some(transaction) }
}

async fn text(client: &Raw, transaction: &Bytes, sql: &str) -> Vec<String> {
    match client.run(&within(transaction.clone(), sql)).await {
        Ok(got) => rows_text(&got.batches),
        Err(status) => vec![format!("{:?}", status.code())],
    }
}

async fn add(world: &World, table: &str, id: i64) {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    world.append("shop", table, RecordBatch::try_from_iter([("id", ids)]).expect("a row")).await;
}

const COUNT: &str = "SELECT count(*) FROM shop.orders.customers";

#[tokio::test(flavor = "multi_thread")]
async fn s5_statements_of_a_transaction_read_the_same_versions() {
    let shop = shop::open().await;
    let (one, two) = (begin(&shop.clerk).await, begin(&shop.clerk).await);
    assert_eq!(text(&shop.clerk, &one, COUNT).await, ["2"]);
    add(&shop.world, "customers", 9).await;
    add(&shop.world, "order1lines", 2).await;
    assert_eq!(text(&shop.clerk, &one, COUNT).await, ["2"], "as before");
    assert_eq!(text(&shop.clerk, &two, COUNT).await, ["3"], "first looked at now");
    assert_eq!(shop.clerk.text(COUNT).await, ["3"], "without a transaction");
    // Under whatever name it is written, in joins, with tables that are looked at for the first time.
    let versioned = COUNT.replace("orders.", "orders_v1.");
    assert_eq!(text(&shop.clerk, &one, &versioned).await, ["2"]);
    let joined = "SELECT count(*), count(DISTINCT b.id) FROM shop.orders.customers a, shop.orders.order1lines b";
    assert_eq!(text(&shop.clerk, &one, joined).await, ["4\t2"]);
    add(&shop.world, "order1lines", 3).await;
    assert_eq!(text(&shop.clerk, &one, joined).await, ["4\t2"]);
    // A version that is asked for is that version, whatever else was read.
    assert_eq!(text(&shop.clerk, &one, &format!("{COUNT} VERSION AS OF 1")).await, ["3"]);
    // An empty id is none, and how a transaction ends does not matter.
    assert_eq!(text(&shop.clerk, &Bytes::new(), COUNT).await, ["3"]);
    end(&shop.clerk, &one, EndTransaction::Commit).await.expect("it is open");
    end(&shop.clerk, &two, EndTransaction::Rollback).await.expect("it is open");
    for gone in [&one, &two, &Bytes::from("garbage")] {
        assert_eq!(text(&shop.clerk, gone, COUNT).await, ["NotFound"]);
        let again = end(&shop.clerk, gone, EndTransaction::Commit).await.expect_err("it is not open");
        assert_eq!(again.code(), Code::NotFound);
    }
    let neither = begin(&shop.clerk).await;
    let refused = end(&shop.clerk, &neither, EndTransaction::Unspecified).await.expect_err("how?");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(text(&shop.clerk, &neither, COUNT).await, ["3"], "it is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_prepared_statements_and_tickets_keep_to_their_transaction() {
    let shop = shop::open().await;
    let transaction = begin(&shop.clerk).await;
    let request =
        ActionCreatePreparedStatementRequest { query: COUNT.to_owned(), transaction_id: Some(transaction.clone()) };
    // Preparing looks at the table, and with that settles its version.
    let made: ActionCreatePreparedStatementResult =
        shop.clerk.sql_action("CreatePreparedStatement", &request).await.expect("prepared");
    add(&shop.world, "customers", 9).await;
    let run = async || {
        let got = prepared::execute(&shop.clerk, &made.prepared_statement_handle).await?;
        Ok::<_, Status>(rows_text(&got.batches))
    };
    assert_eq!(run().await.expect("rows"), ["2"]);
    let info = shop.clerk.info(&within(transaction.clone(), COUNT)).await.expect("a plan").into_inner();
    end(&shop.clerk, &transaction, EndTransaction::Commit).await.expect("it is open");
    // The ticket promised that version. The statement goes on, as clients do with it, and reads what is newest.
    for _ in 0..2 {
        assert_eq!(rows_text(&shop.clerk.get(ticket(&info)).await.expect("rows").batches), ["2"]);
    }
    assert_eq!(run().await.expect("rows"), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_the_rules_of_today_decide_in_a_transaction_too() {
    let shop = shop::open().await;
    let transaction = begin(&shop.clerk).await;
    assert_eq!(text(&shop.clerk, &transaction, COUNT).await, ["2"]);
    let info = shop.clerk.info(&within(transaction.clone(), COUNT)).await.expect("a plan").into_inner();
    let rule = "@id(\"one\") forbid (principal in Group::\"clerks\", action == Action::\"query\", \
                resource == Table::\"shop.orders.customers\");";
    shop.world.write("governance/policies/one.cedar", rule);
    shop.world.gateway.reload().await.expect("a valid mesh");
    assert_eq!(text(&shop.clerk, &transaction, COUNT).await, ["NotFound"]);
    assert_eq!(shop.clerk.get(ticket(&info)).await.expect_err("the right is lost").code(), Code::NotFound);
    // What nobody may see is not settled by looking: a steward's transaction is another's.
    let theirs = begin(&shop.steward).await;
    assert_eq!(text(&shop.steward, &theirs, COUNT).await, ["2"]);
    assert_eq!(text(&shop.clerk, &theirs, "SELECT 1").await, ["NotFound"]);
    assert_eq!(end(&shop.clerk, &theirs, EndTransaction::Commit).await.expect_err("another's").code(), Code::NotFound);
    assert_eq!(text(&shop.steward, &theirs, COUNT).await, ["2"], "and goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_delta_and_iceberg_in_one_transaction() {
    let world = crate::mesh::world().await;
    let wire = Wire::open(&world).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("steward", &["stewards"], &[]).await);
    let transaction = begin(&client).await;
    let sql = "SELECT count(*) FROM sales.orders.orders o JOIN crm.people.people p ON o.person = p.id";
    for _ in 0..2 {
        assert_eq!(text(&client, &transaction, sql).await, ["10"], "Iceberg and Delta in one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_an_empty_iceberg_table_stays_empty() {
    let product =
        Product::new("sales", "log").table("log", "iceberg", "data/sales/log/", vec![Column::new("id", "integer")]);
    let ids: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    let empty = RecordBatch::try_from_iter([("id", ids)]).expect("no rows");
    let builder = crate::mesh::builder().await.product(&product).iceberg("sales", "log", vec![empty]).await;
    let world = builder.start().await.expect("a valid mesh");
    let wire = Wire::open(&world).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("steward", &["stewards"], &[]).await);
    let transaction = begin(&client).await;
    for _ in 0..2 {
        assert_eq!(text(&client, &transaction, "SELECT count(*) FROM sales.log.log").await, ["0"]);
    }
    let info = client.info(&within(transaction, "SELECT id FROM sales.log.log")).await.expect("a plan").into_inner();
    let told = String::from_utf8_lossy(&info.app_metadata).into_owned();
    assert!(told.contains("\"snapshot\":\"0\""), "it has no snapshot yet: {told}");
    assert_eq!(client.text("SELECT count(*) FROM sales.log.log FOR VERSION AS OF 0").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_table_that_moves_ends_what_began_before() {
    let shop = shop::open().await;
    let transaction = begin(&shop.clerk).await;
    assert_eq!(text(&shop.clerk, &transaction, COUNT).await, ["2"]);
    let info = shop.clerk.info(&within(transaction.clone(), COUNT)).await.expect("a plan").into_inner();
    // Version 0 of another table is none of this one.
    let contract = "domains/shop/products/orders/customers.odcs.yaml";
    let written = std::fs::read_to_string(shop.world.mesh().join(contract)).expect("the contract");
    let moved = written.replace("data/shop/customers/", "data/shop/order1lines/");
    assert_ne!(moved, written);
    shop.world.write(contract, &moved);
    shop.world.gateway.reload().await.expect("a valid mesh");
    assert_eq!(text(&shop.clerk, &transaction, COUNT).await, ["Aborted"]);
    assert_eq!(shop.clerk.get(ticket(&info)).await.expect_err("moved").code(), Code::Aborted);
    assert_eq!(shop.clerk.text(COUNT).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_transactions_are_limited_and_expire() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    let clock = Arc::new(Ahead::default());
    let set = clock.clone();
    let wire = Wire::open_with(&world, |settings| {
        settings.clock = set;
        settings.transaction_ttl_s = 100;
        settings.transactions_max = 8;
        settings.transaction_tables_max = 2;
    })
    .await;
    let client = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    let transaction = begin(&client).await;
    let table = |name: &str| format!("SELECT count(*) FROM shop.orders.{name}");
    assert_eq!(text(&client, &transaction, &table("customers")).await, ["2"]);
    assert_eq!(text(&client, &transaction, &table("order_lines")).await, ["3"]);
    assert_eq!(text(&client, &transaction, &table("order1lines")).await, ["ResourceExhausted"]);
    clock.by(90);
    assert_eq!(text(&client, &transaction, &table("customers")).await, ["2"], "used in time");
    clock.by(180);
    assert_eq!(text(&client, &transaction, &table("customers")).await, ["2"], "which counts from its last use");
    clock.by(300);
    assert_eq!(text(&client, &transaction, &table("customers")).await, ["NotFound"]);
    // A principal has a quarter of all: its oldest make room.
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(begin(&client).await);
        clock.by(301 + i64::try_from(begun.len()).expect("few"));
    }
    let mut open = Vec::new();
    for id in &begun {
        open.push(text(&client, id, "SELECT 1").await.join(""));
    }
    assert_eq!(open, ["NotFound", "1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_no_writes_no_savepoints_and_sql_info_says_so() {
    let shop = shop::open().await;
    let got = shop.clerk.run(&CommandGetSqlInfo { info: vec![8, 100, 101] }).await.expect("infos");
    let values = got.batches[0].column(1).as_union();
    let numbers = values.child(3).as_primitive::<Int32Type>().values().to_vec();
    // Transactions and no savepoints; how long statements and transactions are kept, in milliseconds.
    assert_eq!(numbers, [1, 8 * 3600 * 1000, 12 * 3600 * 1000]);
    let transaction = begin(&shop.clerk).await;
    let insert = "INSERT INTO shop.orders.customers VALUES (1)";
    assert_eq!(text(&shop.clerk, &transaction, insert).await, ["PermissionDenied"]);
    let update = CommandStatementUpdate { query: insert.to_owned(), transaction_id: Some(transaction.clone()) };
    assert_eq!(shop.clerk.put(vec![first(&update)]).await.expect_err("a write").code(), Code::PermissionDenied);
    let savepoint = ActionBeginSavepointRequest { transaction_id: transaction, name: "a".to_owned() };
    let refused = shop.clerk.act("BeginSavepoint", savepoint.as_any().encode_to_vec()).await.expect_err("not offered");
    assert_eq!(refused.code(), Code::Unimplemented);
}
