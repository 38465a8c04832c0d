"""What goes wrong, how often, and the dice that decide it.

What must stay true: each decision is drawn from a hash of the seed, the kind of decision, what it
is about, and how many of that kind have been drawn about it. There is no common stream of random
numbers, so switching one fault off leaves the draws of all the others as they were. That is what
makes a long failing history shrink to a short one that fails for the same reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from itertools import accumulate

SUBJECT: ContextVar[str] = ContextVar("subject", default="world")
"""What the running code is about: a token, an API call, a sweep. It names draws, and so faults."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates are probabilities per occasion; a field that ends in `_ms` is a size, in milliseconds,
    and the most that is drawn."""

    # -- the queue: per message sent, received or deleted -----------------------------------------
    duplicated: float = 0.0
    """A message sent once is on the queue twice."""
    late: float = 0.0
    """It can be received only up to `late_ms` after its time."""
    early: float = 0.0
    """A delayed message can be received before its time."""
    reordered: float = 0.0
    """A receipt takes some messages out of turn, and leaves others for the next."""
    impatient: float = 0.0
    """A received message becomes visible again after some seconds, while it is worked on."""
    resurrected: float = 0.0
    """A message that was deleted is delivered once more."""
    turned_away: float = 0.0
    """A batch is received, and the function is not invoked: throttled."""
    given_up: float = 0.0
    """A message is dead-lettered as if it had been received too often."""
    expired: float = 0.0
    """A message is gone, as if its retention were over."""

    # -- requests: per call of a port -------------------------------------------------------------
    throttled: float = 0.0
    """The service refuses, for longer than its client library tries; nothing was done."""
    lost: float = 0.0
    """The request never arrives, and times out. Of a batch, a part may have been done."""
    unanswered: float = 0.0
    """It was done, and the caller is told that it timed out."""
    repeated: float = 0.0
    """It was done, the answer was lost, and the client library did it again."""
    overdue: float = 0.0
    """It times out, and is done up to `overdue_ms` later."""
    slow: float = 0.0
    """It takes up to `slow_ms`."""
    stale: float = 0.0
    """An index shows a save only up to `stale_ms` later."""

    # -- processes --------------------------------------------------------------------------------
    crashed: float = 0.0
    """Per delivery or call: the process is killed at some point or moment of it."""
    frozen: float = 0.0
    """Per call of a port: the process stands still for up to `frozen_ms`, and then goes on."""
    hung: float = 0.0
    """Per call of a port: it does not return before the function's time is over."""
    asked_again: float = 0.0
    """Per API call: the caller asks again although it was answered. Also: a sweep runs twice."""

    # -- runners of actors that sleep: see `engine.simulation.allocation` ------------------------
    disconnected: float = 0.0
    """Per frame: its connection breaks, and what is under way is lost."""
    ill_begun: float = 0.0
    """Per held request: it fails, brings forth nothing, ends early, or its holder dies."""

    late_ms: int = 60_000
    overdue_ms: int = 30_000
    slow_ms: int = 5_000
    stale_ms: int = 120_000
    frozen_ms: int = 1_200_000
    skew_ms: int = 0
    """How far a process's clock is from the true time."""
    jitter_ms: int = 0
    """How much longer than the least a request takes, as a rule."""
    actor_ms: int = 0
    """How long an actor takes beside what it waits for itself."""


NONE = Faults()
MILD = Faults(duplicated=0.01, crashed=0.01)
"""What every deployment sees, exaggerated: costs are stated under this one."""
STORM = Faults(
    duplicated=0.05,
    late=0.05,
    early=0.05,
    reordered=0.3,
    impatient=0.03,
    resurrected=0.03,
    turned_away=0.02,
    given_up=0.005,
    expired=0.005,
    throttled=0.01,
    lost=0.01,
    unanswered=0.01,
    repeated=0.02,
    overdue=0.005,
    slow=0.02,
    stale=0.2,
    crashed=0.05,
    frozen=0.005,
    hung=0.002,
    asked_again=0.2,
    disconnected=0.01,
    ill_begun=0.15,
    skew_ms=2_000,
    jitter_ms=40,
    actor_ms=200,
)
PROFILES = {"none": NONE, "mild": MILD, "storm": STORM}

RATES = tuple(each.name for each in fields(Faults) if not each.name.endswith("_ms"))
SIZES = tuple(each.name for each in fields(Faults) if each.name.endswith("_ms"))


@dataclass(frozen=True, slots=True)
class Muting:
    """Which faults do not happen although they are drawn.

    `kinds` are fields of `Faults`, sizes included. Occurrences are named as in
    `Dice.occurrences`; with `only`, no others happen.
    """

    kinds: frozenset[str] = frozenset()
    occurrences: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def allows(self, occurrence: str) -> bool:
        if self.only is not None:
            return occurrence in self.only
        return occurrence not in self.occurrences


NOTHING_MUTED = Muting()


@dataclass
class Dice:
    """All chance of one simulation. `calm` says whether the faults have stopped for good."""

    seed: int
    faults: Faults
    muting: Muting = NOTHING_MUTED
    calm: bool = False
    injected: Counter[str] = field(default_factory=Counter)
    """How many faults of each kind there were."""
    occurrences: list[str] = field(default_factory=list)
    """Their names, in order: `kind:site:subject#number`."""
    on_fault: Callable[[str], None] = lambda occurrence: None

    def __post_init__(self) -> None:
        self._key = self.seed.to_bytes(16, "big", signed=True)
        self._drawn: dict[str, int] = {}
        muted = self.muting.kinds
        self._sizes = {name: 0 if name in muted else getattr(self.faults, name) for name in SIZES}
        self._spans: dict[tuple[str, ...], tuple[tuple[float, str], ...]] = {}

    def fault(self, site: str, kinds: tuple[str, ...], subject: str | None = None) -> str:
        """Which of these faults happens here and now, at most one; "" for none.

        They share one draw, each with a span of its own, so that muting one changes no other.
        """
        spans = self._spans.get(kinds)
        if spans is None:
            spans = self._spans[kinds] = self._spread(kinds)
        if not spans or self.calm:
            return ""
        where = f"{site}:{SUBJECT.get() if subject is None else subject}"
        number = self._drawn.get(where, 0)
        drawn = self.chance(where)
        if drawn >= spans[-1][0]:
            return ""
        kind = next(kind for end, kind in spans if drawn < end)
        occurrence = f"{kind}:{where}#{number}"
        if kind in self.muting.kinds or not self.muting.allows(occurrence):
            return ""
        self.injected[kind] += 1
        self.occurrences.append(occurrence)
        self.on_fault(occurrence)
        return kind

    def _spread(self, kinds: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
        ends = accumulate(getattr(self.faults, kind) for kind in kinds)
        spans = tuple(zip(ends, kinds, strict=True))
        return spans if spans[-1][0] else ()

    def size(self, name: str, subject: str | None = None) -> int:
        """A number of milliseconds from 0 to the size of this name."""
        most = self._sizes[name]
        if not most:
            return 0
        return int(self.chance(f"{name}:{SUBJECT.get() if subject is None else subject}") * most)

    def pick(self, site: str, options: int) -> int:
        """A number from 0 to below `options`."""
        return int(self.chance(site) * options)

    def chance(self, site: str) -> float:
        """A number in [0, 1)."""
        number = self._drawn.get(site, 0)
        self._drawn[site] = number + 1
        text = f"{site}#{number}".encode()
        digest = hashlib.blake2b(text, digest_size=8, key=self._key).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
