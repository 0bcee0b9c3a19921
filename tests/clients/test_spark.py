"""Iceberg's reference implementation: tables that Spark deletes from, merge-on-read, snapshot by snapshot."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

import conftest
import gate
import meshdir

WRITE_LIMIT_S = 600
SCHEMA = pa.schema([("id", pa.int32()), ("region", pa.string()), ("amount", pa.int64())])
# What it has to have written: 1 is positional.
KINDS = {
    "by_file": ["1 PARQUET"],
    "by_partition": ["1 PARQUET"],
    "vectors": ["1 PUFFIN"],
    "vectors_partitioned": ["1 PUFFIN"],
    "upgraded": ["1 PARQUET", "1 PUFFIN"],
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A gateway over tables that Spark wrote, and what Spark says is in them."""
    directory = conftest.found("spark")
    mesh = tmp_path_factory.mktemp("spark") / "mesh"
    warehouse = mesh / "data" / "lake"
    warehouse.mkdir(parents=True)
    [jar] = directory.glob("iceberg-spark-runtime-*.jar")
    script = Path(__file__).with_name("spark") / "histories.py"
    written = subprocess.run(
        [directory / "python" / "bin" / "python", script, jar, warehouse],
        capture_output=True, text=True, timeout=WRITE_LIMIT_S,
    )
    assert written.returncode == 0, written.stderr[-4000:]
    told = json.loads((warehouse / "told.json").read_text())
    server = {"type": "local", "path": "./data/lake/db/{model}", "format": "iceberg"}
    meshdir.write(mesh, [meshdir.Product("lake", "histories", {name: SCHEMA for name in told}, server)])
    process = gate.Gate(mesh, tmp_path_factory.mktemp("spark-state") / "state").start()
    yield process, told
    process.kill()


@pytest.mark.parametrize("table", KINDS)
def test_snapshots(spark, table):
    process, told = spark
    snapshots = told[table]
    assert snapshots[-1]["kinds"] == KINDS[table]
    sorted_rows = lambda rows: sorted(map(tuple, rows), key=repr)
    with process.connect(process.token("sparky")) as connection, connection.cursor() as cursor:
        for number, snapshot in enumerate(snapshots):
            version = f"FOR VERSION AS OF '{snapshot['snapshot']}'"
            cursor.execute(f"SELECT id, region, amount FROM lake.histories.{table} {version}")
            assert sorted_rows(cursor.fetchall()) == sorted_rows(snapshot["rows"]), f"{table}, snapshot {number}"
            cursor.execute(f"SELECT count(*) FROM lake.histories.{table} {version}")
            assert cursor.fetchone() == (len(snapshot["rows"]),), f"{table}, snapshot {number}"
