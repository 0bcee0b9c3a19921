"""The audit trail's disk is full, fails, or hangs: no row leaves that is not recorded, and all is well again afterwards."""

import errno
import json
import resource
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

        def ask():
            with process.flight(token) as other:
                answers.append(other.table("SELECT count(*) FROM crm.customers.region").num_rows)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(20)]
        for thread in threads:
            thread.start()
        # A deadline counts while the disk hangs.
        begun = time.monotonic()
        with pytest.raises(Exception, match="deadline of 1 s"):
            gate.fetch(hasty, "SELECT count(*) FROM crm.customers.nation")
        assert time.monotonic() - begun < 5
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
    assert len(intents) == len([record for record in records if record["kind"] == "outcome"])


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
