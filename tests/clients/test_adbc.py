"""Python ADBC connects, browses, prepares, binds, cancels, and gets errors it can act on."""

import base64
import datetime
import threading
import time
from decimal import Decimal

import adbc_driver_manager
import pyarrow as pa
import pytest

import gate

CUSTOMER = "crm.customers.customer"
SLOW = f"SELECT count(*) FROM {CUSTOMER} a, {CUSTOMER} b, {CUSTOMER} c, {CUSTOMER} d WHERE a.c_custkey + b.c_custkey + c.c_custkey + d.c_custkey < 0"


@pytest.fixture(scope="module")
def password_user(tpch_gate):
    """A user with a password that has a colon in it."""
    made = gate.run("user", "add", "--state", tpch_gate.state, "paula", "--password-stdin", stdin="pa:ss w0rd-é\n")
    assert made.returncode == 0, made.stderr
    return {"user": "paula", "password": "pa:ss w0rd-é"}


def test_token(connection):
    assert gate.fetch(connection, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_password_handshake(tpch_gate, password_user):
    with tpch_gate.connect(**password_user) as connection:
        assert gate.fetch(connection, "SELECT count(*) FROM crm.customers.region")[0].to_pylist() == [5]


def test_token_as_password(tpch_gate):
    """For tools that know only passwords: on every call, and in a handshake."""
    token = tpch_gate.token("toni")
    with tpch_gate.connect(user="token", password=token) as connection:
        assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]
    basic = base64.b64encode(f"token:{token}".encode()).decode()
    with tpch_gate.connect(**{"adbc.flight.sql.authorization_header": f"Basic {basic}"}) as connection:
        assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


@pytest.mark.parametrize("credential", ["Bearer nonsense", "Bearer None", "Bearer ", "Basic !!!", "Basic cGF1bGE6d3Jvbmc", "Digest x"])
def test_bad_credentials(tpch_gate, password_user, credential):
    with pytest.raises(Exception, match="(?i)unauthenticated") as failure:
        with tpch_gate.connect(**{"adbc.flight.sql.authorization_header": credential}) as connection:
            gate.fetch(connection, "SELECT 1")
    assert failure.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED


def test_no_credential(tpch_gate):
    with pytest.raises(Exception, match="(?i)unauthenticated"):
        with tpch_gate.connect() as connection:
            gate.fetch(connection, "SELECT 1")


def test_wrong_password(tpch_gate, password_user):
    with pytest.raises(Exception, match="(?i)unauthenticated"):
        tpch_gate.connect(user="paula", password="wrong")


def test_token_expires(tpch_gate):
    made = gate.run("token", "create", "--state", tpch_gate.state, "--user", "exa", "--ttl", "2s")
    with tpch_gate.connect(made.stdout.strip()) as connection:
        gate.fetch(connection, "SELECT 1")

        def refused():
            try:
                gate.fetch(connection, "SELECT 1")
            except Exception as error:  # any other failure is no expiry
                assert "unauthenticated" in str(error).lower(), error
                return True

        gate.wait_until(refused, "the token's expiry", 10, pause_s=0.2)


def test_token_revoked(tpch_gate):
    with tpch_gate.connect(tpch_gate.token("rex")) as connection:
        gate.fetch(connection, "SELECT 1")
        listing = gate.run("token", "list", "--state", tpch_gate.state, "--format", "json")
        assert listing.returncode == 0, listing.stderr
        import json
        [token_id] = [entry["id"] for entry in json.loads(listing.stdout) if "rex" in json.dumps(entry)]
        revoked = gate.run("token", "revoke", "--state", tpch_gate.state, token_id)
        assert revoked.returncode == 0, revoked.stderr
        with pytest.raises(Exception, match="(?i)unauthenticated"):
            gate.fetch(connection, "SELECT 1")


def test_browse(connection):
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    found = {
        (catalog["catalog_name"], schema["db_schema_name"], table["table_name"]): [
            column["column_name"] for column in table["table_columns"]
        ]
        for catalog in objects for schema in catalog["catalog_db_schemas"] or [] for table in schema["db_schema_tables"] or []
    }
    assert found[("crm", "customers", "region")] == ["r_regionkey", "r_name", "r_comment"]
    assert ("sales", "orders", "lineitem") in found and ("supply", "parts", "partsupp") in found
    only = connection.adbc_get_objects(depth="tables", catalog_filter="crm", db_schema_filter="customers", table_name_filter="n%")
    [catalog] = [entry for entry in only.read_all().to_pylist() if entry["catalog_name"] == "crm"]
    assert [t["table_name"] for s in catalog["catalog_db_schemas"] for t in s["db_schema_tables"]] == ["nation"]


def test_table_schema_is_the_schema_of_its_rows(connection):
    for catalog, schema, table in [("crm", "customers", "customer"), ("sales", "orders", "lineitem"), ("supply", "parts", "part")]:
        listed = connection.adbc_get_table_schema(table, catalog_filter=catalog, db_schema_filter=schema)
        got = gate.fetch(connection, f"SELECT * FROM {catalog}.{schema}.{table} LIMIT 1").schema
        assert [(f.name, f.type) for f in listed] == [(f.name, f.type) for f in got]


def test_info_and_table_types(connection):
    info = connection.adbc_get_info()
    assert "meshgate" in info["vendor_name"].lower() and info["vendor_version"]
    assert connection.adbc_get_table_types()


def test_current_catalog_and_schema(connection):
    connection.adbc_current_catalog = "crm"
    connection.adbc_current_db_schema = "customers"
    assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("crm", "customers")
    assert gate.fetch(connection, "SELECT count(*) FROM nation")[0].to_pylist() == [25]


def test_sessions_do_not_leak(tpch_gate, connection):
    connection.adbc_current_catalog = "crm"
    connection.adbc_current_db_schema = "customers"
    with tpch_gate.connect(tpch_gate.token("other")) as other:
        with pytest.raises(Exception, match="(?i)not.?found"):
            gate.fetch(other, "SELECT count(*) FROM nation")


@pytest.mark.parametrize("value, cast", [
    (7, "BIGINT"), (-2.5, "DOUBLE"), ("it's é", "VARCHAR"), (True, "BOOLEAN"), (datetime.date(1995, 3, 15), "DATE"), (None, "INT"),
    (Decimal("12.34"), "DECIMAL(10, 2)"), (datetime.datetime(2024, 2, 29, 12, 30, 0, 5), "TIMESTAMP"), (b"\x00\xff", "BYTEA"),
])
def test_parameters_come_back(connection, value, cast):
    got = gate.fetch(connection, f"SELECT CAST(? AS {cast}) AS v", (value,))
    assert got["v"].to_pylist() == [value]


def test_parameters_bind_in_order(connection):
    """Twelve of them: ordinal order is not the order of their names."""
    marks = ", ".join(f"CAST(? AS BIGINT) AS c{i}" for i in range(12))
    assert list(gate.fetch(connection, f"SELECT {marks}", tuple(range(12))).to_pylist()[0].values()) == list(range(12))
    numbered = "SELECT CAST($2 AS BIGINT) - CAST($1 AS BIGINT) AS d"
    assert gate.fetch(connection, numbered, (3, 10))["d"].to_pylist() == [7]


def test_parameter_is_not_text(connection):
    """A value that looks like SQL stays a value."""
    sql = f"SELECT count(*) FROM {CUSTOMER} WHERE c_name = ?"
    assert gate.fetch(connection, sql, ("' OR 1 = 1 --",))[0].to_pylist() == [0]


def test_prepared_statement_is_used_again(connection):
    with connection.cursor() as cursor:
        for key in (1, 2, 3, 2):
            cursor.execute(f"SELECT c_custkey FROM {CUSTOMER} WHERE c_custkey = ?", (key,))
            assert cursor.fetchall() == [(key,)]


def test_several_rows_of_parameters(connection):
    """A batch of parameters runs the statement once for each row."""
    with connection.cursor() as cursor:
        raw = cursor.adbc_statement
        raw.set_sql_query(f"SELECT c_custkey FROM {CUSTOMER} WHERE c_custkey = ?")
        raw.prepare()
        batch = pa.record_batch([pa.array([5, 9, 11], pa.int64())], names=["0"])
        raw.bind(batch)
        stream, _ = raw.execute_query()
        assert pa.RecordBatchReader._import_from_c(stream.address).read_all()[0].to_pylist() == [5, 9, 11]


def test_two_statements_of_equal_text_share_nothing(connection):
    sql = f"SELECT c_custkey FROM {CUSTOMER} WHERE c_custkey = ?"
    with connection.cursor() as one, connection.cursor() as two:
        one.execute(sql, (1,))
        two.execute(sql, (2,))
        assert (one.fetchall(), two.fetchall()) == ([(1,)], [(2,)])


def test_empty_result_has_its_schema(connection):
    got = gate.fetch(connection, f"SELECT c_custkey, c_name FROM {CUSTOMER} WHERE c_custkey < 0")
    assert (got.num_rows, got.column_names) == (0, ["c_custkey", "c_name"])


def test_pandas(connection):
    import pandas
    frame = pandas.read_sql("SELECT r_name FROM crm.customers.region ORDER BY r_name", connection)
    assert list(frame["r_name"]) == ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]


INVALID, NOT_FOUND = "INVALID_ARGUMENT", "NOT_FOUND"
DENIED = ("UNAUTHORIZED", "INVALID_ARGUMENT", "NOT_IMPLEMENTED")


@pytest.mark.parametrize("sql, codes", [
    ("SELEC 1", INVALID), ("SELECT 1 +", INVALID), ("-- nothing", INVALID), ("SELECT nothing_like_it FROM crm.customers.region", INVALID),
    ("SELECT no_such_function(1)", INVALID), ("SELECT CAST('x' AS INT)", INVALID), ("SELECT 1; SELECT 2", INVALID),
    ("SELECT * FROM crm.customers.nowhere", NOT_FOUND), ("SELECT * FROM no.where.atall", NOT_FOUND), ("SELECT * FROM nowhere", NOT_FOUND),
    ("INSERT INTO crm.customers.region VALUES (9, 'x', 'y')", DENIED), ("DELETE FROM crm.customers.region", DENIED),
    ("UPDATE crm.customers.region SET r_name = 'x'", DENIED), ("DROP TABLE crm.customers.region", DENIED),
    ("CREATE TABLE t AS SELECT 1", DENIED), ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", DENIED),
    ("COPY (SELECT 1) TO '/tmp/meshgate-copy.csv'", DENIED), ("SET datafusion.execution.batch_size = 1", DENIED),
    ("SET meshgate.nonsense = 1", DENIED), ("BEGIN", DENIED), ("PREPARE p AS SELECT 1", DENIED),
    ("EXPLAIN COPY (SELECT 1) TO '/tmp/meshgate-copy.csv'", DENIED), ("EXPLAIN ANALYZE INSERT INTO crm.customers.region VALUES (1, 'a', 'b')", DENIED),
])
def test_errors_have_codes(connection, sql, codes):
    with pytest.raises(Exception) as failure:
        gate.fetch(connection, sql)
    codes = (codes,) if isinstance(codes, str) else codes
    assert failure.value.status_code.name in codes, f"{sql}: {failure.value.status_code.name}: {failure.value}"
    text = str(failure.value)
    assert len(text) < 8192 and "DataFusionError" not in text and "panicked" not in text
    assert not [place for place in (".rs:", "/src/", ".parquet") if place in text], text


def test_an_error_leaves_the_connection_usable(connection):
    with pytest.raises(Exception):
        gate.fetch(connection, "SELECT * FROM nowhere")
    assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


def test_cancel(tpch_gate, connection):
    """A query that would run for hours ends when the client cancels, and its place is free again."""
    cursor = connection.cursor()
    timer = threading.Timer(1.0, cursor.adbc_cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Exception):
        cursor.execute(SLOW)
        cursor.fetch_arrow_table()
    assert time.monotonic() - begun < 15
    timer.join()
    assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


def test_deadline(tpch_gate):
    """The session's own deadline ends a query with the right code."""
    with tpch_gate.connect(tpch_gate.token("dora")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET meshgate.deadline_s = 1")
            cursor.fetchall() if cursor.description else None
        begun = time.monotonic()
        with pytest.raises(Exception) as failure:
            gate.fetch(connection, SLOW)
        assert failure.value.status_code.name in ("TIMEOUT", "CANCELLED"), failure.value
        assert time.monotonic() - begun < 20
