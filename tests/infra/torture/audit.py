"""The audit: when the faults have stopped, has every run come to the end that it must have?

What must stay true (DESIGN §4, its guarantee): each token has exactly one result; every accepted
start exists; every accepted signal was consumed once, and each sender's in order; joins fired once;
what was cancelled stayed so; nobody owes anything, and no inbox holds anything.

`audit` finds all that is wrong, not the first of it, and counts how often actors were executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import RunNotFound
from engine.inbox import read_inbox
from engine.layout import CLAIM_PREFIX, RunKey, run_key
from engine.ports import Platform
from engine.reading import ResultView, RunReader, RunView
from engine.snapshot import Head, Status
from tests.infra.torture.asking import Answer, Cancel, Close, Retry, Signal, Start
from tests.infra.torture.workload import Expected, Plan

AT_MOST_ONCE = "charge"
JOIN = "sum"


@dataclass
class Report:
    """What was wrong, and what may be told of the rest."""

    problems: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    """How many ended in each status."""
    results: int = 0
    executions: Counter[int] = field(default_factory=Counter)
    """How many attempts were executed once, twice, ..."""
    errors: Counter[str] = field(default_factory=Counter)
    """How many attempts failed, by the error's class."""
    claims: int = 0
    """How many were left lying: harmless, and deleted with their runs."""

    def lines(self) -> list[str]:
        return [
            f"runs: {_told(self.runs)}; results: {self.results}; claims left: {self.claims}",
            f"attempts by executions: {_told(self.executions)}",
            f"failed attempts: {_told(self.errors)}",
        ]

    def counted(self) -> Counter[str]:
        """For totals over many rounds."""
        again = sum((times - 1) * count for times, count in self.executions.items())
        return Counter(runs=self.runs.total(), results=self.results) + Counter(
            {"executed again": again, "StepCrashed": self.errors["StepCrashed"]}
        )


async def audit(
    platform: Platform,
    plan: Plan,
    answers: Iterable[Answer],
    executions: Counter[tuple[str, int]],
    most_executions: int | None = None,
) -> Report:
    """`most_executions` is how often one attempt may be executed in one epoch, where that is known.

    Nothing may change the runs meanwhile.
    """
    auditor = _Auditor(platform, plan, list(answers), executions, most_executions)
    for run, expected in plan.expected.items():
        await auditor.run(run, expected)
    auditor.executed()
    return auditor.report


def read_executions(log: Path) -> Counter[tuple[str, int]]:
    """How often each attempt was executed, by idempotency key and attempt."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter((key, int(attempt)) for key, attempt, _ in map(str.split, lines))


class _Auditor:
    def __init__(
        self,
        platform: Platform,
        plan: Plan,
        answers: list[Answer],
        executions: Counter[tuple[str, int]],
        most_executions: int | None,
    ) -> None:
        self.report = Report()
        self._platform = platform
        self._reader = RunReader(platform)
        self._plan = plan
        self._executions = executions
        self._most_executions = most_executions
        self._accepted = {type(a.act): set[str]() for a in answers}
        for answer in answers:
            if answer.accepted:
                self._accepted[type(answer.act)].add(answer.act.run)
            elif isinstance(answer.act, Start | Signal):
                self._problem(answer.act.run, f"refused: {answer.act}")

    async def run(self, run: str, expected: Expected) -> None:
        key = run_key(run)
        try:
            head, view = await self._reader.head(key), await self._reader.view(key)
        except RunNotFound:
            if run in self._accepted.get(Start, ()):
                self._problem(run, "its start was accepted, and it does not exist")
            return
        history = [result async for result in self._reader.history(key)]
        self.report.runs[head.status] += 1
        self.report.results += len(history)
        self.report.errors.update(r.error["type"] for r in history if r.error is not None)
        self._status(run, view)
        self._history(run, head, history)
        if view.status is Status.COMPLETED:
            self._output(run, view, expected)
            self._joined(run, history)
        await self._nothing_left(key, head)

    def executed(self) -> None:
        """Whether no attempt was executed too often."""
        for (key, attempt), times in self._executions.items():
            run, node, _ = key.rsplit("/", 2)
            self.report.executions[times] += 1
            epochs = 1 + (run in self._accepted.get(Retry, ()))
            most = 1 if node == AT_MOST_ONCE else self._most_executions
            if most is not None and times > most * epochs:
                self._problem(run, f"{key}, attempt {attempt} was executed {times} times")

    def _problem(self, run: str, text: str) -> None:
        self.report.problems.append(f"{run}: {text}")

    def _status(self, run: str, view: RunView) -> None:
        ended = run in self._accepted.get(Cancel, ()) or run in self._accepted.get(Close, ())
        cancelled = ended and run not in self._accepted.get(Retry, ())
        wanted = Status.CANCELLED if cancelled else Status.COMPLETED
        if view.status is not wanted:
            self._problem(run, f"it is {view.status}, not {wanted}: {view.error} {view.pending}")

    def _history(self, run: str, head: Head, history: list[ResultView]) -> None:
        numbers = [result.number for result in history]
        if numbers != list(range(1, len(history) + 1)):
            self._problem(run, f"its results are numbered {numbers}")
        tokens = Counter((r.node, r.visit, r.attempt) for r in history)
        if doubles := [token for token, count in tokens.items() if count > 1]:
            self._problem(run, f"tokens with several results: {doubles}")
        if late := [r.number for r in history if r.at > head.ended_at]:
            self._problem(run, f"results recorded after its end: {late}")
        for r in history:
            noted = r.outcome in ("done", "retried", "failed") and r.node not in _NOT_NOTED
            crashed = r.error is not None and r.error["type"] in _BY_OTHERS
            if (
                noted
                and not crashed
                and not self._executions[f"{run}/{r.node}/{r.visit}", r.attempt]
            ):
                self._problem(run, f"result {r.number} of {r.node} without an execution")

    def _joined(self, run: str, history: list[ResultView]) -> None:
        fired = sum(r.node == JOIN and r.outcome == "done" for r in history)
        if fired != run.startswith("diamond"):
            self._problem(run, f"its join fired {fired} times")

    def _output(self, run: str, view: RunView, expected: Expected) -> None:
        if expected.parts is None:
            if view.output not in expected.outputs:
                self._problem(run, f"its output is {view.output}, not {expected.outputs}")
            return
        got = view.output["gather"]
        if sorted(got) != sorted(expected.parts):
            counted = Counter(got)
            counted.subtract(expected.parts)
            wrong = {part: count for part, count in counted.items() if count}
            self._problem(run, f"signals consumed too often or too seldom: {wrong}")
        sent = [int(part.partition("#")[2]) for part in got if "#" in part]
        if sent != sorted(sent):
            self._problem(run, f"another run's signals were consumed in the order {sent}")

    async def _nothing_left(self, key: RunKey, head: Head) -> None:
        if head.owed:
            self._problem(key.run, f"it still owes {len(head.owed)} signals")
        if left := await read_inbox(self._platform.journal, key, head):
            self._problem(key.run, f"its inbox still holds {[name for name, _ in left]}")
        async for _ in self._platform.journal.scan(key.partition, CLAIM_PREFIX):
            self.report.claims += 1


_NOT_NOTED = {"nap", "begin", "wait"}
"""Nodes whose actors are the library's."""
_BY_OTHERS = {"StepCrashed", "Interrupted", "Undeliverable", "AttemptTimeout"}
"""Errors of attempts that may have been settled before their actor said anything."""


def _told(counts: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"
