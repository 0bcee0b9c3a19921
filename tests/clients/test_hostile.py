"""What kills processes does not kill this one: same process afterwards, others are served meanwhile, memory stays in bounds."""

import os
import resource
import socket
import threading
import time

import pyarrow as pa
import pyarrow.flight
import pytest

import gate
import meshdir
import tables

ROWS = pa.table({"id": pa.array(range(2000), pa.int64()), "text": ["x" * 50] * 2000})
LIMITS = {"MESHGATE_ENGINE__MEMORY_MIB": 512, "MESHGATE_ENGINE__DEADLINE_S_DEFAULT": 20, "MESHGATE_ENGINE__SPILL_MIB": 256}
T = "some.things.rows"

# How large the bombs are: smaller for a binary of the dev profile, which is ten times slower.
SCALE = float(os.environ.get("MESHGATE_CLIENTS_BOMBS", "1"))


def n(size: int) -> int:
    return max(2, int(size * SCALE))


BOMBS = {
    "parentheses": "SELECT " + "(" * n(50_000) + "1" + ")" * n(50_000),
    "functions": "SELECT " + "abs(" * n(20_000) + "1" + ")" * n(20_000),
    "cases": "SELECT " + "CASE WHEN true THEN " * n(5_000) + "1" + " END" * n(5_000),
    "sub-queries": "SELECT * FROM " + "(SELECT * FROM " * n(2_000) + T + ")" * n(2_000),
    "nots": "SELECT " + "NOT " * n(50_000) + "true",
    "minuses": "SELECT " + "- " * n(50_000) + "1",
    "a flat OR": f"SELECT id FROM {T} WHERE " + " OR ".join(f"id = {i}" for i in range(n(20_000))),
    "a flat AND": f"SELECT id FROM {T} WHERE " + " AND ".join(f"id <> {i}" for i in range(n(20_000))),
    "a flat sum": "SELECT " + "+".join(["1"] * n(20_000)),
    "a sum of the most operators": "SELECT " + "+".join(["1"] * n(4_000)),
    "an OR of the most operators": f"SELECT id FROM {T} WHERE " + " OR ".join(f"id = {i}" for i in range(n(1_900))),
    "a chain of casts": "SELECT 1" + "::INT" * n(20_000),
    "a flat concat": "SELECT " + "||".join(["'a'"] * n(20_000)),
    "unions": " UNION ALL ".join(["SELECT 1"] * n(5_000)),
    "joins": f"SELECT count(*) FROM {T} t0 " + " ".join(f"JOIN {T} t{i} ON t0.id = t{i}.id" for i in range(1, n(1_000))),
    "the most joins": f"SELECT count(*) FROM {T} t0 " + " ".join(f"JOIN {T} t{i} ON t0.id = t{i}.id" for i in range(1, n(250))),
    "a long list": f"SELECT count(*) FROM {T} WHERE id IN (" + ",".join(map(str, range(n(40_000)))) + ")",
    "many columns": "SELECT " + ",".join(f"{i} AS c{i}" for i in range(n(20_000))),
    "a long name": f'SELECT "{"n" * 500_000}" FROM {T}',
    "a long text": "SELECT '" + "t" * 900_000 + "'",
    "too long": "SELECT '" + "t" * 20_000_000 + "'",
    "many CTEs": "WITH " + ", ".join(f"c{i} AS (SELECT * FROM {'c%d' % (i - 1) if i else T})" for i in range(n(2_000))) + f" SELECT * FROM c{n(2_000) - 1}",
    "doubling CTEs": "WITH c0 AS (SELECT 1 AS a), " + ", ".join(f"c{i} AS (SELECT * FROM c{i-1} UNION ALL SELECT * FROM c{i-1})" for i in range(1, 40)) + " SELECT count(*) FROM c39",
    "a cross join": f"SELECT count(*) FROM {T} a, {T} b, {T} c, {T} d, {T} e WHERE a.id * e.id < -1",
    "a large array": f"SELECT array_agg(a.text || b.text) FROM {T} a, {T} b",
    "large arrays": f"SELECT id % 3, array_agg(t) FROM (SELECT a.id, a.text || b.text AS t FROM {T} a, {T} b) GROUP BY 1",
    "a window over all": f"SELECT t, count(*) OVER () FROM (SELECT a.text || b.text AS t FROM {T} a, {T} b)",
    "a large text": f"SELECT string_agg(a.text, ',') FROM {T} a, {T} b",
    "a large sort": f"SELECT a.text || b.text AS t FROM {T} a, {T} b ORDER BY t DESC",
    "many groups": f"SELECT a.id * 100000 + b.id, count(*) FROM {T} a, {T} b GROUP BY 1",
    "a repeat": "SELECT repeat('x', 2000000000)",
    "repeats": f"SELECT length(repeat(text, 100000)) FROM {T}",
    "a pad": "SELECT lpad('x', 2000000000, 'y')",
    "a range": "SELECT array_length(range(1, 10000000000))",
    "an array repeat": "SELECT array_repeat('x', 2000000000)",
    "endless recursion": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
    "doubling recursion": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT a.n FROM r a CROSS JOIN (SELECT 1 UNION ALL SELECT 2) b) SELECT count(*) FROM r",
    "an expensive pattern": f"SELECT count(*) FROM {T} WHERE regexp_like(text, '(x+x+)+y')",
    "a huge pattern": f"SELECT count(*) FROM {T} WHERE regexp_like(text, 'x{{1000}}{{1000}}')",
    "a pattern of blanks": f"SELECT count(*) FROM {T} WHERE text LIKE '{'_' * 100_000}'",
    "patterns from a column": f"SELECT count(*) FROM {T} a, {T} b WHERE regexp_like(a.text, b.text || '+')",
    "an unnested product": f"SELECT count(*) FROM (SELECT unnest(range(0, 1000)) FROM {T} a, {T} b)",
    "a window without bounds": f"SELECT sum(length(t)) OVER (ORDER BY t) FROM (SELECT a.text || b.id AS t FROM {T} a, {T} b)",
    "grouping sets": f"SELECT count(*) FROM {T} GROUP BY CUBE (" + ",".join(f"id % {n}" for n in range(2, 22)) + ")",
}


def peak_mib(pid: int) -> int:
    """The most memory that a process ever had."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024


def resident_mib(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) // 1024
    except (FileNotFoundError, StopIteration):
        return 0  # it ended: the test will say so


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile")
    tables.write_delta(home / "mesh" / "data" / "some" / "rows", ROWS)
    server = {"type": "local", "path": "./data/some/{model}", "format": "delta"}
    return meshdir.write(home / "mesh", [meshdir.Product("some", "things", {"rows": ROWS.schema}, server)])


@pytest.fixture
def fortress(mesh, tmp_path):
    """A gateway of its own for each attack, so that memory is its own. It is stopped before it takes the machine down."""
    process = gate.Gate(mesh, tmp_path / "state", **LIMITS).start()
    resource.prlimit(process.process.pid, resource.RLIMIT_AS, (16 << 30, 16 << 30))
    yield process
    process.kill()


class Watcher(threading.Thread):
    """Somebody else, who asks something small all the time."""

    def __init__(self, process: gate.Gate):
        super().__init__(daemon=True)
        self.process, self.token = process, process.token("watcher")
        self.over, self.waits, self.failures = threading.Event(), [], []

    def run(self):
        with self.process.flight(self.token) as client:
            while not self.over.is_set() and self.process.process.poll() is None:
                begun = time.monotonic()
                try:
                    assert client.table(f"SELECT count(*) AS n FROM {T}")["n"].to_pylist() == [2000]
                except Exception as error:
                    self.failures.append(str(error))
                self.waits.append(time.monotonic() - begun)
                self.over.wait(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(60)


@pytest.fixture
def watched(fortress):
    """While a test runs others are served; after it the process is the one that it was, within its memory."""
    pid = fortress.process.pid
    idle = peak_mib(pid)
    with Watcher(fortress) as watcher:
        yield fortress
    assert fortress.process.poll() is None and fortress.process.pid == pid, fortress.log_text()
    assert not watcher.failures, watcher.failures[:3]
    assert watcher.waits and max(watcher.waits) < 20, max(watcher.waits)
    # What queries may have, and a quarter, beside what a gateway takes without any.
    peak = peak_mib(pid) - idle
    assert peak < LIMITS["MESHGATE_ENGINE__MEMORY_MIB"] * 1.25, f"{peak} MiB and {idle} MiB without queries"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_sql(watched, name):
    """It is answered or refused, and in time."""
    begun = time.monotonic()
    with watched.flight(watched.token("bomber")) as client:
        try:
            reader = client.stream(client.info(BOMBS[name]))
            for number, _ in enumerate(reader):
                if number > 200:
                    reader.cancel()
                    break
        except (pa.ArrowException, pyarrow.flight.FlightError) as refused:
            assert "Traceback" not in str(refused) and len(str(refused)) < 20_000
            assert "internal error" not in str(refused) and "data cannot be read" not in str(refused), refused
    assert time.monotonic() - begun < 60


def test_garbage_on_the_ports(watched):
    """Bytes that are no protocol, connections that say nothing, prefaces that are followed by nonsense."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    floods = [
        b"", b"\x00" * 10_000, os.urandom(100_000), b"GET / HTTP/1.1\r\n" * 10_000, b"\x16\x03\x01" + os.urandom(1000),
        preface, preface + os.urandom(10_000), preface + settings + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + os.urandom(1000),
        # Empty DATA, SETTINGS and PING frames, CONTINUATION without an end.
        preface + settings + b"\x00\x00\x00\x00\x00\x00\x00\x00\x01" * 5_000,
        preface + settings + settings * 5_000,
        preface + settings + (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"\x00" * 8) * 5_000,
        preface + settings + b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82" + b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x82" * 20_000,
        # Streams opened and reset at once.
        preface + settings + b"".join(
            b"\x00\x00\x01\x01\x05" + (2 * n + 1).to_bytes(4, "big") + b"\x82" + b"\x00\x00\x04\x03\x00" + (2 * n + 1).to_bytes(4, "big") + b"\x00\x00\x00\x08"
            for n in range(5_000)),
    ]
    for port in ("flight", "http"):
        host, number = watched.ready[port].rsplit(":", 1)
        for flood in floods:
            with socket.create_connection((host, int(number)), timeout=5) as connection:
                try:
                    connection.sendall(flood)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(1)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass  # closed on us, as it should be


def test_garbage_in_messages(watched):
    """Descriptors, tickets, actions and bindings that decode to nothing."""
    with watched.flight(watched.token("fuzzer")) as client:
        bodies = [b"", b"\x00", b"\xff" * 100, os.urandom(1000), b"\x0a" * 100_000, gate.command("CommandStatementQuery", b"\xff\xff"),
                  gate.command("CommandGetTables", os.urandom(200)), gate.command("CommandStatementQuery", gate.field(1, b"\xff\xfe"))]
        refused = 0
        for body in bodies:
            for call in (
                lambda: client.client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(body), client.options),
                lambda: client.client.do_get(pyarrow.flight.Ticket(body), client.options).read_all(),
                lambda: list(client.client.do_action(pyarrow.flight.Action("CreatePreparedStatement", body), client.options)),
                lambda: list(client.client.do_action(pyarrow.flight.Action("SetSessionOptions", body), client.options)),
                lambda: list(client.client.do_action(pyarrow.flight.Action(repr(body)[:1000], body), client.options)),
            ):
                try:
                    call()
                except (pa.ArrowException, pyarrow.flight.FlightError):
                    refused += 1
        assert refused > 2 * len(bodies)


def test_idle_and_slow_clients(watched):
    """Connections that are opened and left, and readers that do not read."""
    host, number = watched.ready["flight"].rsplit(":", 1)
    idle = [socket.create_connection((host, int(number)), timeout=5) for _ in range(200)]
    token = watched.token("slow")
    slow = []
    for _ in range(8):
        client = watched.flight(token)
        reader = client.stream(client.info(f"SELECT a.id, b.text, a.text AS t FROM {T} a, {T} b"))
        reader.read_chunk()
        slow.append((client, reader))
    time.sleep(2)
    for client, reader in slow:
        reader.cancel()
        client.close()
    for connection in idle:
        connection.close()


LESS = {
    "RESULT_ROWS_MAX": (1999, f"SELECT id FROM {T}", f"SELECT id FROM {T} WHERE id < 1999", "more than 1999 rows"),
    "RECURSION_ROWS_MAX": (20, *(f"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {n}) SELECT count(*) FROM r" for n in (50, 10)), "20 rows"),
    "SQL_BYTES_MAX": (5000, f"SELECT '{'x' * 5000}'", f"SELECT '{'x' * 4000}'", "5000 bytes"),
    "SQL_TOKENS_MAX": (300, "SELECT " + "1, " * 300 + "1", "SELECT " + "1, " * 50 + "1", "300 words and signs"),
    "SQL_OPERATORS_MAX": (50, "SELECT 1" + "+1" * 60, "SELECT 1" + "+1" * 40, "50 operators"),
    "SQL_RELATIONS_MAX": (3, f"SELECT count(*) FROM {T}" + f" NATURAL JOIN {T}" * 3, f"SELECT count(*) FROM {T}", "3 tables"),
    "SQL_DEPTH_MAX": (20, "SELECT " + "(" * 30 + "1" + ")" * 30, "SELECT ((1))", "20 deep"),
}


@pytest.mark.parametrize("name", LESS)
def test_the_operator_sets_the_limit(mesh, serve, name):
    most, too_much, enough, told = LESS[name]
    process = serve(mesh, **{f"MESHGATE_ENGINE__{name}": str(most)})
    with process.flight(process.token("ana")) as client:
        with pytest.raises((pa.ArrowException, pyarrow.flight.FlightError), match=told):
            client.table(too_much)
        assert client.table(enough).num_rows > 0
