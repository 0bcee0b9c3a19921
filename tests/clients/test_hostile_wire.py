"""What kills processes on the wire does not kill this one: bindings, messages, frames and connections that lie or never end."""

import resource
import socket
import time

import pyarrow as pa
import pyarrow.flight
import pytest

import gate
import http2
from test_hostile import LIMITS, T, fortress, mesh, n, peak_mib, resident_mib, watched  # noqa: F401

REFUSED = (pa.ArrowException, pyarrow.flight.FlightError)
SQL = f"SELECT count(*) FROM {T} WHERE id = ?"


@pytest.fixture
def bounded(watched):  # noqa: F811
    """Watched, and never more memory for all of the process than queries may have and a quarter."""
    yield watched
    peak = peak_mib(watched.process.pid)
    assert peak < LIMITS["MESHGATE_ENGINE__MEMORY_MIB"] * 1.25, f"{peak} MiB"


def prepared(client: gate.RawFlight, sql: str = SQL) -> bytes:
    """The handle of a prepared statement."""
    body = gate.command("ActionCreatePreparedStatementRequest", gate.field(1, sql.encode()))
    made = list(client.client.do_action(pyarrow.flight.Action("CreatePreparedStatement", body), client.options))
    fields = made[0].body.to_pybytes().split(b"ActionCreatePreparedStatementResult", 1)[1]
    # Any.value, then its first field: a length of two bytes, and one of one or two.
    at = fields.index(b"\x0a", 1) + 1
    length = fields[at]
    if length & 0x80:
        length, at = length & 0x7F | fields[at + 1] << 7, at + 1
    return fields[at + 1:at + 1 + length]


def descriptor(handle: bytes) -> pyarrow.flight.FlightDescriptor:
    return pyarrow.flight.FlightDescriptor.for_command(gate.command("CommandPreparedStatementQuery", gate.field(1, handle)))


def bind(client: gate.RawFlight, batches, schema=None, compression=None, sql=SQL):
    """Binds, plans and executes."""
    handle = descriptor(prepared(client, sql))
    options = pyarrow.flight.FlightCallOptions(
        headers=[client.header], timeout=60, write_options=pa.ipc.IpcWriteOptions(compression=compression))
    writer, reader = client.client.do_put(handle, schema or batches[0].schema, options)
    with writer:
        for batch in batches:
            writer.write_batch(batch)
        writer.done_writing()
        reader.read()
    info = client.client.get_flight_info(handle, client.options)
    return client.stream(info).read_all()


def one(column) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([column], ["0"])


def nested(depth: int) -> pa.Array:
    array = pa.array([1], pa.int64())
    for _ in range(depth):
        array = pa.ListArray.from_arrays([0, 1], array)
    return array


BINDINGS = {
    "rows of nothing": lambda: [one(pa.nulls(2**30))],
    "one run of many rows": lambda: [one(pa.RunEndEncodedArray.from_arrays(pa.array([2**31 - 1], pa.int32()), pa.array([1])))],
    "many rows": lambda: [one(pa.array(range(n(1_000_000)), pa.int64()))],
    "many batches": lambda: [one(pa.array([1], pa.int64()))] * n(20_000),
    "many columns": lambda: [pa.RecordBatch.from_arrays([pa.array([1])] * n(20_000), [str(i) for i in range(n(20_000))])],
    "a deep list": lambda: [one(nested(60))],
    "a shared text": lambda: [one(pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 20_000_000]))],
    "a large text": lambda: [one(pa.array(["x" * 50_000_000]))],
    "more than is taken": lambda: [one(pa.array(["x" * 10_000_000]))] * 20,
}


@pytest.mark.parametrize("name", BINDINGS)
def test_a_binding(bounded, name):
    """It is executed or refused, and nothing is made of it that it is not."""
    with bounded.flight(bounded.token("binder")) as client:
        begun = time.monotonic()
        try:
            bind(client, BINDINGS[name]())
        except REFUSED as refused:
            assert len(str(refused)) < 20_000
        assert time.monotonic() - begun < 60
        assert bind(client, [one(pa.array([7], pa.int64()))]).num_rows == 1


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_bindings(bounded, codec):
    """Half a gigabyte of zeros in a few bytes, and lengths that are declared and not there."""
    zeros = one(pa.array(memoryview(bytearray(n(500_000_000))), pa.uint8()))
    with bounded.flight(bounded.token("binder")) as client:
        with pytest.raises(REFUSED):
            bind(client, [zeros], compression=codec)
        handle = prepared(client)
    token, address = bounded.token("binder"), bounded.ready["flight"]
    command = gate.command("CommandPreparedStatementQuery", gate.field(1, handle))

    def put(schema: bytes, header: bytes, body: bytes) -> bytes:
        first = gate.field(1, b"\x08\x02" + gate.field(2, command)) + gate.field(2, schema)
        second = gate.field(2, header) + b"\xc2\x3e" + gate.varint(len(body)) + body
        with http2.Connection(address, token) as connection:
            return connection.call("DoPut", http2.message(first) + http2.message(second))

    small = one(pa.array([0] * 4000, pa.int64()))
    assert handle in put(*messages(small, None)), "what is sent by hand arrives"
    schema, header, body = messages(small, codec)
    for declared in (2**46, 2**40, 2**62, 2**63 - 1, -2, 0, 32_001, 32_000):
        assert handle not in put(schema, header, declared.to_bytes(8, "little", signed=True) + body[8:])


def messages(batch: pa.RecordBatch, codec: str | None) -> tuple[bytes, bytes, bytes]:
    """The schema's header, the batch's header and its body."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_batch(batch)
    data, headers = sink.getvalue().to_pybytes(), []
    for _ in range(2):
        end = 8 + int.from_bytes(data[4:8], "little")
        headers.append(data[8:end])
        data = data[end:]
    return *headers, data[:-8]  # the mark of the end


def test_messages_that_lie(bounded):
    """Lengths that are not there, compression that unpacks without end, headers by the thousand, bodies that never come."""
    token, address = bounded.token("liar"), bounded.ready["flight"]
    plan = b"\x08\x02" + gate.field(2, gate.command("CommandStatementQuery", gate.field(1, b"SELECT 1")))
    bomb = http2.gzip(bytes(n(1 << 30)))[:60_000]
    calls = [
        (http2.message(plan, length=0xFFFF_FFFF), ()),
        (http2.message(plan, length=1 << 30), ()),
        (http2.message(plan, compressed=True), ()),
        (http2.message(http2.gzip(bytes(n(40 << 20))), compressed=True), (("grpc-encoding", "gzip"),)),
        (http2.message(bomb, compressed=True), (("grpc-encoding", "gzip"),)),
        (http2.message(bomb, compressed=True), (("grpc-encoding", "zstd"),)),
        (http2.message(plan) * 1_000, ()),
        (b"\xff" * 60_000, ()),
        (b"", ()),
        (http2.message(plan), tuple((f"x-{number}", "v" * 20) for number in range(300))),
        (http2.message(plan), (("authorization", f"Bearer {token}"),)),
        (http2.message(plan), (("grpc-timeout", "99999999999999999H"),)),
        (http2.message(plan), (("cookie", "meshgate-session=" + "f" * 10_000),)),
    ]
    for body, more in calls:
        for method in ("GetFlightInfo", "DoGet", "DoPut", "DoAction", "Handshake", "DoExchange", "NoSuchCall"):
            with http2.Connection(address, token) as connection:
                connection.call(method, body, *more)


def test_many_headers(bounded):
    """Ten thousand pairs of metadata, in one frame and in a row of continuations."""
    pairs = http2.header_block((f"x-pair-{number}", "value") for number in range(10_000))
    pieces = [pairs[at:at + 16_000] for at in range(0, len(pairs), 16_000)]
    for _ in range(5):
        with http2.Connection(bounded.ready["flight"], bounded.token("talker")) as connection:
            stream, begin = connection.open("GetFlightInfo")
            begin = begin[:4] + b"\x00" + begin[5:]  # headers go on
            rest = [http2.frame(http2.CONTINUATION, 0, stream, piece) for piece in pieces * 20]
            connection.send(begin + b"".join(rest) + http2.frame(http2.CONTINUATION, http2.END_HEADERS, stream))
            connection.drain(stream, limit_s=2)


def test_rapid_resets(bounded):
    """Requests that are real and reset at once, so that planning begins for nobody."""
    sql = f"SELECT count(*) FROM {T} a, {T} b WHERE a.id < b.id".encode()
    plan = b"\x08\x02" + gate.field(2, gate.command("CommandStatementQuery", gate.field(1, sql)))
    token = bounded.token("resetter")
    for _ in range(4):
        with http2.Connection(bounded.ready["flight"], token) as connection:
            for _ in range(n(2_000)):
                stream, begin = connection.open("GetFlightInfo")
                data = http2.frame(http2.DATA, http2.END_STREAM, stream, http2.message(plan))
                if not connection.send(begin + data + http2.frame(http2.RST_STREAM, 0, stream, b"\x00\x00\x00\x08")):
                    break
            connection.drain(limit_s=0.5)


def test_streams_without_end(bounded):
    """Ten thousand streams on one connection that are never finished, and such that begin to send for ever."""
    token = bounded.token("opener")
    with http2.Connection(bounded.ready["flight"], token) as connection:
        for _ in range(n(10_000)):
            _, begin = connection.open("DoPut")
            if not connection.send(begin):
                break
        time.sleep(1)
    with http2.Connection(bounded.ready["flight"], token) as connection:
        stream, begin = connection.open("DoPut")
        connection.send(begin)
        for _ in range(20):
            connection.send(http2.frame(http2.DATA, 0, stream, b"\x00"))
            time.sleep(0.05)


def test_windows_that_never_open(bounded):
    """Readers that ask for large results and take nothing. What waits for them is bounded, but not counted as memory of queries."""
    sql = f"SELECT a.text || b.text AS t FROM {T} a, {T} b"
    with bounded.flight(bounded.token("reader")) as client:
        tickets = [client.info(sql).endpoints[0].ticket.ticket for _ in range(n(30))]
    token = bounded.token("reader")
    connections = []
    for ticket in tickets:
        connection = http2.Connection(bounded.ready["flight"], token, window=0)
        stream, begin = connection.open("DoGet")
        connection.send(begin + http2.frame(http2.DATA, http2.END_STREAM, stream, http2.message(gate.field(1, ticket))))
        connections.append(connection)
    time.sleep(5)
    for connection in connections:
        connection.close()


def test_more_connections_than_files(fortress):
    """A process that may open no more files goes on accepting once it may again."""
    resource.prlimit(fortress.process.pid, resource.RLIMIT_NOFILE, (200, 200))
    pid, token = fortress.process.pid, fortress.token("flooder")
    host, number = fortress.ready["flight"].rsplit(":", 1)
    flood = []
    for _ in range(400):
        try:
            flood.append(socket.create_connection((host, int(number)), timeout=1))
        except OSError:
            break
    time.sleep(2)
    assert fortress.process.poll() is None
    for connection in flood:
        connection.close()

    def served():
        try:
            with fortress.flight(token) as client:
                return client.table(f"SELECT count(*) AS n FROM {T}")["n"].to_pylist() == [2000]
        except REFUSED:
            return False

    gate.wait_until(served, "an answer after the flood", 30, pause_s=0.2)
    assert fortress.process.pid == pid and resident_mib(pid) < 1_000
