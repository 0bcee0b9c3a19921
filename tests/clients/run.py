#!/usr/bin/env python3
"""Runs the matrix of real clients against a meshgate binary.

    MESHGATE_BIN=target/debug/meshgate tests/clients/run.py [pytest arguments]
    tests/clients/run.py --toolchains       # whether all of them can be built here: 0, or 1 and what is missing

Only the standard library is needed: the clients are installed and built into a directory that is kept between runs. JDBC needs a
JDK (17 or newer) and Maven, and so do Spark and the REST catalog, Go needs a toolchain, OIDC needs Node.js, and clients of an older Arrow need a
Python that it was made for. What is missing is said, and its tests are skipped.

MESHGATE_BIN                  the binary, required
MESHGATE_CLIENTS_VENV         where the clients are kept (default ~/.cache/meshgate-clients)
MESHGATE_CLIENTS_REQUIRE_ALL  1: fail if a client cannot be built here
MESHGATE_CLIENTS_SCALE        TPC-H scale factor (default 0.01)
MESHGATE_CLIENTS_BOMBS        how large the bombs of test_hostile.py are (default 1)
MESHGATE_CLIENTS_LIMIT_S      the whole run is stopped after this time (default 3600)
MESHGATE_STANDARDS_DIR        checkouts of the ODCS and ODPS repositories, whose examples are then checked as well
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Versions of the JDBC driver; each is one jar with all that it needs.
JDBC_DRIVERS = ["15.0.2", "18.3.0"]
JDBC_DRIVER = "org.apache.arrow:flight-sql-jdbc-driver"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
SPARK_RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1"
JAVA_MIN, GO_MIN, NODE_MIN = 17, (1, 25), 20
MAVEN_CLASSES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
# Where pyarrow 15 can be installed.
OLD_PYTHONS = ["3.12", "3.11", "3.10", "3.9"]
INSTALL_LIMIT_S = 1200


class Missing(Exception):
    """A client that this machine cannot have."""


def environment(directory: Path, requirements: Path, base: str = sys.executable) -> Path:
    """The Python of an environment that has exactly these requirements; made anew when they change."""
    python = directory / "bin" / "python"
    wanted = digest([requirements], "" if base == sys.executable else base, sys.version)
    if not python.exists() or not is_made(directory, wanted):
        print(f"clients: installing {requirements.name} into {directory}", flush=True)
        if base == sys.executable:
            venv.create(directory, with_pip=True, clear=True)
        else:
            subprocess.run([base, "-m", "venv", "--clear", directory], check=True, timeout=INSTALL_LIMIT_S)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(pip, check=True, timeout=INSTALL_LIMIT_S)
        made(directory, wanted)
    return python


def old_base() -> str:
    """A Python for clients of an older Arrow."""
    def usable(base: str) -> bool:
        shown = run([base, "-c", "import venv, ensurepip, sys; print('%d.%d' % sys.version_info[:2])"])
        return shown.returncode == 0 and shown.stdout.strip() in OLD_PYTHONS

    names = [sys.executable, *filter(None, (shutil.which(f"python{version}") for version in OLD_PYTHONS))]
    base = next(filter(usable, names), None)
    if base is None:
        raise Missing(f"pyarrow 15 and flightsql-dbapi need one of Python {', '.join(OLD_PYTHONS)}")
    return base


def java_version() -> str:
    absent = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if absent:
        raise Missing(f"JDBC, Spark and the REST catalog need a JDK {JAVA_MIN} and Maven: no {', '.join(absent)}")
    shown = run(["javac", "-version"])
    version = re.search(r"\d+", shown.stdout + shown.stderr)
    if version is None or int(version[0]) < JAVA_MIN:
        raise Missing(f"JDBC, Spark and the REST catalog need a JDK {JAVA_MIN}: {(shown.stdout or shown.stderr).strip()}")
    return version[0]


def go_version() -> str:
    """Asked where the module is: Go may then fetch the version that the module wants."""
    wanted = f"the Go client needs Go {GO_MIN[0]}.{GO_MIN[1]}"
    if shutil.which("go") is None:
        raise Missing(f"{wanted}: no go")
    shown = run(["go", "version"], cwd=HERE / "go")
    version = re.search(r"go(\d+)\.(\d+)", shown.stdout)
    if version is None or (int(version[1]), int(version[2])) < GO_MIN:
        raise Missing(f"{wanted}: {(shown.stdout or shown.stderr).strip()}")
    return shown.stdout.strip()


def node_version() -> str:
    wanted = f"OIDC is tested with a provider that needs Node.js {NODE_MIN}"
    absent = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if absent:
        raise Missing(f"{wanted}: no {', '.join(absent)}")
    shown = run(["node", "--version"]).stdout.strip()
    version = re.match(r"v(\d+)", shown)
    if version is None or int(version[1]) < NODE_MIN:
        raise Missing(f"{wanted}: {shown or 'no version'}")
    return shown


def jdbc(cache: Path, version: str) -> Path:
    """A directory with the classes of the Java client and the drivers' jars."""
    directory = cache / "jdbc"
    sources = sorted((HERE / "jdbc").glob("*.java"))
    wanted = digest(sources, version, *JDBC_DRIVERS)
    if not is_made(directory, wanted):
        print(f"clients: building the JDBC client into {directory}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        build(["javac", "-Xlint:all", "-Werror", "-d", directory / "classes", *sources])
        for driver in JDBC_DRIVERS:
            build(["mvn", "-B", "-q", "-Dstyle.color=never", f"-Dmaven.repo.local={cache / 'maven'}", MAVEN_COPY,
                   f"-Dartifact={JDBC_DRIVER}:{driver}", f"-DoutputDirectory={directory}"], cwd=directory)
        made(directory, wanted)
    return directory


def spark(cache: Path, version: str) -> Path:
    """An environment of Spark, and the jar that teaches it Iceberg."""
    directory, requirements = cache / "spark", HERE / "requirements-spark.txt"
    wanted = digest([requirements], version, SPARK_RUNTIME, sys.version)
    if not is_made(directory, wanted):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        environment(directory / "python", requirements)
        build(["mvn", "-B", "-q", "-Dstyle.color=never", f"-Dmaven.repo.local={cache / 'maven'}", MAVEN_COPY,
               f"-Dartifact={SPARK_RUNTIME}", f"-DoutputDirectory={directory}"], cwd=directory)
        made(directory, wanted)
    return directory


def catalog(cache: Path, version: str) -> Path:
    """A directory with the classes of Iceberg's REST catalog and the jars that it needs."""
    directory = cache / "catalog"
    source, project = HERE / "catalog" / "CatalogServer.java", HERE / "catalog" / "pom.xml"
    wanted = digest([source, project], version)
    if not is_made(directory, wanted):
        print(f"clients: building the REST catalog into {directory}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        build(["mvn", "-B", "-q", "-Dstyle.color=never", f"-Dmaven.repo.local={cache / 'maven'}", "-f", project, MAVEN_CLASSES,
               f"-DoutputDirectory={directory / 'jars'}"], cwd=directory)
        build(["javac", "-Xlint:all,-classfile", "-Werror", "-proc:none", "-cp", directory / "jars" / "*",
               "-d", directory / "classes", source])
        made(directory, wanted)
    return directory


def go(cache: Path, version: str) -> Path:
    """The Go client."""
    directory, binary = cache / "go", cache / "go" / "client"
    wanted = digest(sorted((HERE / "go").glob("*")), version)
    if not is_made(directory, wanted):
        print(f"clients: building the Go client into {directory}", flush=True)
        directory.mkdir(parents=True, exist_ok=True)
        variables = {"GOPATH": directory / "path", "GOCACHE": directory / "build", "GOFLAGS": "-mod=readonly -buildvcs=false",
                     "CGO_ENABLED": "0"}
        build(["go", "build", "-o", binary, "."], cwd=HERE / "go",
              env=os.environ | {name: str(value) for name, value in variables.items()})
        made(directory, wanted)
    return binary


def old(cache: Path, base: str) -> Path:
    """An environment of clients of an older Arrow."""
    return environment(cache / "old", HERE / "requirements-old.txt", base)


def oidc(cache: Path, version: str) -> Path:
    """The OpenID provider with its libraries."""
    directory = cache / "oidc"
    sources = [HERE / "oidc" / name for name in ("package.json", "package-lock.json", "provider.mjs")]
    wanted = digest(sources, version)
    if not is_made(directory, wanted):
        print(f"clients: installing the OpenID provider into {directory}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for source in sources:
            shutil.copy(source, directory)
        build(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=directory)
        made(directory, wanted)
    return directory


# Clients that need more than this Python: what they need, and how they are made of it.
OPTIONAL = {"jdbc": (java_version, jdbc), "go": (go_version, go), "old": (old_base, old), "oidc": (node_version, oidc),
            "spark": (java_version, spark), "catalog": (java_version, catalog)}


def toolchains() -> tuple[dict, dict]:
    """What the optional clients are made of here, and why others cannot be."""
    found, missing = {}, {}
    for name, (needed, _) in OPTIONAL.items():
        try:
            found[name] = needed()
        except Missing as error:
            missing[name] = str(error)
            print(f"clients: NOT TESTED: {error}", file=sys.stderr, flush=True)
    return found, missing


def run(command: list, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def build(command: list, **options) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_LIMIT_S, **options)


def digest(files: list[Path], *words: str) -> str:
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + repr(words).encode()).hexdigest()


def is_made(directory: Path, wanted: str) -> bool:
    stamp = directory / "made.sha256"
    return stamp.exists() and stamp.read_text() == wanted


def made(directory: Path, wanted: str) -> None:
    (directory / "made.sha256").write_text(wanted)


def main() -> int:
    if sys.argv[1:] == ["--toolchains"]:
        return 1 if toolchains()[1] else 0
    binary = os.environ.get("MESHGATE_BIN")
    if not binary or not os.access(binary, os.X_OK):
        print("clients: set MESHGATE_BIN to a meshgate binary, such as target/debug/meshgate", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("MESHGATE_CLIENTS_VENV", Path.home() / ".cache" / "meshgate-clients"))
    python = environment(cache / "clients", HERE / "requirements.txt")
    linter = environment(cache / "datacontract", HERE / "requirements-datacontract.txt")
    found, missing = toolchains()
    if missing and os.environ.get("MESHGATE_CLIENTS_REQUIRE_ALL") == "1":
        print("clients: MESHGATE_CLIENTS_REQUIRE_ALL=1, and not every client can be tested here", file=sys.stderr)
        return 2
    clients = {name: str(OPTIONAL[name][1](cache, base)) for name, base in found.items()}
    variables = os.environ | {
        "MESHGATE_BIN": os.path.abspath(binary),
        "MESHGATE_DATACONTRACT": str(linter.parent / "datacontract"),
        "MESHGATE_CLIENTS_FOUND": json.dumps(clients),
        "MESHGATE_CLIENTS_MISSING": json.dumps(missing),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    limit_s = float(os.environ.get("MESHGATE_CLIENTS_LIMIT_S", "3600"))
    command = [python, "-m", "pytest", "-c", HERE / "pytest.ini", "--rootdir", HERE, *(sys.argv[1:] or [HERE])]
    try:
        return subprocess.run(command, env=variables, timeout=limit_s).returncode
    except subprocess.TimeoutExpired:
        print(f"clients: stopped after {limit_s:.0f} s", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
