"""Queries of all shapes as a restricted user are what plain DuckDB gives over a filtered and masked copy."""

import re

import pytest

import gate
import restricted
import same
import shapes

QUERIES = shapes.all_queries()


@pytest.fixture(scope="module")
def content():
    return restricted.stored()


@pytest.fixture(scope="module")
def oracle(content):
    return restricted.oracle(content)


@pytest.fixture(scope="module")
def restricted_gate(content, tmp_path_factory):
    mesh = restricted.write(tmp_path_factory.mktemp("restricted") / "mesh", content)
    process = gate.Gate(mesh, tmp_path_factory.mktemp("state") / "state").start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def analyst(restricted_gate):
    token = restricted_gate.token("ana", "analysts", level=restricted.LEVEL)
    with restricted_gate.connect(token) as connection:
        yield connection


def test_there_are_enough_queries():
    assert len(QUERIES) >= 200


def test_the_oracle_hides_and_masks(oracle, content):
    """The comparison means something: rows are missing, and no masked value is a stored one."""
    for table, address in [("customer", shapes.C), ("orders", shapes.O)]:
        [(visible,)] = oracle.execute(f"SELECT count(*) FROM {address}").fetchall()
        assert 0 < visible < content[table].num_rows
    stored = set(content["customer"]["c_phone"].to_pylist()) - {None}
    shown = {phone for (phone,) in oracle.execute(f"SELECT c_phone FROM {shapes.C}").fetchall()} - {None}
    assert shown and not shown & stored


@pytest.mark.parametrize("name", QUERIES)
def test_query(analyst, oracle, name):
    sql, parameters = QUERIES[name]
    theirs = re.sub(r"/\*gate\*/.*?/\*duck (.*?)\*/", r"\1", sql)
    mine = re.sub(r"/\*.*?\*/", "", sql)
    expected = oracle.execute(theirs, list(parameters)).to_arrow_table()
    got = gate.fetch(analyst, mine, parameters or None)
    assert got.column_names == expected.column_names or not sql.startswith("SELECT *")
    ordered = range(expected.num_columns) if " ORDER BY " in sql and name.startswith("order-") else ()
    same.assert_same(got, expected, f"{name}: {sql} {parameters}", list(ordered))


def test_nothing_without_the_group(restricted_gate):
    """Somebody whom no policy permits anything finds no table."""
    with restricted_gate.connect(restricted_gate.token("eve")) as connection:
        for address in (shapes.C, shapes.O):
            with pytest.raises(Exception, match="(?i)not.?found"):
                gate.fetch(connection, f"SELECT 1 FROM {address}")


def test_without_the_attribute_the_filter_hides_all(restricted_gate):
    """A parameter without a value is NULL, and a permit whose expression is NULL shows nothing."""
    with restricted_gate.connect(restricted_gate.token("ann", "analysts")) as connection:
        assert gate.fetch(connection, f"SELECT count(*) FROM {shapes.C}")[0].to_pylist() == [0]
        assert gate.fetch(connection, f"SELECT count(*) FROM {shapes.O}")[0].to_pylist()[0] > 0
