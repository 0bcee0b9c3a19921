"""A gateway that is killed and started again, and a token that expires, in the middle of a client's session: nothing hangs, and what
the client is told can be acted on."""

import contextlib
import threading
import time

import pytest

import gate
from program import ClientError
from test_jdbc import LARGE

# A cursor that could not be closed complains once more when it goes.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CLIENTS = ["adbc", "go", "jdbc 15.0.2", "jdbc 18.3.0", "old"]
# Longer than this is a hang.
END_LIMIT_S = 20
BACK_LIMIT_S = 30
COUNT = "SELECT count(*) FROM lake.types.typed"


class Adbc:
    """Python's ADBC with the commands of a `Program`."""

    name = "adbc"

    def __init__(self):
        self.connections = {}

    def open(self, name, process, **credential):
        self.connections[name] = process.connect(**credential)

    def call(self, command, name, *words):
        if command == "close":
            return self.connections.pop(name).close()
        try:
            rows = gate.fetch(self.connections[name], *words).to_pylist()
        except Exception as error:
            raise ClientError({"message": str(error)}) from None
        return {"rows": [[str(value) for value in row.values()] for row in rows]}

    def send(self, _, name, sql):
        self.result = {}

        def run():
            try:
                with self.connections[name].cursor() as cursor:
                    cursor.execute(sql)
                    for _ in cursor.fetch_record_batch():
                        pass
                self.result["error"] = None
            except Exception as error:  # the failure is the answer
                self.result["error"] = {"message": str(error)}

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def answer(self, limit_s):
        self.thread.join(limit_s)
        assert not self.thread.is_alive(), "it hangs"
        return self.result


@pytest.fixture(params=CLIENTS)
def client(request, programs):
    """A client and how it opens a connection: client.open("name", process, token=... or user=..., password=...)."""
    if request.param == "adbc":
        return Adbc()
    program = programs(request.param)

    def opener(name, process, token=None, user=None, password=None):
        pairs = [("token", token)] if token else [("user", user), ("password", password)]
        if request.param == "go":
            keys = {"user": "username", "password": "password"}
            options = [f"adbc.flight.sql.authorization_header=Bearer {token}"] if token else [f"{keys[k]}={v}" for k, v in pairs]
            return program.call("open", name, f"uri={process.url}", *options)
        where = process.ready["flight"]
        options = [f"{key}={value}" for key, value in pairs]
        if request.param == "old":
            return program.call("open", name, *where.split(":"), *options)
        return program.call("open", name, f"jdbc:arrow-flight-sql://{where}", "useEncryption=false", *options)

    program.open, program.name = opener, request.param
    return program


@pytest.fixture
def process(typed_mesh, serve):
    return serve(typed_mesh)


def closed(client):
    """Closing may tell that the connection or the token is gone."""
    with contextlib.suppress(Exception):
        client.call("close", "i")


def comes_back(client):
    """Asks until an answer comes. Drivers connect again by themselves; bare pyarrow tells once that the connection was lost."""
    failures = []

    def asked():
        try:
            return client.call("rows", "i", COUNT)["rows"] == [["5"]]
        except ClientError as error:
            failures.append(str(error))
            return None

    gate.wait_until(asked, "an answer", BACK_LIMIT_S, pause_s=0.2)
    lost = [failure for failure in failures if "Unavailable" in failure]
    assert failures == (lost[:1] if client.name == "old" else []), failures


def test_restart_between_statements(client, process):
    """With a token the same connection goes on by itself."""
    client.open("i", process, token=process.token("ina"))
    assert client.call("rows", "i", COUNT)["rows"] == [["5"]]
    process.restart()
    comes_back(client)
    closed(client)


def test_restart_of_a_session_with_a_password(client, process):
    """The bearer that a login gave is good after a restart as well."""
    made = gate.run("user", "add", "--state", process.state, "ida", "--password-stdin", stdin="secret\n")
    assert made.returncode == 0, made.stderr
    client.open("i", process, user="ida", password="secret")
    assert client.call("rows", "i", COUNT)["rows"] == [["5"]]
    process.restart()
    comes_back(client)
    closed(client)


def test_restart_while_rows_come(client, process):
    client.open("i", process, token=process.token("ina"))
    client.send("begin", "i", LARGE)
    time.sleep(1)
    process.kill()
    told = client.answer(END_LIMIT_S)
    assert told["error"] is not None, told
    closed(client)


def test_token_expires(client, process):
    """Rows that are on their way stop, and the next statement is refused with a reason."""
    client.open("i", process, token=process.token("ina", ttl="3s"))
    assert client.call("rows", "i", COUNT)["rows"] == [["5"]]
    client.send("begin", "i", LARGE)
    told = client.answer(END_LIMIT_S)
    assert told["error"] is not None, told
    with pytest.raises(ClientError, match="the token has expired"):
        client.call("rows", "i", COUNT)
    closed(client)
