#!/usr/bin/env python3
"""The harness of performance: `cargo xtask bench [SUITE...]` builds the release binary and runs this.

Data is made once, peers are installed into an environment that is kept, and both are measured in alternating pairs over the very
same files. What comes out are ratios of medians; the seconds are only context. Nothing here is a test: no figure fails.

MESHGATE_BIN           the binary, required
MESHGATE_BENCH_DIR     where data and peers are kept (default ~/.cache/meshgate-bench)
MESHGATE_BENCH_SCALE   TPC-H scale factor (default 1)
MESHGATE_BENCH_PAIRS   pairs that are measured (default 5)
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIENTS = HERE.parent / "tests" / "clients"


def main() -> int:
    binary = os.environ.get("MESHGATE_BIN")
    if not binary or not os.access(binary, os.X_OK):
        print("bench: set MESHGATE_BIN to a meshgate binary of the release profile", file=sys.stderr)
        return 2
    sys.path.insert(0, str(CLIENTS))
    import run as clients

    cache = Path(os.environ.get("MESHGATE_BENCH_DIR", Path.home() / ".cache" / "meshgate-bench"))
    python = clients.environment(cache / "peers", HERE / "requirements.txt")
    variables = os.environ | {
        "MESHGATE_BIN": os.path.abspath(binary),
        "MESHGATE_BENCH_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(CLIENTS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run([python, "-m", "suites", *sys.argv[1:]], env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
