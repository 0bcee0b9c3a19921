"""The commands, as a user and as a script meet them."""

import csv
import io
import json
import os
import re
import shutil
import signal
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest

import gate

README = Path(__file__).resolve().parents[2] / "README.md"
REGION = "SELECT r_regionkey, r_name FROM crm.customers.region ORDER BY r_regionkey"


@pytest.fixture(scope="module")
def token(tpch_gate):
    return tpch_gate.token("carl")


def sql(process, token, *arguments, **options):
    return gate.run("sql", "--url", process.url, "--token", token, *arguments, **options)


def test_formats(tpch_gate, token):
    names = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
    table = sql(tpch_gate, token, REGION)
    assert table.returncode == 0, table.stderr
    assert all(name in table.stdout for name in ["r_regionkey", *names])
    rows = list(csv.DictReader(io.StringIO(sql(tpch_gate, token, "--format", "csv", REGION).stdout)))
    assert [row["r_name"] for row in rows] == names
    assert json.loads(sql(tpch_gate, token, "--format", "json", REGION).stdout) == [
        {"r_regionkey": key, "r_name": name} for key, name in enumerate(names)]


def test_arrow_format(tpch_gate, token):
    import subprocess
    command = [gate.BINARY, "sql", "--url", tpch_gate.url, "--token", token, "--format", "arrow", REGION]
    out = subprocess.run(command, capture_output=True, timeout=60, check=True, env=gate.clean_environment()).stdout
    assert pa.ipc.open_stream(out).read_all().num_rows == 5


def test_pipe(tpch_gate, token):
    piped = sql(tpch_gate, token, "--format", "csv", stdin="SELECT 1 AS a;\nSELECT 'x;y' AS b;\n")
    assert piped.returncode == 0, piped.stderr
    assert "1" in piped.stdout and "x;y" in piped.stdout


@pytest.mark.parametrize("arguments, code", [
    (["sql", "--url", "{url}", "--token", "{token}", "SELECT * FROM no.where.atall"], 1),
    (["sql", "--url", "{url}", "--token", "wrong", "SELECT 1"], 1),
    (["sql", "--url", "grpc://127.0.0.1:1", "--token", "x", "SELECT 1"], 1),
    (["sql", "--format", "nonsense", "SELECT 1"], 2),
    (["nonsense"], 2),
    (["serve"], 2),
    (["token", "create", "--state", "{state}"], 2),
    (["check"], 2),
    (["check", "/no/such/mesh"], 1),
    (["serve", "--mesh", "/no/such/mesh", "--state", "{state}x"], 78),
    (["serve", "--mesh", "{mesh}", "--state", "{state}x", "--config", "/no/such/config.toml"], 78),
    (["audit", "verify", "--state", "/no/such/state"], 1),
])
def test_exit_codes(tpch_gate, token, tmp_path, arguments, code):
    values = {"url": tpch_gate.url, "token": token, "state": tpch_gate.state, "mesh": tpch_gate.mesh}
    ended = gate.run(*[argument.format(**values) for argument in arguments], limit_s=60)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ended.stderr.strip() and "panicked" not in ended.stderr and not ended.stdout.strip()


def test_unknown_configuration_is_an_error(tpch_mesh, tmp_path):
    config = tmp_path / "meshgate.toml"
    config.write_text("[engine]\nmemry_mib = 5\n")
    ended = gate.run("serve", "--mesh", tpch_mesh, "--state", tmp_path / "state", "--config", config, limit_s=60)
    assert ended.returncode == 78 and "memry_mib" in ended.stderr, ended.stderr
    ended = gate.run("serve", "--mesh", tpch_mesh, "--state", tmp_path / "state", limit_s=60, MESHGATE_ENGINE__MEMRY_MIB=5)
    assert ended.returncode == 78 and "MEMRY_MIB" in ended.stderr.upper(), ended.stderr


def test_check(tpch_mesh, tmp_path):
    good = gate.run("check", tpch_mesh)
    assert good.returncode == 0, good.stdout + good.stderr
    mesh = tmp_path / "mesh"
    shutil.copytree(tpch_mesh, mesh)
    contract = mesh / "domains" / "sales" / "products" / "orders" / "tables.odcs.yaml"
    lines = contract.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "logicalType: integer" in line)
    lines[at] = lines[at].replace("logicalType", "logicalTpe")
    contract.write_text("\n".join(lines) + "\n")
    bad = gate.run("check", mesh)
    assert bad.returncode == 1
    text = bad.stdout + bad.stderr
    assert re.search(rf"domains/sales/products/orders/tables\.odcs\.yaml:{at + 1}:\d+", text), text
    assert "logicalType" in text, "no suggestion"
    report = gate.run("check", mesh, "--format", "json")
    assert report.returncode == 1
    assert "tables.odcs.yaml" in json.dumps(json.loads(report.stdout))


def test_check_refuses_a_location_outside_the_storage(tpch_mesh, tmp_path):
    mesh = tmp_path / "mesh"
    shutil.copytree(tpch_mesh, mesh)
    contract = mesh / "domains" / "sales" / "products" / "orders" / "tables.odcs.yaml"
    for path in ["./data/supply/{model}", "/etc/{model}", "./data/sales/../supply/{model}", "./data/sales/%2e%2e/supply/{model}"]:
        contract.write_text(re.sub(r"path: .*", f"path: {path}", contract.read_text()))
        assert gate.run("check", mesh).returncode == 1, path


def test_tokens(tpch_gate):
    made = gate.run("token", "create", "--state", tpch_gate.state, "--service", "etl", "--group", "loaders", "--ttl", "30d")
    assert made.returncode == 0 and len(made.stdout.splitlines()) == 1
    token = made.stdout.strip()
    with tpch_gate.connect(token) as connection:
        assert gate.fetch(connection, "SELECT 1")[0].to_pylist() == [1]
    for shape in ("text", "json"):
        listing = gate.run("token", "list", "--state", tpch_gate.state, "--format", shape)
        assert "etl" in listing.stdout and "loaders" in listing.stdout and token not in listing.stdout
    for file in Path(tpch_gate.state).rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes(), f"{file.name} holds a token"


def test_access_explain(tpch_mesh):
    arguments = ["access", "explain", "--mesh", tpch_mesh, "--user", "ana"]
    told = gate.run(*arguments, "crm.customers.nation")
    assert told.returncode == 0, told.stderr
    assert "n_name" in told.stdout and "everyone-uses-everything" in told.stdout
    report = json.loads(gate.run(*arguments, "--format", "json", "crm.customers.nation").stdout)
    assert "everyone-uses-everything" in json.dumps(report)


def test_policy_diff(tpch_mesh, tmp_path):
    mesh = tmp_path / "mesh"
    shutil.copytree(tpch_mesh, mesh)
    same = gate.run("policy", "diff", tpch_mesh, mesh)
    assert same.returncode == 0, same.stderr
    policy = mesh / "governance" / "policies" / "all.cedar"
    policy.write_text(policy.read_text() + '\n@id("no-notes") forbid (principal, action == Action::"read", '
                      'resource == Column::"crm.customers.nation.n_comment");\n')
    changed = gate.run("policy", "diff", tpch_mesh, mesh)
    assert "n_comment" in changed.stdout and changed.stdout != same.stdout, changed.stdout + changed.stderr


def test_policy_test(tpch_mesh):
    assert gate.run("policy", "test", tpch_mesh).returncode == 0


def test_health(tpch_gate):
    for path in ("/healthz", "/readyz"):
        with urllib.request.urlopen(f"http://{tpch_gate.ready['http']}{path}", timeout=10) as answer:
            assert answer.status == 200


def test_ready_file(tpch_gate):
    assert set(tpch_gate.ready) >= {"flight", "http", "pid", "epoch"}
    assert tpch_gate.ready["pid"] == tpch_gate.process.pid
    os.kill(tpch_gate.ready["pid"], 0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, small, and what it printed."""
    process = gate.Gate(None, tmp_path_factory.mktemp("demo") / "demo", "--scale", "0.01", command="demo").start(limit_s=120)
    yield process
    process.kill()


def tokens(text: str) -> list[str]:
    """The tokens that the demo prints: a `--token X` or `MESHGATE_TOKEN=X` for each user."""
    return list(dict.fromkeys(re.findall(r"(?:--token[ =]|MESHGATE_TOKEN=)([^\s'\"$]{16,})", text)))


def test_demo_prints_how_to_connect(demo):
    text = demo.log.read_text()
    assert demo.ready["flight"] in text
    assert len(tokens(text)) >= 3, text


def test_demo_queries_differ_by_user(demo):
    """The three queries that it prints run through `meshgate sql` and ADBC alike, and the users see different things."""
    text = demo.log.read_text()
    queries = re.findall(r'"(SELECT\b[^"]*)"', text)
    assert len(queries) >= 3, text
    answers = {}
    for token in tokens(text):
        with demo.connect(token) as connection:
            for query in queries:
                printed = sql(demo, token, "--format", "csv", query)
                try:
                    rows = gate.fetch(connection, query).to_pylist()
                except Exception:  # a user may have no right to one of them
                    assert printed.returncode == 1, printed.stdout
                    answers.setdefault(query, []).append("refused")
                    continue
                assert printed.returncode == 0, printed.stderr
                assert len(list(csv.reader(io.StringIO(printed.stdout)))) == len(rows) + 1
                answers.setdefault(query, []).append(repr(rows))
    assert [query for query, seen in answers.items() if len(set(seen)) > 1], "all users see the same"


def test_demo_readme_queries(demo):
    """The queries of the README are those of the demo."""
    queries = re.findall(r'"(SELECT\b[^"]*)"', README.read_text())
    [first, *_] = tokens(demo.log.read_text())
    assert queries
    for query in queries:
        ended = sql(demo, first, query)
        assert ended.returncode == 0, f"{query}: {ended.stderr}"


def test_demo_starts_again_and_drains(demo):
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(60) == 0
    demo.start(limit_s=120)
    assert gate.run("check", next(Path(demo.state).rglob("mesh.yaml")).parent).returncode == 0
