"""The JDBC driver, as DBeaver, Tableau and Spark use it: connecting, browsing, preparing, cancelling, failing."""

import re
import subprocess
import time

import pytest

import gate
from authority import Authority, variables
from program import NULL, ClientError

VERSIONS = ["15.0.2", "18.3.0"]
ROWS = "SELECT id, word FROM lake.types.typed ORDER BY id"
JOINED = ", ".join(f"lake.types.typed t{number}" for number in range(16))
SLOW = f"SELECT count(*) FROM {JOINED} WHERE t1.id + t2.id + t3.id + t13.id < 0"
LARGE = f"SELECT t0.* FROM {JOINED}"
# What a person at a screen takes for a hang.
END_LIMIT_MS = 10_000


@pytest.fixture(params=VERSIONS)
def jdbc(request, programs):
    """The client of one version of the driver."""
    return programs(f"jdbc {request.param}")


@pytest.fixture
def connected(request, jdbc, typed_gate):
    """Calls with a connection of a token: connected(command, *words)."""
    opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}")
    yield lambda command, *words: jdbc.call(command, "c", *words)
    try:
        jdbc.call("close", "c")
    except ClientError as error:
        # Version 15 loses the memory of bound parameters, and says so when the connection is closed.
        assert "Memory was leaked" in str(error.told) and "15.0.2" in request.node.name, error.told


def opened(jdbc, process, *properties, encrypted: bool = False, name: str = "c", address: str | None = None):
    encryption = [] if encrypted else ["useEncryption=false"]
    return jdbc.call("open", name, f"jdbc:arrow-flight-sql://{address or process.ready['flight']}", *encryption, *properties)


def plain(table: dict) -> list[list]:
    return table["rows"]


def named(table: dict, *names: str) -> list[tuple]:
    """The columns of these names."""
    places = [[column["label"] for column in table["columns"]].index(name) for name in names]
    return [tuple(row[place] for place in places) for row in table["rows"]]


def test_password(jdbc, typed_gate):
    made = gate.run("user", "add", "--state", typed_gate.state, "julia", "--password-stdin", stdin="pa:ss w0rd-é\n")
    assert made.returncode == 0 or "exists" in made.stderr, made.stderr
    opened(jdbc, typed_gate, "user=julia", "password=pa:ss w0rd-é")
    assert plain(jdbc.call("rows", "c", "SELECT 1")) == [["1"]]
    jdbc.call("close", "c")
    with pytest.raises(ClientError, match="(?i)password|unauthenticated"):
        opened(jdbc, typed_gate, "user=julia", "password=wrong")


def test_token_as_password(jdbc, typed_gate):
    opened(jdbc, typed_gate, "user=token", f"password={typed_gate.token('jade')}")
    assert plain(jdbc.call("rows", "c", "SELECT 1")) == [["1"]]
    jdbc.call("close", "c")


def test_bad_token(jdbc, typed_gate):
    with pytest.raises(ClientError, match="UNAUTHENTICATED: the token is not valid here"):
        opened(jdbc, typed_gate, "token=nonsense")


def test_without_the_option_of_the_jvm(programs, typed_gate):
    jdbc = programs("jdbc 18.3.0", opens=False)
    with pytest.raises(ClientError, match="Failed to read message"):
        opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}")
        jdbc.call("rows", "c", "SELECT 1")


def test_nobody_there(jdbc):
    begun = time.monotonic()
    with pytest.raises(ClientError):
        jdbc.call("open", "c", "jdbc:arrow-flight-sql://127.0.0.1:1", "useEncryption=false", "token=x")
    assert time.monotonic() - begun < 20


def test_an_instant_as_a_plain_object(programs, typed_gate):
    """The newer driver has no getObject for instants, which is why the others here ask for an OffsetDateTime."""
    jdbc = programs("jdbc 18.3.0")
    opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}")
    with pytest.raises(ClientError, match="not implemented"):
        jdbc.call("objects", "c", "SELECT instant FROM lake.types.typed")
    assert jdbc.call("strings", "c", "SELECT instant FROM lake.types.typed WHERE id = 4") == [["2024-03-31 01:00:00.0"]]
    jdbc.call("close", "c")


def test_properties_in_the_url(jdbc, typed_gate):
    """As it is pasted into a tool: properties of the driver, and one that goes to the gateway as a header."""
    url = f"jdbc:arrow-flight-sql://{typed_gate.ready['flight']}?useEncryption=false&token={typed_gate.token('jade')}"
    jdbc.call("open", "c", f"{url}&meshgate-catalog=lake&meshgate-schema=types")
    assert plain(jdbc.call("rows", "c", "SELECT count(*) FROM typed")) == [["5"]]
    assert plain(jdbc.call("rows", "c", "SELECT count(*) FROM types.typed")) == [["5"]]
    jdbc.call("close", "c")


def test_catalog_property(programs, typed_gate):
    """The newer driver keeps a catalog in the session; it closes its channel before it wants to close the session."""
    jdbc = programs("jdbc 18.3.0")
    opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}", "catalog=lake")
    assert plain(jdbc.call("rows", "c", "SELECT count(*) FROM types.typed")) == [["5"]]
    with pytest.raises(ClientError, match="Channel shutdown invoked"):
        jdbc.call("close", "c")


def test_session_by_statement(connected):
    """Statements of the session work, and their cookie is kept."""
    assert connected("update", "SET meshgate.catalog = 'lake'") == 0
    assert connected("update", "SET meshgate.schema = 'types'") == 0
    assert plain(connected("rows", "SELECT count(*) FROM typed")) == [["5"]]
    assert connected("valid") is True


def test_set_catalog_stays_in_the_driver(connected):
    """Connection.setCatalog is not told to the gateway by these versions."""
    assert connected("catalog", "lake") == "lake"
    with pytest.raises(ClientError, match="does not exist"):
        connected("rows", "SELECT count(*) FROM types.typed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("jdbc-ca"), "ours")


@pytest.fixture(scope="module")
def tls_gate(typed_mesh, authority, tmp_path_factory):
    server = authority.issue("gateway", ["127.0.0.1", "localhost"])
    process = gate.Gate(typed_mesh, tmp_path_factory.mktemp("jdbc-tls") / "state", **variables(server)).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def mutual_gate(typed_mesh, authority, tmp_path_factory):
    """Only clients with a certificate are let in."""
    settings = variables(authority.issue("gateway", ["127.0.0.1"]), client_ca=authority.file)
    process = gate.Gate(typed_mesh, tmp_path_factory.mktemp("jdbc-mutual") / "state", **settings).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def trust_store(authority, programs, tmp_path_factory):
    programs(f"jdbc {VERSIONS[0]}")  # where there is no Java there is no key store
    store = tmp_path_factory.mktemp("trust") / "store.p12"
    made = subprocess.run(
        ["keytool", "-importcert", "-noprompt", "-alias", "ours", "-file", authority.file, "-keystore", store,
         "-storetype", "PKCS12", "-storepass", "changeit"], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return store


class TestTls:
    def connects(self, jdbc, process, *properties):
        opened(jdbc, process, f"token={process.token('jade')}", *properties, encrypted=True)
        assert len(plain(jdbc.call("rows", "c", ROWS))) == 5
        jdbc.call("close", "c")

    def test_root_certificates(self, jdbc, tls_gate, authority):
        self.connects(jdbc, tls_gate, "useSystemTrustStore=false", f"tlsRootCerts={authority.file}")

    def test_trust_store(self, jdbc, tls_gate, trust_store):
        self.connects(jdbc, tls_gate, "useSystemTrustStore=false", f"trustStore={trust_store}", "trustStorePassword=changeit")

    def test_without_verification(self, jdbc, tls_gate):
        self.connects(jdbc, tls_gate, "disableCertificateVerification=true")

    def test_unknown_authority(self, jdbc, tls_gate):
        with pytest.raises(ClientError):
            opened(jdbc, tls_gate, f"token={tls_gate.token('jade')}", encrypted=True)

    def test_plain_text_to_tls(self, jdbc, tls_gate):
        with pytest.raises(ClientError):
            opened(jdbc, tls_gate, f"token={tls_gate.token('jade')}")

    def test_client_certificate(self, jdbc, mutual_gate, authority):
        certificate, key = authority.issue("client")
        trust = ["useSystemTrustStore=false", f"tlsRootCerts={authority.file}"]
        self.connects(jdbc, mutual_gate, *trust, f"clientCertificate={certificate}", f"clientKey={key}")
        with pytest.raises(ClientError):
            opened(jdbc, mutual_gate, f"token={mutual_gate.token('jade')}", *trust, encrypted=True)


class TestBrowse:
    """DatabaseMetaData, as tools call it to show a tree."""

    @pytest.fixture
    def ask(self, connected):
        return lambda method, *words: connected("metadata", method, *words)

    def test_tree(self, ask):
        assert plain(ask("getCatalogs")) == [["ice"], ["lake"], ["meshgate"]]
        assert {("types", "ice"), ("types", "lake")} <= set(named(ask("getSchemas"), "TABLE_SCHEM", "TABLE_CATALOG"))
        assert plain(ask("getSchemas", "lake", NULL)) == [["types", "lake"]]
        assert plain(ask("getSchemas", "ice", "t%")) == [["types", "ice"]]
        assert plain(ask("getTableTypes")) == [["SYSTEM TABLE"], ["TABLE"]]

    @pytest.mark.parametrize("filters, expected", [
        (("lake", "types", "%", "TABLE"), ["typed"]), (("lake", "types", "typ_d", NULL), ["typed"]),
        ((NULL, "types", NULL, "TABLE,VIEW"), ["more", "typed"]), ((NULL, NULL, "%", "BASE TABLE"), ["more", "typed"]),
        ((NULL, NULL, "TYPED", NULL), []), ((NULL, NULL, "%", "VIEW"), []), (("", NULL, "%", NULL), []),
        (("lake", "no\\_such", "%", NULL), []),
    ])
    def test_tables(self, ask, filters, expected):
        got = ask("getTables", *filters)
        assert ([name for name, in named(got, "TABLE_NAME")] if got["rows"] else []) == expected

    def test_columns(self, ask):
        got = named(ask("getColumns", "lake", "types", "typed", "%"),
                    "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "ORDINAL_POSITION", "IS_NULLABLE")
        assert len(got) == 22
        columns = {name: rest for name, *rest in got}
        assert columns["id"] == ["-5", "BIGINT", "19", "0", "1", "YES"]
        assert columns["price"] == ["3", "DECIMAL", "9", "2", "9", "YES"]
        assert columns["exact"] == ["3", "DECIMAL", "38", "10", "10", "YES"]
        assert columns["word"][:2] == ["12", "VARCHAR"] and columns["bytes"][:2] == ["-3", "VARBINARY"]
        assert columns["day"][:2] == ["91", "DATE"] and columns["local"][:2] == ["93", "TIMESTAMP"]
        assert columns["numbers"][:2] == ["2003", "ARRAY"] and columns["person"][:2] == ["2000", "STRUCT"]
        assert [name for name, in named(ask("getColumns", NULL, NULL, "typed", "i%"), "COLUMN_NAME")] == ["id", "instant"]

    def test_descriptions(self, programs, typed_gate):
        """The older driver does not show them."""
        jdbc = programs("jdbc 18.3.0")
        opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}")
        columns = jdbc.call("metadata", "c", "getColumns", "lake", "types", "typed", "id")
        assert named(columns, "REMARKS") == [("The number of the row",)]
        jdbc.call("close", "c")

    def test_keys(self, ask):
        assert named(ask("getPrimaryKeys", "lake", "types", "typed"), "COLUMN_NAME", "KEY_SEQ") == [("id", "1")]
        assert plain(ask("getPrimaryKeys", "ice", "types", "more")) == []
        for method in ("getImportedKeys", "getExportedKeys"):
            assert plain(ask(method, "lake", "types", "typed")) == []
        assert plain(ask("getCrossReference", "lake", "types", "typed", "ice", "types", "more")) == []

    @pytest.mark.parametrize("method, arguments", [
        ("getTypeInfo", ()), ("getIndexInfo", ("lake", "types", "typed", "false", "true")), ("getProcedures", (NULL,) * 3),
        ("getFunctions", (NULL,) * 3), ("getUDTs", (NULL,) * 4), ("getVersionColumns", ("lake", "types", "typed")),
        ("getBestRowIdentifier", ("lake", "types", "typed", "0", "true")),
    ])
    def test_what_the_driver_never_asks_for(self, ask, method, arguments):
        """Tools ask it, and it answers with nothing of its own."""
        assert plain(ask(method, *arguments)) == []

    @pytest.mark.parametrize("method, expected", [
        ("getIdentifierQuoteString", '"'), ("getDatabaseProductName", "Meshgate"), ("getSearchStringEscape", "\\"),
        ("getCatalogSeparator", "."), ("getCatalogTerm", "domain"), ("getSchemaTerm", "product"), ("isCatalogAtStart", True),
        ("isReadOnly", True), ("supportsTransactions", False), ("supportsStoredProcedures", False), ("supportsGroupBy", True),
        ("supportsFullOuterJoins", True), ("supportsUnionAll", True), ("supportsCorrelatedSubqueries", True),
        ("supportsCatalogsInDataManipulation", True), ("supportsSchemasInDataManipulation", True), ("getMaxColumnsInTable", 0),
        ("supportsMixedCaseQuotedIdentifiers", True), ("supportsSelectForUpdate", False), ("allTablesAreSelectable", True),
    ])
    def test_dialect(self, ask, method, expected):
        assert ask(method) == expected

    def test_every_plain_method_answers(self, ask):
        """Tableau asks for all of the dialect at once."""
        for method in ("getDatabaseProductVersion", "getSQLKeywords", "getNumericFunctions", "getStringFunctions",
                       "getSystemFunctions", "getTimeDateFunctions"):
            assert ask(method), method


class TestStatements:
    def test_order_and_null(self, connected):
        assert [row[0] for row in plain(connected("rows", f"{ROWS} DESC"))] == ["5", "4", "3", "2", "1"]

    def test_names_and_digits(self, connected):
        """Precision and scale of decimals arrive, as Spark needs them; the driver calls every column not nullable."""
        sql = 'SELECT id AS "Number of", exact, price * 2 AS twice, word FROM lake.types.typed'
        for described in (connected("describe", sql), connected("rows", sql)):
            columns = described["columns"]
            assert [column["label"] for column in columns] == ["Number of", "exact", "twice", "word"]
            assert [column["type"] for column in columns] == ["BIGINT", "DECIMAL", "DECIMAL", "VARCHAR"]
            assert [(column["precision"], column["scale"]) for column in columns[:2]] == [(0, 0), (38, 10)]
            assert columns[2]["scale"] == 2 and columns[2]["precision"] > 9
            assert {column["nullable"] for column in columns} == {0}

    def test_text_of_everything(self, connected):
        """getString, which grids show."""
        [row] = [row for row in connected("strings", "SELECT * FROM lake.types.typed") if row[0] == "2"]
        assert row[1:6] == ["true", "127", "32767", "2147483647", "9223372036854775807"]
        assert row[8:10] == ["1234567.89", "1234567890123456789012345678.0123456789"]
        assert row[13:15] == ["2024-02-29", "2024-02-29 23:59:59.999999"]
        assert row[16:18] == ["[1,null,-9223372036854775808]", '["",null,"x,y"]']
        assert row[19:21] == ['{"name":"Ann","age":41,"tags":["a",null,"ü"]}', '{"one":1,"none":null}']

    def test_habits_of_tools(self, connected):
        """Commits of what is only read, limits of rows, several statements at once, names in other letters."""
        assert connected("habits", ROWS) == {
            "commit": 5, "read only": 5, "isolation": 0, "schema": "null", "warnings": "null", "max rows": 2,
            "execute": [True, 5, False, -1], "statement used again": 5, "two at once": 5, "scroll types": 5, "by name": 2,
            "closed twice": True,
        }

    @pytest.mark.parametrize("sql", ["SHOW TABLES", "EXPLAIN SELECT 1", "DESCRIBE lake.types.typed", "SHOW COLUMNS FROM lake.types.typed"])
    def test_statements_that_show(self, connected, sql):
        assert plain(connected("rows", sql))

    def test_writing_is_refused(self, connected):
        for sql in ("INSERT INTO lake.types.typed VALUES (1)", "DROP TABLE lake.types.typed", "CREATE TABLE t AS SELECT 1"):
            with pytest.raises(ClientError, match="not served here"):
                connected("update", sql)

    def test_parameters_of_a_condition(self, connected):
        sql = "SELECT id FROM lake.types.typed WHERE id = ?"
        got = connected("prepared", sql, "long:2", ";", "int:3", ";", "null:BIGINT", ";", "long:4", ";")
        assert [plain(result) for result in got] == [[["2"]], [["3"]], [], [["4"]]]

    @pytest.mark.parametrize("condition, parameters, expected", [
        ("word = ?", ["string:null"], ["4"]), ("word LIKE ?", ["string:%é%"], ["2"]), ("price = ?", ["decimal:-0.01"], ["3"]),
        ("day BETWEEN ? AND ?", ["date:2024-01-01", "date:2024-12-31"], ["2", "5"]), ("double < ?", ["double:-5"], ["4"]),
        ("flag = ?", ["boolean:false"], ["3"]), ("id IN (?, ?)", ["long:1", "long:5"], ["1", "5"]), ("bytes = ?", ["bytes:null"], ["4"]),
        ("local = ?", ["timestamp:2024-03-31 02:30:00"], ["5"]), ("instant = ?", ["timestamp:2024-03-31 01:00:00"], ["4"]),
        ("person['name'] = ?", ["string:Ann"], ["2"]), ("id > ? AND word <> ?", ["int:1", "string:"], ["2", "4"]),
    ])
    def test_parameters_of_every_type(self, connected, condition, parameters, expected):
        [got] = connected("prepared", f"SELECT id FROM lake.types.typed WHERE {condition} ORDER BY id", *parameters, ";")
        assert [row[0] for row in plain(got)] == expected

    @pytest.mark.parametrize("cast, parameter, expected", [
        ("BIGINT", "long:5", "5"), ("INT", "int:-5", "-5"), ("DOUBLE", "double:-2.5", "c004000000000000"), ("VARCHAR", "string:ü?", "ü?"),
        ("BOOLEAN", "boolean:true", True), ("DATE", "date:1995-03-15", "1995-03-15"), ("DECIMAL(10, 2)", "decimal:12.34", "12.34"),
        ("TIMESTAMP", "timestamp:2024-02-29 12:30:00.123456", "2024-02-29T12:30:00.123000000"), ("BYTEA", "bytes:abc", "616263"),
        ("TIME", "time:12:30:15", "12:30:15.000000000"), ("INT", "null:INTEGER", None), ("VARCHAR", "null:VARCHAR", None),
    ])
    def test_a_cast_tells_the_type(self, connected, cast, parameter, expected):
        [got] = connected("prepared", f"SELECT CAST(? AS {cast}) AS v", parameter, ";")
        assert plain(got) == [[expected]]

    def test_limit_and_offset(self, connected):
        [got] = connected("prepared", "SELECT id FROM lake.types.typed ORDER BY id LIMIT ? OFFSET ?", "long:2", "int:1", ";")
        assert plain(got) == [["2"], ["3"]]

    def test_a_parameter_of_no_type(self, connected):
        """The driver can bind nothing but NULL to it; a cast helps."""
        sql = "SELECT coalesce(word, {}) FROM lake.types.typed WHERE id = 1"
        with pytest.raises(ClientError, match="NullVector"):
            connected("prepared", sql.format("?"), "string:x", ";")
        assert plain(connected("prepared", sql.format("?"), "null:VARCHAR", ";")[0]) == [[None]]
        assert plain(connected("prepared", sql.format("CAST(? AS VARCHAR)"), "string:x", ";")[0]) == [["x"]]

    def test_a_value_of_another_kind(self, connected):
        with pytest.raises(ClientError, match="Binding value of type STRING is not yet supported"):
            connected("prepared", "SELECT id FROM lake.types.typed WHERE id = ?", "string:2", ";")

    def test_zones(self, programs, typed_gate):
        """A JVM in another zone than UTC moves local times by its offset, unless it is told that they are in UTC."""
        for version in VERSIONS:
            jdbc = programs(f"jdbc {version}", zone="Europe/Berlin")
            sql = "SELECT local FROM lake.types.typed WHERE id = 2"
            for properties, hour in ([], 22), (["timeZone=UTC"], 23):
                opened(jdbc, typed_gate, f"token={typed_gate.token('jade')}", *properties)
                assert plain(jdbc.call("rows", "c", sql)) == [[f"2024-02-29T{hour}:59:59.999999000"]]
                jdbc.call("close", "c")


class TestEnds:
    """Whatever ends a statement ends it soon, and the connection goes on."""

    def goes_on(self, connected):
        assert plain(connected("rows", "SELECT 1")) == [["1"]]

    def test_cancel(self, connected):
        told = connected("cancel", SLOW, 700)
        assert told["elapsed_ms"] < END_LIMIT_MS and re.search("(?i)cancel", str(told["error"])), told
        self.goes_on(connected)

    def test_query_timeout(self, connected):
        told = connected("timeout", SLOW, 1)
        assert told["elapsed_ms"] < END_LIMIT_MS and "timed out after 1" in str(told["error"]), told
        self.goes_on(connected)

    def test_closing_early(self, connected):
        told = connected("abandon", LARGE, 10)
        assert told["error"] is None and told["elapsed_ms"] < END_LIMIT_MS, told
        self.goes_on(connected)

    def test_what_was_cancelled_has_stopped(self, jdbc, typed_mesh, serve):
        """Its place is free: here a principal has two."""
        process = serve(typed_mesh, MESHGATE_ENGINE__QUERIES_PER_PRINCIPAL_MAX=2, MESHGATE_ENGINE__QUEUE_LEN_MAX=0)
        opened(jdbc, process, f"token={process.token('jack')}")
        for _ in range(3):
            told = jdbc.call("cancel", "c", SLOW, 200)
            assert told["elapsed_ms"] < END_LIMIT_MS and re.search("(?i)cancel", str(told["error"])), told
        assert plain(jdbc.call("rows", "c", "SELECT 1")) == [["1"]]
        jdbc.call("close", "c")

    @pytest.mark.parametrize("sql, said", [
        ("SELEC 1", "cannot be read"), ("SELECT nothing_like_it FROM lake.types.typed", "nothing_like_it"),
        ("SELECT * FROM lake.types.nowhere", "does not exist"), ("SELECT no_such_function(1)", "no_such_function"),
        ("SELECT CAST(word AS INT) FROM lake.types.typed", "cannot be cast"),
    ])
    def test_errors_are_readable(self, connected, sql, said):
        with pytest.raises(ClientError) as failure:
            connected("rows", sql)
        text = str(failure.value)
        assert said in text and len(text) < 2000, text
        assert not [word for word in ("DataFusionError", ".rs:", "panicked", "Status {") if word in text], text
        self.goes_on(connected)
