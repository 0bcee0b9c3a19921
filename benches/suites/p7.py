"""Long histories and many files: a Delta table of 10,000 commits, an Iceberg table of 10,000 data files.

`first` is the first question to a new gateway, which has to open the table; `library` is the format's own Python library opening
the same table. `nothing new` is a question when the table has not changed since the last: its log or catalog is looked at, and
the scan is planned over all files. `short` is the same question to a table of one file, so what is more is the history's.
"""

import json
import uuid
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

import meshdir
from suites.bench import Bench, timed
from suites.report import Table

COMMITS = 10_000
FILES_EACH = 1_000
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


def run(bench: Bench) -> list[Table]:
    rows = [measured(bench, layout) for layout in ("delta", "iceberg")]
    columns = ["table", "library, ms", "first, ms", "first / library", "nothing new, ms", "short, ms", "one file of all, ms"]
    goal = "planning after the first within 10 ms, a refresh with nothing new within 2 ms"
    return [Table(f"{COMMITS} commits and {COMMITS} files", columns, rows, goal)]


def measured(bench: Bench, layout: str) -> list:
    mesh = bench.made(f"history-{layout}-{COMMITS}", lambda directory: make(directory, layout))
    library = min(timed(lambda: opened(mesh, layout)) for _ in range(bench.pairs))
    first = []
    for _ in range(bench.pairs):
        with bench.gateway(mesh) as process, process.flight(process.token("bench")) as client:
            client.info("SELECT name FROM d.p.short WHERE id = 1")
            first.append(timed(lambda: client.info("SELECT name FROM d.p.long WHERE id = 77")))
    with bench.gateway(mesh) as process, process.flight(process.token("bench")) as client:
        assert client.table("SELECT name FROM d.p.long WHERE id = 77")["name"].to_pylist() == ["n77"]
        nothing_new, short, one = bench.alternate(
            lambda: client.info("SELECT name FROM d.p.long WHERE id = 78"),
            lambda: client.info("SELECT name FROM d.p.short WHERE id = 1"),
            lambda: client.table("SELECT name FROM d.p.long WHERE id = 79"),
        )
    opens = sorted(first)[len(first) // 2]
    return [layout, library * 1e3, opens * 1e3, opens / library, nothing_new * 1e3, short * 1e3, one * 1e3]


def opened(mesh: Path, layout: str) -> None:
    if layout == "delta":
        deltalake.DeltaTable(mesh / "data" / "d" / "long").file_uris()
    else:
        catalog = SqlCatalog("lake", uri=f"sqlite:///{mesh / 'data' / 'd' / 'catalog.db'}")
        assert len(list(catalog.load_table("d.long").scan().plan_files())) == COMMITS
        catalog.close()


def make(directory: Path, layout: str) -> None:
    home = directory / "data" / "d"
    home.mkdir(parents=True)
    server = delta(home) if layout == "delta" else iceberg(home)
    meshdir.write(directory, [meshdir.Product("d", "p", {"long": SCHEMA, "short": SCHEMA}, server, api_version="v3.2.0")])


def rows(number: int) -> pa.Table:
    return pa.table({"id": [number], "name": [f"n{number}"]}, SCHEMA)


def delta(home: Path) -> dict:
    """One file a commit, written as deltalake writes the first, with a checkpoint every thousand."""
    for name in ("long", "short"):
        deltalake.write_deltalake(home / name, rows(0), mode="append")
    log = home / "long" / "_delta_log"
    for version in range(1, COMMITS):
        name = f"part-{version:05}.parquet"
        pq.write_table(rows(version), home / "long" / name)
        bounds = {"id": version, "name": f"n{version}"}
        statistics = {"numRecords": 1, "minValues": bounds, "maxValues": bounds, "nullCount": {"id": 0, "name": 0}}
        add = {
            "path": name, "partitionValues": {}, "size": (home / "long" / name).stat().st_size,
            "modificationTime": 1_700_000_000_000 + version, "dataChange": True, "stats": json.dumps(statistics),
        }
        info = {"timestamp": 1_700_000_000_000 + version, "operation": "WRITE"}
        (log / f"{version:020}.json").write_text(json.dumps({"commitInfo": info}) + "\n" + json.dumps({"add": add}) + "\n")
        if version % 1_000 == 0:
            deltalake.DeltaTable(home / "long").create_checkpoint()
    return {"type": "local", "path": "./data/d/{model}", "format": "delta"}


def iceberg(home: Path) -> dict:
    database, warehouse = (home / "catalog.db").resolve(), f"file://{home.resolve()}/warehouse"
    catalog = SqlCatalog("lake", uri=f"sqlite:///{database}", warehouse=warehouse)
    catalog.create_namespace("d")
    catalog.create_table("d.short", SCHEMA).append(rows(0))
    table = catalog.create_table("d.long", SCHEMA)
    files = home / "warehouse" / "files"
    files.mkdir()
    for begin in range(0, COMMITS, FILES_EACH):
        paths = []
        for number in range(begin, begin + FILES_EACH):
            paths.append(str(files / f"{number:05}-{uuid.uuid4()}.parquet"))
            pq.write_table(rows(number), paths[-1])
        table.add_files([f"file://{Path(path).resolve()}" for path in paths])
    catalog.close()
    return {
        "type": "iceberg", "catalogUrl": f"sqlite://{database}", "catalog": "lake",
        "namespace": "d", "warehouse": warehouse,
    }
