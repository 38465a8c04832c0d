"""The torture of the embedded backend: a worker and its visitors, killed with SIGKILL all the time.

One round: visitors in processes of their own start, signal, cancel and retry runs, by themselves
and by the command line, while a worker (`tidestep work`) has dozens of steps in flight. Both are
killed at moments that the seed draws, and started again. Then the killing stops, and every run must
come to its end, which `tests.infra.torture.audit` knows.

    python -m tests.infra.local.torture --seconds 600     (a seed after the other)
    python -m tests.infra.local.torture --seed 7          (one round)
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from engine.dispatcher import Dispatcher
from engine.ports import Limits, Platform
from infra.local.embedded import visiting
from infra.local.sqlite import SqliteWorker
from infra.system import EnvironmentSecrets, SystemEntropy
from tests.clock import ManualClock
from tests.infra.local.visitor import CLI, TIMES, read_answers
from tests.infra.torture import soak
from tests.infra.torture.actors import LOG_VARIABLE
from tests.infra.torture.audit import Report, audit, read_executions
from tests.infra.torture.workload import ACTORS, Plan, documents, draw, registry

MODULE = "tests.infra.local.torture"
ROOT = Path(__file__).parents[3]
WEIGHTS = {
    "diamond": 4,
    "fan": 3,
    "charge": 6,
    "count": 2,
    "collect": 4,
    "bomb": 0,
    "cancel": 2,
    "close": 2,
    "revive": 2,
}
"""There is one of each besides; a bomb kills the worker three times."""
VISITORS = 3
PATIENCE_S = 60.0
"""How long the runs may take to their ends once the killing has stopped."""
POLL_S = 0.05
LONG_AFTER = 4_000_000_000_000


class Round:
    """One round in a directory of its own."""

    def __init__(self, directory: Path, seed: int, runs: int) -> None:
        self.plan: Plan = draw(seed, runs, VISITORS, WEIGHTS, grace_s=0.5)
        self.counted: Counter[str] = Counter()
        self._random = random.Random(f"kills {seed}")
        self._directory = directory
        self._database = directory / "torture.db"
        self._log = directory / "executions.log"
        self._worker: subprocess.Popen[bytes] | None = None
        self._visitors: dict[int, subprocess.Popen[bytes]] = {}
        for name, text in documents(TIMES).items():
            (directory / f"{name}.yaml").write_text(text)
        for number, acts in enumerate(self.plan.askers):
            self._acts(number).write_bytes(msgspec.json.encode(acts))

    def play(self, seconds: float) -> Report:
        """Kill for `seconds`, then let everything come to its end, and audit it.

        Raises AssertionError where a process ended that nobody killed, or the runs do not end.
        """
        stop = time.monotonic() + seconds
        try:
            while time.monotonic() < stop and not self._over():
                self._for(self._uptime_s())
                self._kill()
            self._until(self._over, PATIENCE_S)
            self._stop_worker()
        finally:
            self._end_processes()
        self._check_database()
        left = self._drain()
        report = self._audit()
        report.problems += left
        return report

    # -- processes --------------------------------------------------------------------------------

    def _uptime_s(self) -> float:
        """Often too short for anything, else long enough to be in the middle of it."""
        return (
            self._random.uniform(0.05, 0.6)
            if self._random.random() < 0.3
            else (self._random.uniform(0.6, 1.8))
        )

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            self._worker = None
            self.counted["worker killed"] += 1
        alive = [number for number, each in self._visitors.items() if each.poll() is None]
        if alive and self._random.random() < 0.3:
            visitor = self._visitors.pop(self._random.choice(alive))
            os.killpg(visitor.pid, signal.SIGKILL)  # and with it the command that it waits for
            visitor.wait()
            self.counted["visitor killed"] += 1

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._keep_alive()
            time.sleep(min(POLL_S, max(0, end - time.monotonic())))

    def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not every run has ended:\n{self._pending()}"
            self._for(4 * POLL_S)

    def _keep_alive(self) -> None:
        """Start what is to run and does not, unless it has ended by itself and must not."""
        if self._worker is not None and self._worker.poll() is not None:
            assert self._worker.returncode == -signal.SIGKILL, self._said("worker.err")
            self._worker = None
            self.counted["worker killed by a bomb"] += 1
        if self._worker is None:
            words = ["work", "--db", str(self._database), "--actors", ACTORS]
            self._worker = self._start([*CLI, *words], "worker.err")
        for number in range(VISITORS):
            visitor = self._visitors.get(number)
            if visitor is None:
                self._visitors[number] = self._start_visitor(number)
            elif visitor.poll() is not None:
                assert visitor.returncode == 0, self._said(f"visitor-{number}.err")

    def _start_visitor(self, number: int) -> subprocess.Popen[bytes]:
        paths = (self._database, self._acts(number), self._answers(number))
        words = [*map(str, paths), str(self._random.random())]
        module = [sys.executable, "-m", "tests.infra.local.visitor"]
        return self._start([*module, *words], f"visitor-{number}.err")

    def _start(self, words: list[str], says: str) -> subprocess.Popen[bytes]:
        with (self._directory / says).open("ab") as file:
            return subprocess.Popen(
                words,
                cwd=ROOT,
                env={**os.environ, LOG_VARIABLE: str(self._log), "PYTHONWARNINGS": "error"},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def _stop_worker(self) -> None:
        """Where the last kill has left one."""
        if self._worker is not None:
            self._worker.terminate()
            # it may only just have been started, and not know yet what to do about the signal
            assert self._worker.wait(30) in (0, -signal.SIGTERM), self._said("worker.err")
            self._worker = None
        assert "Traceback" not in self._said("worker.err"), self._said("worker.err")

    def _end_processes(self) -> None:
        for process in (self._worker, *self._visitors.values()):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    # -- looks ------------------------------------------------------------------------------------

    def _over(self) -> bool:
        """Whether everything has been asked, and every run has ended."""
        visitors = [self._visitors.get(number) for number in range(VISITORS)]
        if any(visitor is None or visitor.poll() is None for visitor in visitors):
            return False
        return not self._pending()

    def _pending(self) -> list[str]:
        with visiting(self._database, {}) as embedded:
            rows = asyncio.run(embedded.platform.journal.runs("default", limit=10_000))
        return [f"{row.key.run} is {row.status}" for row in rows if not row.status.terminal]

    def _said(self, name: str) -> str:
        return (self._directory / name).read_text()

    def _acts(self, number: int) -> Path:
        return self._directory / f"acts-{number}.json"

    def _answers(self, number: int) -> Path:
        return self._directory / f"answers-{number}.jsonl"

    # -- the end ----------------------------------------------------------------------------------

    def _check_database(self) -> None:
        with closing(sqlite3.connect(self._database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def _drain(self) -> list[str]:
        """What is wrong with the messages that are left: copies that were put off, of ended runs.

        Long after, one look at each is enough, and then there is none.
        """
        problems: list[str] = []
        clock = ManualClock(LONG_AFTER)

        async def drain() -> None:
            with SqliteWorker(self._database, clock) as worker:
                secrets = EnvironmentSecrets({})
                platform = Platform(
                    worker.journal, worker.blobs, clock, SystemEntropy(), secrets, exclusive=True
                )
                dispatcher = Dispatcher(platform, registry())
                while deliveries := await worker.source.receive(100, 0):
                    for delivery in deliveries:
                        handled = await dispatcher.handle(delivery, LONG_AFTER + 60_000)
                        self.counted["message left"] += 1
                        if handled.what != "ended":
                            problems.append(f"{handled.run}: a message was left: {handled}")
                assert await worker.journal.backlog() == 0

        asyncio.run(drain())
        return problems

    def _audit(self) -> Report:
        answers = [
            answer for number in range(VISITORS) for answer in read_answers(self._answers(number))
        ]
        assert len(answers) == len(self.plan.acts)
        most = 1 + Limits().deaths
        with visiting(self._database, {}) as embedded:
            executions = read_executions(self._log)
            return asyncio.run(
                audit(embedded.platform, self.plan, answers, executions, most_executions=most)
            )


def torture(directory: Path, seed: int, *, runs: int, seconds: float) -> Counter[str]:
    """Play one round and print what came of it. Raises AssertionError with all that was wrong."""
    played = Round(directory, seed, runs)
    try:
        report = played.play(seconds)
        assert not report.problems, "\n".join(report.problems)
    except AssertionError as error:
        error.add_note(f"seed {seed}: python -m {MODULE} --seed {seed}; files: {directory}")
        raise
    for line in report.lines():
        print(f"  {line}")
    return played.counted + report.counted()


def long_round(seed: int) -> Counter[str]:
    directory = Path(tempfile.mkdtemp(prefix=f"torture-{seed}-"))
    counted = torture(directory, seed, runs=90, seconds=20)
    shutil.rmtree(directory)
    return counted


if __name__ == "__main__":
    sys.exit(soak.main(MODULE, long_round))
