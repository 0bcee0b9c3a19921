"""TPC-H under a policy, against the same filters and masks written into the queries by hand.

A row filter leaves half of the rows of lineitem and of orders, and two columns of each are masked. The peer is the same gateway over
the same files with a policy that permits everything, asked the same queries with the same expressions in front of them.
"""

import os
import shutil
from pathlib import Path

import yaml

import meshdir
import tables
from suites.bench import Bench, geometric_mean, say
from suites.p1 import queries
from suites.report import Table

# table -> (the rows that are seen, column -> (tag, mask)).
RULES = {
    "lineitem": ("l_orderkey % 2 = 0", {"l_comment": ("short", "left({}, 5)"), "l_shipinstruct": ("loud", "upper({})")}),
    "orders": ("o_orderkey % 2 = 0", {"o_comment": ("short", "left({}, 5)"), "o_clerk": ("loud", "upper({})")}),
}


def run(bench: Bench) -> list[Table]:
    plain = bench.tpch("delta")
    governed = bench.made(f"tpch-governed-{bench.scale:g}", lambda directory: govern(plain, directory))
    columns = {name: [field.name for field in schema] for name, schema in schemas().items()}
    rows = []
    with (
        bench.gateway(governed) as under, under.flight(under.token("bench")) as ours,
        bench.gateway(plain) as free, free.flight(free.token("bench")) as theirs,
    ):
        for number, sql in queries().items():
            if not any(tables.ADDRESS[table] in sql for table in RULES):
                continue
            same = by_hand(sql, columns)
            one, other = ours.table(sql), theirs.table(same)
            assert one.num_rows == other.num_rows, f"query {number}: {one.num_rows} rows and {other.num_rows}"
            with_policy, without = bench.alternate(lambda: ours.table(sql), lambda: theirs.table(same))
            say(f"query {number}: {with_policy:.3f} s, {without:.3f} s")
            rows.append([number, with_policy, without, with_policy / without])
    mean = geometric_mean([row[3] for row in rows])
    names = ["query", "by policy, s", "by hand, s", "ratio"]
    return [Table("The queries of TPC-H that read lineitem or orders", names, rows, "a geometric mean of at most 1.10", mean)]


def schemas() -> dict:
    connection = tables.tpch(0.001)
    return {table: connection.execute(f"FROM memory.main.{table}").to_arrow_table().schema for table in RULES}


def by_hand(sql: str, columns: dict) -> str:
    """The query over common table expressions that do what the policy does."""
    parts = []
    for table, (rows, masks) in RULES.items():
        address = tables.ADDRESS[table]
        if address not in sql:
            continue
        shown = [
            f"{masks[name][1].format(name)} AS {name}" if name in masks else name for name in columns[table]
        ]
        parts.append(f"{table} AS (SELECT {', '.join(shown)} FROM {address} WHERE {rows})")
        sql = sql.replace(address, table)
    head, tail = ("WITH ", " ") if not sql.lower().startswith("with ") else ("WITH ", ", ")
    rest = sql[5:] if tail == ", " else sql
    return head + ", ".join(parts) + tail + rest


def govern(plain: Path, directory: Path) -> None:
    """The same mesh over the same bytes, with rules."""
    shutil.copytree(plain, directory, copy_function=os.link)
    policy = ['@id("discover")\npermit (principal, action == Action::"discover", resource);']
    for table, address in tables.ADDRESS.items():
        rows = f' @rows("{RULES[table][0]}")' if table in RULES else ""
        policy.append(f'@id("{table}"){rows}\npermit (principal, action in Action::"access", resource in Table::"{address}");')
    masks = dict(mask for _, masks in RULES.values() for mask in masks.values())
    for tag, expression in masks.items():
        mask = expression.format("$value")
        policy.append(
            f'@id("{tag}") @mask("sql:{mask}")\n'
            f'forbid (principal, action == Action::"read", resource) when {{ resource.tags.contains("{tag}") }};'
        )
    replace(directory / "governance" / "policies" / "all.cedar", "\n\n".join(policy) + "\n")
    for file in directory.glob("domains/*/products/*/*.odcs.yaml"):
        contract = yaml.safe_load(file.read_text())
        for table in contract["schema"]:
            for column in table["properties"]:
                if column["name"] in RULES.get(table["name"], ("", {}))[1]:
                    column["tags"] = [RULES[table["name"]][1][column["name"]][0]]
        replace(file, yaml.safe_dump(contract, sort_keys=False))


def replace(file: Path, content: str) -> None:
    """Writes a file anew: it may be the other mesh's as well."""
    file.unlink()
    meshdir.text(file, content)
