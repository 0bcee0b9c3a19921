"""What people do with an ADBC connection in Python: polars, pandas, DuckDB, ibis."""

import datetime
import threading
import time

import duckdb
import ibis
import pandas
import polars
import pytest

import gate
from test_jdbc import END_LIMIT_MS, LARGE, SLOW

TYPED = "lake.types.typed"


@pytest.fixture
def connection(typed_gate):
    with typed_gate.connect(typed_gate.token("fred")) as connection:
        yield connection


def test_polars(connection):
    frame = polars.read_database(f"SELECT id, price, word, instant, numbers, person FROM {TYPED} ORDER BY id", connection)
    assert frame["id"].to_list() == [1, 2, 3, 4, 5]
    assert frame.schema["price"] == polars.Decimal(9, 2) and frame.schema["instant"] == polars.Datetime("us", "UTC")
    assert frame.schema["numbers"] == polars.List(polars.Int64) and frame["person"][1]["tags"] == ["a", None, "ü"]
    bound = polars.read_database(f"SELECT id FROM {TYPED} WHERE id > ?", connection, execute_options={"parameters": [3]})
    assert sorted(bound["id"].to_list()) == [4, 5]


def test_polars_in_batches(connection):
    a_lot = f"SELECT a.id FROM {', '.join(f'{TYPED} {name}' for name in 'abcdefg')}"
    frames = polars.read_database(a_lot, connection, iter_batches=True, batch_size=1000)
    assert sum(frame.height for frame in frames) == 5**7


def test_pandas(connection):
    frame = pandas.read_sql(f"SELECT id, flag, word, local, instant, price FROM {TYPED} ORDER BY id DESC", connection)
    assert list(frame["id"]) == [5, 4, 3, 2, 1]
    assert frame["instant"].dt.tz is not None and frame["local"].dt.tz is None
    [row] = frame[frame["id"] == 2].to_dict("records")
    assert row["instant"] == pandas.Timestamp("2024-07-01 12:30:00.000001", tz="UTC") and str(row["price"]) == "1234567.89"
    typed = pandas.read_sql(f"SELECT big, word FROM {TYPED} ORDER BY id", connection, dtype_backend="pyarrow")
    assert typed["big"].to_list()[1] == 2**63 - 1


def test_duckdb_joins_what_it_has_with_what_the_gateway_has(connection):
    local = duckdb.connect()
    local.execute("CREATE TABLE names AS FROM (VALUES (2, 'two'), (3, 'three')) t(id, name)")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, price FROM {TYPED}")
        reader = cursor.fetch_record_batch()
        rows = local.execute("SELECT name, price FROM reader JOIN names USING (id) ORDER BY name").fetchall()
    assert [(name, str(price)) for name, price in rows] == [("three", "-0.01"), ("two", "1234567.89")]


def test_ibis(connection):
    """ibis has no backend for Flight SQL: it writes the SQL, ADBC runs it, and ibis goes on with what comes."""
    table = ibis.table({"id": "int64", "flag": "boolean"}, name="typed", catalog="lake", database="types")
    many = table.filter(table.id > 1).group_by("flag").agg(n=ibis._.count()).order_by(ibis.desc("n"))
    sql = ibis.to_sql(many, dialect="datafusion")
    counts = gate.fetch(connection, str(sql))
    assert counts.to_pylist()[0] == {"flag": True, "n": 2} and counts.num_rows == 3
    taken = ibis.memtable(counts)
    assert taken.filter(taken.flag.notnull()).n.sum().to_pyarrow().as_py() == 3


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "columns", "all"])
def test_objects_at_every_depth(connection, depth):
    objects = connection.adbc_get_objects(depth=depth, table_name_filter="typed").read_all().to_pylist()
    assert [catalog["catalog_name"] for catalog in objects] == ["ice", "lake", "meshgate"]
    schemas = objects[1]["catalog_db_schemas"]
    if depth == "catalogs":
        assert not schemas
        return
    assert [schema["db_schema_name"] for schema in schemas] == ["types"]
    tables = schemas[0]["db_schema_tables"]
    if depth == "db_schemas":
        assert not tables
        return
    [table] = tables
    assert table["table_name"] == "typed"
    if depth == "tables":
        assert not table["table_columns"]
        return
    columns = {column["column_name"]: column for column in table["table_columns"]}
    # The driver leaves out the remarks that the gateway sends.
    assert len(columns) == 22 and columns["exact"]["xdbc_type_name"] == "DECIMAL"


def test_objects_filtered(connection):
    found = connection.adbc_get_objects(depth="all", catalog_filter="l%", column_name_filter="p%").read_all().to_pylist()
    [table] = found[0]["catalog_db_schemas"][0]["db_schema_tables"]
    assert [column["column_name"] for column in table["table_columns"]] == ["price", "person", "people"]


def test_cancel_from_another_thread(connection):
    cursor = connection.cursor()
    timer = threading.Timer(0.5, cursor.adbc_cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Exception, match="(?i)cancel"):
        cursor.execute(SLOW)
        cursor.fetch_arrow_table()
    assert (time.monotonic() - begun) * 1000 < END_LIMIT_MS
    timer.join()
    cursor.close()
    assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


def test_closing_early(connection):
    begun = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(LARGE)
        assert cursor.fetchone() is not None
    assert (time.monotonic() - begun) * 1000 < END_LIMIT_MS
    assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


def test_parameters_of_times(connection):
    """To the microsecond, though parameters are told in milliseconds for drivers that need that."""
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {TYPED} WHERE local = ?", (moment,))
        assert cursor.fetchall() == [(2,)]
