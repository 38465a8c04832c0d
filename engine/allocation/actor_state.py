"""The state of one actor: what it is, and where it stands. Times are ms since 1970, 0 for never.

`phase` is the one tagged state that the transition table is about; what belongs to one phase alone
lies in it, so that a combination that makes no sense cannot be written down.
"""

from __future__ import annotations

import msgspec

from engine.allocation.config import CrashPolicy


class _Phase(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Created(_Phase, frozen=True):
    """It exists, and has not been given to a runner yet."""

    due: int


class Pending(_Phase, frozen=True):
    """It waits in the pool's queue for a slot, since `since`, until `until`."""

    since: int
    until: int = 0
    doomed: bool = False
    """It was destroyed when its slot was already on the way: it takes it, to give it back."""

    @property
    def due(self) -> int:
        return self.until


class Starting(_Phase, frozen=True):
    """A runner has been told to take it over."""

    runner: str
    due: int


class Running(_Phase, frozen=True):
    """Requests reach it."""

    runner: str


class SleepIntent(_Phase, frozen=True):
    """It is marked as sleeping, its runner has been told to stop it, and has not done so yet."""

    runner: str
    due: int
    will_wake: bool = False
    """Somebody wants it: it wakes as soon as it has stopped."""


class GoingAway(_Phase, frozen=True):
    """Its runner is about to end, and has been told to stop it."""

    runner: str
    due: int
    will_wake: bool = False


class StopIntent(_Phase, frozen=True):
    """It ends for good as soon as it has stopped."""

    runner: str
    due: int


class Sleeping(_Phase, frozen=True):
    """It costs a row. `due` is when its alarm, or a deferred wake, wakes it."""

    due: int = 0


class Backoff(_Phase, frozen=True):
    """It has crashed, and is given to a runner again when the pause is over."""

    due: int


class Destroyed(_Phase, frozen=True):
    """It has ended, its key is free, what it stored is deleted. The row stays readable."""


Phase = (
    Created
    | Pending
    | Starting
    | Running
    | SleepIntent
    | GoingAway
    | StopIntent
    | Sleeping
    | Backoff
    | Destroyed
)
PHASES: tuple[type[Phase], ...] = (
    Created,
    Pending,
    Starting,
    Running,
    SleepIntent,
    GoingAway,
    StopIntent,
    Sleeping,
    Backoff,
    Destroyed,
)

NO_CAPACITY = "no_capacity"
RUNNER_NO_RESPONSE = "runner_no_response"
RUNNER_LOST = "runner_connection_lost"
CRASHED = "crashed"


class ActorState(msgspec.Struct, frozen=True, array_like=True, tag="actor"):
    """`generation` counts the allocations, `stops` how often the actor has left a runner: what a
    gateway watches."""

    name: str
    key: tuple[str, ...]
    pool: str
    crash: CrashPolicy
    created_at: int
    phase: Phase
    generation: int = 0
    stops: int = 0
    alarm_at: int = 0
    crashes: int = 0
    """In a row: without having slept in peace, and none longer ago than the reset."""
    crashed_at: int = 0
    not_before: int = 0
    """Until when a wake is put off, because of the crashes."""
    error: str = ""
    """What went wrong last, `kind: text`; cleared when the actor is connectable."""
    started_at: int = 0
    connectable_at: int = 0
    """Since when requests reach it; 0 while they do not."""
    slept_at: int = 0
    destroyed_at: int = 0

    @property
    def runner(self) -> str:
        """The runner whose slot it holds; empty while it holds none."""
        return getattr(self.phase, "runner", "")

    @property
    def wants_waking(self) -> bool:
        """Whether it stays asleep, or has not begun, unless somebody wakes it."""
        if isinstance(self.phase, SleepIntent | GoingAway):
            return not self.phase.will_wake
        return isinstance(self.phase, Created | Sleeping)

    @property
    def due(self) -> int:
        """When its timer is due."""
        return getattr(self.phase, "due", 0)
