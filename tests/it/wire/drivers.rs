//! The calls of the JDBC and ODBC drivers, byte by byte, with what these drivers insist on. Nothing here is made by the
//! library that the gateway uses: messages are written out as protobuf has them.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef, UInt32Type};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, FlightInfo, IpcMessage};
use base64::Engine as _;
use bytes::{Buf, BufMut, Bytes};
use futures::TryStreamExt;
use meshgate_testkit::{Wire, World, rows_text};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::shop;

/// Bytes as they are.
#[derive(Clone, Default)]
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// A field of bytes, text or a message.
fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = vec![number << 3 | 2];
    let mut rest = bytes.len();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(bytes);
    out
}

/// A `google.protobuf.Any` with a message of Flight SQL. An empty message leaves its field out.
fn any(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = field(1, format!("type.googleapis.com/arrow.flight.protocol.sql.{name}"));
    if !value.is_empty() {
        out.extend(field(2, value));
    }
    out
}

/// A descriptor of the type CMD.
fn command(name: &str, value: &[u8]) -> Vec<u8> {
    [vec![0x08, 0x02], field(2, any(name, value))].concat()
}

fn action(name: &str, body: &[u8]) -> Vec<u8> {
    [field(1, name), field(2, body)].concat()
}

/// A driver with one connection. Cookies are kept, as both drivers do.
struct Driver {
    channel: Channel,
    headers: Vec<(&'static str, String)>,
    cookie: Option<String>,
}

impl Driver {
    async fn connect(wire: &Wire, headers: Vec<(&'static str, String)>) -> Self {
        let channel = Channel::from_shared(format!("http://{}", wire.flight)).expect("a URL");
        Self { channel: channel.connect().await.expect("the listener answers"), headers, cookie: None }
    }

    /// Sends messages, and gives the headers and messages that come back.
    async fn call(&mut self, method: &str, sent: Vec<Vec<u8>>) -> Result<(MetadataMap, Vec<Vec<u8>>), Status> {
        let mut request = Request::new(futures::stream::iter(sent));
        for (name, value) in &self.headers {
            if name.ends_with("-bin") {
                request.metadata_mut().insert_bin(*name, MetadataValue::from_bytes(value.as_bytes()));
            } else {
                request.metadata_mut().insert(*name, value.parse().expect("ASCII"));
            }
        }
        if let Some(cookie) = &self.cookie {
            request.metadata_mut().insert("cookie", cookie.parse().expect("ASCII"));
        }
        let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await.expect("connected");
        let path = format!("/arrow.flight.protocol.FlightService/{method}");
        let response = grpc.streaming(request, PathAndQuery::try_from(path).expect("a path"), Verbatim).await?;
        let headers = response.metadata().clone();
        if let Some(cookie) = headers.get("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII").split(';').next().expect("a first part");
            self.cookie = Some(cookie.to_owned());
        }
        Ok((headers, response.into_inner().try_collect().await?))
    }

    async fn info(&mut self, descriptor: Vec<u8>) -> Result<FlightInfo, Status> {
        let (_, answers) = self.call("GetFlightInfo", vec![descriptor]).await?;
        assert_eq!(answers.len(), 1);
        Ok(FlightInfo::decode(answers[0].as_slice()).expect("a FlightInfo"))
    }

    /// GetFlightInfo, then DoGet of all endpoints. The schemas have to be the same to the last flag.
    async fn run(&mut self, descriptor: Vec<u8>) -> Result<RecordBatch, Status> {
        let info = self.info(descriptor).await?;
        assert!(!info.schema.is_empty(), "ODBC needs the schema before the rows");
        let promised = decoded(&info.schema);
        let mut batches = Vec::new();
        for endpoint in &info.endpoint {
            assert!(endpoint.location.is_empty(), "ODBC dials what stands here to the letter");
            let ticket = endpoint.ticket.clone().expect("a ticket").ticket;
            let (_, messages) = self.call("DoGet", vec![field(1, ticket)]).await?;
            let messages = messages.into_iter().map(|bytes| FlightData::decode(bytes.as_slice()).map_err(|_| broken()));
            let mut rows = FlightRecordBatchStream::new_from_flight_data(futures::stream::iter(messages));
            while let Some(batch) = rows.try_next().await.expect("Arrow data") {
                batches.push(batch);
            }
            let given = rows.schema().expect("a schema comes first");
            assert_eq!(given.fields(), promised.fields(), "ADBC refuses what differs, in nullability too");
        }
        Ok(arrow::compute::concat_batches(&promised, &batches).expect("equal schemas"))
    }

    /// An action of Flight SQL with its body in an Any; the value of the one result.
    async fn act(&mut self, name: &str, message: &str, body: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
        let (_, results) = self.call("DoAction", vec![action(name, &any(message, body))]).await?;
        Ok(results.iter().map(|result| unwrap(result, 1)).collect())
    }
}

fn broken() -> FlightError {
    FlightError::DecodeError("no FlightData".to_owned())
}

fn decoded(bytes: &Bytes) -> SchemaRef {
    std::sync::Arc::new(Schema::try_from(IpcMessage(bytes.clone())).expect("an IPC schema"))
}

/// The bytes of a field that stands in a message once; empty if it does not.
fn unwrap(mut message: &[u8], wanted: u8) -> Vec<u8> {
    let varint = |from: &mut &[u8]| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = from.get_u8();
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    while message.has_remaining() {
        let key = varint(&mut message);
        match key & 7 {
            0 => {
                varint(&mut message);
            }
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("small");
                let value = message.copy_to_bytes(length).to_vec();
                if key >> 3 == u64::from(wanted) {
                    return value;
                }
            }
            other => panic!("a wire type {other} that is not expected here"),
        }
    }
    Vec::new()
}

/// Handle, dataset schema, parameter schema.
fn prepared(results: &[Vec<u8>]) -> (Vec<u8>, Bytes, Bytes) {
    assert_eq!(results.len(), 1, "arrow-rs takes the first without looking whether there is one");
    let made = unwrap(&results[0], 2);
    (unwrap(&made, 1), unwrap(&made, 2).into(), unwrap(&made, 3).into())
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    assert_eq!(column.data_type(), &DataType::Utf8, "JDBC transfers only into the very type: {name}");
    column.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

async fn open() -> (World, Wire) {
    let world = shop::builder().await.start().await.expect("a valid mesh");
    world.add_user("ana", "pw", &["clerks"]).await;
    let wire = Wire::open(&world).await;
    (world, wire)
}

fn basic() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("ana:pw"))
}

/// What `ArrowDatabaseMetadata` makes of SqlInfo: a class for each id, and a map of ids that the driver knows.
fn assert_jdbc_sql_info(infos: &RecordBatch) {
    let ids = infos.column(0).as_primitive::<UInt32Type>();
    let values = infos.column(1).as_union();
    for row in 0..infos.num_rows() {
        let id = ids.value(row);
        assert!(id <= 9 || (100..=101).contains(&id) || (500..=576).contains(&id), "{id}: an older driver fails on it");
        let value = values.value(row);
        let fits = match id {
            0 | 1 | 504 | 513 | 514 | 529..=531 => value.data_type() == &DataType::Utf8,
            515 | 516 | 518..=521 | 523 | 524 | 527 | 532 | 536 | 537 | 539 | 556 | 563 | 565 | 566 => {
                value.data_type() == &DataType::Boolean
            }
            522 | 525 | 526 | 528 | 533..=535 | 538 | 540 | 564 | 567..=571 => value.data_type() == &DataType::Int32,
            541..=555 | 557..=562 => value.data_type() == &DataType::Int64,
            508..=512 => matches!(value.data_type(), DataType::List(_)),
            517 => matches!(value.data_type(), DataType::Map(_, _)),
            _ => true,
        };
        assert!(fits, "{id}: {:?}", value.data_type());
    }
    assert_eq!(infos.num_rows(), 10 + 2 + 77, "before JDBC 19 every id has to be there");
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_from_connect_to_close() {
    let (_world, wire) = open().await;
    let agent = ("user-agent", "JDBC Flight SQL Driver 18.3.0".to_owned());
    let mut driver = Driver::connect(&wire, vec![agent.clone(), ("authorization", basic())]).await;
    // Handshake: one empty request; the bearer is taken from the initial headers.
    let (headers, answers) = driver.call("Handshake", vec![Vec::new()]).await.expect("let in");
    assert_eq!(answers.len(), 1);
    let bearer = headers.get("authorization").expect("in the headers").to_str().expect("ASCII").to_owned();
    assert!(bearer.starts_with("Bearer "));
    driver.headers = vec![agent, ("authorization", bearer)];
    // `catalog=shop` in the URL: a plain body. Any error fails the connection.
    let option = [field(1, "catalog"), field(2, field(1, "shop"))].concat();
    let (_, results) =
        driver.call("DoAction", vec![action("SetSessionOptions", &field(1, option))]).await.expect("set");
    assert_eq!(unwrap(&unwrap(&results[0], 1), 1), b"", "no errors");
    assert!(driver.cookie.is_some());

    // DatabaseMetaData.
    assert_jdbc_sql_info(&driver.run(command("CommandGetSqlInfo", b"")).await.expect("infos"));
    let catalogs = driver.run(command("CommandGetCatalogs", b"")).await.expect("catalogs");
    assert_eq!(texts(&catalogs, "catalog_name"), ["meshgate", "shop"]);
    let schemas = driver.run(command("CommandGetDbSchemas", &field(1, "shop"))).await.expect("schemas");
    assert_eq!(texts(&schemas, "db_schema_name"), ["orders"]);
    // catalog, schema pattern, table pattern, include_schema.
    let wanted = [field(1, "shop"), field(2, "orders"), field(3, "order\\_lines"), vec![0x28, 0x01]].concat();
    let tables = driver.run(command("CommandGetTables", &wanted)).await.expect("tables");
    assert_eq!(texts(&tables, "table_name"), ["order_lines"]);
    let schema = tables.column_by_name("table_schema").expect("a column").as_binary::<i32>().value(0).to_vec();
    for field in decoded(&schema.into()).fields() {
        let kind = field.metadata().get("ARROW:FLIGHT:SQL:TYPE_NAME");
        assert!(kind.is_some_and(|kind| !kind.is_empty()), "{field:?}");
    }
    let table = [field(1, "shop"), field(2, "orders"), field(3, "order_lines")].concat();
    let keys = driver.run(command("CommandGetPrimaryKeys", &table)).await.expect("keys");
    assert_eq!(texts(&keys, "column_name"), ["order_id", "line"]);
    assert_eq!(keys.column_by_name("key_sequence").expect("a column").as_primitive::<Int32Type>().values(), &[1, 2]);
    let keys = driver.run(command("CommandGetImportedKeys", &table)).await.expect("keys");
    assert_eq!(texts(&keys, "pk_table_name"), ["customers"]);

    // A statement: prepare, execute, close. An empty dataset schema would make it an update.
    let query = field(1, "SELECT id FROM orders.customers WHERE id > ? ORDER BY id");
    let results = driver.act("CreatePreparedStatement", "ActionCreatePreparedStatementRequest", &query).await;
    let (handle, dataset, parameters) = prepared(&results.expect("prepared"));
    assert_eq!(decoded(&dataset).fields().len(), 1);
    let parameters = decoded(&parameters);
    assert_eq!(parameters.fields().len(), 1);
    assert!(parameters.field(0).is_nullable(), "setNull fails otherwise");
    assert_eq!(parameters.field(0).data_type(), &DataType::Int64);
    // A batch of two rows; the handle that comes back is the one that is used from now on.
    let values: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![7, 0]));
    let values = RecordBatch::try_new(parameters, vec![values]).expect("the driver's vectors");
    let encoded = FlightDataEncoderBuilder::new().with_options(IpcWriteOptions::default());
    let encoded = encoded.build(futures::stream::iter([Ok(values)]));
    let messages: Vec<FlightData> = encoded.try_collect().await.expect("encodes");
    let mut sent = messages.iter().map(Message::encode_to_vec).collect::<Vec<_>>();
    // FlightData.flight_descriptor is the first field of the first message.
    sent[0] = [field(1, command("CommandPreparedStatementQuery", &field(1, &handle))), sent[0].clone()].concat();
    let (_, put) = driver.call("DoPut", sent).await.expect("bound");
    let handle = unwrap(&unwrap(&put[0], 1), 1);
    assert!(!handle.is_empty(), "Java goes on with an empty handle otherwise");
    let rows = driver.run(command("CommandPreparedStatementQuery", &field(1, &handle))).await.expect("rows");
    assert_eq!(rows_text(&[rows]), ["8", "7", "8"]);
    for _ in 0..2 {
        let closed =
            driver.act("ClosePreparedStatement", "ActionClosePreparedStatementRequest", &field(1, &handle)).await;
        assert!(closed.expect("closed").is_empty());
    }
    // An update: an empty dataset schema, then DoPut, which says how many rows.
    let results = driver
        .act("CreatePreparedStatement", "ActionCreatePreparedStatementRequest", &field(1, "USE shop.orders"))
        .await;
    let (handle, dataset, _) = prepared(&results.expect("prepared"));
    assert!(decoded(&dataset).fields().is_empty());
    let update = command("CommandPreparedStatementUpdate", &field(1, &handle));
    // An empty schema travels with it.
    let empty: FlightData = arrow_flight::SchemaAsIpc::new(&Schema::empty(), &IpcWriteOptions::default()).into();
    let message = [field(1, update), empty.encode_to_vec()].concat();
    let (_, put) = driver.call("DoPut", vec![message]).await.expect("done");
    assert_eq!(unwrap(&put[0], 1), b"", "DoPutUpdateResult with a record_count of 0");
    // The session has changed.
    let query = field(1, "SELECT count(*) FROM customers");
    let results = driver.act("CreatePreparedStatement", "ActionCreatePreparedStatementRequest", &query).await;
    let (handle, ..) = prepared(&results.expect("the name is found"));
    let rows = driver.run(command("CommandPreparedStatementQuery", &field(1, &handle))).await.expect("rows");
    assert_eq!(rows_text(&[rows]), ["2"]);
    // CloseSession: errors would be thrown at the user.
    let (_, closed) = driver.call("DoAction", vec![action("CloseSession", b"")]).await.expect("closed");
    assert_eq!(unwrap(&closed[0], 1), [0x08, 0x01], "CLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_with_a_token_needs_a_handshake_too() {
    let (world, wire) = open().await;
    let token = world.token("sam", &["stewards"], &[]).await;
    let mut driver = Driver::connect(&wire, vec![("authorization", format!("Bearer {}", token.expose()))]).await;
    let (headers, _) = driver.call("Handshake", vec![Vec::new()]).await.expect("let in");
    assert!(headers.get("authorization").is_some());
    let mut driver = Driver::connect(&wire, vec![("authorization", "Bearer wrong".to_owned())]).await;
    let refused = driver.call("Handshake", vec![Vec::new()]).await.expect_err("a wrong token");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(!refused.message().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn odbc_from_connect_to_rows() {
    let (world, wire) = open().await;
    let token = world.token("cleo", &["clerks"], &[]).await;
    let bearer = ("authorization", format!("Bearer {}", token.expose()));
    // The handshake has a payload, which is empty; every later call has an empty `auth-token-bin`.
    let mut driver = Driver::connect(&wire, vec![bearer.clone()]).await;
    driver.call("Handshake", vec![field(2, b"")]).await.expect("let in");
    driver.headers = vec![bearer, ("auth-token-bin", String::new()), ("stringcolumnlength", "1024".to_owned())];

    // SQLGetInfo casts each value to the child it expects, without looking.
    let infos = driver.run(command("CommandGetSqlInfo", b"")).await.expect("infos");
    let ids = infos.column(0).as_primitive::<UInt32Type>().values().to_vec();
    let values = infos.column(1).as_union();
    let of = ids.iter().enumerate().map(|(row, id)| (*id, values.value(row))).collect::<BTreeMap<_, _>>();
    assert!((0..=3).chain(500..=576).all(|id| of.contains_key(&id)));
    for id in [503, 505, 507, 562] {
        assert_eq!(of[&id].data_type(), &DataType::Int64, "{id}");
    }
    let version = of[&1].as_string::<i32>().value(0).to_owned();
    assert!(version.split('.').count() >= 2 && version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");

    // SQLGetTypeInfo reads by position.
    let types = driver.run(command("CommandGetXdbcTypeInfo", b"")).await.expect("types");
    let positions =
        ["type_name", "data_type", "column_size", "literal_prefix", "literal_suffix", "create_params", "nullable"];
    for (at, name) in positions.iter().enumerate() {
        assert_eq!(types.schema().field(at).name(), name);
    }
    assert_eq!(types.num_columns(), 19);

    // SQLTables with its special patterns, and SQLColumns.
    assert_eq!(driver.run(command("CommandGetCatalogs", b"")).await.expect("catalogs").num_rows(), 2);
    let all = driver.run(command("CommandGetDbSchemas", &field(2, "%"))).await.expect("schemas");
    assert!(texts(&all, "db_schema_name").contains(&"orders".to_owned()));
    assert_eq!(driver.run(command("CommandGetTableTypes", b"")).await.expect("types").num_rows(), 2);
    let wanted = [field(3, "%"), vec![0x28, 0x01]].concat();
    let tables = driver.run(command("CommandGetTables", &wanted)).await.expect("tables");
    for schema in tables.column_by_name("table_schema").expect("a column").as_binary::<i32>().iter().flatten() {
        for field in decoded(&schema.to_vec().into()).fields() {
            assert!(!field.metadata().is_empty(), "the driver reads it without looking: {field:?}");
        }
    }

    // SQLExecDirect: GetFlightInfo, for SET and USE too; an empty transaction id is none.
    for (sql, rows) in [("USE shop.orders", 0), ("SELECT * FROM order_lines", 3)] {
        let statement = [field(1, sql), field(2, b"")].concat();
        let found = driver
            .run(command("CommandStatementQuery", &statement))
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status}"));
        assert_eq!(found.num_rows(), rows, "{sql}");
        for field in found.schema().fields() {
            let text = field.data_type().to_string();
            assert!(["View", "Large", "Dictionary", "Decimal256"].iter().all(|word| !text.contains(word)), "{text}");
        }
    }
    // SQLPrepare: an empty dataset schema must still be one.
    for sql in ["SELECT 1", "USE shop.orders"] {
        let statement = [field(1, sql), field(2, b"")].concat();
        let results = driver.act("CreatePreparedStatement", "ActionCreatePreparedStatementRequest", &statement).await;
        let (_, dataset, parameters) = prepared(&results.expect("prepared"));
        assert!(!dataset.is_empty() && !parameters.is_empty(), "{sql}");
    }
}
