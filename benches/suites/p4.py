"""A whole table to the client: lineitem through the gateway, against pyarrow's C++ Flight server over the same file and from memory.

The gateway reads, decodes, governs and audits. `C++, reading` is a Flight server of Arrow C++ that streams what its own dataset
reader decodes from the same Parquet files: equal work. `C++, from memory` only sends batches that it holds.
"""

import subprocess
import sys
import textwrap

import pyarrow.flight

import gate
import tables
from suites.bench import Bench
from suites.report import Table

SERVER = """
    import sys
    import deltalake, pyarrow as pa, pyarrow.dataset as ds, pyarrow.flight as fl

    how, location = sys.argv[1:]
    dataset = ds.dataset(deltalake.DeltaTable(location).file_uris())
    held = dataset.to_table() if how == "memory" else None

    class Server(fl.FlightServerBase):
        def do_get(self, context, ticket):
            return fl.RecordBatchStream(dataset.scanner(batch_size=65536).to_reader() if held is None else held)

    server = Server("grpc+tcp://127.0.0.1:0")
    print(server.port, flush=True)
    server.serve()
"""


def run(bench: Bench) -> list[Table]:
    mesh = bench.tpch("delta")
    location = mesh / "data" / "sales" / "lineitem"
    sql = f"SELECT * FROM {tables.ADDRESS['lineitem']}"
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(SERVER), how, location], stdout=subprocess.PIPE, text=True)
        for how in ("reading", "memory")
    ]
    try:
        peers = [pyarrow.flight.FlightClient(f"grpc+tcp://127.0.0.1:{process.stdout.readline().strip()}") for process in processes]
        with bench.gateway(mesh) as process, process.flight(process.token("bench")) as client:
            ours = lambda: drained(client.stream(client.info(sql)))
            theirs = [lambda peer=peer: drained(peer.do_get(pyarrow.flight.Ticket(b""))) for peer in peers]
            rows, size = ours()
            with process.connect(process.token("bench")) as connection:
                adbc = lambda: gate.fetch(connection, sql)
                seconds = bench.alternate(ours, adbc, *theirs)
    finally:
        for process in processes:
            process.kill()
    gib = size / 2**30
    names = ["Meshgate to pyarrow", "Meshgate to ADBC, into a table", "C++, reading", "C++, from memory"]
    table = Table(
        f"{rows} rows, {gib:.2f} GiB of Arrow",
        ["", "s", "GiB/s", "times as fast as C++, reading"],
        [[name, took, gib / took, seconds[2] / took] for name, took in zip(names, seconds)],
        goal="Meshgate to pyarrow at least 1.0 times as fast as C++",
        ratio=seconds[2] / seconds[0],
    )
    return [table]


def drained(reader) -> tuple[int, int]:
    rows = size = 0
    for chunk in reader:
        rows += chunk.data.num_rows
        size += chunk.data.nbytes
    return rows, size
