"""TPC-H through the gateway against DuckDB with its extensions, over the same Delta and the same Iceberg tables."""

from suites import peers
from suites.bench import Bench, geometric_mean, say
from suites.p1 import queries
from suites.report import Table


def run(bench: Bench) -> list[Table]:
    return [compared(bench, layout) for layout in ("delta", "iceberg")]


def compared(bench: Bench, layout: str) -> Table:
    mesh = bench.tpch(layout)
    duck = peers.duck(mesh, layout)
    rows = []
    with bench.gateway(mesh) as process, process.flight(process.token("bench")) as client:
        for number, sql in queries().items():
            ours, theirs = bench.alternate(lambda: client.table(sql), lambda: duck.execute(sql).to_arrow_table())
            say(f"{layout}, query {number}: {ours:.3f} s, {theirs:.3f} s")
            rows.append([number, ours, theirs, ours / theirs])
    mean = geometric_mean([row[3] for row in rows])
    columns = ["query", "Meshgate, s", "DuckDB, s", "ratio"]
    return Table(f"22 queries of TPC-H on {layout.capitalize()}", columns, rows, "a geometric mean of at most 0.9", mean)
