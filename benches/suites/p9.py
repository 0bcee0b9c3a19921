"""One user beside a crowd: 1,000 connections that do nothing, and 200 readers of a large table that take next to nothing.

The user asks for a small aggregate, again and again, alone and then beside the crowd. The crowd's readers are 20 principals with
ten streams each, whose windows never open again after the first 64 KiB.
"""

import resource
import statistics
import time
from pathlib import Path

import gate
import http2
import tables
from suites.bench import Bench, say
from suites.report import Table

IDLE, READERS, PRINCIPALS = 1_000, 200, 20
SECONDS = 10
MEMORY_MIB = 1024
WINDOW = 65_535


def run(bench: Bench) -> list[Table]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    mesh = bench.tpch("delta")
    sql = f"SELECT n_regionkey, count(*), min(n_name) FROM {tables.ADDRESS['nation']} GROUP BY n_regionkey"
    large = f"SELECT * FROM {tables.ADDRESS['lineitem']}"
    crowd = []
    with bench.gateway(mesh, MESHGATE_ENGINE__MEMORY_MIB=MEMORY_MIB) as process:
        pid = process.process.pid
        with process.flight(process.token("victim")) as client:
            alone = asked(client, sql)
            resting = status_mib(pid, "VmRSS")
            tokens = [process.token(f"reader-{number}") for number in range(PRINCIPALS)]
            try:
                crowd += [http2.Connection(process.ready["flight"], tokens[0], window=WINDOW) for _ in range(IDLE)]
                for number in range(READERS):
                    token = tokens[number % PRINCIPALS]
                    with process.flight(token) as reader:
                        ticket = reader.info(large).endpoints[0].ticket.ticket
                    connection = http2.Connection(process.ready["flight"], token, window=WINDOW)
                    stream, begin = connection.open("DoGet")
                    connection.send(begin + http2.frame(http2.DATA, http2.END_STREAM, stream, http2.message(gate.field(1, ticket))))
                    crowd.append(connection)
                time.sleep(2)
                beside = asked(client, sql)
                crowded, peak = status_mib(pid, "VmRSS"), status_mib(pid, "VmHWM")
            finally:
                for connection in crowd:
                    connection.close()
            say(f"alone {percentile(alone, 99):.2f} ms, beside the crowd {percentile(beside, 99):.2f} ms")
    rows = [
        ["alone", len(alone), statistics.median(alone), percentile(alone, 99), resting],
        ["beside the crowd", len(beside), statistics.median(beside), percentile(beside, 99), crowded],
    ]
    ratio = percentile(beside, 99) / percentile(alone, 99)
    notes = [f"At most {peak} MiB were resident, with {MEMORY_MIB} MiB for queries."]
    title = f"{IDLE} idle connections and {READERS} slow readers"
    columns = ["", "queries", "p50, ms", "p99, ms", "RSS, MiB"]
    return [Table(title, columns, rows, "p99 at most 3 times, memory at most the limit and a quarter", ratio, notes)]


def asked(client, sql: str) -> list[float]:
    """The milliseconds of each query of some seconds."""
    for _ in range(20):
        client.table(sql)
    taken, end = [], time.perf_counter() + SECONDS
    while (begun := time.perf_counter()) < end:
        client.table(sql)
        taken.append((time.perf_counter() - begun) * 1e3)
    return sorted(taken)


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[len(ordered) * percent // 100]


def status_mib(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name))) // 1024
