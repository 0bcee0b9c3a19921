"""Fixtures: meshes are made once, gateways live as long as the test that started them."""

import json
import os
from pathlib import Path

import pytest

import gate
import oidc_provider
import program
import tables
import typed

SCALE = float(os.environ.get("MESHGATE_CLIENTS_SCALE", "0.01"))


def pytest_configure():
    if not os.access(gate.BINARY, os.X_OK):
        pytest.exit("set MESHGATE_BIN to a meshgate binary", returncode=2)


@pytest.fixture
def serve(tmp_path):
    """Starts gateways: serve(mesh, *arguments, **environment)."""
    started = []

    def start(mesh: Path, *arguments, state: Path | None = None, **variables) -> gate.Gate:
        state = state or tmp_path / f"state-{len(started)}"
        started.append(gate.Gate(mesh, state, *arguments, **variables))
        return started[-1].start()

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def duck():
    """TPC-H in DuckDB, the oracle."""
    return tables.tpch(SCALE)


@pytest.fixture(scope="session")
def tpch_mesh(duck, tmp_path_factory) -> Path:
    """TPC-H as a mesh of three domains where everybody may read everything."""
    return tables.write_tpch(tmp_path_factory.mktemp("tpch") / "mesh", duck)


@pytest.fixture(scope="session")
def tpch_gate(tpch_mesh, tmp_path_factory):
    """A gateway over that mesh, shared by tests that change nothing."""
    process = gate.Gate(tpch_mesh, tmp_path_factory.mktemp("state") / "state").start()
    yield process
    process.kill()


@pytest.fixture
def connection(tpch_gate):
    """An ADBC connection of somebody to the shared gateway."""
    with tpch_gate.connect(tpch_gate.token("somebody")) as connection:
        yield connection


@pytest.fixture(scope="session")
def typed_mesh(tmp_path_factory) -> Path:
    """The tables with a column of every type."""
    return typed.write(tmp_path_factory.mktemp("typed") / "mesh")


@pytest.fixture(scope="session")
def typed_gate(typed_mesh, tmp_path_factory):
    """A gateway over them, shared by tests that change nothing."""
    process = gate.Gate(typed_mesh, tmp_path_factory.mktemp("typed-state") / "state").start()
    yield process
    process.kill()


def found(kind: str) -> Path:
    """Where run.py put a client; the test is skipped if this machine cannot have it."""
    where = json.loads(os.environ.get("MESHGATE_CLIENTS_FOUND", "{}")).get(kind)
    if where is None:
        why = json.loads(os.environ.get("MESHGATE_CLIENTS_MISSING", "{}"))
        pytest.skip(why.get(kind, f"no {kind} client: run tests/clients/run.py"))
    return Path(where)


@pytest.fixture(scope="module")
def new_provider():
    """Starts OpenID providers: new_provider(life_s=...)."""
    directory, started = found("oidc"), []

    def start(**options) -> oidc_provider.Provider:
        started.append(oidc_provider.Provider(directory, **options))
        return started[-1]

    yield start
    for provider in started:
        provider.stop()


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """Clients in other languages, started once and shared: programs("jdbc 18.3.0"), programs("go"), programs("old")."""
    running = {}

    def start(name: str, **options) -> program.Program:
        kind = name.split()[0]
        directory = found(kind)
        key = (name, *options.items())
        if key not in running or running[key].process.poll() is not None:
            log = tmp_path_factory.mktemp(kind) / "client.log"
            running[key] = program.Program(program.command(name, directory, **options), log)
        return running[key]

    yield start
    for client in running.values():
        client.stop()
