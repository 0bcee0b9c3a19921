"""All 22 TPC-H queries over products of three domains in two formats give DuckDB's answers."""

import re

import pytest

import gate
import same
import tables


def ordered_by(sql: str, columns: list[str]) -> list[int]:
    """The output columns of the last ORDER BY, which in TPC-H are all in the result."""
    found = re.findall(r"ORDER BY\s+([^()]*?)(?:LIMIT \d+)?$", sql.strip())
    if not found:
        return []
    names = [item.split()[0] for item in found[-1].split(",")]
    return [columns.index(name) for name in names]


@pytest.mark.parametrize("number", range(1, 23))
def test_query(connection, duck, number):
    sql = tables.queries(duck)[number]
    expected = duck.execute(sql).to_arrow_table()
    got = gate.fetch(connection, sql)
    same.assert_same(got, expected, f"Q{number}", ordered_by(sql, expected.column_names))


@pytest.mark.parametrize("table", sorted(tables.ADDRESS))
def test_whole_table(connection, duck, table):
    """Every cell arrives: types, nulls and text of every column."""
    sql = f"SELECT * FROM {tables.ADDRESS[table]}"
    if table == "lineitem":
        sql += " WHERE l_orderkey % 7 = 0"
    expected = duck.execute(sql).to_arrow_table()
    got = gate.fetch(connection, sql)
    assert got.column_names == expected.column_names
    same.assert_same(got, expected, table)
