"""What `make bench` runs: every benchmark in turn, and what became of the aims."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    aws_steps,
    cold_start,
    dbos_chain,
    embedded,
    engine_steps,
    sleeping,
    stack_start,
)
from benchmarks.report import Aim, Report, console, show, show_aims

BENCHMARKS: dict[str, Callable[[Path], Report]] = {
    "aws": aws_steps.run,
    "engine": engine_steps.run,
    "embedded": embedded.run,
    "sleeping": sleeping.run,
    "dbos": dbos_chain.run,
    "cold-start": cold_start.run,
    "stack": stack_start.run,
}
BUILD = Path("build")
"""Scratch files lie here, on a disk: the system's own directory for them is often in memory."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(BENCHMARKS),
        help="run this one; may be given several times",
    )
    chosen = parser.parse_args().only or list(BENCHMARKS)
    out = console()
    out.print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} "
        f"processors, load {_load()}. Times depend on the machine; look at the ratios.\n"
    )
    BUILD.mkdir(exist_ok=True)
    aims: list[Aim] = []
    for name in chosen:
        began = time.monotonic()
        with (
            out.status(f"{name} …"),
            tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as scratch,
        ):
            report = BENCHMARKS[name](Path(scratch))
        show(out, report, f"{name}: {time.monotonic() - began:.0f} s")
        aims += report.aims
    if aims:
        show_aims(out, aims)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    main()
