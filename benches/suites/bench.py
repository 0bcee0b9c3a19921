"""What all suites share: data that is made once, gateways, and how things are timed."""

import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gate
import tables


@dataclass
class Bench:
    directory: Path
    scale: float
    pairs: int

    @staticmethod
    def from_environment() -> "Bench":
        return Bench(
            Path(os.environ["MESHGATE_BENCH_DIR"]),
            float(os.environ.get("MESHGATE_BENCH_SCALE", "1")),
            int(os.environ.get("MESHGATE_BENCH_PAIRS", "5")),
        )

    def made(self, name: str, make) -> Path:
        """A directory of data, made by `make(directory)` if it is not there from another run."""
        directory = self.directory / "data" / name
        if not directory.exists():
            say(f"making {name}")
            try:
                make(directory)
            except BaseException:
                # Half of it must not be taken for all of it the next time.
                shutil.rmtree(directory, ignore_errors=True)
                raise
        return directory

    def tpch(self, layout: str) -> Path:
        """The mesh of TPC-H with all tables in one format."""
        layouts = {domain: layout for domain, _ in tables.TPCH}
        make = lambda directory: tables.write_tpch(directory, tables.tpch(self.scale), layouts)
        return self.made(f"tpch-{layout}-{self.scale:g}", make)

    @contextmanager
    def gateway(self, mesh: Path, **variables):
        """A gateway over a mesh, with a state of its own."""
        with tempfile.TemporaryDirectory(prefix="meshgate-bench-") as directory:
            process = gate.Gate(mesh, Path(directory) / "state", **variables).start(300)
            try:
                yield process
            finally:
                process.stop()

    def alternate(self, *contestants) -> list[float]:
        """The median seconds of each, called in turn after a warm-up."""
        for contestant in contestants:
            contestant()
        seconds = [[] for _ in contestants]
        for _ in range(self.pairs):
            for contestant, measured in zip(contestants, seconds):
                measured.append(timed(contestant))
        return [statistics.median(measured) for measured in seconds]


def timed(call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def geometric_mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
