"""A client program in another language (`jdbc`, `go`, another Python): started once, steered by lines, ended with the test run.

A command is a line of percent-encoded words, the answer a line of JSON with `ok` or `error`. A program that does not answer in
time is killed: a client that hangs is a failure, never a run that hangs.
"""

import json
import os
import queue
import subprocess
import threading
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
NULL = "\0"
LIMIT_S = 60


def command(name: str, found: Path, zone: str = "UTC", opens: bool = True) -> list:
    """How the client of a name is started: `go`, `old`, or `jdbc` with a driver's version."""
    match name.split():
        case ["go"]:
            return [found]
        case ["old"]:
            return [found, "-u", HERE / "old_client.py"]
        case ["jdbc", version]:
            driver = found / f"flight-sql-jdbc-driver-{version}.jar"
            memory = ["--add-opens=java.base/java.nio=ALL-UNNAMED"] if opens else []
            # A quick start.
            java = ["java", *memory, "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
            return [*java, f"-Duser.timezone={zone}", "-cp", f"{found / 'classes'}{os.pathsep}{driver}", "Main"]
    raise ValueError(name)


class ClientError(Exception):
    """What the client was told, as it tells it."""

    def __init__(self, told: dict):
        super().__init__(told["message"])
        self.told = told


class Program:
    def __init__(self, command: list, log: Path, environment: dict | None = None):
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
                text=True, encoding="utf-8",
            )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def send(self, *words) -> None:
        line = " ".join(urllib.parse.quote_plus(str(word)) for word in words)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, limit_s: float = LIMIT_S):
        try:
            line = self.lines.get(timeout=limit_s)
        except queue.Empty:
            self.kill()
            raise TimeoutError(f"no answer in {limit_s} s:\n{self.log_text()}") from None
        if line is None:
            raise RuntimeError(f"the client ended with {self.process.wait(10)}:\n{self.log_text()}")
        told = json.loads(line)
        if "error" in told:
            raise ClientError(told["error"])
        return told["ok"]

    def call(self, *words, limit_s: float = LIMIT_S):
        self.send(*words)
        return self.answer(limit_s)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
