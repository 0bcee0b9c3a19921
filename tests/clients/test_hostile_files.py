"""Files of a table that lie do not end the process, and the tables of others are served meanwhile."""

import random
import shutil

import pyarrow as pa
import pyarrow.flight
import pytest

import gate
import meshdir
import tables
from test_hostile import ROWS, T, fortress, n, watched  # noqa: F401

REFUSED = (pa.ArrowException, pyarrow.flight.FlightError)
BROKEN = "some.broken.rows"


@pytest.fixture
def mesh(tmp_path):
    home = tmp_path / "mesh"
    products = []
    for name in ("things", "broken"):
        tables.write_delta(home / "data" / "some" / name / "rows", ROWS)
        server = {"type": "local", "path": f"./data/some/{name}/{{model}}", "format": "delta"}
        products.append(meshdir.Product("some", name, {"rows": ROWS.schema}, server))
    return meshdir.write(home, products)


def changed(data: bytes, choose: random.Random) -> bytes:
    """One to four changes; the end of the file is as likely to be hit as all the rest."""
    out = bytearray(data)
    for _ in range(choose.randint(1, 4)):
        at = choose.randrange(len(out)) if choose.random() < 0.5 else max(0, len(out) - 1 - choose.randrange(2_000))
        match choose.randrange(4):
            case 0:
                out[at] ^= 1 << choose.randrange(8)
            case 1:
                out[at:at + 4] = b"\xff\xff\xff\x7f"
            case 2:
                del out[at:at + choose.randint(1, 64)]
            case _:
                out[at:at] = out[at:at + choose.randint(1, 64)]
        out = out or bytearray(b"\x00")
    return bytes(out)


@pytest.mark.parametrize("pattern", ["*.parquet", "_delta_log/*.json"])
def test_a_file_is_changed(watched, mesh, pattern):
    seed = 20_260_131
    choose = random.Random(seed)
    file = next((mesh / "data" / "some" / "broken" / "rows").glob(pattern))
    whole = shutil.copy(file, mesh.parent / "whole")
    good = open(whole, "rb").read()
    ends = {"rows": 0, "refused": 0}
    with watched.flight(watched.token("reader")) as client:
        for _ in range(n(300)):
            file.write_bytes(changed(good, choose))
            try:
                client.table(f"SELECT count(*), max(text), sum(id) FROM {BROKEN}")
                ends["rows"] += 1
            except REFUSED as refused:
                assert str(mesh) not in str(refused)
                ends["refused"] += 1
        assert ends["refused"] > 0, (seed, ends)
        file.write_bytes(good)
        gate.wait_until(lambda: answer(client), "an answer once the file is whole again", 30)


def answer(client: gate.RawFlight):
    try:
        return client.table(f"SELECT count(*) AS n FROM {BROKEN}")["n"].to_pylist() == [2000]
    except REFUSED:
        return False
