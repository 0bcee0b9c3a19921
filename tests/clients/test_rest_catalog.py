"""Iceberg tables of a REST catalog: the catalog is Iceberg's own, writers are pyiceberg's, and the gateway has no key of the store."""

import shutil
import threading

import pyarrow as pa
import pyarrow.compute
import pytest
import yaml
from pyiceberg.catalog.rest import RestCatalog

import conftest
import gate
import meshdir
import rest_catalog
from authority import Authority

FILES, ROWS_EACH = 12, 50
SCHEMA = pa.schema([("id", pa.int64()), ("region", pa.string())])
FILTERED = """
@id("eu-only") @rows("region = 'EU'")
permit (principal, action in Action::"access", resource);
"""
SETTINGS = """
[log]
filter = "debug"
[credentials.catalog]
type = "iceberg-rest"
client_id = "gateway"
client_secret = "env:CATALOG_SECRET"
allow_http = true
# Where the store is, and no key.
[credentials.lake]
type = "s3"
endpoint = "{endpoint}"
allow_http = true
"""
SECRET = "hidden-client-secret"
TABLE = "sales.things.rows"


def rows(first: int) -> pa.Table:
    ids = range(first, first + ROWS_EACH)
    return pa.table({"id": list(ids), "region": ["EU" if id % 2 else "US" for id in ids]}, SCHEMA)


def visible(first: int, last: int) -> list[int]:
    return [id for id in range(first, last) if id % 2]


class Lake:
    """The store, the catalog, a writer and a gateway."""

    def __init__(self, home, directory):
        self.store = rest_catalog.Store()
        self.catalog = rest_catalog.Catalog(directory, home, self.store)
        self.table = self.writer().create_table("sales.eu.rows", SCHEMA)
        for number in range(FILES):
            self.table.append(rows(number * ROWS_EACH))
        server = {"type": "iceberg", "catalogUrl": self.catalog.url, "catalog": "lake", "namespace": "sales.eu",
                  "warehouse": f"s3://{rest_catalog.BUCKET}/sales/warehouse"}
        storage = [{"prefix": f"s3://{rest_catalog.BUCKET}/sales/", "credentials": "lake"},
                   {"catalog": self.catalog.url, "credentials": "catalog"}]
        product = meshdir.Product("sales", "things", {"rows": SCHEMA}, server, api_version="v3.2.0")
        mesh = meshdir.write(home / "mesh", [product], policy=FILTERED, storage={"sales": storage})
        self.settings = home / "meshgate.toml"
        self.settings.write_text(SETTINGS.format(endpoint=self.store.url))
        self.gate = gate.Gate(mesh, home / "state", "--config", self.settings, CATALOG_SECRET=SECRET).start()
        self.token = self.gate.token("ana")

    def writer(self) -> RestCatalog:
        tokens = f"{self.catalog.url}/v1/oauth/tokens"
        catalog = RestCatalog("lake", **{"uri": self.catalog.url, "credential": f"writer:{SECRET}", "oauth2-server-uri": tokens})
        for namespace in ("sales", "sales.eu"):
            catalog.create_namespace_if_not_exists(namespace)
        return catalog

    def ids(self, clause: str = "") -> list[int]:
        with self.gate.connect(self.token) as connection:
            return gate.fetch(connection, f"SELECT id FROM {TABLE} {clause} ORDER BY id")["id"].to_pylist()

    def stop(self):
        self.gate.kill()
        self.catalog.kill()
        self.store.stop()


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    directory = conftest.found("catalog")
    started = Lake(tmp_path_factory.mktemp("rest"), directory)
    yield started
    started.stop()


def test_tables_are_read_with_the_catalogs_keys_and_governed(lake):
    lake.store.seen.clear()
    assert lake.ids() == visible(0, FILES * ROWS_EACH)
    assert lake.ids("WHERE id BETWEEN 40 AND 60") == visible(40, 61)
    assert set(lake.store.seen) == {("key-first", True)}


def test_what_others_write_is_seen_and_what_was_stays(lake):
    before = lake.table.refresh().current_snapshot().snapshot_id
    count = len(lake.ids())
    lake.table.append(rows(1000))
    gate.wait_until(lambda: lake.ids("WHERE id >= 1000") == visible(1000, 1000 + ROWS_EACH), "the new snapshot", 5)
    assert len(lake.ids(f"FOR VERSION AS OF {before}")) == count
    lake.table.delete("id >= 1000")
    gate.wait_until(lambda: len(lake.ids()) == count, "the snapshot without them", 5)


def test_keys_that_expire_in_mid_query_are_replaced(lake):
    """The store expires them while the query reads, and the catalog has others: nobody sees that but the store."""
    expected = lake.ids()
    lake.store.seen.clear()
    lock, left = threading.Lock(), [4]

    def expire(key: str):
        with lock:
            left[0] -= 1
            if left[0] == 0:
                lake.catalog.vend("second")

    lake.store.on_read = expire
    try:
        assert lake.ids() == expected
    finally:
        lake.store.on_read = lambda key: None
    seen = set(lake.store.seen)
    assert {("key-first", True), ("key-first", False), ("key-second", True)} <= seen, lake.store.seen
    assert lake.ids() == expected


def test_a_catalog_that_is_started_again_is_not_missed(lake):
    expected, over, answers = lake.ids(), threading.Event(), []

    def ask():
        while True:
            last = over.is_set()
            try:
                answers.append(lake.ids())
            except Exception as error:
                answers.append(error)
            if last:
                return

    lake.catalog.kill()
    asking = threading.Thread(target=ask)
    asking.start()
    lake.catalog.start()
    over.set()
    asking.join(gate.CALL_LIMIT_S)
    assert answers and all(answer == expected for answer in answers), [a for a in answers if a != expected][:1]
    # The one that answers now is the new one.
    table = lake.writer().load_table("sales.eu.rows")
    table.append(rows(2000))
    gate.wait_until(lambda: lake.ids("WHERE id >= 2000") == visible(2000, 2000 + ROWS_EACH), "the new snapshot", 5)


def test_a_catalog_is_asked_over_tls(lake, serve, tmp_path):
    """Whom the settings name is trusted, and nobody else."""
    ours = Authority(tmp_path, "ours")
    with rest_catalog.Tls(lake.catalog.port, ours.issue("catalog", ["127.0.0.1"])) as url:
        mesh = shutil.copytree(lake.gate.mesh, tmp_path / "mesh")
        for file in mesh.rglob("*.yaml"):
            file.write_text(file.read_text().replace(lake.catalog.url, url))
        text = lake.settings.read_text()
        [before, after] = text.split('client_id = "gateway"')
        settings = tmp_path / "meshgate.toml"
        settings.write_text(f'{before}ca = "{ours.file}"\nclient_id = "gateway"{after}'.replace("allow_http = true\n# Where", "# Where"))
        process = serve(mesh, "--config", settings, CATALOG_SECRET=SECRET)
        with process.connect(process.token("ana")) as connection:
            assert gate.fetch(connection, f"SELECT id FROM {TABLE} ORDER BY id")["id"].to_pylist() == lake.ids()
        settings.write_text(text)
        process = serve(mesh, "--config", settings, CATALOG_SECRET=SECRET)
        with process.connect(process.token("ana")) as connection:
            with pytest.raises(Exception, match="cannot be read just now"):
                gate.fetch(connection, f"SELECT id FROM {TABLE}")
        assert "invalid peer certificate" in process.log.read_text(errors="replace")


@pytest.mark.parametrize(("swapped", "reason"), [
    ({"catalog": "lake"}, "needs credentials of the type iceberg-rest"),
    ({"lake": "catalog"}, "[credentials.catalog] is for a catalog and not for s3://"),
])
def test_credentials_of_another_kind_take_the_domain_out_of_service(lake, serve, tmp_path, swapped, reason):
    mesh = shutil.copytree(lake.gate.mesh, tmp_path / "mesh")
    platform = yaml.safe_load((mesh / "mesh.yaml").read_text())
    for grant in platform["domains"]["sales"]["storage"]:
        grant["credentials"] = swapped.get(grant["credentials"], grant["credentials"])
    meshdir.document(mesh / "mesh.yaml", platform)
    process = serve(mesh, "--config", lake.settings, CATALOG_SECRET=SECRET)
    with process.connect(process.token("olga", "sales-owners")) as connection:
        with pytest.raises(Exception, match="out of service") as refused:
            gate.fetch(connection, f"SELECT * FROM {TABLE}")
    assert reason in str(refused.value)


def test_a_table_that_is_gone_is_out_of_service_and_no_secret_was_written(lake):
    lake.writer().drop_table("sales.eu.rows")
    def gone() -> bool:
        try:
            lake.ids()
            return False
        except Exception as error:
            assert "cannot be read just now" in str(error) and lake.catalog.url not in str(error), error
            return True
    gate.wait_until(gone, "the table to be gone", 5)
    log = lake.gate.log.read_text(errors="replace")
    assert "no Iceberg table at sales.eu.rows" in log
    assert "hidden-" not in log
    assert "client-credentials-token" not in log
