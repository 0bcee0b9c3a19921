"""SIGKILL in the middle of many queries loses no record of a row that left, and no token."""

import json
import threading

import gate

QUERIES = 200
SQL = "SELECT l_orderkey, l_comment FROM sales.orders.lineitem l, crm.customers.nation n WHERE l_orderkey % 200 <> {}"
# All of them at once, whatever the machine.
LIMITS = {
    "MESHGATE_ENGINE__QUERIES_MAX": QUERIES, "MESHGATE_ENGINE__QUERIES_PER_PRINCIPAL_MAX": QUERIES,
    "MESHGATE_ENGINE__QUEUE_LEN_MAX": QUERIES, "MESHGATE_ENGINE__MEMORY_MIB": 4096,
}


def test_kill_loses_no_record(tpch_mesh, serve, tmp_path):
    process = serve(tpch_mesh, state=tmp_path / "state", **LIMITS)
    token = process.token("kim")
    delivered, enough, lock = set(), threading.Event(), threading.Lock()

    def query(number: int):
        try:
            with process.flight(token) as client:
                reader = client.stream(client.info(SQL.format(number)))
                name = gate.query_id(reader.schema)
                for chunk in reader:
                    if chunk.data.num_rows:
                        with lock:
                            delivered.add(name)
                            if len(delivered) >= QUERIES // 4:
                                enough.set()
        except Exception as error:  # the end of the process ends the stream
            with lock:
                ends.append(str(error))

    ends = []
    threads = [threading.Thread(target=query, args=(number,), daemon=True) for number in range(QUERIES)]
    for thread in threads:
        thread.start()
    assert enough.wait(120), f"{len(delivered)} queries delivered rows: {ends[:3]} {process.log_text()[-2000:]}"
    process.kill()
    for thread in threads:
        thread.join(60)
    assert not [thread for thread in threads if thread.is_alive()]
    assert ends, "nothing was running when the process was killed"

    verified = gate.run("audit", "verify", "--state", process.state)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    intents = intended(process)
    assert delivered and not delivered - intents

    again = serve(tpch_mesh, state=process.state)
    with again.connect(token) as connection:
        assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]
    assert again.stop() == 0
    verified = gate.run("audit", "verify", "--state", process.state)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def intended(process: gate.Gate) -> set[str]:
    """Query ids of the intent records in the audit trail."""
    found = set()
    for file in files(process):
        for line in file.read_bytes().splitlines():
            try:
                record = json.loads(line)["record"]
            except (ValueError, KeyError):
                continue  # the line that was being written
            if record["kind"] == "intent":
                found.add(record["query"])
    return found


def files(process: gate.Gate):
    return sorted((process.state / "audit").glob("audit-*.jsonl"))


def test_edits_are_found(tpch_mesh, serve, tmp_path):
    """An edited, a missing and a cut record do not verify."""
    process = serve(tpch_mesh, state=tmp_path / "state")
    with process.connect(process.token("kim")) as connection:
        for number in range(5):
            gate.fetch(connection, f"SELECT count(*) + {number} FROM crm.customers.region")
    assert process.stop() == 0
    assert gate.run("audit", "verify", "--state", process.state).returncode == 0
    [trail] = [file for file in files(process) if file.stat().st_size and b"kim" in file.read_bytes()]
    good = trail.read_bytes()
    lines = good.splitlines(keepends=True)
    middle = len(lines) // 2
    edits = {
        "edited": good.replace(b"kim", b"tim", 1),
        "removed": b"".join(lines[:middle] + lines[middle + 1:]),
        "swapped": b"".join(lines[:middle - 1] + [lines[middle], lines[middle - 1]] + lines[middle + 1:]),
        "cut": b"".join(lines[:-1]),
    }
    for name, content in edits.items():
        trail.write_bytes(content)
        verified = gate.run("audit", "verify", "--state", process.state)
        assert verified.returncode == 1, f"{name}: {verified.stdout}{verified.stderr}"
    trail.write_bytes(good)
    assert gate.run("audit", "verify", "--state", process.state).returncode == 0
