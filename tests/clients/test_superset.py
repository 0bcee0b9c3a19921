"""flightsql-dbapi with pyarrow 15 and SQLAlchemy 1, which Superset's connector is made of."""

import json

import pytest

import gate
from program import ClientError


@pytest.fixture
def old(programs):
    return programs("old")


@pytest.fixture
def url(typed_gate):
    token = typed_gate.token("sue")
    return lambda *more: f"datafusion+flightsql://{typed_gate.ready['flight']}?" + "&".join(["insecure=True", f"token={token}", *more])


@pytest.fixture
def engine(old, url):
    """Calls with an engine whose URL has these parameters: engine("a=b")(command, *words)."""
    def connect(*parameters):
        assert old.call("engine", "e", url(*parameters)) == 1
        return lambda command, *words: old.call(command, "e", *words)

    return connect


def test_password(old, typed_gate):
    made = gate.run("user", "add", "--state", typed_gate.state, "susi", "--password-stdin", stdin="secret\n")
    assert made.returncode == 0, made.stderr
    assert old.call("engine", "p", f"datafusion+flightsql://susi:secret@{typed_gate.ready['flight']}?insecure=True") == 1
    with pytest.raises(ClientError, match="(?i)password"):
        old.call("engine", "p", f"datafusion+flightsql://susi:wrong@{typed_gate.ready['flight']}?insecure=True")


def test_no_credential(old, typed_gate):
    """It then sends `Bearer None`."""
    with pytest.raises(ClientError, match="(?i)anonymous|token|credential"):
        old.call("engine", "n", f"datafusion+flightsql://{typed_gate.ready['flight']}?insecure=True")


def test_introspection(engine):
    """It knows no catalogs: products of one name in several domains are one schema to it."""
    seen = engine()("introspect")
    assert set(seen) == {"types", "access", "catalog"} and set(seen["types"]) == {"more", "typed"}
    typed = {column["name"]: column["type"] for column in seen["types"]["typed"]}
    assert len(typed) == 22
    assert (typed["id"], typed["price"], typed["word"], typed["day"], typed["instant"]) == ("BIGINT", "DECIMAL", "TEXT", "DATE", "TIMESTAMP")


def test_query(engine):
    got = engine()("read_sql", "SELECT flag, count(*) AS n FROM lake.types.typed GROUP BY flag ORDER BY flag NULLS FIRST")
    assert got == {"columns": ["flag", "n"], "rows": [["None", "2"], ["False", "1"], ["True", "2"]]}


@pytest.mark.parametrize("parameters", [[], ["feature-sqlalchemy-prepared-statements=on"]])
def test_charts_write_schema_and_table(engine, parameters):
    """The domain comes from the URL, as a header."""
    assert engine("meshgate-catalog=lake", *parameters)("select", "types", "typed", "id", 2) == [[5, 1], [4, 1]]
    with pytest.raises(ClientError, match="does not exist"):
        engine(*parameters)("select", "types", "typed", "id", 2)


def test_keys(engine):
    assert engine("feature-sqlalchemy-primary-keys=on")("keys", "typed", "types") == {"constrained_columns": ["id"], "name": None}


def test_dbapi(old, typed_gate):
    """Parameters are bound to the handle that was made first."""
    old.call("open", "d", *typed_gate.ready["flight"].split(":"), f"token={typed_gate.token('sue')}")
    sql = "SELECT id, word FROM lake.types.typed WHERE id > ? AND (word = ? OR id < ?) ORDER BY id DESC"
    got = old.call("dbapi", "d", sql, *map(json.dumps, (1, "", 5)))
    assert [row[0] for row in got["rows"]] == [4, 3, 2] and got["columns"] == ["id", "word"]
    old.call("close", "d")


def test_pandas(old, typed_gate):
    """Every type that pandas has a place for."""
    old.call("open", "d", *typed_gate.ready["flight"].split(":"), f"token={typed_gate.token('sue')}")
    got = old.call("pandas", "d", "SELECT price, word, bytes, local, instant, numbers, person FROM lake.types.typed WHERE id = 2")
    [[price, word, content, local, instant, numbers, person]] = got["rows"]
    assert (price, content) == ("1234567.89", str(b"\x00\xff'\"")) and word.startswith("it's")
    assert (local, instant) == ("2024-02-29 23:59:59.999999", "2024-07-01 12:30:00.000001+00:00")
    assert "Ann" in person and numbers.startswith("[")
    old.call("close", "d")


def test_errors_are_readable(engine):
    for sql, said in (("SELEC 1", "cannot be read"), ("SELECT * FROM nowhere", "does not exist")):
        with pytest.raises(ClientError, match=said):
            engine()("read_sql", sql)
