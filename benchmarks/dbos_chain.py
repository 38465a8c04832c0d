"""The same chain on DBOS, the nearest peer that runs on SQLite: rates beside each other, in turns.

DBOS is installed into an environment of its own below `build/`, on first use. As it comes, its
SQLite file has a rollback journal, where ours has a write-ahead log; so it is measured on a file
that was given a write-ahead log, too. Both commit and flush once a step.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.embedded_run import embedded_run, walked
from benchmarks.report import Report, table
from benchmarks.shapes import chain

ROUNDS = 3
SECONDS = 2.0
INSTALL_TIMEOUT_S = 120
_HOME = Path("build/bench-dbos")
_PROGRAM = Path(__file__).with_name("dbos_program.py")


def run(scratch: Path) -> Report:
    try:
        python = _installed()
        return asyncio.run(_measured(python, scratch))
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        reason = said[-1] if said else str(error)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    return Report(notes=[f"DBOS on SQLite is not measured: {reason}"])


async def _measured(python: Path, scratch: Path) -> Report:
    ours: list[float] = []
    theirs: dict[str, list[float]] = {"": [], "WAL": []}
    async with embedded_run(scratch / "chain.db") as run:
        planted = await run.plant(walked(chain(), 0), "r00000000001", 0)
        await run.rate([planted], 0.2)
        for turn in range(ROUNDS):
            ours.append(await run.rate([planted], SECONDS))
            for mode, rates in theirs.items():
                directory = scratch / f"dbos-{turn}{mode}"
                directory.mkdir()
                command = [str(python), str(_PROGRAM), str(directory), str(SECONDS)]
                rates.append(float(_answer([*command, mode] if mode else command)))
    ask = "import importlib.metadata as m; print(m.version('dbos'))"
    name = f"DBOS {_answer([str(python), '-c', ask])}"
    rows = [
        ["Tidestep, embedded", "1.00", f"{median(ours):,.0f}"],
        [name, _ratio(theirs[""], ours), f"{median(theirs['']):,.0f}"],
        [f"{name}, write-ahead log", _ratio(theirs["WAL"], ours), f"{median(theirs['WAL']):,.0f}"],
    ]
    title = f"One chain of asynchronous no-ops on SQLite; medians of {ROUNDS} rounds in turns"
    return Report([table(title, ["", "ratio", "steps per second"], rows)])


def _ratio(rates: Sequence[float], base: Sequence[float]) -> str:
    return f"{median(each / other for each, other in zip(rates, base, strict=True)):.2f}"


def _installed() -> Path:
    """The interpreter of the environment that has DBOS, which is made where there is none."""
    python = _HOME.absolute() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = _HOME / "ready"
    if not ready.exists():
        _answer([sys.executable, "-m", "venv", "--clear", str(_HOME)])
        install = [str(python), "-m", "pip", "install", "--quiet"]
        if importlib.util.find_spec("uv"):
            install = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
            install += ["--python", str(python)]
        _answer([*install, "dbos"])
        ready.touch()
    return python


def _answer(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=INSTALL_TIMEOUT_S
    )
    return done.stdout.strip()
