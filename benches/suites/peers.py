"""The engines that the gateway is compared with, over the files of a mesh of TPC-H."""

import glob
import importlib
from pathlib import Path

import datafusion
import deltalake
import duckdb
from pyiceberg.catalog.sql import SqlCatalog

import tables


def duck(mesh: Path, layout: str) -> duckdb.DuckDBPyConnection:
    """DuckDB with a view of every table, through its extension for the format, under the names of the mesh."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("parquet", "avro", layout):
        connection.execute(f"LOAD '{extension(name)}'")
    for (domain, product), names in tables.TPCH.items():
        connection.execute(f"ATTACH ':memory:' AS {domain}")
        connection.execute(f"CREATE SCHEMA {domain}.{product}")
        for name in names:
            place = mesh / "data" / domain / name if layout == "delta" else metadata(mesh, domain, name)
            connection.execute(f"CREATE VIEW {tables.ADDRESS[name]} AS FROM {layout}_scan('{place}')")
    return connection


def extension(name: str) -> str:
    root = Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
    [file] = glob.glob(f"{root}/**/{name}.duckdb_extension", recursive=True)
    return file


def metadata(mesh: Path, domain: str, table: str) -> str:
    """The current metadata file of an Iceberg table."""
    database = (mesh / "data" / domain / "catalog.db").resolve()
    catalog = SqlCatalog("lake", uri=f"sqlite:///{database}")
    try:
        return catalog.load_table(f"{domain}.{table}").metadata_location.removeprefix("file://")
    finally:
        catalog.close()


def plain_datafusion(mesh: Path) -> datafusion.SessionContext:
    """DataFusion in this process over the Parquet files of a mesh of Delta tables, under short names."""
    context = datafusion.SessionContext()
    for (domain, _), names in tables.TPCH.items():
        for name in names:
            location = mesh / "data" / domain / name
            listed = deltalake.DeltaTable(location).file_uris()
            others = {str(file.resolve()) for file in location.glob("*.parquet")} - {str(Path(file).resolve()) for file in listed}
            assert not others, f"{location} has files that are not of its current version: {others}"
            context.register_parquet(name, str(location), file_extension=".parquet")
    return context
