"""Every client gets the same values of every type, in the order that was asked for, as DuckDB gives them."""

import datetime
import io
import re

import duckdb
import polars
import pyarrow as pa
import pytest

import gate
import typed
from canonical import canonical

QUERIES = typed.queries()
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


@pytest.fixture(scope="module")
def expected():
    return typed.oracle()


@pytest.fixture(scope="module")
def token(typed_gate):
    return typed_gate.token("tess")


def adbc(process, token, sql):
    with process.connect(token) as connection:
        return canonical(gate.fetch(connection, sql))


def unprepared(process, token, sql):
    """ADBC as polars and R use it: no prepared statement."""
    with process.connect(token) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_sql_query(sql)
        stream, _ = cursor.adbc_statement.execute_query()
        return canonical(pa.RecordBatchReader._import_from_c(stream.address).read_all())


def pyarrow_26(process, token, sql):
    with process.flight(token) as client:
        return canonical(client.table(sql))


def native(process, token, sql):
    """The types of the engine, which a client may ask for, are other types and the same values."""
    with process.connect(token, **{"adbc.flight.sql.rpc.call_header.meshgate-wire-types": "native"}) as connection:
        return canonical(gate.fetch(connection, sql))


def arrow_rs(process, token, sql):
    """`meshgate sql` is a Rust client on arrow-rs."""
    done = gate.run("sql", "--url", process.url, "--format", "arrow", sql, text=False, MESHGATE_TOKEN=token)
    assert done.returncode == 0, done.stderr
    return canonical(pa.ipc.open_stream(io.BytesIO(done.stdout)).read_all())


def through_duckdb(process, token, sql):
    """DuckDB reads the stream of an ADBC cursor where it stands in FROM."""
    with process.connect(token) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        reader = cursor.fetch_record_batch()
        return canonical(duckdb.connect().execute("FROM reader").to_arrow_table())


def through_polars(process, token, sql):
    with process.connect(token) as connection:
        return canonical(polars.read_database(sql, connection).to_arrow())


PYTHON = {
    "ADBC": adbc, "ADBC without prepare": unprepared, "ADBC with native types": native, "pyarrow 26": pyarrow_26, "arrow-rs": arrow_rs,
    "DuckDB": through_duckdb, "polars": through_polars,
}
# What a client cannot hold, and how it says so.
REFUSED = {
    ("DuckDB", "one name twice"): "Multiple matches for FieldRef",
    ("polars", "one name twice"): "more than one occurrence",
    ("polars", "an instant at an offset"): "unable to parse time zone",
}
# What a client shows otherwise.
SHOWN = {("polars", "a date in milliseconds"): [["2024-02-29T00:00:00.000000000"]]}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("client", PYTHON)
def test_python(typed_gate, token, expected, client, name):
    sql = QUERIES[name]["sql"]
    if refusal := REFUSED.get((client, name)):
        with pytest.raises(Exception, match=refusal):
            PYTHON[client](typed_gate, token, sql)
    else:
        same(PYTHON[client](typed_gate, token, sql), SHOWN.get((client, name), expected[name]), name)


@pytest.mark.parametrize("name", QUERIES)
def test_go(typed_gate, token, expected, programs, name):
    client = programs("go")
    client.call("open", "typed", f"uri={typed_gate.url}", f"adbc.flight.sql.authorization_header=Bearer {token}")
    same(client.call("rows", "typed", QUERIES[name]["sql"])["rows"], expected[name], name)
    client.call("close", "typed")


@pytest.mark.parametrize("name", QUERIES)
def test_pyarrow_15(typed_gate, token, expected, programs, name):
    client = programs("old")
    client.call("open", "typed", *typed_gate.ready["flight"].split(":"), f"token={token}")
    same(client.call("rows", "typed", QUERIES[name]["sql"])["rows"], expected[name], name)
    client.call("close", "typed")


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("version", ["15.0.2", "18.3.0"])
def test_jdbc(typed_gate, token, expected, programs, version, name):
    client = programs(f"jdbc {version}")
    client.call("open", "typed", f"jdbc:arrow-flight-sql://{typed_gate.ready['flight']}", "useEncryption=false", f"token={token}")
    got = client.call("rows", "typed", QUERIES[name]["sql"])["rows"]
    client.call("close", "typed")
    same(got, as_jdbc(expected[name], version, name), name)


def as_jdbc(rows: list[list], version: str, name: str) -> list[list]:
    """What the driver makes of values, by its own doing, in a JVM whose zone is UTC."""
    if name == "unsigned":
        # Each of them is the largest of its type.
        return [["-1"] * 4]
    if version == "15.0.2" and name == "an instant in other zones":
        # The clock of the zone, moved once more by the zone's offset.
        moved = ["2024-07-01T04:30:00.000001000", "2024-03-30T17:00:00.000000000", "2024-10-26T16:30:00.000000000"]
        return [[row[0], there, jdbc_value(row[2], version)] for row, there in zip(rows, [None, *moved])]
    return [[jdbc_value(value, version) for value in row] for row in rows]


def jdbc_value(value, version: str, nested: bool = False):
    if isinstance(value, list):
        return [jdbc_value(item, version, True) for item in value]
    if isinstance(value, dict):
        # Structs lose their fields without a value; in maps they stay.
        is_struct = set(value) >= {"name", "age"}
        return {name: jdbc_value(item, version, True) for name, item in value.items() if item is not None or not is_struct}
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"\d\d:\d\d:\d\d\.\d{9}", value):
        return value[:-6] + "000000"
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value) and nested:
        return str((datetime.date.fromisoformat(value) - datetime.date(1970, 1, 1)).days)
    if value.startswith("1582-10-14T"):
        # The calendar of java.sql.Timestamp has no such day.
        return value.replace("1582-10-14", "1582-10-24")
    return value.removesuffix("Z") if version == "15.0.2" and STAMP.fullmatch(value) else value


def same(got: list[list], expected: list[list], what: str):
    assert len(got) == len(expected), f"{what}: {len(got)} rows, not {len(expected)}"
    for at, (mine, theirs) in enumerate(zip(got, expected)):
        assert mine == theirs, f"{what}, row {at}"
