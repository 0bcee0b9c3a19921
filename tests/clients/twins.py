"""Twin worlds: two meshes that differ only in what the principal may not see.

The visible rows, the output of masks and the documents' visible parts are equal. Different are: the number and values
of hidden rows, a hidden column and what is in it, the values under a mask, a table and a product that the principal may not use.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

import meshdir
import tables

# The worlds plant these in everything hidden; they must never arrive, not even in a buffer's unused bytes.
CANARY_TEXT = "CANARY"
CANARY_INT = 0x5EC3E7C0FFEE5EC3
DIVISOR = 5000

POLICY = """
@id("readers") @rows("region = 'EU'")
permit (principal in Group::"readers", action in Action::"access", resource in Product::"hr.staff")
unless { resource in Table::"hr.staff.payroll" };

@id("readers-lake") @rows("region = 'EU'")
permit (principal in Group::"readers", action in Action::"access", resource in Product::"lake.staff")
unless { resource in Table::"lake.staff.payroll" };

@id("mask-mail") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource == Column::"hr.staff.people.mail");
@id("mask-lake-mail") @mask("mask-alphanum")
forbid (principal, action == Action::"read", resource == Column::"lake.staff.people.mail");

@id("null-bonus") @mask("replace-with-null")
forbid (principal, action == Action::"read", resource == Column::"hr.staff.people.bonus");
@id("null-lake-bonus") @mask("replace-with-null")
forbid (principal, action == Action::"read", resource == Column::"lake.staff.people.bonus");
"""
HIDE = """
@id("hide-secret")
forbid (principal, action == Action::"read", resource == Column::"hr.staff.people.secret");
@id("hide-lake-secret")
forbid (principal, action == Action::"read", resource == Column::"lake.staff.people.secret");
"""


@dataclass(frozen=True)
class World:
    """What differs."""

    hidden_rows: int
    salaries: tuple[int, ...]
    note: str
    mail: str
    with_secrets: bool


# One world has much to hide, the other almost nothing; the constants that probes guess exist in the first.
FULL = World(700, (DIVISOR, 7777, CANARY_INT), f"{CANARY_TEXT} not a number", "zz{:03}@leak.test", True)
BARE = World(3, (1, 2, 3), "12", "aa{:03}@mask.test", False)


def people(world: World) -> pa.Table:
    """300 visible rows, equal in all worlds, among the hidden ones."""
    rows = [
        {"id": 2 * i, "region": "EU", "salary": 1000 + 3 * i, "note": str(i % 40), "bonus": CANARY_INT - i if world.with_secrets else i,
         "mail": world.mail.format(i), "label": ("visible label long enough to need a buffer " * 2) + str(i)}
        for i in range(300)
    ]
    hidden = [
        {"id": 2 * i + 1, "region": "US" if i % 3 else None, "salary": world.salaries[i % len(world.salaries)],
         "note": world.note, "bonus": CANARY_INT, "mail": world.mail.format(i),
         "label": f"{CANARY_TEXT} a hidden label that is long enough to need a buffer of its own {i}"}
        for i in range(world.hidden_rows)
    ]
    mixed = sorted(rows + hidden, key=lambda row: row["id"])
    schema = pa.schema([("id", pa.int64()), ("region", pa.string()), ("salary", pa.int64()), ("note", pa.string()),
                        ("bonus", pa.int64()), ("mail", pa.string()), ("label", pa.string())])
    table = pa.Table.from_pylist(mixed, schema)
    if world.with_secrets:
        table = table.append_column("secret", pa.array([f"{CANARY_TEXT} secret {i}" for i in range(table.num_rows)]))
    return table


def first_version(table: pa.Table) -> int:
    """Where the first version ends: with the same visible row in all worlds, since history is visible, too."""
    return sum(row_id < 300 for row_id in table["id"].to_pylist()) if "id" in table.column_names else table.num_rows


def write(directory: Path, world: World) -> Path:
    """`hr.staff` in Delta and `lake.staff` in Iceberg, with the same content."""
    content = {"people": people(world)}
    products = []
    if world.with_secrets:
        content["payroll"] = pa.table({"region": ["EU"], "pay": [CANARY_INT]})
        tables.write_delta(directory / "data" / "hr" / "chest", content["payroll"])
        chest = {"chest": content["payroll"].schema}
        products.append(meshdir.Product("hr", "vault", chest, {"type": "local", "path": "./data/hr/{model}", "format": "delta"}))
    for name, table in content.items():
        tables.write_delta(directory / "data" / "hr" / name, table, middle=first_version(table))
    schemas = {name: table.schema for name, table in content.items()}
    iceberg = tables.write_iceberg(directory / "data" / "lake", "lake", content)
    delta = {"type": "local", "path": "./data/hr/{model}", "format": "delta"}
    products.append(meshdir.Product("hr", "staff", schemas, delta))
    products.append(meshdir.Product("lake", "staff", schemas, iceberg, api_version="v3.2.0"))
    return meshdir.write(directory, products, policy=POLICY + (HIDE if world.with_secrets else ""))
