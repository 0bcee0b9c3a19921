"""Delta, Iceberg and plain Parquet on an S3-compatible store: a real server, one bucket, two domains that each see their own prefix."""

import shutil

import boto3
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import pytest
from deltalake import write_deltalake
from moto.server import ThreadedMotoServer
from pyiceberg.catalog.sql import SqlCatalog

import gate
import meshdir
import tables

KEY, SECRET, REGION, BUCKET = "lake-user", "lake-secret", "us-east-1", "lake"
ROWS = pa.table({
    "id": pa.array(range(1000), pa.int64()),
    "region": pa.array(["EU", "US"] * 500),
    "day": pa.array([i % 365 for i in range(1000)], pa.date32()),
})
FILTERED = """
@id("eu-only") @rows("region = 'EU'")
permit (principal, action in Action::"access", resource);
"""
SETTINGS = """
[credentials.lake]
type = "s3"
access_key = "{key}"
secret_key = "env:LAKE_SECRET"
region = "{region}"
endpoint = "{endpoint}"
allow_http = true
"""


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


def write_delta(endpoint: str, key: str, table: pa.Table, **options):
    storage = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag",
    }
    write_deltalake(f"s3://{BUCKET}/{key}", table, mode="append", storage_options=storage, **options)


def put_parquet(endpoint: str, key: str, table: pa.Table):
    body = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, body)
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.put_object(Bucket=BUCKET, Key=key, Body=body.getvalue().to_pybytes())


def iceberg_catalog(endpoint: str, database) -> SqlCatalog:
    return SqlCatalog("lake", **{
        "uri": f"sqlite:///{database}", "warehouse": f"s3://{BUCKET}/second/warehouse", "s3.endpoint": endpoint,
        "s3.access-key-id": KEY, "s3.secret-access-key": SECRET, "s3.region": REGION,
    })


@pytest.fixture(scope="module")
def lake(endpoint, tmp_path_factory):
    """`first` is Delta; `second` is Iceberg in a SQL catalog and by table directory; a third reaches for the first's."""
    home = tmp_path_factory.mktemp("s3") / "mesh"
    for part in (ROWS.slice(0, 600), ROWS.slice(600)):
        write_delta(endpoint, "first/rows", part, partition_by=["region"])
        put_parquet(endpoint, f"first/loose/{part['id'][0]}.parquet", part)
    put_parquet(endpoint, "first/loose/_temporary/0.parquet", ROWS)
    (home / "data" / "second").mkdir(parents=True)
    database = (home / "data" / "second" / "catalog.db").resolve()
    catalog = iceberg_catalog(endpoint, database)
    catalog.create_namespace("second")
    table = catalog.create_table("second.rows", ROWS.schema)
    for part in (ROWS.slice(0, 600), ROWS.slice(600)):
        table.append(part)
    directory = table.location()
    catalog.close()
    schemas = {"rows": ROWS.schema}
    s3 = {"type": "s3", "endpointUrl": endpoint}
    products = [
        meshdir.Product("first", "things", schemas, s3 | {"location": f"s3://{BUCKET}/first/{{model}}", "format": "delta"}),
        meshdir.Product("first", "loose", schemas, s3 | {"location": f"s3://{BUCKET}/first/loose", "format": "parquet"}),
        meshdir.Product("second", "things", schemas, {
            "type": "iceberg", "catalogUrl": f"sqlite://{database}", "catalog": "lake", "namespace": "second",
            "warehouse": f"s3://{BUCKET}/second/warehouse",
        }, api_version="v3.2.0"),
        meshdir.Product("second", "files", schemas, s3 | {"location": directory, "format": "iceberg"}),
    ]
    storage = {
        "first": [{"prefix": f"s3://{BUCKET}/first/", "credentials": "lake"}],
        "second": [{"prefix": "./data/second/"}, {"prefix": f"s3://{BUCKET}/second/", "credentials": "lake"}],
    }
    return meshdir.write(home, products, policy=FILTERED, storage=storage)


@pytest.fixture
def settings(endpoint, tmp_path):
    """The gateway's file: the secret comes from the environment."""
    file = tmp_path / "meshgate.toml"
    file.write_text(SETTINGS.format(key=KEY, region=REGION, endpoint=endpoint))
    return file


@pytest.fixture
def connection(lake, settings, serve):
    process = serve(lake, "--config", settings, LAKE_SECRET=SECRET)
    with process.connect(process.token("ana")) as connection:
        yield connection


ADDRESSES = ["first.things.rows", "first.loose.rows", "second.things.rows", "second.files.rows"]
VISIBLE = ROWS.filter(pyarrow.compute.equal(ROWS["region"], "EU"))


@pytest.mark.parametrize("table", ADDRESSES)
def test_rows_of_a_store_are_read_and_governed(connection, table):
    assert gate.fetch(connection, f"SELECT * FROM {table} ORDER BY id") == VISIBLE
    found = gate.fetch(connection, f"SELECT count(*) AS n, min(id) AS a, max(id) AS b FROM {table} WHERE id BETWEEN 590 AND 610")
    assert found.to_pylist() == [{"n": 11, "a": 590, "b": 610}]


def test_products_of_two_formats_and_domains_are_joined(connection):
    sql = "SELECT count(*) FROM first.things.rows a JOIN second.things.rows b ON a.id = b.id JOIN second.files.rows c ON b.id = c.id"
    assert gate.fetch(connection, sql)[0].to_pylist() == [VISIBLE.num_rows]


def test_a_new_version_in_the_store_is_seen_and_the_old_one_stays(connection, endpoint):
    def visible(clause: str = "") -> int:
        return gate.fetch(connection, f"SELECT count(*) FROM first.things.rows {clause}")[0].to_pylist()[0]

    before = visible()
    write_delta(endpoint, "first/rows", ROWS.slice(0, 10).set_column(0, "id", pa.array(range(5000, 5010), pa.int64())))
    gate.wait_until(lambda: visible() == before + 5, "the new version", 5)
    assert visible("FOR VERSION AS OF 1") == VISIBLE.num_rows


def test_an_object_that_was_replaced_is_seen_as_what_it_is_now(connection, endpoint):
    """As old as the store's staleness allows, and never half of one and half of the other."""
    def ids() -> list | None:
        try:
            return gate.fetch(connection, "SELECT id FROM first.loose.rows WHERE id >= 9000 ORDER BY id")["id"].to_pylist()
        except Exception as error:
            assert "were replaced while they were read" in str(error), error
            return None

    for first in (9000, 9100):
        rows = ROWS.slice(0, 4).set_column(0, "id", pa.array(range(first, first + 4), pa.int64()))
        put_parquet(endpoint, "first/loose/z.parquet", rows)
        gate.wait_until(lambda: ids() == [first, first + 2], "the new object", 5)
    put_parquet(endpoint, "first/loose/z.parquet", ROWS.slice(0, 0))
    put_parquet(endpoint, "first/loose/z.parquet", ROWS.slice(0, 0))
    gate.wait_until(lambda: ids() == [], "the object without rows", 5)


def test_a_domain_does_not_reach_into_anothers_prefix(lake, settings, serve, tmp_path):
    """The store is the same, the prefix is not: refused by `check`, and out of service alone."""
    mesh = shutil.copytree(lake, tmp_path / "mesh")
    stray = {"type": "s3", "location": f"s3://{BUCKET}/first/rows", "format": "delta"}
    meshdir.write_product(mesh, meshdir.Product("second", "stray", {"rows": ROWS.schema}, stray))
    report = gate.run("check", mesh)
    assert report.returncode == 1 and "s3://lake/first/rows" in report.stdout + report.stderr
    process = serve(mesh, "--config", settings, LAKE_SECRET=SECRET)
    with process.connect(process.token("olga", "second-owners")) as connection:
        with pytest.raises(Exception, match="out of service"):
            gate.fetch(connection, "SELECT * FROM second.stray.rows")
    with process.connect(process.token("ana")) as connection:
        with pytest.raises(Exception, match="does not exist"):
            gate.fetch(connection, "SELECT * FROM second.stray.rows")
        assert gate.fetch(connection, "SELECT count(*) FROM first.things.rows")[0].to_pylist()[0] > 0


def test_a_store_that_does_not_answer_takes_out_its_own_tables_only(lake, endpoint, serve, tmp_path):
    """The error names neither the endpoint nor a path; products of the local disk go on."""
    mesh = shutil.copytree(lake, tmp_path / "mesh")
    tables.write_delta(mesh / "data" / "second" / "near", ROWS)
    near = {"type": "local", "path": "./data/second/near", "format": "delta"}
    meshdir.write_product(mesh, meshdir.Product("second", "near", {"rows": ROWS.schema}, near))
    settings = tmp_path / "meshgate.toml"
    settings.write_text(SETTINGS.format(key=KEY, region=REGION, endpoint="http://127.0.0.1:9"))
    process = serve(mesh, "--config", settings, LAKE_SECRET=SECRET)
    with process.connect(process.token("ana")) as connection:
        assert gate.fetch(connection, "SELECT count(*) FROM second.near.rows")[0].to_pylist() == [VISIBLE.num_rows]
        with pytest.raises(Exception) as refused:
            gate.fetch(connection, "SELECT count(*) FROM first.things.rows")
    assert refused.value.status_code.name in ("UNAVAILABLE", "IO", "INTERNAL", "TIMEOUT"), refused.value
    assert "127.0.0.1:9" not in str(refused.value) and "s3://" not in str(refused.value)
