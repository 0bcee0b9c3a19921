"""Small queries: a customer by key, a page of orders, a small aggregate; by one client and by many at once.

Each client has a connection of its own and a prepared statement, and asks for another key every time. The peer is DataFusion in the
client's process, which parses and plans its statement anew each time. Clients run in processes of their own.
"""

import multiprocessing
import os
import random
import statistics
import time
from pathlib import Path

import gate
import tables
from suites import peers
from suites.bench import Bench, say
from suites.report import Table

CUSTOMER, NATION, ORDERS = (tables.ADDRESS[name] for name in ("customer", "nation", "orders"))
QUERIES = {
    "a customer by key": f"SELECT c_name, c_acctbal, n_name FROM {CUSTOMER} JOIN {NATION} ON c_nationkey = n_nationkey WHERE c_custkey = ?",
    "ten orders from a key on": f"SELECT o_orderkey, o_totalprice FROM {ORDERS} WHERE o_orderkey >= ? ORDER BY o_orderkey LIMIT 10",
    "nations and a number": f"SELECT n_regionkey, count(*), min(n_name) FROM {NATION} WHERE n_nationkey <> ? GROUP BY n_regionkey",
}
CLIENTS = (1, 8, 64)
PRINCIPALS = 8
SECONDS = 5
KEYS = 150_000


def run(bench: Bench) -> list[Table]:
    mesh = bench.tpch("delta")
    context = peers.plain_datafusion(mesh)
    single, many = [], []
    with bench.gateway(mesh) as process:
        # One principal may not run as many queries at once as there are clients.
        tokens = [process.token(f"bench-{number}") for number in range(PRINCIPALS)]
        token = tokens[0]
        for name, sql in QUERIES.items():
            theirs = statistics.median(latencies(lambda key: context.sql(plain(sql, key)).collect()))
            with process.connect(token) as connection, connection.cursor() as cursor:
                cursor.adbc_prepare(sql)
                ours = statistics.median(latencies(lambda key: answer(cursor, sql, key)))
            say(f"{name}: {ours * 1e3:.2f} ms, {theirs * 1e3:.2f} ms")
            single.append([name, ours * 1e3, theirs * 1e3, (ours - theirs) * 1e3])
        sql = QUERIES["a customer by key"]
        for clients in CLIENTS:
            before = cpu_s(process.process.pid)
            times = sorted(together(clients, process.url, tokens, sql))
            busy = cpu_s(process.process.pid) - before
            rate = len(times) / SECONDS
            row = [clients, rate, statistics.median(times) * 1e3, times[len(times) * 99 // 100] * 1e3, busy / len(times) * 1e3]
            say(f"{clients} clients: {rate:.0f} a second")
            many.append(row)
    return [
        Table("One client", ["query", "Meshgate p50, ms", "DataFusion p50, ms", "more, ms"], single, "at most 1 ms more"),
        Table(
            "A customer by key, many clients on the same two cores",
            ["clients", "queries a second", "p50, ms", "p99, ms", "the gateway's CPU a query, ms"],
            many,
            "throughput until the processors are busy",
        ),
    ]


def plain(sql: str, key: int) -> str:
    for name, address in tables.ADDRESS.items():
        sql = sql.replace(address, name)
    return sql.replace("?", str(key))


def answer(cursor, sql: str, key: int) -> None:
    cursor.execute(sql, (key,))
    cursor.fetch_arrow_table()


def latencies(call, seconds: float = SECONDS) -> list[float]:
    """How long each call takes, of all that are made one after the other in this time, after a warm-up."""
    keys = random.Random(7)
    for _ in range(20):
        call(keys.randrange(1, KEYS))
    taken, end = [], time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        call(keys.randrange(1, KEYS))
        taken.append(time.perf_counter() - begun)
    return taken


def together(clients: int, url: str, tokens: list[str], sql: str) -> list[float]:
    """The latencies of clients that begin at the same time, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    begin, results = context.Barrier(clients), context.Queue()
    processes = [context.Process(target=ask, args=(url, tokens[at % PRINCIPALS], sql, begin, results)) for at in range(clients)]
    for process in processes:
        process.start()
    taken = [second for _ in processes for second in results.get(timeout=120)]
    for process in processes:
        process.join()
    return taken


def ask(url: str, token: str, sql: str, begin, results) -> None:
    process = gate.Gate(None, Path("unused"))
    process.ready = {"flight_url": url}
    with process.connect(token) as connection, connection.cursor() as cursor:
        cursor.adbc_prepare(sql)
        begin.wait(100)
        results.put(latencies(lambda key: answer(cursor, sql, key)))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
