//! C: prepared statements.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray,
};
use arrow::datatypes::DataType;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementUpdate,
    DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt,
};
use bytes::Bytes;
use futures::TryStreamExt;
use meshgate_testkit::{Wire, rows_text};
use prost::Message;
use tonic::{Code, Status};

use super::{Ahead, Got, Raw, decoded, descriptor, first, shop};

pub(crate) async fn try_create(client: &Raw, sql: &str) -> Result<ActionCreatePreparedStatementResult, Status> {
    let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
    client.sql_action("CreatePreparedStatement", &request).await
}

pub(crate) async fn create(client: &Raw, sql: &str) -> ActionCreatePreparedStatementResult {
    try_create(client, sql).await.unwrap_or_else(|status| panic!("{sql}: {status}"))
}

pub(crate) fn query(handle: &Bytes) -> CommandPreparedStatementQuery {
    CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() }
}

pub(crate) async fn execute(client: &Raw, handle: &Bytes) -> Result<Got, Status> {
    client.run(&query(handle)).await
}

/// Binds values; the handle that comes back.
pub(crate) async fn bind(
    client: &Raw,
    made: &ActionCreatePreparedStatementResult,
    values: &RecordBatch,
) -> Result<Bytes, Status> {
    let command = query(&made.prepared_statement_handle);
    let rows = futures::stream::iter([Ok(values.clone())]);
    let messages = FlightDataEncoderBuilder::new()
        .with_max_flight_data_size(usize::MAX)
        .with_flight_descriptor(Some(descriptor(&command)))
        .build(rows);
    let messages: Vec<FlightData> = messages.try_collect().await.expect("encodes");
    let results = client.put(messages).await?;
    assert_eq!(results.len(), 1);
    let result = DoPutPreparedStatementResult::decode(results[0].app_metadata.clone()).expect("its message");
    Ok(result.prepared_statement_handle.expect("a handle"))
}

pub(crate) async fn close(client: &Raw, handle: &Bytes) {
    let request = ActionClosePreparedStatementRequest { prepared_statement_handle: handle.clone() };
    let (_, results) =
        client.act("ClosePreparedStatement", request.as_any().encode_to_vec()).await.expect("always fine");
    assert!(results.is_empty());
}

fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column)))
        .expect("values")
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_create_gives_one_wrapped_result_with_two_schemas() {
    let shop = shop::open().await;
    for sql in ["SELECT 1 AS x", "SET meshgate.schema = 'orders'", "SELECT ? AS x", "SHOW TABLES"] {
        let request =
            ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: Some(Bytes::new()) };
        let body = request.as_any().encode_to_vec();
        let (_, results) = shop.clerk.act("CreatePreparedStatement", body).await.expect("prepared");
        assert_eq!(results.len(), 1, "{sql}");
        let any = Any::decode(results[0].clone()).expect("an Any");
        assert_eq!(any.type_url, "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult");
        let made = ActionCreatePreparedStatementResult::decode(any.value).expect("the message");
        for schema in [&made.dataset_schema, &made.parameter_schema] {
            assert_eq!(schema[..4], [0xff; 4], "{sql}: a continuation marker");
            decoded(schema);
        }
        assert_eq!(decoded(&made.dataset_schema).fields().is_empty(), sql.starts_with("SET"), "{sql}");
        assert_eq!(decoded(&made.parameter_schema).fields().len(), usize::from(sql.contains('?')), "{sql}");
        assert!(!made.prepared_statement_handle.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_parameters_bind_by_position() {
    let shop = shop::open().await;
    // Twelve, so that `$10` would come before `$2` if they were sorted as text.
    for mark in [|_: usize| "?".to_owned(), |n: usize| format!("${n}")] {
        let list = (1..=12).map(|n| format!("CAST({} AS BIGINT) AS c{n}", mark(n))).collect::<Vec<_>>().join(", ");
        let made = create(&shop.clerk, &format!("SELECT {list}")).await;
        let schema = decoded(&made.parameter_schema);
        assert_eq!(schema.fields().len(), 12);
        assert!(schema.fields().iter().all(|field| field.is_nullable()));
        // Names that would put them into another order are not looked at.
        let columns = (0..12).map(|n| (format!("p{}", 99 - n), longs(&[n])));
        let row = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("a row");
        bind(&shop.clerk, &made, &row).await.expect("binds");
        let got = execute(&shop.clerk, &made.prepared_statement_handle).await.expect("a row");
        assert_eq!(rows_text(&got.batches), ["0\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11"]);
    }
    // `$n` in any order, and twice.
    let made = create(&shop.clerk, "SELECT CAST($2 AS BIGINT) - CAST($1 AS BIGINT), CAST($2 AS BIGINT)").await;
    bind(&shop.clerk, &made, &values(vec![longs(&[1]), longs(&[10])])).await.expect("binds");
    let got = execute(&shop.clerk, &made.prepared_statement_handle).await.expect("a row");
    assert_eq!(rows_text(&got.batches), ["9\t10"]);

    // The type is what the statement makes of it, Null if it makes nothing of it.
    let made = create(&shop.clerk, "SELECT id FROM shop.orders.customers WHERE id = ? AND ? IS NULL").await;
    let types = decoded(&made.parameter_schema);
    assert_eq!((types.field(0).data_type(), types.field(1).data_type()), (&DataType::Int64, &DataType::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_values_are_cast_and_run_once_per_row() {
    let shop = shop::open().await;
    let sql = "SELECT id FROM shop.orders.customers WHERE id >= ? ORDER BY id";
    let made = create(&shop.clerk, sql).await;
    for (column, expected) in [
        (longs(&[8]), vec!["8"]),
        (Arc::new(Int32Array::from(vec![8])) as ArrayRef, vec!["8"]),
        (Arc::new(Float64Array::from(vec![8.0])), vec!["8"]),
        (texts(&["8"]), vec!["8"]),
        (Arc::new(LargeStringArray::from(vec!["7"])), vec!["7", "8"]),
        (arrow::compute::cast(&texts(&["8"]), &DataType::Utf8View).expect("a view"), vec!["8"]),
        (Arc::new(Int64Array::from(vec![None])), vec![]),
        (Arc::new(NullArray::new(1)), vec![]),
        (longs(&[8, 7, 9]), vec!["8", "7", "8"]),
    ] {
        bind(&shop.clerk, &made, &values(vec![column.clone()])).await.expect("binds");
        let got = execute(&shop.clerk, &made.prepared_statement_handle).await.expect("rows");
        assert_eq!(rows_text(&got.batches), expected, "{:?}", column.data_type());
        assert_eq!(got.schema.fields(), decoded(&made.dataset_schema).fields());
    }
    for wrong in [values(vec![texts(&["eight"])]), values(vec![longs(&[1]), longs(&[2])])] {
        let bound = bind(&shop.clerk, &made, &wrong).await;
        let failed = match bound {
            Ok(handle) => execute(&shop.clerk, &handle).await.map(|got| rows_text(&got.batches)),
            Err(status) => Err(status),
        };
        assert_eq!(failed.expect_err("no good values").code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_binding_belongs_to_the_handle() {
    let shop = shop::open().await;
    let sql = "SELECT CAST(? AS BIGINT) AS x";
    let (one, two) = (create(&shop.clerk, sql).await, create(&shop.clerk, sql).await);
    assert_ne!(one.prepared_statement_handle, two.prepared_statement_handle);
    let given = bind(&shop.clerk, &one, &values(vec![longs(&[1])])).await.expect("binds");
    assert_eq!(given, one.prepared_statement_handle, "the same handle");
    let run = async |made: &ActionCreatePreparedStatementResult| {
        execute(&shop.clerk, &made.prepared_statement_handle).await.map(|got| rows_text(&got.batches))
    };
    assert_eq!(run(&one).await.expect("bound"), ["1"]);
    assert_eq!(run(&two).await.expect_err("nothing is bound").code(), Code::InvalidArgument);
    bind(&shop.clerk, &two, &values(vec![longs(&[2])])).await.expect("binds");
    bind(&shop.clerk, &one, &values(vec![longs(&[3])])).await.expect("binds");
    assert_eq!(run(&one).await.expect("bound anew"), ["3"]);
    assert_eq!(run(&two).await.expect("its own"), ["2"]);
    // A plan keeps the values that were bound when it was made.
    let info = shop.clerk.info(&query(&one.prepared_statement_handle)).await.expect("a plan").into_inner();
    bind(&shop.clerk, &one, &values(vec![longs(&[4])])).await.expect("binds");
    for _ in 0..2 {
        let got = shop.clerk.get(super::ticket(&info)).await.expect("rows");
        assert_eq!(rows_text(&got.batches), ["3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_handles_close_and_expire() {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    let clock = Arc::new(Ahead::default());
    let set = clock.clone();
    let wire = Wire::open_with(&world, |settings| settings.clock = set).await;
    let client = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    let handle = create(&client, "SELECT 1").await.prepared_statement_handle;
    assert!(execute(&client, &handle).await.is_ok());
    close(&client, &handle).await;
    close(&client, &handle).await;
    close(&client, &"garbage".into()).await;
    let gone = async |handle: &Bytes| {
        assert_eq!(execute(&client, handle).await.expect_err("closed").code(), Code::NotFound);
        let update = CommandPreparedStatementUpdate { prepared_statement_handle: handle.clone() };
        assert_eq!(client.put(vec![first(&update)]).await.expect_err("closed").code(), Code::NotFound);
        assert_eq!(client.put(vec![first(&query(handle))]).await.expect_err("closed").code(), Code::NotFound);
        assert_eq!(client.schema(&query(handle)).await.expect_err("closed").code(), Code::NotFound);
    };
    gone(&handle).await;
    let handle = create(&client, "SELECT 1").await.prepared_statement_handle;
    clock.by(8 * 3600 - 10);
    assert!(execute(&client, &handle).await.is_ok(), "used in time");
    clock.by(2 * (8 * 3600 - 10));
    assert!(execute(&client, &handle).await.is_ok(), "which counts from its last use");
    clock.by(4 * 8 * 3600);
    gone(&handle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_show_has_a_schema_and_set_works_in_three_ways() {
    let shop = shop::open().await;
    for sql in ["SHOW TABLES", "SHOW CATALOGS", "EXPLAIN SELECT 1", "DESCRIBE shop.orders.customers", "SHOW ALL"] {
        let made = create(&shop.clerk, sql).await;
        assert!(!decoded(&made.dataset_schema).fields().is_empty(), "{sql}");
        let got = execute(&shop.clerk, &made.prepared_statement_handle).await.expect("rows");
        assert!(got.batches.iter().any(|batch| batch.num_rows() > 0), "{sql}");
        assert_eq!(got.schema.fields(), decoded(&made.dataset_schema).fields(), "{sql}");
    }
    let count = |results: &[arrow_flight::PutResult]| {
        let result = DoPutUpdateResult::decode(results[0].app_metadata.clone()).expect("its message");
        (results.len(), result.record_count)
    };
    let schema = async || shop.clerk.text("SHOW meshgate.schema").await.join("");
    // By a prepared update, as JDBC does it.
    let made = create(&shop.clerk, "USE shop.orders").await;
    let update = CommandPreparedStatementUpdate { prepared_statement_handle: made.prepared_statement_handle };
    assert_eq!(count(&shop.clerk.put(vec![first(&update)]).await.expect("done")), (1, 0));
    assert_eq!(schema().await, "schema\torders");
    // By an update.
    let sql = |query: &str| CommandStatementUpdate { query: query.to_owned(), transaction_id: None };
    assert_eq!(count(&shop.clerk.put(vec![first(&sql("SET meshgate.schema = 'other'"))]).await.expect("done")), (1, 0));
    assert_eq!(schema().await, "schema\tother");
    // By a query and by a prepared query, which have no rows and a schema without fields.
    let got = shop.clerk.query("RESET meshgate.schema").await.expect("done");
    assert!(got.schema.fields().is_empty() && got.batches.iter().all(|batch| batch.num_rows() == 0));
    assert_eq!(schema().await, "schema\t");
    let made = create(&shop.clerk, "SET meshgate.schema = 'orders'").await;
    execute(&shop.clerk, &made.prepared_statement_handle).await.expect("done");
    assert_eq!(schema().await, "schema\torders");
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_writes_never_succeed() {
    let shop = shop::open().await;
    for sql in [
        "INSERT INTO shop.orders.customers VALUES (1)",
        "UPDATE shop.orders.customers SET id = 1",
        "DELETE FROM shop.orders.customers",
        "CREATE TABLE t (a INT)",
        "DROP TABLE shop.orders.customers",
        "TRUNCATE TABLE shop.orders.customers",
    ] {
        for client in [&shop.steward, &shop.clerk] {
            assert_eq!(try_create(client, sql).await.expect_err(sql).code(), Code::PermissionDenied, "{sql}");
            assert_eq!(client.query(sql).await.expect_err(sql).code(), Code::PermissionDenied, "{sql}");
            let update = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
            let refused = client.put(vec![first(&update)]).await.expect_err(sql);
            assert_eq!(refused.code(), Code::PermissionDenied, "{sql}");
        }
    }
    let made = create(&shop.clerk, "SELECT 1").await;
    let update = CommandPreparedStatementUpdate { prepared_statement_handle: made.prepared_statement_handle };
    assert_eq!(shop.clerk.put(vec![first(&update)]).await.expect_err("a query").code(), Code::InvalidArgument);
    assert_eq!(shop.clerk.text("SELECT count(*) FROM shop.orders.customers").await, ["2"]);
}
