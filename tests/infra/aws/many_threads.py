"""Many functions at once on one table and one queue, on moto, while AWS has a bad day.

One round: threads stand for a function's execution environments, each with an event loop, a
dispatcher and adapters of its own. They receive batches, are frozen in the middle of one and thawed
long after their messages went to others, or die. Beside them a consumer of dead letters, a sweeper,
and those who start, signal, cancel and retry runs. `tests.infra.aws.faults` lies below them all.
Then the faults stop, and every run must come to its end, which `tests.infra.torture.audit` knows.

    python -m tests.infra.aws.many_threads --seconds 600     (a seed after the other)
    python -m tests.infra.aws.many_threads --seed 7          (one round)
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Event, Thread

from engine.dead_letters import DeadLetters
from engine.dispatcher import Dispatcher
from engine.errors import PlatformError, RunNotFound
from engine.sweeper import sweep
from tests.infra.aws.environments import SPEED, Account, Environment, Happened, account
from tests.infra.aws.faults import Faults
from tests.infra.torture import soak
from tests.infra.torture.asking import Answer, AnyAct, Asker
from tests.infra.torture.audit import Report, audit, read_executions
from tests.infra.torture.workload import Plan, Times, definitions, draw, registry

MODULE = "tests.infra.aws.many_threads"
FUNCTIONS = 4
ASKERS = 2
CHARGE_S = 2.2
"""By the clock on the wall: a charge's message comes again while the charge is under way."""
FROZEN_S = 3.0
PATIENCE_S = 60.0
WEIGHTS = {
    "diamond": 4,
    "fan": 3,
    "charge": 4,
    "count": 2,
    "collect": 4,
    "stall": 1,
    "cancel": 1,
    "close": 1,
    "revive": 1,
}


class Round:
    """One round on an empty account."""

    def __init__(self, account: Account, faults: Faults, plan: Plan, times: Times) -> None:
        self.happened = Happened()
        self.answers: list[Answer] = []
        self._account = account
        self._faults = faults
        self._plan = plan
        self._definitions = definitions(times)
        self._random = random.Random(f"deaths {plan.seed}")
        self._stop = Event()
        self._dead: list[asyncio.AbstractEventLoop] = []

    def play(self, seconds: float, log: Path) -> Report:
        """Inject faults for `seconds`, then let everything come to its end, and audit it."""
        threads = [self._thread(self._function, number) for number in range(FUNCTIONS)]
        threads += [self._thread(self._asker, acts) for acts in self._plan.askers]
        threads += [self._thread(self._consumer), self._thread(self._sweeper)]
        try:
            time.sleep(seconds)
            self._faults.active = False
            self._until(self._over, "not every run has ended")
            self._until(self._empty, "the queues are not empty")
        finally:
            self._faults.active = False
            self._stop.set()
            for thread in threads:
                thread.join()
            platform, _ = self._account.opened()
            executions = read_executions(log)
            report = asyncio.run(audit(platform, self._plan, self.answers, executions))
            self._bury()
        report.problems += self.happened.problems
        return report

    # -- threads ----------------------------------------------------------------------------------

    def _thread(self, target: Callable[..., None], *arguments: object) -> Thread:
        def run() -> None:
            try:
                target(*arguments)
            except Exception:
                self.happened.problems.append(traceback.format_exc())

        thread = Thread(target=run)
        thread.start()
        return thread

    def _function(self, number: int) -> None:
        """One execution environment after the other; half of them acknowledge as Lambda does."""
        while not self._stop.is_set():
            platform, queue = self._account.opened()
            environment = Environment(
                platform, Dispatcher(platform, registry()), queue, self.happened
            )
            loop = asyncio.new_event_loop()
            task = loop.create_task(environment.work(self._stop, by_batch=number % 2 == 0))
            loop.call_later(1 + self._random.expovariate(0.4), self._strike, loop)
            try:
                loop.run_until_complete(task)
            except RuntimeError as error:
                if "stopped before" not in str(error):
                    raise
                self.happened.counted["function died"] += 1
                self._dead.append(loop)
            else:
                loop.close()

    def _strike(self, loop: asyncio.AbstractEventLoop) -> None:
        """Freeze an environment for a while, or for ever."""
        if not self._faults.active:
            return
        if self._random.random() < 0.5:
            loop.stop()
        else:
            self.happened.counted["function frozen"] += 1
            time.sleep(FROZEN_S * self._random.random())
            loop.call_later(self._random.expovariate(0.4), self._strike, loop)

    def _consumer(self) -> None:
        platform, _ = self._account.opened()
        receiver = DeadLetters(platform, registry())
        consumer = Environment(platform, receiver, self._account.dead_source(), self.happened)
        asyncio.run(consumer.work(self._stop, by_batch=False))

    def _sweeper(self) -> None:
        async def sweeping() -> None:
            platform, _ = self._account.opened()
            while not self._stop.is_set():
                try:
                    swept = await sweep(platform)
                    self.happened.counted["swept"] += swept.sent
                except PlatformError:
                    self.happened.counted["sweep broken off"] += 1
                await asyncio.sleep(60 / SPEED)

        asyncio.run(sweeping())

    def _asker(self, acts: list[AnyAct]) -> None:
        async def asking() -> None:
            platform, _ = self._account.opened()
            asker = Asker(platform, self._definitions)
            left = deque(acts)
            while left and not self._stop.is_set():
                act = left.popleft()
                try:
                    self.answers.append(Answer(act, await asker.perform(act)))
                except RunNotFound:
                    left.append(act)
                except PlatformError:
                    self.happened.counted["asked again"] += 1
                    left.appendleft(act)
                await asyncio.sleep(0.05)

        asyncio.run(asking())

    # -- looks ------------------------------------------------------------------------------------

    def _until(self, condition: Callable[[], Coroutine[None, None, str]], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while left := asyncio.run(condition()):
            assert time.monotonic() < end, "\n".join([f"{what}: {left}", *self.happened.problems])
            time.sleep(0.2)

    async def _over(self) -> str:
        platform, _ = self._account.opened()
        if len(self.answers) < len(self._plan.acts):
            return f"{len(self._plan.acts) - len(self.answers)} acts without an answer"
        rows = await platform.journal.runs("default", limit=10_000)
        return ", ".join(
            f"{row.key.run} is {row.status}" for row in rows if not row.status.terminal
        )

    async def _empty(self) -> str:
        sqs = self._account.clients.client("sqs")
        for url in (self._account.steps_url, self._account.dead_url):
            answer = await sqs.call("get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
            counts = {
                name: number
                for name, number in answer["Attributes"].items()
                if name.startswith("ApproximateNumber") and number != "0"
            }
            if counts:
                return f"{url} {counts}"
        return ""

    def _bury(self) -> None:
        """Have the loops of the dead end their tasks, whose doings are nobody's business now."""
        for loop in self._dead:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.close()


def torture(
    directory: Path, seed: int, *, runs: int, seconds: float, unit_s: float
) -> Counter[str]:
    """Play one round and print what came of it. Raises AssertionError with all that was wrong."""
    plan, faults = draw(seed, runs, ASKERS, WEIGHTS, grace_s=60), Faults(seed, SPEED)
    log = directory / "executions.log"
    try:
        with account(faults, log) as opened:
            played = Round(opened, faults, plan, Times(unit_s, CHARGE_S))
            report = played.play(seconds, log)
        assert not report.problems, "\n".join(report.problems)
    except AssertionError as error:
        error.add_note(f"seed {seed}: python -m {MODULE} --seed {seed}")
        raise
    for line in report.lines():
        print(f"  {line}")
    counted = played.happened.counted + Counter(
        {f"fault {k}": n for k, n in faults.counted.items()}
    )
    return counted + report.counted()


def long_round(seed: int) -> Counter[str]:
    """Every other one sleeps and waits longer than the queue's delay reaches."""
    with tempfile.TemporaryDirectory() as directory:
        unit_s = 1000 if seed % 2 else 150
        return torture(Path(directory), seed, runs=50, seconds=15, unit_s=unit_s)


if __name__ == "__main__":
    sys.exit(soak.main(MODULE, long_round))
