"""A mesh of 10,000 products with 50,000 tables: its start, its listings, the memory it takes.

No table of it exists, so whatever is listed is listed without opening one.
"""

import time
from pathlib import Path

import pyarrow as pa

import gate
import meshdir
from suites.bench import Bench, timed
from suites.report import Table

TABLES = 5
DOMAINS = 20
SCHEMA = pa.schema([
    ("id", pa.int64()), ("name", pa.string()), ("amount", pa.decimal128(12, 2)),
    ("at", pa.timestamp("us")), ("flag", pa.bool_()), ("note", pa.string()),
])


def run(bench: Bench) -> list[Table]:
    columns = ["products", "tables", "start, s", "first listing, ms", "listing, ms", "with schemas, ms", "one table, ms", "RSS, MiB"]
    rows = [measured(bench, products) for products in (100, 1_000, 10_000)]
    goal = "start in 2 s, listing in 300 ms, 600 MiB, growth at most linear"
    return [Table("Listing everything there is", columns, rows, goal)]


def measured(bench: Bench, products: int) -> list:
    mesh = bench.made(f"mesh-{products}", lambda directory: make(directory, products))
    with bench.gateway(mesh):
        pass  # the files are in the system's cache from here on
    begun = time.perf_counter()
    with bench.gateway(mesh) as process:
        start = time.perf_counter() - begun
        with process.flight(process.token("bench")) as client:
            listing = lambda: client.metadata("CommandGetTables")
            schemas = gate.number(5, 1)
            one = gate.field(2, b"p77") + gate.field(3, b"t1")
            first = timed(listing)
            resident = memory_mib(process.process.pid)
            found = listing().num_rows
            every, described, single = bench.alternate(
                listing,
                lambda: client.metadata("CommandGetTables", schemas),
                lambda: client.metadata("CommandGetTables", one),
            )
    assert found >= products * TABLES, found
    return [products, products * TABLES, start, first * 1e3, every * 1e3, described * 1e3, single * 1e3, resident]


def make(directory: Path, products: int) -> None:
    made = []
    for number in range(products):
        domain = f"d{number % DOMAINS}"
        server = {"type": "local", "path": f"./data/{domain}/p{number}", "format": "delta"}
        made.append(meshdir.Product(domain, f"p{number}", {f"t{table}": SCHEMA for table in range(TABLES)}, server))
    meshdir.write(directory, made)


def memory_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024
