"""A meshgate process for one test: started on free ports, waited for by its ready file, always ended."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi
import pyarrow as pa
import pyarrow.flight

BINARY = os.environ.get("MESHGATE_BIN", "meshgate")
START_LIMIT_S = 60
CALL_LIMIT_S = 120


def run(*arguments, stdin: str | None = None, limit_s: float = CALL_LIMIT_S, text: bool = True, **variables) -> subprocess.CompletedProcess:
    """A command of the binary, to its end."""
    command = [BINARY, *map(str, arguments)]
    environment = clean_environment() | {name: str(value) for name, value in variables.items()}
    return subprocess.run(command, input=stdin, capture_output=True, text=text, timeout=limit_s, env=environment)


def clean_environment() -> dict:
    """Ours without what would configure a gateway behind the test's back."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MESHGATE_", "RUST_LOG"))}


def wait_until(condition, what: str, limit_s: float, pause_s: float = 0.02):
    """Polls until the condition gives something true, which is returned."""
    end = time.monotonic() + limit_s
    while True:
        if (value := condition()) is not None and value is not False:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit_s} s")
        time.sleep(pause_s)


class Gate:
    """`meshgate serve` (or `demo`) over a mesh directory and a state directory."""

    def __init__(self, mesh: Path | None, state: Path, *arguments: str, command: str = "serve", **variables):
        self.mesh, self.state = mesh, Path(state)
        self.command, self.arguments, self.variables = command, arguments, variables
        self.process = None
        self.ready = {}

    def start(self, limit_s: float = START_LIMIT_S, flight: str = "127.0.0.1:0") -> "Gate":
        """Starts the process and waits until it answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        ready = self.state.parent / f"{self.state.name}.ready.json"
        ready.unlink(missing_ok=True)
        self.log = self.state.parent / f"{self.state.name}.log"
        where = ["--mesh", self.mesh, "--state", self.state] if self.command == "serve" else ["--dir", self.state]
        listen = ["--flight-listen", flight, "--http-listen", "127.0.0.1:0", "--ready-file", ready]
        environment = clean_environment() | {name: str(value) for name, value in self.variables.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, self.command, *map(str, where), *map(str, listen), *map(str, self.arguments)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )

        def answered():
            if self.process.poll() is not None:
                raise RuntimeError(f"meshgate ended with {self.process.returncode}:\n{self.log_text()}")
            return json.loads(ready.read_text()) if ready.exists() else None

        self.ready = wait_until(answered, "the ready file", limit_s)
        return self

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")[-8000:]

    def stop(self, limit_s: float = 30) -> int:
        """Asks it to drain, and gives its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode

    def kill(self):
        """SIGKILL: no farewell."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def restart(self) -> "Gate":
        """Killed and started again at the same address, as a client sees it."""
        self.kill()
        return self.start(flight=self.ready["flight"])

    @property
    def url(self) -> str:
        return self.ready["flight_url"]

    def token(self, user: str, *groups: str, ttl: str | None = None, **attributes) -> str:
        """A new token for a user."""
        flags = [flag for group in groups for flag in ("--group", group)]
        flags += [flag for name, value in attributes.items() for flag in ("--attribute", f"{name}={value}")]
        flags += ["--ttl", ttl] if ttl else []
        made = run("token", "create", "--state", self.state, "--user", user, *flags)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def connect(self, token: str | None = None, user: str | None = None, password: str | None = None, **options):
        """An ADBC connection."""
        kwargs = {f"adbc.flight.sql.rpc.timeout_seconds.{call}": str(CALL_LIMIT_S) for call in ("query", "fetch", "update")}
        if token is not None:
            kwargs["adbc.flight.sql.authorization_header"] = f"Bearer {token}"
        if user is not None:
            kwargs |= {"username": user, "password": password}
        return adbc_driver_flightsql.dbapi.connect(self.url, db_kwargs=kwargs | options, autocommit=True)

    def flight(self, token: str) -> "RawFlight":
        """A bare Flight client."""
        return RawFlight(self.url.replace("grpc://", "grpc+tcp://"), token)


def fetch(connection, sql: str, parameters=None) -> pa.Table:
    """All rows of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


class RawFlight:
    """Flight SQL by hand over pyarrow.flight, for what no driver shows: metadata, single batches, raw tickets."""

    def __init__(self, url: str, token: str):
        self.client = pyarrow.flight.FlightClient(url)
        self.header = (b"authorization", f"Bearer {token}".encode())
        self.options = pyarrow.flight.FlightCallOptions(headers=[self.header], timeout=CALL_LIMIT_S)

    def info(self, sql: str) -> pyarrow.flight.FlightInfo:
        return self.client.get_flight_info(statement(sql), self.options)

    def metadata(self, name: str, body: bytes = b"") -> pa.Table:
        """What a metadata command gives."""
        descriptor = pyarrow.flight.FlightDescriptor.for_command(command(name, body))
        return self.table_of(self.client.get_flight_info(descriptor, self.options))

    def stream(self, info: pyarrow.flight.FlightInfo) -> pyarrow.flight.FlightStreamReader:
        return self.client.do_get(info.endpoints[0].ticket, self.options)

    def table(self, sql: str) -> pa.Table:
        return self.stream(self.info(sql)).read_all()

    def table_of(self, info: pyarrow.flight.FlightInfo) -> pa.Table:
        return self.stream(info).read_all()

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def statement(sql: str) -> pyarrow.flight.FlightDescriptor:
    """CommandStatementQuery in its Any."""
    return pyarrow.flight.FlightDescriptor.for_command(command("CommandStatementQuery", field(1, sql.encode())))


def command(name: str, body: bytes = b"") -> bytes:
    """A Flight SQL message in a google.protobuf.Any."""
    return field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}".encode()) + field(2, body)


def field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def number(field_number: int, value: int) -> bytes:
    """A varint protobuf field."""
    return bytes([field_number << 3]) + varint(value)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def query_id(schema: pa.Schema) -> str:
    """The query id that a result's schema carries."""
    return json.loads(schema.metadata[b"meshgate.query"])["query_id"]
