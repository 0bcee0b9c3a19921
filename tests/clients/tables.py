"""Tables written by the tools of others, and the same tables in DuckDB under the same names."""

import glob
import os
import re
from pathlib import Path

import deltalake
import duckdb
import duckdb_extension_tpch
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

import meshdir

# (domain, product) -> tables.
TPCH = {
    ("crm", "customers"): ["region", "nation", "customer"],
    ("sales", "orders"): ["orders", "lineitem"],
    ("supply", "parts"): ["part", "supplier", "partsupp"],
}
# domain -> format; Iceberg is in a SQL catalog.
LAYOUTS = {"crm": "iceberg", "sales": "delta", "supply": "delta"}
ADDRESS = {table: f"{domain}.{product}.{table}" for (domain, product), tables in TPCH.items() for table in tables}


def tpch(scale: float) -> duckdb.DuckDBPyConnection:
    """DuckDB with the TPC-H tables in `memory.main`, and as `domain.product.table`."""
    root = Path(duckdb_extension_tpch.__file__).parent
    [extension] = glob.glob(f"{root}/**/tpch.duckdb_extension", recursive=True)
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"CALL dbgen(sf = {scale})")
    for (domain, product), tables in TPCH.items():
        connection.execute(f"ATTACH ':memory:' AS {domain}")
        connection.execute(f"CREATE SCHEMA {domain}.{product}")
        for table in tables:
            connection.execute(f"CREATE VIEW {ADDRESS[table]} AS FROM memory.main.{table}")
    return connection


def queries(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """The 22 queries over full names."""
    return {number: qualified(text) for number, text in connection.execute("FROM tpch_queries()").fetchall()}


def qualified(sql: str) -> str:
    """Table names of FROM lists become addresses; columns and aliases of the same name stay."""
    tables = re.compile(rf"\b({'|'.join(ADDRESS)})\b")
    lists = re.compile(r"(?<=\bFROM\b)[^()]*?(?=\bWHERE\b|\bGROUP\b|\)|;|$)")
    return lists.sub(lambda found: tables.sub(lambda table: ADDRESS[table[1]], found[0]), sql).strip().rstrip(";")


def write_tpch(
    directory: Path, connection: duckdb.DuckDBPyConnection, layouts: dict[str, str] = LAYOUTS, **options
) -> Path:
    """The mesh of TPC-H, its tables written by pyiceberg and deltalake."""
    content = {
        table: connection.execute(f"FROM memory.main.{table}").to_arrow_table()
        for tables in TPCH.values() for table in tables
    }
    products = []
    for (domain, product), names in TPCH.items():
        schemas = {name: content[name].schema for name in names}
        if layouts[domain] == "iceberg":
            server = write_iceberg(directory / "data" / domain, domain, {name: content[name] for name in names})
            products.append(meshdir.Product(domain, product, schemas, server, api_version="v3.2.0"))
        else:
            for name in names:
                write_delta(directory / "data" / domain / name, content[name])
            server = {"type": "local", "path": f"./data/{domain}/{{model}}", "format": "delta"}
            products.append(meshdir.Product(domain, product, schemas, server))
    return meshdir.write(directory, products, **options)


def write_delta(location: Path, table: pa.Table, middle: int | None = None, **options) -> None:
    """Two versions with a file or more each, as a table that was appended to has."""
    middle = table.num_rows // 2 if middle is None else middle
    properties = deltalake.WriterProperties(max_row_group_size=100_000)
    for part in (table.slice(0, middle), table.slice(middle)):
        deltalake.write_deltalake(location, part, mode="append", writer_properties=properties, **options)


def write_iceberg(directory: Path, namespace: str, tables: dict[str, pa.Table]) -> dict:
    """Tables in a SQL catalog; gives the contract's server."""
    directory.mkdir(parents=True, exist_ok=True)
    database = (directory / "catalog.db").resolve()
    warehouse = f"file://{directory.resolve()}/warehouse"
    os.makedirs(directory / "warehouse", exist_ok=True)
    catalog = SqlCatalog("lake", uri=f"sqlite:///{database}", warehouse=warehouse)
    catalog.create_namespace(namespace)
    for name, table in tables.items():
        iceberg = catalog.create_table(f"{namespace}.{name}", table.schema)
        middle = table.num_rows // 2
        for part in (table.slice(0, middle), table.slice(middle)):
            iceberg.append(part)
    catalog.close()
    return {
        "type": "iceberg", "catalogUrl": f"sqlite://{database}", "catalog": "lake",
        "namespace": namespace, "warehouse": warehouse,
    }
