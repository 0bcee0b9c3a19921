"""Runs suites by name, all without one, and writes each one's report."""

import importlib
import sys

from suites import report
from suites.bench import Bench

# What is asked of each is in the documentation of its module.
SUITES = ["p1", "p2", "p3", "p4", "p5", "p7", "p8", "p9"]


def main() -> int:
    names = [name.lower() for name in sys.argv[1:]] or SUITES
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"bench: no suite {', '.join(unknown)}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    bench = Bench.from_environment()
    for name in names:
        module = importlib.import_module(f"suites.{name}")
        print(f"bench: {name}: {module.__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
        print(report.write(name, module.__doc__, module.run(bench), bench), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
