"""Documents and policies that change while the gateway runs."""

import signal
import time

import pyarrow as pa
import pytest

import gate
import meshdir
import tables

ROWS = pa.table({"id": pa.array(range(10), pa.int64()), "region": ["EU", "US"] * 5})
DOMAINS = ["first", "second"]
FILTERED = """
@id("eu-only") @rows("region = 'EU'")
permit (principal, action in Action::"access", resource);
"""
BROKEN = "permit (principal, action, resource) when { nonsense"
IN_FORCE_S = 1.0
# What a loaded machine of two cores may add to the second that the gateway has.
GRACE_S = 1.0


@pytest.fixture
def mesh(tmp_path):
    products = []
    for domain in DOMAINS:
        tables.write_delta(tmp_path / "mesh" / "data" / domain / "rows", ROWS)
        server = {"type": "local", "path": f"./data/{domain}/{{model}}", "format": "delta"}
        products.append(meshdir.Product(domain, "things", {"rows": ROWS.schema}, server))
    return meshdir.write(tmp_path / "mesh", products)


@pytest.fixture
def running(mesh, serve):
    process = serve(mesh)
    with process.connect(process.token("ana")) as connection:
        yield process, connection


def count(connection, domain: str) -> int | str:
    try:
        return gate.fetch(connection, f"SELECT count(*) FROM {domain}.things.rows")[0].to_pylist()[0]
    except Exception as error:  # the failure is the answer
        return error.status_code.name + ": " + str(error)


def becomes(connection, domain: str, expected, limit_s: float = IN_FORCE_S + GRACE_S):
    """Waits until the count (or the code) is as expected, and gives the time that took."""
    begun, last = time.monotonic(), None

    def seen():
        nonlocal last
        last = count(connection, domain)
        return last == expected or (isinstance(last, str) and isinstance(expected, str) and last.startswith(expected))

    try:
        gate.wait_until(seen, f"{domain} = {expected}", limit_s)
    except TimeoutError:
        pytest.fail(f"{domain}: {last}, not {expected}, after {limit_s} s")
    return time.monotonic() - begun


def test_a_policy_is_in_force_within_a_second(mesh, running):
    _, connection = running
    assert count(connection, "first") == 10
    policy = mesh / "governance" / "policies" / "all.cedar"
    for text, expected in [(FILTERED, 5), (meshdir.PERMIT_ALL, 10), ("", "NOT_FOUND"), (FILTERED, 5)]:
        policy.write_text(text)
        becomes(connection, "first", expected)


def test_a_new_file_and_a_removed_file_count(mesh, running):
    _, connection = running
    forbid = mesh / "domains" / "first" / "policies" / "forbid.cedar"
    meshdir.text(forbid, '@id("nobody") forbid (principal, action == Action::"query", resource);')
    becomes(connection, "first", "NOT_FOUND")
    assert count(connection, "second") == 10, "a domain's rule is consulted only for the domain"
    forbid.unlink()
    becomes(connection, "first", 10)


def test_an_editor_that_replaces_files_is_seen(mesh, running):
    _, connection = running
    policy = mesh / "governance" / "policies" / "all.cedar"
    new = policy.with_suffix(".cedar.new")
    new.write_text(FILTERED)
    new.rename(policy)
    becomes(connection, "first", 5)


def test_a_broken_domain_policy_takes_only_that_domain_out(mesh, running):
    _, connection = running
    broken = mesh / "domains" / "first" / "policies" / "broken.cedar"
    meshdir.text(broken, BROKEN)
    gate.wait_until(lambda: count(connection, "first") != 10, "the domain goes out of service", IN_FORCE_S + GRACE_S)
    # UNAVAILABLE reaches ADBC as an I/O error.
    assert str(count(connection, "first")).startswith("IO"), count(connection, "first")
    assert count(connection, "second") == 10
    broken.unlink()
    becomes(connection, "first", 10)


def test_a_broken_document_takes_only_its_product_out(mesh, running):
    _, connection = running
    contract = mesh / "domains" / "second" / "products" / "things" / "tables.odcs.yaml"
    good = contract.read_text()
    contract.write_text(good.replace("logicalType: integer", "logicalTyp: integer"))
    gate.wait_until(lambda: count(connection, "second") != 10, "the product goes out of service", IN_FORCE_S + GRACE_S)
    assert count(connection, "first") == 10
    contract.write_text(good)
    becomes(connection, "second", 10)


def test_a_broken_global_policy_is_refused_at_reload(mesh, running):
    """Refused loudly; what was in force stays in force, and the gateway goes on."""
    process, connection = running
    policy = mesh / "governance" / "policies" / "all.cedar"
    policy.write_text(FILTERED)
    becomes(connection, "first", 5)
    policy.write_text(BROKEN)
    process.process.send_signal(signal.SIGHUP)
    gate.wait_until(lambda: "all.cedar" in process.log_text(), "the refusal in the log", 5)
    assert count(connection, "first") == 5 and count(connection, "second") == 5
    policy.write_text(meshdir.PERMIT_ALL)
    becomes(connection, "first", 10)


@pytest.mark.parametrize("file, text", [("governance/policies/all.cedar", BROKEN), ("mesh.yaml", "name: [\n"), ("mesh.yaml", None)])
def test_a_broken_global_part_is_refused_at_start(mesh, tmp_path, file, text):
    (mesh / file).unlink() if text is None else (mesh / file).write_text(text)
    ready = tmp_path / "ready.json"
    ended = gate.run("serve", "--mesh", mesh, "--state", tmp_path / "state", "--flight-listen", "127.0.0.1:0",
                     "--http-listen", "127.0.0.1:0", "--ready-file", ready, limit_s=30)
    assert ended.returncode == 78, ended.stderr
    assert file.rsplit("/", 1)[-1] in ended.stderr and not ready.exists()


def test_a_broken_domain_does_not_keep_the_gateway_from_starting(mesh, serve):
    meshdir.text(mesh / "domains" / "first" / "policies" / "broken.cedar", BROKEN)
    process = serve(mesh)
    with process.connect(process.token("ana")) as connection:
        assert count(connection, "second") == 10
        # Nobody knows who might query what was never served: only its owners learn that it is there, and why it is not.
        assert "does not exist" in str(count(connection, "first"))
    with process.connect(process.token("olga", "first-owners")) as connection:
        refused = str(count(connection, "first"))
        assert refused.startswith("IO") and "broken.cedar" in refused, refused


def test_new_rows_are_seen(mesh, running):
    """A writer's commit is in the next query's snapshot."""
    _, connection = running
    assert count(connection, "first") == 10
    tables.write_delta(mesh / "data" / "first" / "rows", ROWS)
    becomes(connection, "first", 20)


def test_drain(running):
    process, connection = running
    assert count(connection, "first") == 10
    assert process.stop() == 0
