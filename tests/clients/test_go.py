"""ADBC in Go, the core of the drivers for Go, R, C# and Python's: connecting, browsing, preparing, cancelling, failing."""

import time

import pytest

import gate
from authority import Authority, variables
from program import NULL, ClientError
from test_jdbc import END_LIMIT_MS, LARGE, SLOW


@pytest.fixture
def go(programs):
    return programs("go")


@pytest.fixture
def connected(go, typed_gate):
    opened(go, typed_gate)
    yield lambda command, *words: go.call(command, "c", *words)
    go.call("close", "c")


def opened(go, process, *options, token: str | None = None, name: str = "c"):
    token = token or process.token("gina")
    return go.call("open", name, f"uri={process.url}", f"adbc.flight.sql.authorization_header=Bearer {token}", *options)


def test_password(go, typed_gate):
    made = gate.run("user", "add", "--state", typed_gate.state, "gustav", "--password-stdin", stdin="pa:ss w0rd-é\n")
    assert made.returncode == 0, made.stderr
    go.call("open", "c", f"uri={typed_gate.url}", "username=gustav", "password=pa:ss w0rd-é")
    assert go.call("rows", "c", "SELECT 1")["rows"] == [["1"]]
    go.call("close", "c")
    with pytest.raises(ClientError, match="(?i)unauthenticated"):
        go.call("open", "c", f"uri={typed_gate.url}", "username=gustav", "password=wrong")


def test_bad_token(go, typed_gate):
    opened(go, typed_gate, token="nonsense")
    with pytest.raises(ClientError) as failure:
        go.call("rows", "c", "SELECT 1")
    assert failure.value.told["code"] == "Unauthenticated" and "the token is not valid here" in str(failure.value)
    go.call("close", "c")


def test_tls(go, typed_mesh, tmp_path):
    authority = Authority(tmp_path, "ours")
    process = gate.Gate(typed_mesh, tmp_path / "state", **variables(authority.issue("gateway", ["127.0.0.1"]))).start()
    try:
        for option in (f"tls_root_certs={authority.file.read_text()}", "tls_skip_verify=true"):
            opened(go, process, f"adbc.flight.sql.client_option.{option}")
            assert go.call("rows", "c", "SELECT 1")["rows"] == [["1"]]
            go.call("close", "c")
        opened(go, process)
        with pytest.raises(ClientError, match="(?i)certificate"):
            go.call("rows", "c", "SELECT 1")
        go.call("close", "c")
    finally:
        process.kill()


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_objects(connected, depth):
    """0 is everything, down to columns; 1 catalogs, 2 schemas, 3 tables."""
    [[catalog, schemas]] = connected("objects", depth, "lake", "ty%", "t%")["rows"]
    assert catalog == "lake"
    if depth == 1:
        assert schemas is None
        return
    [schema] = schemas
    assert schema["db_schema_name"] == "types"
    if depth == 2:
        assert schema["db_schema_tables"] is None
        return
    [table] = schema["db_schema_tables"]
    assert (table["table_name"], table["table_type"]) == ("typed", "TABLE")
    assert (table["table_columns"] is None) == (depth == 3)
    if depth == 0:
        columns = {column["column_name"]: column for column in table["table_columns"]}
        assert len(columns) == 22 and columns["price"]["xdbc_type_name"] == "DECIMAL"
        assert columns["id"]["ordinal_position"] == "1"


def test_info_and_types(connected):
    assert ["0", "Meshgate"] in connected("info")["rows"]
    assert connected("tabletypes")["rows"] == [["SYSTEM TABLE"], ["TABLE"]]
    columns = {column["name"]: column["type"] for column in connected("schema", "lake", "types", "typed")}
    assert len(columns) == 22 and columns["exact"] == "decimal(38, 10)" and columns["instant"] == "timestamp[us, tz=UTC]"
    with pytest.raises(ClientError) as failure:
        connected("schema", "lake", "types", "nowhere")
    assert failure.value.told["code"] == "Not Found"


def test_current_catalog_and_schema(connected):
    assert connected("option", "adbc.connection.catalog", "lake") == "lake"
    assert connected("option", "adbc.connection.db_schema", "types") == "types"
    assert connected("rows", "SELECT count(*) FROM typed")["rows"] == [["5"]]


def test_prepared(connected):
    sql = "SELECT id, CAST(? AS VARCHAR) AS s FROM lake.types.typed WHERE id = ? ORDER BY id LIMIT ?"
    got = connected("prepared", sql, "string:a", "int64:2", "int64:1", ";", "null:", "int64:3", "int64:1", ";")
    assert [result["rows"] for result in got] == [[["2", "a"]], [["3", None]]]


def test_objects_of_nothing(connected):
    assert connected("objects", 0, NULL, NULL, "no_such_table")["rows"] == [
        [catalog, [{"db_schema_name": schema, "db_schema_tables": []} for schema in schemas]]
        for catalog, schemas in (("ice", ["types"]), ("lake", ["types"]), ("meshgate", ["access", "catalog"]))
    ]


def test_ends(go, connected):
    """A cancelled query and one whose rows are not read end soon, and the connection goes on."""
    cancelled = connected("cancel", SLOW, 500)
    assert cancelled["elapsed_ms"] < END_LIMIT_MS and cancelled["error"]["code"] in ("Cancelled", "Timeout"), cancelled
    begun = time.monotonic()
    abandoned = connected("abandon", LARGE)
    assert abandoned["error"] is None and (time.monotonic() - begun) * 1000 < END_LIMIT_MS, abandoned
    assert connected("rows", "SELECT 1")["rows"] == [["1"]]


@pytest.mark.parametrize("sql, code, said", [
    ("SELEC 1", "Invalid Argument", "cannot be read"), ("SELECT * FROM lake.types.nowhere", "Not Found", "does not exist"),
    ("DROP TABLE lake.types.typed", "Unauthorized", "not served here"),
    ("SELECT CAST(word AS INT) FROM lake.types.typed", "Invalid Argument", "cannot be cast"),
])
def test_errors_have_codes(connected, sql, code, said):
    with pytest.raises(ClientError, match=said) as failure:
        connected("rows", sql)
    assert failure.value.told["code"] == code
