"""`kill -9` in the middle of `tidestep run` and `resume`, again and again.

What one kill costs one run is counted here; many runs, a worker and visitors are `test_torture`'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import RunNotFound, StoreUnusable
from engine.layout import run_key
from engine.ports import Platform
from engine.reading import ResultView, RunReader
from infra.local.sqlite import SqliteVisitor
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy

pytestmark = pytest.mark.thorough

STEPS = 200
KILLS = 10
PATIENCE = 600
"""Polls of 50 ms for a worker to get on before the test gives up on it."""


def test_a_run_killed_ten_times_comes_to_its_right_end(tmp_path: Path) -> None:
    document = tmp_path / "chain.yaml"
    document.write_text(chain(STEPS))
    log = tmp_path / "ran.log"
    environment = {**os.environ, "PACED_LOG": str(log)}
    database = tmp_path / "kill.db"
    common = ["--db", str(database), "--actors", "tests.infra.local.paced"]
    tidestep = [sys.executable, "-m", "infra.local.cli"]
    command = [*tidestep, "run", str(document), "--id", "kill", "--input", "0", *common]

    seen = 0
    for kill in range(KILLS):
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        goal = seen + 5 + 3 * kill % 8
        seen = wait_for_results(process, database, goal)
        process.kill()
        process.communicate()
        assert seen < STEPS, "the run ended before it could be killed"
        command = [*tidestep, "resume", "kill", *common]

    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {f"n{STEPS - 1}": STEPS}

    results = history(database)
    tokens = Counter((r.node, r.visit, r.attempt) for r in results)
    assert max(tokens.values()) == 1
    assert [r.node for r in results] == [f"n{i}" for i in range(STEPS)]
    executions = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert set(executions) == {f"n{i}" for i in range(STEPS)}
    assert sum(executions.values()) <= STEPS + KILLS, "at most one execution is lost at each kill"


def chain(length: int) -> str:
    nodes = "\n".join(f"  - {{id: n{i}, actor: paced.add}}" for i in range(length))
    edges = "\n".join(f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(length - 1))
    return f"name: chain\nnodes:\n{nodes}\nedges:\n{edges}\n"


def wait_for_results(process: subprocess.Popen[bytes], database: Path, goal: int) -> int:
    """How many results are recorded once there are at least `goal`."""
    for _ in range(PATIENCE):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            raise AssertionError(f"it ended by itself: {process.communicate()}")
        if database.exists():
            with suppress(RunNotFound, StoreUnusable):
                count = len(history(database))
                if count >= goal:
                    return count
    raise AssertionError(f"no {goal} results after {PATIENCE} looks")


def history(database: Path) -> list[ResultView]:
    async def read() -> list[ResultView]:
        clock = SystemClock()
        with SqliteVisitor(database, clock) as visitor:
            platform = Platform(
                visitor.journal, visitor.blobs, clock, SystemEntropy(), EnvironmentSecrets({})
            )
            return [r async for r in RunReader(platform).history(run_key("kill"))]

    return asyncio.run(read())
