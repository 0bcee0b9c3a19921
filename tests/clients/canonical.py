"""One way to write down what a client got, so that the answers of clients in several languages are compared as text.

Whole numbers and decimals in digits, floating point by its bits, bytes in hexadecimal, times in ISO 8601 with nine digits (an
instant in UTC, with Z), lists as lists, structs and maps as objects. `jdbc/Values.java` and `go/values.go` do the same.
It is also run by the oldest Python of the matrix, which has nothing but pyarrow.
"""

import datetime
import struct
import uuid
from decimal import Decimal

import pyarrow as pa

UTC = datetime.timezone.utc


def canonical(table: pa.Table) -> list[list]:
    """The rows, every value written the one way."""
    columns = [[written(value) for value in exact(column)] for column in table.columns]
    return [list(row) for row in zip(*columns)]


class Nanoseconds(int):
    """A time that Python's own has no digits for."""


def exact(column: pa.ChunkedArray) -> list:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        stamp = lambda value: None if value is None else (Nanoseconds(value), kind.tz is not None)
        return [stamp(value) for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_map(kind):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    return column.to_pylist()


def written(value):
    match value:
        case None | bool() | str():
            return value
        case int():
            return str(value)
        case float():
            return bits(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return value.hex()
        case uuid.UUID():
            return value.bytes.hex()
        case datetime.datetime():
            zone = "Z" if value.tzinfo else ""
            return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "000" + zone
        case datetime.date():
            return value.isoformat()
        case datetime.time():
            return value.strftime("%H:%M:%S.%f") + "000"
        case datetime.timedelta():
            return str((value.days * 86400 + value.seconds) * 10**9 + value.microseconds * 1000)
        case pa.MonthDayNano(months=0, days=0):
            return str(value.nanoseconds)
        case (Nanoseconds() as time, zoned):
            whole, rest = divmod(time, 10**9)
            moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)
            return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + f".{rest:09}" + ("Z" if zoned else "")
        case list():
            return [written(item) for item in value]
        case dict():
            return {name: written(item) for name, item in value.items()}
    raise TypeError(f"{type(value)}: {value}")


def bits(value: float) -> str:
    """IEEE 754 of 64 bits; there is one NaN."""
    return "nan" if value != value else struct.pack(">d", value).hex()
