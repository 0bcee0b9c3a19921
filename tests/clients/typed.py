"""A table with a column of every type, the queries that every client asks of it, and one way to write down what came.

`queries.json` is the list of queries, with DuckDB's words in `oracle` where they differ from ours. Answers are compared as
`canonical.py` writes them.
"""

import datetime
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa

import meshdir
import tables
from canonical import canonical

UTC = datetime.timezone.utc
PERSON = pa.struct([("name", pa.string()), ("age", pa.int32()), ("tags", pa.list_(pa.string()))])
SCHEMA = pa.schema([
    pa.field("id", pa.int64(), nullable=False),
    ("flag", pa.bool_()), ("tiny", pa.int8()), ("small", pa.int16()), ("whole", pa.int32()), ("big", pa.int64()),
    ("single", pa.float32()), ("double", pa.float64()),
    ("price", pa.decimal128(9, 2)), ("exact", pa.decimal128(38, 10)), ("huge", pa.decimal128(38, 0)),
    ("word", pa.string()), ("bytes", pa.binary()),
    ("day", pa.date32()), ("local", pa.timestamp("us")), ("instant", pa.timestamp("us", "UTC")),
    ("numbers", pa.list_(pa.int64())), ("words", pa.list_(pa.string())), ("days", pa.list_(pa.date32())),
    ("person", PERSON), ("counts", pa.map_(pa.string(), pa.int64())), ("people", pa.list_(PERSON)),
])
# Iceberg has types that Delta lacks.
MORE = pa.schema([
    pa.field("id", pa.int64(), nullable=False), ("clock", pa.time64("us")), ("code", pa.binary(4)),
    ("word", pa.string()), ("instant", pa.timestamp("us", "UTC")), ("numbers", pa.list_(pa.int64())),
])
ANN, BOB = {"name": "Ann", "age": 41, "tags": ["a", None, "ü"]}, {"name": None, "age": -1, "tags": []}


def typed() -> pa.Table:
    nothing = dict.fromkeys(SCHEMA.names)
    rows = [
        nothing | {"id": 1},
        {"id": 2, "flag": True, "tiny": 127, "small": 32767, "whole": 2**31 - 1, "big": 2**63 - 1, "single": 1.5, "double": 0.1,
         "price": Decimal("1234567.89"), "exact": Decimal("1234567890123456789012345678.0123456789"),
         "huge": Decimal(10**38 - 1), "word": "it's \"é\" 漢字 😀\tend\\", "bytes": b"\x00\xff'\"",
         "day": datetime.date(2024, 2, 29), "local": datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
         "instant": datetime.datetime(2024, 7, 1, 12, 30, 0, 1, tzinfo=UTC), "numbers": [1, None, -(2**63)],
         "words": ["", None, "x,y"], "days": [datetime.date(1969, 12, 31), None], "person": ANN,
         "counts": [("one", 1), ("none", None)], "people": [ANN, None, BOB]},
        {"id": 3, "flag": False, "tiny": -128, "small": -32768, "whole": -(2**31), "big": -(2**63), "single": float("-inf"),
         "double": float("nan"), "price": Decimal("-0.01"), "exact": Decimal("-0.0000000001"), "huge": Decimal(1 - 10**38),
         "word": "", "bytes": b"", "day": datetime.date(1, 1, 1), "local": datetime.datetime(1582, 10, 14, 0, 0, 0, 1),
         "instant": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "numbers": [], "words": [], "days": [],
         "person": BOB, "counts": [], "people": []},
        {"id": 4, "flag": True, "tiny": 0, "small": 0, "whole": 0, "big": 0, "single": -0.0, "double": -1.7976931348623157e308,
         "price": Decimal("0.00"), "exact": Decimal("0.5000000000"), "huge": Decimal(0), "word": "null", "bytes": b"null",
         "day": datetime.date(9999, 12, 31), "local": datetime.datetime(9999, 12, 31, 23, 59, 59),
         "instant": datetime.datetime(2024, 3, 31, 1, 0, 0, tzinfo=UTC), "numbers": [None], "words": [None], "days": [None],
         "person": {"name": "", "age": None, "tags": None}, "counts": [("", 0)], "people": [None]},
        # The hour that summer time skips in Europe and repeats in autumn, read there as local time.
        nothing | {"id": 5, "local": datetime.datetime(2024, 3, 31, 2, 30), "double": float("inf"),
                   "instant": datetime.datetime(2024, 10, 27, 0, 30, tzinfo=UTC), "day": datetime.date(2024, 3, 31)},
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def more() -> pa.Table:
    return pa.Table.from_pylist([
        {"id": 1, "clock": None, "code": None, "word": None, "instant": None, "numbers": None},
        {"id": 2, "clock": datetime.time(23, 59, 59, 999999), "code": b"\x00\x01\xfe\xff", "word": "é",
         "instant": datetime.datetime(2024, 7, 1, tzinfo=UTC), "numbers": [1, None]},
        {"id": 3, "clock": datetime.time(0), "code": b"\x00\x00\x00\x00", "word": "", "instant": None, "numbers": []},
    ], MORE)


def write(directory: Path) -> Path:
    """A mesh with both tables, `lake.types.typed` and `ice.types.more`."""
    tables.write_delta(directory / "data" / "lake" / "typed", typed())
    delta = {"type": "local", "path": "./data/lake/{model}", "format": "delta"}
    iceberg = tables.write_iceberg(directory / "data" / "ice", "ice", {"more": more()})
    return meshdir.write(directory, [
        meshdir.Product("lake", "types", {"typed": SCHEMA}, delta, api_version="v3.2.0", properties={
            "id": {"primaryKey": True, "primaryKeyPosition": 1, "description": "The number of the row"},
        }),
        meshdir.Product("ice", "types", {"more": MORE}, iceberg, api_version="v3.2.0"),
    ])


def queries() -> dict[str, dict]:
    return json.loads((Path(__file__).parent / "queries.json").read_text())


def oracle() -> dict[str, list]:
    """What DuckDB answers to every query."""
    connection = duckdb.connect()
    for domain, name, rows in [("lake", "typed", typed()), ("ice", "more", more())]:
        connection.execute(f"ATTACH ':memory:' AS {domain}")
        connection.execute(f"CREATE SCHEMA {domain}.types")
        connection.execute(f"CREATE TABLE {domain}.types.{name} AS FROM rows")
    return {name: canonical(connection.execute(query.get("oracle", query["sql"])).to_arrow_table())
            for name, query in queries().items()}
