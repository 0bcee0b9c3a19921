#!/usr/bin/env python3
"""Runs the matrix of real clients against a meshgate binary.

    MESHGATE_BIN=target/debug/meshgate tests/clients/run.py [pytest arguments]

Only the standard library is needed: the clients are installed into virtual environments that are kept between runs.

MESHGATE_BIN             the binary, required
MESHGATE_CLIENTS_VENV    where the environments are kept (default ~/.cache/meshgate-clients)
MESHGATE_CLIENTS_SCALE   TPC-H scale factor (default 0.01)
MESHGATE_CLIENTS_BOMBS   how large the bombs of test_hostile.py are (default 1)
MESHGATE_CLIENTS_LIMIT_S the whole run is stopped after this time (default 3600)
MESHGATE_STANDARDS_DIR   checkouts of the ODCS and ODPS repositories, whose examples are then checked as well
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def environment(directory: Path, requirements: Path) -> Path:
    """The Python of an environment that has exactly these requirements; made anew when they change."""
    python = directory / "bin" / "python"
    stamp = directory / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text() != wanted:
        print(f"clients: installing {requirements.name} into {directory}", flush=True)
        venv.create(directory, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(pip, check=True, timeout=1200)
        stamp.write_text(wanted)
    return python


def main() -> int:
    binary = os.environ.get("MESHGATE_BIN")
    if not binary or not os.access(binary, os.X_OK):
        print("clients: set MESHGATE_BIN to a meshgate binary, such as target/debug/meshgate", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("MESHGATE_CLIENTS_VENV", Path.home() / ".cache" / "meshgate-clients"))
    python = environment(cache / "clients", HERE / "requirements.txt")
    linter = environment(cache / "datacontract", HERE / "requirements-datacontract.txt")
    variables = os.environ | {
        "MESHGATE_BIN": os.path.abspath(binary),
        "MESHGATE_DATACONTRACT": str(linter.parent / "datacontract"),
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
