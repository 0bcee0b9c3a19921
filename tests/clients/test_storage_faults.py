"""A store that hangs, lies, is slow or refuses: a clear error or the right rows, never others, and nobody else waits."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import gate
import meshdir
import tables
from test_s3 import BUCKET, KEY, REGION, ROWS, SECRET, SETTINGS, endpoint, write_delta  # noqa: F401

ALL = "SELECT * FROM far.things.rows ORDER BY id"
NEAR = "SELECT count(*) FROM near.things.rows"
DEADLINE_S = 6
# The kinds of failure that a store may lead to.
TOLD = ("unavailable", "deadline", "timed out", "timeout", "cancelled")


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a store, but for those that the fault is about."""

    daemon_threads = True

    def __init__(self, endpoint: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = endpoint.removeprefix("http://")
        self.fault, self.about, self.faulty = None, "", 0
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def begin(self, fault: str | None, about: str = ""):
        self.over.set()
        self.over = threading.Event()
        self.fault, self.about, self.faulty = fault, about, 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        proxy = self.server
        store = http.client.HTTPConnection(proxy.store, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        store.request(self.command, self.path, headers=headers)
        answer = store.getresponse()
        body = answer.read()
        store.close()
        status, sent, length = answer.status, body, len(body)
        if proxy.fault and proxy.about in self.path and self.command == "GET":
            proxy.faulty += 1
            match proxy.fault:
                case "hangs":
                    proxy.over.wait(120)
                    self.close_connection = True
                    return
                case "is slow":
                    time.sleep(0.5)
                case "breaks off":
                    sent = body[: len(body) // 2]
                case "sends too little":
                    sent = body[: len(body) // 2]
                    length = len(sent)
                case "sends zeros":
                    sent = bytes(len(body))
                case "refuses twice" if proxy.faulty > 2:
                    pass
                case "refuses" | "refuses twice":
                    status, sent, length = 503, b"", 0
                case "does not find":
                    status, sent, length = 404, b"", 0
                case "forbids":
                    status, sent, length = 403, b"", 0
                case "leads away":
                    status, sent, length = 307, b"", 0
        self.send_response_only(status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if status == 307:
            self.send_header("Location", f"{self.server.elsewhere}{self.path}")
        self.send_header("Content-Length", str(length if self.command != "HEAD" else answer.getheader("Content-Length", 0)))
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(sent)
            except ConnectionError:
                pass
            # What was promised and is not sent ends the connection.
            self.close_connection = len(sent) != length

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def proxy(endpoint):  # noqa: F811
    server = Proxy(endpoint)
    yield server
    server.begin(None)
    server.shutdown()


@pytest.fixture(scope="module")
def mesh(endpoint, proxy, tmp_path_factory):  # noqa: F811
    home = tmp_path_factory.mktemp("faults") / "mesh"
    write_delta(endpoint, "far/rows", ROWS)
    tables.write_delta(home / "data" / "near" / "rows", ROWS)
    schemas = {"rows": ROWS.schema}
    far = {"type": "s3", "endpointUrl": proxy.url, "location": f"s3://{BUCKET}/far/{{model}}", "format": "delta"}
    near = {"type": "local", "path": "./data/near/{model}", "format": "delta"}
    storage = {"far": [{"prefix": f"s3://{BUCKET}/far/", "credentials": "lake"}]}
    products = [meshdir.Product("far", "things", schemas, far), meshdir.Product("near", "things", schemas, near)]
    return meshdir.write(home, products, storage=storage)


@pytest.fixture
def process(mesh, proxy, serve, tmp_path):
    proxy.begin(None)
    file = tmp_path / "meshgate.toml"
    file.write_text(SETTINGS.format(key=KEY, region=REGION, endpoint=proxy.url))
    return serve(mesh, "--config", file, LAKE_SECRET=SECRET, MESHGATE_ENGINE__DEADLINE_S_DEFAULT=DEADLINE_S)


@pytest.mark.parametrize("about", ["_delta_log", ".parquet"])
@pytest.mark.parametrize("fault, right", [
    ("hangs", False), ("is slow", True), ("breaks off", False), ("sends too little", False), ("sends zeros", False),
    ("refuses", False), ("refuses twice", True), ("does not find", False), ("forbids", False), ("leads away", None),
])
def test_a_faulty_store(process, proxy, endpoint, fault, right, about):  # noqa: F811
    token = process.token("ana")
    proxy.elsewhere = endpoint
    proxy.begin(fault, about)
    with process.connect(token) as connection:
        begun = time.monotonic()
        try:
            found = gate.fetch(connection, ALL)
        except Exception as error:
            found, said = None, str(error)
        took_s = time.monotonic() - begun
        assert proxy.faulty > 0, "the fault was not met"
        if found is not None:
            assert found == ROWS, "wrong rows"
            assert right is not False
        else:
            assert right is not True, said
            assert any(word in said.lower() for word in TOLD), said
            hidden = [BUCKET + "/", "far/rows", proxy.url, ".parquet", "_delta_log", SECRET]
            assert not any(part in said for part in hidden), said
        assert took_s < DEADLINE_S + 4, f"{took_s} s"
        # Whoever reads something else waits for nothing of it, also while the store still hangs.
        begun = time.monotonic()
        assert gate.fetch(connection, NEAR)[0].to_pylist() == [ROWS.num_rows]
        assert time.monotonic() - begun < 2
    assert process.process.poll() is None
    proxy.begin(None)

    def mended():
        try:
            with process.connect(token) as connection:
                return gate.fetch(connection, ALL) == ROWS
        except Exception:  # not yet
            return False

    gate.wait_until(mended, "the store's recovery", 15, pause_s=0.3)
