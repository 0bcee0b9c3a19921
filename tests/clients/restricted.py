"""A principal with row filters, masks and hidden columns, and the same principal's view computed by hand in DuckDB."""

import datetime
import hashlib
from pathlib import Path

import duckdb
import pyarrow as pa

import meshdir
import tables

POLICY = """
@id("analysts-customers") @rows("c_mktsegment <> 'BUILDING' AND c_nationkey < $level")
permit (principal in Group::"analysts", action in Action::"access", resource in Table::"crm.people.customer");

@id("analysts-nations")
permit (principal in Group::"analysts", action in Action::"access", resource in Table::"crm.people.nation");

@id("analysts-deals") @rows("o_orderstatus IN ('F', 'O') OR o_totalprice > 150000")
permit (principal in Group::"analysts", action in Action::"access", resource in Product::"sales.deals");

@id("no-urgent-deals") @rows("o_orderpriority = '1-URGENT'")
forbid (principal, action == Action::"query", resource == Table::"sales.deals.orders");

@id("mask-phone") @mask("show-last-4")
forbid (principal, action == Action::"read", resource == Column::"crm.people.customer.c_phone");

@id("mask-name") @mask("sha-256-global")
forbid (principal, action == Action::"read", resource == Column::"crm.people.customer.c_name");

@id("hide-address")
forbid (principal, action == Action::"read", resource == Column::"crm.people.customer.c_address");

@id("mask-clerk") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource == Column::"sales.deals.orders.o_clerk");

@id("mask-day") @mask("truncate-to-month")
forbid (principal, action == Action::"read", resource == Column::"sales.deals.orders.o_orderdate");

@id("hide-comment")
forbid (principal, action == Action::"read", resource == Column::"sales.deals.orders.o_comment");
"""
LEVEL = 18


def alphanum(value: str | None) -> str | None:
    """Digits to n, everything else to x, but for `( ) , . - @`."""
    if value is None:
        return None
    return "".join(c if c in "(),.-@" else "n" if c in "0123456789" else "x" for c in value)


def last_4(value: str | None) -> str | None:
    return None if value is None else alphanum(value[:-4]) + value[-4:]


def sha_256(value: str | None) -> str | None:
    return None if value is None else hashlib.sha256(value.encode()).hexdigest()


def month(value: datetime.date | None) -> datetime.date | None:
    return None if value is None else value.replace(day=1)


def stored() -> dict[str, pa.Table]:
    """Customers and orders with nulls in the columns that filters and masks read."""
    connection = tables.tpch(0.01)
    customers = connection.execute("""
        SELECT c_custkey, if(c_custkey % 11 = 0, NULL, c_name) AS c_name, c_address, c_nationkey,
               if(c_custkey % 7 = 0, NULL, c_phone) AS c_phone, c_acctbal,
               if(c_custkey % 17 = 0, NULL, c_mktsegment) AS c_mktsegment, c_comment
        FROM memory.main.customer ORDER BY c_custkey""").to_arrow_table()
    orders = connection.execute("""
        SELECT o_orderkey, o_custkey, o_orderstatus, if(o_orderkey % 13 = 0, NULL, o_totalprice) AS o_totalprice,
               if(o_orderkey % 19 = 0, NULL, o_orderdate) AS o_orderdate,
               if(o_orderkey % 23 = 0, NULL, o_orderpriority) AS o_orderpriority,
               if(o_orderkey % 5 = 0, NULL, o_clerk) AS o_clerk, o_shippriority, o_comment
        FROM memory.main.orders ORDER BY o_orderkey""").to_arrow_table()
    nations = connection.execute("FROM memory.main.nation").to_arrow_table()
    return {"customer": customers, "nation": nations, "orders": orders}


def write(directory: Path, content: dict[str, pa.Table]) -> Path:
    """The mesh: `crm.people` in Iceberg, `sales.deals` in Delta."""
    people = {"customer": content["customer"], "nation": content["nation"]}
    server = tables.write_iceberg(directory / "data" / "crm", "crm", people)
    tables.write_delta(directory / "data" / "sales" / "orders", content["orders"], partition_by=["o_orderstatus"])
    delta = {"type": "local", "path": "./data/sales/{model}", "format": "delta"}
    schemas = {name: table.schema for name, table in people.items()}
    products = [
        meshdir.Product("crm", "people", schemas, server, api_version="v3.2.0"),
        meshdir.Product("sales", "deals", {"orders": content["orders"].schema}, delta),
    ]
    return meshdir.write(directory, products, policy=POLICY, attributes={"level": "integer"})


def oracle(content: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """A physically filtered and masked copy under the same names."""
    customers = [
        row | {"c_name": sha_256(row["c_name"]), "c_phone": last_4(row["c_phone"])}
        for row in content["customer"].to_pylist()
        if row["c_mktsegment"] is not None and row["c_mktsegment"] != "BUILDING" and row["c_nationkey"] < LEVEL
    ]
    deals = [
        row | {"o_clerk": alphanum(row["o_clerk"]), "o_orderdate": month(row["o_orderdate"])}
        for row in content["orders"].to_pylist()
        if (row["o_orderstatus"] in ("F", "O") or (row["o_totalprice"] or 0) > 150_000)
        # A forbid whose expression is NULL hides the row.
        and row["o_orderpriority"] is not None and row["o_orderpriority"] != "1-URGENT"
    ]
    connection = duckdb.connect()
    copies = [
        ("crm", "people", "customer", customers, content["customer"].schema, "c_address"),
        ("crm", "people", "nation", content["nation"].to_pylist(), content["nation"].schema, None),
        ("sales", "deals", "orders", deals, content["orders"].schema, "o_comment"),
    ]
    for domain, product, table, rows, schema, hidden in copies:
        copy = pa.Table.from_pylist(rows, schema)
        copy = copy.drop_columns([hidden]) if hidden else copy
        connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {domain}")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {domain}.{product}")
        connection.register("copy", copy)
        connection.execute(f"CREATE TABLE {domain}.{product}.{table} AS FROM copy")
        connection.unregister("copy")
    return connection
