"""A first day: over TLS, with a password, a token and an identity provider's token, somebody connects, browses three domains, runs
a join with a parameter, and cancels what takes too long. As a JDBC and as a Python program, from the README."""

import re
import threading

import pytest

import gate
import tables
from authority import Authority, trusting, variables
from program import NULL, ClientError
from test_adbc import SLOW

# The driver for people: what is cancelled ends while they look.
CANCEL_LIMIT_MS = 10_000
JOIN = """SELECT n_name, count(*) AS orders FROM sales.orders.orders
JOIN crm.customers.customer ON o_custkey = c_custkey JOIN crm.customers.nation ON c_nationkey = n_nationkey
WHERE c_mktsegment = ? GROUP BY n_name ORDER BY n_name"""
SEGMENT = "BUILDING"
@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("journey-tls"), "ours")


@pytest.fixture(scope="module")
def provider(new_provider):
    return new_provider()


@pytest.fixture(scope="module")
def process(tpch_mesh, authority, provider, tmp_path_factory):
    server = authority.issue("gateway", ["127.0.0.1"])
    process = gate.Gate(
        tpch_mesh, tmp_path_factory.mktemp("journey") / "state", **variables(server), **provider.configuration(),
    ).start()
    made = gate.run("user", "add", "--state", process.state, "paula", "--password-stdin", stdin="pa:ss\n")
    assert made.returncode == 0, made.stderr
    yield process
    process.kill()


@pytest.fixture(scope="module")
def expected(duck):
    return [(name, count) for name, count in duck.execute(JOIN, [SEGMENT]).fetchall()]


CREDENTIALS = ["password", "token", "identity provider"]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_python(process, authority, provider, expected, credential):
    given = {
        "password": lambda: {"user": "paula", "password": "pa:ss"},
        "token": lambda: {"token": process.token("tom")},
        "identity provider": lambda: {"token": provider.tokens_of_user("ida")["access_token"]},
    }[credential]()
    with process.connect(**given, **trusting(authority)) as connection:
        objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        seen = {f"{domain['catalog_name']}.{product['db_schema_name']}.{table['table_name']}" for domain in objects
                for product in domain["catalog_db_schemas"] for table in product["db_schema_tables"]}
        assert set(tables.ADDRESS.values()) <= seen
        with connection.cursor() as cursor:
            cursor.execute(JOIN, (SEGMENT,))
            assert cursor.fetchall() == expected
        cursor = connection.cursor()
        timer = threading.Timer(0.7, cursor.adbc_cancel)
        timer.start()
        with pytest.raises(Exception, match="(?i)cancel"):
            cursor.execute(SLOW)
            cursor.fetchall()
        timer.join()
        assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]


@pytest.mark.parametrize("version", ["15.0.2", "18.3.0"])
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_jdbc(programs, process, authority, provider, expected, version, credential):
    jdbc = programs(f"jdbc {version}")
    given = {
        "password": lambda: ["user=paula", "password=pa:ss"],
        "token": lambda: [f"token={process.token('tom')}"],
        "identity provider": lambda: [f"token={provider.tokens_of_user('ida')['access_token']}"],
    }[credential]()
    trust = ["useSystemTrustStore=false", f"tlsRootCerts={authority.file}"]
    jdbc.call("open", "c", f"jdbc:arrow-flight-sql://{process.ready['flight']}", *trust, *given)
    try:
        listed = jdbc.call("metadata", "c", "getTables", NULL, NULL, "%", NULL)
        labels = [column["label"] for column in listed["columns"]]
        at = [labels.index(name) for name in ("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME")]
        assert set(tables.ADDRESS.values()) <= {".".join(row[place] for place in at) for row in listed["rows"]}
        [found] = jdbc.call("prepared", "c", JOIN, f"string:{SEGMENT}", ";")
        assert [(name, int(count)) for name, count in found["rows"]] == expected
        told = jdbc.call("cancel", "c", SLOW, 700)
        assert told["elapsed_ms"] < CANCEL_LIMIT_MS and re.search("(?i)cancel", str(told["error"])), told
        assert jdbc.call("rows", "c", "SELECT 1")["rows"] == [["1"]]
    finally:
        try:
            jdbc.call("close", "c")
        except ClientError as error:
            # Version 15 loses the memory of bound parameters, and says so.
            assert "Memory was leaked" in str(error.told), error.told
