"""The audit trail's disk is full, fails, or hangs: no row leaves that is not recorded, and all is well again afterwards.
Anchors find a trail that was set back."""

import errno
import json
import resource
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.flight
import pytest

import gate

LONG = "SELECT l_orderkey, l_comment FROM sales.orders.lineitem, crm.customers.nation, crm.customers.region"
ENDS_WITHIN_S = 30
# Made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`.
OPENSSL_KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOYjE7xlunFtRvAeb529n02ENun4ptevvJ4NxS0fikJX\n-----END PRIVATE KEY-----\n"
OPENSSL_PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGD0q+/tmHLkQrFDYBLZN5K3q9YDd9z3PHrRzIJIn7w4=\n-----END PUBLIC KEY-----\n"


@pytest.fixture(scope="session")
def bad_disk(tmp_path_factory) -> Path:
    """A library that lets the writes of a process fail."""
    library = tmp_path_factory.mktemp("bad_disk") / "bad_disk.so"
    source = Path(__file__).with_name("bad_disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library


class Limited:
    """`ulimit -f`: files cannot grow beyond what the trail has now."""

    def __init__(self, process: gate.Gate):
        self.pid = process.process.pid
        self.trail = trail(process)

    def begin(self):
        longest = max(file.stat().st_size for file in self.trail)
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        # Half of a record still fits.
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (longest + 100, most))

    def end(self):
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, most))


class Told:
    """A fault of the library above."""

    def __init__(self, file: Path, fault: str):
        self.file, self.fault = file, fault

    def begin(self):
        aside = self.file.with_suffix(".new")
        aside.write_text(self.fault)
        aside.rename(self.file)

    def end(self):
        self.file.unlink()


def served(serve, mesh, tmp_path, bad_disk) -> gate.Gate:
    return serve(mesh, state=tmp_path / "state", LD_PRELOAD=bad_disk, BAD_DISK=tmp_path / "fault")


FAULTS = ["ulimit", f"write {errno.ENOSPC}", f"write {errno.EIO}", f"write {errno.EDQUOT}", f"sync {errno.EIO}"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_recorded_does_not_happen(tpch_mesh, serve, tmp_path, bad_disk, fault):
    process = served(serve, tpch_mesh, tmp_path, bad_disk)
    token = process.token("kim")
    with process.flight(token) as client:
        # The trail is the longest file that the process writes, so that a limit of file sizes meets it alone.
        for number in range(4):
            client.table(f"SELECT {number} -- {'x' * 300_000}")
        running = client.stream(client.info(LONG))
        rows = next(iter(running)).data.num_rows
        assert readiness(process) == (200, "ready\n")
        disk = Limited(process) if fault == "ulimit" else Told(tmp_path / "fault", fault)
        disk.begin()
        refused = set()
        for number in range(6):
            with pytest.raises(pyarrow.flight.FlightUnavailableError, match="cannot record what it does"):
                info = client.info(f"SELECT count(*) + {number} FROM crm.customers.region")
                refused.add(gate.query_id(info.schema))
                client.table_of(info)
        assert len(refused) == 6
        with process.connect(token) as connection, pytest.raises(Exception, match="cannot record what it does"):
            gate.fetch(connection, "SELECT 1")
        # It stays so, asked or not, and says so.
        for _ in range(5):
            status, text = readiness(process)
            assert (status, "audit trail" in text) == (503, True), text
            time.sleep(0.4)
        assert health(process, "/healthz") == (200, "ok\n")
        assert process.process.poll() is None
        # Who had rows before goes on.
        rows += sum(chunk.data.num_rows for chunk in running)
        assert rows > 100_000
        disk.end()
        gate.wait_until(lambda: readiness(process) == (200, "ready\n"), "readiness", ENDS_WITHIN_S)
        delivered = client.info("SELECT count(*) FROM crm.customers.region")
        assert client.table_of(delivered).num_rows == 1
    assert process.stop() == 0
    assert verified(process)
    records = recorded(process)
    intents = {record["query"] for record in records if record["kind"] == "intent"}
    assert gate.query_id(delivered.schema) in intents
    assert not refused & intents
    denied = {record.get("query") for record in records if record["kind"] == "denial"}
    assert refused <= denied, "who was refused is in the trail once it can be written"
    outages = [record for record in records if record["kind"] == "interrupted"]
    assert outages and sum(outage["refused"] for outage in outages) >= 7 and not any(outage["lost"] for outage in outages)
    assert len({record["query"] for record in records if record["kind"] == "outcome"}) == len(intents)


def test_short_writes_are_completed(tpch_mesh, serve, tmp_path, bad_disk):
    process = served(serve, tpch_mesh, tmp_path, bad_disk)
    token = process.token("kim")
    disk = Told(tmp_path / "fault", "write short")
    disk.begin()
    with process.flight(token) as client:
        for number in range(3):
            assert client.table(f"SELECT {number}").num_rows == 1
    assert process.stop() == 0
    assert verified(process)


def test_a_slow_disk_holds_up_only_who_waits_for_it(tpch_mesh, serve, tmp_path, bad_disk):
    process = served(serve, tpch_mesh, tmp_path, bad_disk)
    token = process.token("kim")
    disk = Told(tmp_path / "fault", "sync hang")
    with process.flight(token) as client, process.connect(token) as hasty:
        with hasty.cursor() as cursor:
            cursor.execute("SET meshgate.deadline_s = 1")
        running = client.stream(client.info(LONG))
        first = next(iter(running)).data.num_rows
        disk.begin()
        answers, threads = [], []

        def wait():
            with process.flight(token) as other:
                answers.append(other.table("SELECT count(*) FROM crm.customers.region").num_rows)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(20)]
        for thread in threads:
            thread.start()
        # A deadline counts while the disk hangs.
        begun = time.monotonic()
        with pytest.raises(Exception, match="deadline of 1 s"):
            gate.fetch(hasty, "SELECT count(*) FROM crm.customers.nation")
        assert time.monotonic() - begun < 5
        # A client that does not wait any longer leaves a query whose record is closed.
        left = client.info("SELECT 7")
        leave(client, token, left)
        # Streams with their intent on disk flow.
        assert first + sum(chunk.data.num_rows for chunk in running) > 100_000
        gate.wait_until(lambda: readiness(process)[0] == 503, "a disk that hangs is noticed", ENDS_WITHIN_S)
        assert not answers, "a row left before its intent was on disk"
        disk.end()
        for thread in threads:
            thread.join(ENDS_WITHIN_S)
        assert answers == [1] * 20
        gate.wait_until(lambda: readiness(process) == (200, "ready\n"), "readiness", ENDS_WITHIN_S)
    assert process.stop() == 0
    assert verified(process)
    records = recorded(process)
    late = [record for record in records if record["kind"] == "outcome" and record.get("fault") == "deadline_exceeded"]
    intents = {record["query"] for record in records if record["kind"] == "intent"}
    assert len(late) == 1 and late[0]["query"] in intents and late[0]["rows"] == 0
    ends = {record["query"]: record["outcome"] for record in records if record["kind"] == "outcome"}
    assert set(ends) == intents and ends[gate.query_id(left.schema)] == "cancelled"


def test_a_disk_that_never_answers_does_not_hold_up_the_end(tpch_mesh, serve, tmp_path, bad_disk):
    process = served(serve, tpch_mesh, tmp_path, bad_disk)
    token = process.token("kim")
    with process.flight(token) as client:
        info = client.info("SELECT 1")
        Told(tmp_path / "fault", "sync hang").begin()
        leave(client, token, info)
    assert process.stop(limit_s=60) == 0
    assert "does not answer" in process.log_text()
    (tmp_path / "fault").unlink()
    assert verified(process)
    again = serve(tpch_mesh, state=process.state)
    ask(again, token, 1)
    assert again.stop() == 0
    assert verified(again)


def leave(client: gate.RawFlight, token: str, info: pyarrow.flight.FlightInfo):
    """Asks for rows and does not wait for them. The client or the server is the first to notice."""
    impatient = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())], timeout=0.5)
    with pytest.raises((pyarrow.flight.FlightTimedOutError, pyarrow.flight.FlightCancelledError)):
        client.client.do_get(info.endpoints[0].ticket, impatient).read_all()


def trail(process: gate.Gate) -> list[Path]:
    return sorted((process.state / "audit").glob("audit-*.jsonl"))


def recorded(process: gate.Gate) -> list[dict]:
    return [json.loads(line)["record"] for file in trail(process) for line in file.read_bytes().splitlines()]


def verified(process: gate.Gate) -> bool:
    ended = gate.run("audit", "verify", "--state", process.state)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return True


def readiness(process: gate.Gate) -> tuple[int, str]:
    return health(process, "/readyz")


def health(process: gate.Gate, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{process.ready['http']}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def anchored(tpch_mesh, serve, tmp_path):
    """A gateway whose trail is anchored, and the directory with the anchors."""
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    return serve(tpch_mesh, state=tmp_path / "state", **anchoring(anchors)), anchors


def anchoring(anchors: Path) -> dict:
    return {"MESHGATE_AUDIT__ANCHOR_DIR": anchors, "MESHGATE_AUDIT__ANCHOR_EVERY_RECORDS": 5,
            "MESHGATE_AUDIT__ANCHOR_EVERY_S": 1}


def ask(process: gate.Gate, token: str, times: int):
    with process.flight(token) as client:
        for number in range(times):
            client.table(f"SELECT count(*) + {number} FROM crm.customers.region")


def checked(process: gate.Gate, anchors: Path, *more) -> subprocess.CompletedProcess:
    return gate.run("audit", "verify", "--state", process.state, "--anchors", anchors, *more)


def test_anchors_find_a_trail_that_was_set_back(tpch_mesh, serve, anchored, tmp_path):
    process, anchors = anchored
    token = process.token("kim")
    ask(process, token, 3)
    assert process.stop() == 0
    key = process.state / "audit-anchor.key"
    assert key.stat().st_mode & 0o777 == 0o600 and "BEGIN PRIVATE KEY" in key.read_text()
    public = tmp_path / "kept.pub"
    shutil.copy(process.state / "audit-anchor.pub", public)
    old = tmp_path / "old"
    shutil.copytree(process.state / "audit", old)

    process = serve(tpch_mesh, state=process.state, **anchoring(anchors))
    ask(process, token, 20)
    # Beside the running gateway.
    whole = checked(process, anchors)
    assert whole.returncode == 0 and "anchors agree" in whole.stdout, whole.stdout + whole.stderr
    assert process.stop() == 0
    whole = checked(process, anchors, "--public-key", public)
    assert whole.returncode == 0, whole.stdout + whole.stderr

    new = tmp_path / "new"
    (process.state / "audit").rename(new)
    shutil.copytree(old, process.state / "audit")
    assert gate.run("audit", "verify", "--state", process.state).returncode == 0, "the chain alone cannot know"
    found = checked(process, anchors, "--public-key", public)
    assert found.returncode == 1 and "set back" in found.stdout, found.stdout + found.stderr
    with pytest.raises(RuntimeError, match="not the one that the anchors"):
        serve(tpch_mesh, state=process.state, **anchoring(anchors))

    # A forged anchor, and a key that is none.
    shutil.rmtree(process.state / "audit")
    new.rename(process.state / "audit")
    [file] = anchors.glob("anchors-*.jsonl")
    good = file.read_text()
    file.write_text(good.replace('"seq":1,', '"seq":2,', 1))
    assert checked(process, anchors).returncode == 1
    file.write_text(good)
    assert checked(process, anchors).returncode == 0
    wrong = checked(process, anchors, "--public-key", key)
    assert wrong.returncode == 1 and "BEGIN PUBLIC KEY" in wrong.stderr, wrong.stderr


def test_a_gateway_goes_on_without_anchors_and_says_so(tpch_mesh, serve, anchored, tmp_path):
    process, anchors = anchored
    token = process.token("kim")
    away = tmp_path / "away"
    anchors.rename(away)
    ask(process, token, 5)
    gate.wait_until(lambda: "anchors" in readiness(process)[1], "the failure is told", ENDS_WITHIN_S)
    assert readiness(process)[0] == 200
    assert "anchors of the audit trail cannot be written" in process.log_text()
    ask(process, token, 5)
    away.rename(anchors)
    gate.wait_until(lambda: readiness(process) == (200, "ready\n"), "all is well again", ENDS_WITHIN_S)
    assert process.stop() == 0
    whole = checked(process, anchors)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    anchors.rename(away)
    with pytest.raises(RuntimeError, match="anchors"):
        serve(tpch_mesh, state=process.state, **anchoring(anchors))


def test_keys_of_openssl_sign_anchors(tpch_mesh, serve, tmp_path):
    anchors, key = tmp_path / "anchors", tmp_path / "key.pem"
    anchors.mkdir()
    with pytest.raises(RuntimeError, match="openssl genpkey"):
        serve(tpch_mesh, state=tmp_path / "state", MESHGATE_AUDIT__ANCHOR_KEY=key, **anchoring(anchors))
    key.write_text(OPENSSL_KEY)
    key.chmod(0o600)
    process = serve(tpch_mesh, state=tmp_path / "state", MESHGATE_AUDIT__ANCHOR_KEY=key, **anchoring(anchors))
    assert process.stop() == 0
    assert (process.state / "audit-anchor.pub").read_text() == OPENSSL_PUBLIC_KEY
    assert not (process.state / "audit-anchor.key").exists()
    assert checked(process, anchors).returncode == 0
