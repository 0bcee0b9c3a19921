"""What no driver shows: tickets, metadata and schemas, through a bare pyarrow.flight client."""

import json
import time

import pyarrow as pa
import pyarrow.flight as flight
import pytest

import gate

SQL = "SELECT c_custkey, c_name, c_acctbal FROM crm.customers.customer WHERE c_custkey < 100"


@pytest.fixture
def client(tpch_gate):
    with tpch_gate.flight(tpch_gate.token("flora")) as client:
        yield client


def test_info_promises_what_comes(client):
    for sql in [SQL, "SELECT count(*), max(c_name) FROM crm.customers.customer", "SELECT 1 AS a, NULL AS b",
                "SELECT * FROM crm.customers.nation n LEFT JOIN crm.customers.region r ON n.n_regionkey = r.r_regionkey",
                "SELECT o_orderdate, sum(o_totalprice) FROM sales.orders.orders GROUP BY o_orderdate",
                "SELECT n_name FROM crm.customers.nation UNION SELECT r_name FROM crm.customers.region",
                "SELECT struct(1 AS a, 'x' AS b) AS s, make_array('p', 'q') AS l"]:
        info = client.info(sql)
        got = client.stream(info).read_all()
        assert info.schema.equals(got.schema), f"{sql}: {info.schema} and {got.schema}"
        assert len(info.endpoints) == 1 and not info.endpoints[0].locations
        assert (info.total_records, info.total_bytes) == (-1, -1)
        assert info.descriptor.command == gate.statement(sql).command


def test_types_are_those_every_client_reads(client):
    views = {pa.string_view(), pa.binary_view(), pa.large_string(), pa.large_binary()}
    for table in ["crm.customers.customer", "sales.orders.lineitem", "supply.parts.part"]:
        assert not views & {field.type for field in client.table(f"SELECT * FROM {table} LIMIT 1").schema}


def test_every_result_names_its_query_and_its_snapshots(client):
    """The query id stands in the schema's metadata; FlightInfo has it with products, versions and snapshots."""
    infos = [client.info(SQL) for _ in range(3)]
    assert len({gate.query_id(info.schema) for info in infos}) == 3
    told = json.loads(infos[0].app_metadata)
    assert told["query_id"] == gate.query_id(infos[0].schema)
    [table] = told["tables"]
    assert (table["product"], table["version"]) == ("crm.customers", "1.0.0") and table["snapshot"]
    assert gate.query_id(client.stream(infos[0]).schema) == gate.query_id(infos[0].schema)


def test_ticket_works_twice(client):
    info = client.info(SQL)
    assert client.stream(info).read_all().equals(client.stream(info).read_all())


def test_tickets_of_others_are_garbage(tpch_gate, client):
    info = client.info(SQL)
    with tpch_gate.flight(tpch_gate.token("mallory")) as other:
        with pytest.raises(Exception) as stolen:
            other.stream(info).read_all()
        with pytest.raises(Exception) as garbage:
            other.client.do_get(flight.Ticket(b"x" * len(info.endpoints[0].ticket.ticket)), other.options).read_all()
    assert type(stolen.value) is type(garbage.value)


@pytest.mark.parametrize("flip", [0, 10, -1])
def test_edited_tickets_are_refused(client, flip):
    ticket = bytearray(client.info(SQL).endpoints[0].ticket.ticket)
    ticket[flip] ^= 1
    with pytest.raises(Exception):
        client.client.do_get(flight.Ticket(bytes(ticket)), client.options).read_all()


@pytest.mark.parametrize("ticket", [b"", b"SELECT 1", b"\xff" * 100, gate.command("TicketStatementQuery", gate.field(1, b"SELECT 1")),
                                    gate.command("CommandStatementQuery", gate.field(1, b"SELECT 1"))])
def test_forged_tickets_are_refused(client, ticket):
    with pytest.raises(Exception):
        client.client.do_get(flight.Ticket(ticket), client.options).read_all()


def test_basic_login(tpch_gate):
    made = gate.run("user", "add", "--state", tpch_gate.state, "basil", "--password-stdin", stdin="se:cret\n")
    assert made.returncode == 0, made.stderr
    client = flight.FlightClient(tpch_gate.url.replace("grpc://", "grpc+tcp://"))
    header = client.authenticate_basic_token("basil", "se:cret")
    options = flight.FlightCallOptions(headers=[header], timeout=30)
    info = client.get_flight_info(gate.statement("SELECT 1 AS one"), options)
    assert client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist() == [{"one": 1}]
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.authenticate_basic_token("basil", "wrong")


def test_bad_token(tpch_gate):
    with tpch_gate.flight("nonsense") as client, pytest.raises(flight.FlightUnauthenticatedError):
        client.info("SELECT 1")


@pytest.mark.parametrize("call", [
    lambda c: list(c.client.do_action(flight.Action("NoSuchAction", b""), c.options)),
    lambda c: c.client.get_flight_info(flight.FlightDescriptor.for_path("a", "b"), c.options),
    lambda c: c.client.get_flight_info(flight.FlightDescriptor.for_command(b"garbage"), c.options),
    lambda c: c.client.get_flight_info(flight.FlightDescriptor.for_command(gate.command("CommandStatementSubstraitPlan")), c.options),
])
def test_what_is_not_offered_is_refused(client, call):
    with pytest.raises(Exception):
        call(client)
    assert client.table("SELECT 1").num_rows == 1


def test_batches_stay_below_the_smallest_client_limit(client):
    """Clients with gRPC's default limit of 4 MiB read every batch."""
    reader = client.stream(client.info("SELECT * FROM sales.orders.lineitem"))
    for chunk in reader:
        assert chunk.data.nbytes < 4 * 1024 * 1024


def test_a_cancelled_stream_ends(client):
    reader = client.stream(client.info("SELECT l.* FROM sales.orders.lineitem l, crm.customers.nation n, crm.customers.nation m"))
    assert reader.read_chunk().data.num_rows
    begun = time.monotonic()
    reader.cancel()
    with pytest.raises(flight.FlightCancelledError):
        while reader.read_chunk():
            pass
    assert time.monotonic() - begun < 10
    assert client.table("SELECT 1").num_rows == 1


def test_order_survives(client):
    got = client.table("SELECT l_orderkey FROM sales.orders.lineitem ORDER BY l_orderkey")["l_orderkey"].to_pylist()
    assert got == sorted(got) and len(got) > 1000
