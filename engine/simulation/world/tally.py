"""What one simulation cost and where it stood still, noted while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.layout import RunKey
from engine.ports import Item
from engine.simulation.observing import Observer, TokenId
from engine.snapshot import Head, State

Attempt = tuple[RunKey, TokenId]


@dataclass(frozen=True, slots=True)
class Repeat:
    """An attempt whose actor began once more, and why that could be."""

    key: RunKey
    token: TokenId
    cause: str


@dataclass(frozen=True, slots=True)
class Delay:
    """How long an attempt that could run took to be recorded."""

    key: RunKey
    token: TokenId
    ms: int


@dataclass
class Tally(Observer):
    """Counts what costs something."""

    counts: Counter[str] = field(default_factory=Counter)
    repeats: list[Repeat] = field(default_factory=list)
    longest: Delay | None = None

    def __post_init__(self) -> None:
        self._workers: dict[Attempt, str] = {}
        """Who began each attempt last."""
        self._ended: set[tuple[Attempt, str]] = set()
        self._dead: set[str] = set()
        self._since: dict[Attempt, int] = {}

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        self.counts["saves"] += 1
        pending = _runnable(after)
        for token, due in pending.items():
            self._since.setdefault((key, token), max(at, due))
        if before is None:
            return
        for token in _runnable(before):
            if token in pending:
                continue
            took = at - self._since.pop((key, token), at)
            settled = after.next_number > before.next_number
            if settled and (self.longest is None or took > self.longest.ms):
                self.longest = Delay(key, token, took)

    def item_written(self, item: Item, at: int) -> None:
        self.counts["items"] += 1

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        self.counts["messages"] += 1

    def delivered(self, body: str, worker: str, receives: int, at: int) -> None:
        self.counts["deliveries"] += 1

    def dead_lettered(self, body: str, reason: str, at: int) -> None:
        self.counts["dead letters"] += 1

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        self.counts["executions"] += 1
        attempt = (key, token)
        earlier = self._workers.get(attempt)
        if earlier is not None:
            self.repeats.append(Repeat(key, token, self._cause(attempt, earlier)))
        self._workers[attempt] = worker

    def actor_ended(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        self._ended.add(((key, token), worker))

    def died(self, worker: str, at: int) -> None:
        self.counts["deaths"] += 1
        self._dead.add(worker)

    def _cause(self, attempt: Attempt, earlier: str) -> str:
        ended = (attempt, earlier) in self._ended
        if earlier in self._dead:
            when = "after it had ended" if ended else "while it ran"
            return f"its process died {when}"
        if ended:
            return "its result was not recorded, or not yet"
        return "another delivery came while it ran"


def _runnable(head: Head) -> dict[TokenId, int]:
    """Tokens that time alone makes ready, and when."""
    return {
        (head.epoch, token.node, token.visit, token.attempt): token.due
        for token in head.frontier
        if token.state not in (State.WAITING, State.STOPPED)
    }
