"""TPC-H through the gateway against DataFusion in the client's own process over the same Parquet files."""

import tables
from suites import peers
from suites.bench import Bench, geometric_mean, say
from suites.report import Table


def run(bench: Bench) -> list[Table]:
    mesh = bench.tpch("delta")
    context = peers.plain_datafusion(mesh)
    rows = []
    with bench.gateway(mesh) as process, process.flight(process.token("bench")) as client:
        for number, sql in queries().items():
            plain = sql
            for name, address in tables.ADDRESS.items():
                plain = plain.replace(address, name)
            ours, theirs = bench.alternate(lambda: client.table(sql), lambda: context.sql(plain).collect())
            say(f"query {number}: {ours:.3f} s, {theirs:.3f} s")
            rows.append([number, ours, theirs, ours / theirs])
    mean = geometric_mean([row[3] for row in rows])
    columns = ["query", "Meshgate, s", "DataFusion, s", "ratio"]
    return [Table("22 queries of TPC-H on Delta", columns, rows, "a geometric mean of at most 1.05", mean)]


def queries() -> dict[int, str]:
    return tables.queries(tables.tpch(0.001))
