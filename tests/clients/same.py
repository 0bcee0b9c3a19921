"""Whether two results are the same: rows as a multiset, in order where the query orders, numbers to their last digit."""

import datetime
import math
from decimal import Decimal

import pyarrow as pa


def rows(table: pa.Table) -> list[tuple]:
    """The rows of a table as Python values."""
    columns = [plain(column) for column in table.columns]
    return list(zip(*columns)) if columns else [()] * table.num_rows


def plain(column: pa.ChunkedArray) -> list:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return [day(value) for value in column.to_pylist()]


def day(value):
    """A timestamp at midnight and its date are equal: engines differ in what truncation gives."""
    if isinstance(value, datetime.datetime) and value.tzinfo is None and value.time() == datetime.time():
        return value.date()
    return value


def assert_same(got: pa.Table, expected: pa.Table, what: str, ordered_by: list[int] = ()) -> None:
    """Fails with the first difference. `ordered_by` are the columns whose order the query asks for."""
    got_rows, expected_rows = rows(got), rows(expected)
    assert got.num_columns == expected.num_columns, f"{what}: columns {got.column_names}, not {expected.column_names}"
    assert len(got_rows) == len(expected_rows), f"{what}: {len(got_rows)} rows, not {len(expected_rows)}"
    for at, (mine, theirs) in enumerate(zip(got_rows, expected_rows)):
        for column in ordered_by:
            assert close(mine[column], theirs[column]), f"{what}: order differs at row {at}: {mine}, not {theirs}"
    order = sorted(range(got.num_columns), key=lambda column: inexact(got_rows, expected_rows, column))
    key = lambda row: [sort_key(row[column]) for column in order]
    for mine, theirs in zip(sorted(got_rows, key=key), sorted(expected_rows, key=key)):
        assert all(map(close, mine, theirs)), f"{what}:\n  got      {mine}\n  expected {theirs}"


def inexact(got_rows, expected_rows, column: int) -> bool:
    return any(isinstance(row[column], (float, Decimal)) for rows in (got_rows, expected_rows) for row in rows)


def sort_key(value):
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float, Decimal)):
        return (1, float(value))
    return (2, str(value))


def close(mine, theirs) -> bool:
    """Equal; in floating point equal but for rounding; decimals that were divided equal to their last digit."""
    numbers = (int, float, Decimal)
    if not (isinstance(mine, numbers) and isinstance(theirs, numbers)) or isinstance(mine, bool):
        return mine == theirs
    if any(isinstance(value, float) and math.isnan(value) for value in (mine, theirs)):
        return all(isinstance(value, float) and math.isnan(value) for value in (mine, theirs))
    if isinstance(mine, float) or isinstance(theirs, float):
        rounding = 1e-12 + 1e-9 * abs(float(theirs))
        return abs(float(mine) - float(theirs)) <= max(last_digit(mine), last_digit(theirs), rounding)
    return abs(Decimal(mine) - Decimal(theirs)) <= 0


def last_digit(value) -> float:
    """What a decimal with the places that a division adds may be off by."""
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent <= -4:
        return 1.01 * 10.0 ** value.as_tuple().exponent
    return 0.0
