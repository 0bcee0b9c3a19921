"""A suite's report: Markdown to read and JSON to compare, with the machine and the commit."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results"


@dataclass
class Table:
    """Rows of figures. `goal` says what was hoped for, `ratio` what came out, if it is one number."""

    title: str
    columns: list[str]
    rows: list[list]
    goal: str = ""
    ratio: float | None = None
    notes: list[str] = field(default_factory=list)


def write(name: str, about: str, tables: list[Table], bench) -> str:
    """Writes both files and gives the Markdown."""
    facts = {
        "suite": name,
        "commit": commit(),
        "machine": machine(),
        "scale": bench.scale,
        "pairs": bench.pairs,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    RESULTS.mkdir(exist_ok=True)
    content = facts | {"tables": [asdict(table) for table in tables]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    lines = [f"# {name.upper()}: {about.strip()}", ""]
    lines += [f"`cargo xtask bench {name}` at {facts['commit']}, {facts['machine']}, scale factor {bench.scale:g}, "
              f"medians of {bench.pairs} alternating pairs."]
    for table in tables:
        lines += ["", f"## {table.title}", ""]
        lines += [f"Goal: {table.goal}"] if table.goal else []
        lines += [f"**{table.ratio:.2f}**", ""] if table.ratio is not None else [""]
        lines += ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
        lines += ["| " + " | ".join(shown(value) for value in row) + " |" for row in table.rows]
        lines += [""] + table.notes if table.notes else []
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{name}.md").write_text(text)
    return text


def shown(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def commit() -> str:
    git = ["git", "-C", str(RESULTS.parent)]
    head = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "--", "../crates"], capture_output=True, text=True).stdout.strip()
    return (head or "no commit") + (" with changes" if changed else "")


def machine() -> str:
    try:
        model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
        memory = next(int(line.split()[1]) >> 20 for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    except (OSError, StopIteration):
        return f"{platform.machine()}, {os.cpu_count()} processors"
    return f"{os.cpu_count()} x {model}, {memory} GiB"
