"""What one run went through, noted while it is simulated: executions, delays, and their causes.

A delay is the time from when an attempt could run until its result was recorded, less what its
actor took. Its cause is read off the faults that happened to that very attempt; where several did,
the gravest is named. Who waited for a neighbour's fault (the death of a batch that its message was
in, say) has none of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from engine.layout import RunKey
from engine.simulation.observing import Observer, TokenId
from engine.simulation.world.tally import Repeat
from engine.snapshot import Entry, Head, Kind, State

NOTEWORTHY_MS = 1000
"""Shorter delays are those of requests, which every step has."""

CAUSES = {
    "crashed": "its process was killed",
    "frozen": "its process stood still",
    "hung": "a request never came back",
    "expired": "its message was lost",
    "given_up": "its message was dead-lettered",
    "impatient": "its message came again too early",
    "turned_away": "the function was throttled",
    "late": "its message came late",
    "lost": "a request was lost",
    "unanswered": "a request was done, and not answered",
    "overdue": "a request was done much later",
    "throttled": "the store or queue was throttled",
    "slow": "a request was slow",
    "repeated": "a request was done twice",
    "resurrected": "its message came again",
    "duplicated": "its message was doubled",
    "early": "its message came early",
}
"""By kind of fault, the gravest first."""
NEIGHBOUR = "a fault beside it"
RETRY = "the retry policy"
SLEEP = "sleeping"
WAIT = "waiting for a signal"

REPEATS = {
    "its process died while it ran": "killed while it ran",
    "its process died after it had ended": "killed before its result was recorded",
    "another delivery came while it ran": "delivered again while it ran",
    "its result was not recorded, or not yet": "delivered again before its result was recorded",
}
"""By `Repeat.cause`."""
THAWED = "delivered again while its process stood still"
UNSAVED = "run again as its save had failed"
_UNSAVING = frozenset({"throttled", "lost", "unanswered", "overdue", "slow"})
RETRIED = "retried by policy"


@dataclass(frozen=True, slots=True)
class Delayed:
    """`node` is a number."""

    node: int
    cause: str
    ms: int


class Watch(Observer):
    """Watches one run."""

    def __init__(self, run: RunKey) -> None:
        self._run = run
        self.began_at = 0
        self.ended_at = 0
        self.executions: Counter[int] = Counter()
        """By node: how often its actor was called."""
        self.attempts: Counter[int] = Counter()
        """By node: how many attempts its actor was called for."""
        self.retried: Counter[int] = Counter()
        """By node: how many attempts the retry policy added."""
        self._begun: set[TokenId] = set()
        self._runnable: dict[TokenId, int] = {}
        self._waiting: dict[tuple[int, int], int] = {}
        self._took: list[tuple[TokenId, int]] = []
        self._planned: list[Delayed] = []

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        if key != self._run:
            return
        if before is None:
            self.began_at = at
        elif after.next_number > before.next_number:
            self._recorded(after.tail[-1], at)
        for token in after.frontier:
            if token.state not in (State.WAITING, State.STOPPED):
                name = (after.epoch, token.node, token.visit, token.attempt)
                self._runnable.setdefault(name, max(at, token.due))
        self.ended_at = at if after.status.terminal else 0

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        if key != self._run:
            return
        self.executions[token[1]] += 1
        if token not in self._begun:
            self._begun.add(token)
            self.attempts[token[1]] += 1

    def _recorded(self, entry: Entry, at: int) -> None:
        name = (entry.epoch, entry.node, entry.visit, entry.attempt)
        visit = (entry.node, entry.visit)
        if entry.kind in (Kind.SIGNALLED, Kind.EXPIRED):
            waited = at - self._waiting.pop(visit, at)
            self._planned.append(Delayed(entry.node, WAIT, waited))
            return
        self._took.append((name, at - self._runnable.get(name, at) - entry.took))
        if entry.kind is Kind.WAITED:
            self._waiting[visit] = at
        elif entry.kind is Kind.SLEPT:
            self._planned.append(Delayed(entry.node, SLEEP, entry.wait))
        elif entry.kind is Kind.RETRIED:
            self.retried[entry.node] += 1
            self._planned.append(Delayed(entry.node, RETRY, entry.wait))

    def delays(self, occurrences: Iterable[str]) -> list[Delayed]:
        """What was noteworthy, with its cause; `occurrences` are the faults that happened."""
        faults = faults_by_token(self._run, occurrences)
        found = [each for each in self._planned if each.ms >= NOTEWORTHY_MS]
        for name, ms in self._took:
            if ms >= NOTEWORTHY_MS:
                found.append(Delayed(name[1], _gravest(faults.get(name, frozenset())), ms))
        return found

    def repeats(
        self, repeats: Iterable[Repeat], occurrences: Iterable[str]
    ) -> Counter[tuple[int, str]]:
        """Node and cause of each execution that was not the first of its attempt, and of each
        attempt that the retry policy added."""
        faults = faults_by_token(self._run, occurrences)
        found: Counter[tuple[int, str]] = Counter()
        for repeat in repeats:
            if repeat.key == self._run:
                cause = _cause(repeat.cause, faults.get(repeat.token, frozenset()))
                found[repeat.token[1], cause] += 1
        for node, times in self.retried.items():
            found[node, RETRIED] += times
        return found


def faults_by_token(run: RunKey, occurrences: Iterable[str]) -> dict[TokenId, frozenset[str]]:
    """The kinds of faults that happened to each attempt. Their names end in what they are about:
    `kind:site:run/epoch.node.visit.attempt#number`."""
    found: defaultdict[TokenId, set[str]] = defaultdict(set)
    for occurrence in occurrences:
        kind, _, rest = occurrence.partition(":")
        subject = rest.partition(":")[2].rpartition("#")[0]
        name, slash, token = subject.partition("/")
        parts = token.split(".")
        if slash and name == run.run and len(parts) == 4 and all(p.isdecimal() for p in parts):
            epoch, node, visit, attempt = map(int, parts)
            found[epoch, node, visit, attempt].add(kind)
    return {token: frozenset(kinds) for token, kinds in found.items()}


def _cause(cause: str, faults: frozenset[str]) -> str:
    """Why an attempt's actor ran again, as far as the faults that happened to it tell more."""
    if "died" not in cause:
        if "frozen" in faults:
            return THAWED
        if "recorded" in cause and faults & _UNSAVING:
            return UNSAVED
    return REPEATS.get(cause, cause)


def _gravest(kinds: frozenset[str]) -> str:
    return next((text for kind, text in CAUSES.items() if kind in kinds), NEIGHBOUR)
