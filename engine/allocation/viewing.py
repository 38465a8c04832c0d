"""Actors, runners and pools as people look at them: the state in words, and why one is stuck.

Reading changes nothing. All times are ms since 1970, 0 for never.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.allocation import board as boards
from engine.allocation.actor_state import (
    CRASHED,
    NO_CAPACITY,
    RUNNER_LOST,
    RUNNER_NO_RESPONSE,
    ActorState,
    Backoff,
    Created,
    Destroyed,
    GoingAway,
    Pending,
    Running,
    Sleeping,
    SleepIntent,
    Starting,
    StopIntent,
)
from engine.allocation.board_reading import read_index
from engine.allocation.directory import Directory, PoolNotFound
from engine.allocation.head import Past, ServiceHead
from engine.allocation.parties import Kind, party_key
from engine.allocation.pool_state import BackingOff, PoolState, Surplus, Unmanaged
from engine.allocation.runner_state import Away, Connected, Draining, RunnerState
from engine.errors import RunNotFound
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Platform


class PastView(msgspec.Struct, frozen=True):
    """One of the newest steps."""

    at: int
    signal: str
    phase: str
    said: tuple[str, ...]


class ActorView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`state` is a word or two, `why` what it waits for, where it does."""

    id: str
    name: str
    key: tuple[str, ...]
    pool: str
    state: str
    crash: str
    created_at: int
    why: str = ""
    generation: int = 0
    runner: str = ""
    error: str = ""
    alarm_at: int = 0
    slept_at: int = 0
    connectable_at: int = 0
    destroyed_at: int = 0
    past: tuple[PastView, ...] = ()


class RunnerView(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    pool: str
    key: str
    state: str
    version: int
    slots: int
    taken: int
    created_at: int
    heard_at: int = 0
    gone_at: int = 0
    why: str = ""
    past: tuple[PastView, ...] = ()


class PoolView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`wanted` is how many runners it should have, `held` how many it has asked for."""

    name: str
    state: str
    source: str
    runners: int
    slots: int
    taken: int
    waiting: int
    wanted: int = 0
    held: int = 0
    draining: int = 0
    error: str = ""
    why: str = ""
    past: tuple[PastView, ...] = ()


class AllocationReader:
    """Reads the parties of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._directory = Directory(platform)

    async def actors(
        self, *, limit: int, tenant: str = DEFAULT_TENANT, pool: str | None = None
    ) -> Sequence[ActorView]:
        """The newest first."""
        views = []
        for key, head in await self._heads(Kind.ACTOR, tenant, limit):
            state = head.state
            if isinstance(state, ActorState) and pool in (None, state.pool):
                views.append(await self._actor(key, head))
        return views

    async def actor(self, key: RunKey) -> ActorView:
        """Raises ActorNotFound."""
        return await self._actor(key, await self._directory.actor(key))

    async def runners(
        self, *, limit: int, tenant: str = DEFAULT_TENANT, pool: str | None = None
    ) -> Sequence[RunnerView]:
        """The newest first; those that are gone too."""
        views = []
        found: dict[str, boards.Board] = {}
        for key, head in await self._heads(Kind.RUNNER, tenant, limit):
            state = head.state
            if isinstance(state, RunnerState) and pool in (None, state.pool):
                if state.pool not in found:
                    found[state.pool] = await self._board(tenant, state.pool)
                views.append(_runner_view(key, head, found[state.pool]))
        return views

    async def runner(self, key: RunKey) -> RunnerView:
        """Raises RunNotFound."""
        head = await self._directory.head(key)
        if head is None or not isinstance(head.state, RunnerState):
            raise RunNotFound(f"there is no runner '{key.run}'")
        return _runner_view(key, head, await self._board(key.tenant, head.state.pool))

    async def pools(self, *, limit: int, tenant: str = DEFAULT_TENANT) -> Sequence[PoolView]:
        return [
            await self._pool(key, head) for key, head in await self._heads(Kind.POOL, tenant, limit)
        ]

    async def pool(self, name: str, tenant: str = DEFAULT_TENANT) -> PoolView:
        """Raises PoolNotFound or InvalidName."""
        key = party_key(Kind.POOL, name, tenant)
        head = await self._directory.head(key)
        if head is None:
            raise PoolNotFound(f"there is no pool '{name}'")
        return await self._pool(key, head)

    async def _heads(
        self, kind: Kind, tenant: str, limit: int
    ) -> Sequence[tuple[RunKey, ServiceHead]]:
        rows = await self._platform.journal.runs(tenant, limit=limit, kind=kind.value)
        heads = [(row.key, await self._directory.head(row.key)) for row in rows]
        return [(key, head) for key, head in heads if head is not None]

    async def _board(self, tenant: str, pool: str) -> boards.Board:
        return await read_index(self._platform.journal, tenant, pool)

    async def _actor(self, key: RunKey, head: ServiceHead) -> ActorView:
        state, now = head.state, self._platform.clock.now()
        assert isinstance(state, ActorState)
        is_ready = isinstance(state.phase, Running | Sleeping | Destroyed) and not state.error
        why = "" if is_ready else await why_not_ready(self._directory, key, head, now)
        return ActorView(
            id=key.run,
            name=state.name,
            key=state.key,
            pool=state.pool,
            state=actor_words(state),
            crash=state.crash.value,
            created_at=state.created_at,
            why=why,
            generation=state.generation,
            runner=state.runner,
            error=state.error,
            alarm_at=state.alarm_at,
            slept_at=state.slept_at,
            connectable_at=state.connectable_at,
            destroyed_at=state.destroyed_at,
            past=_past(head.past),
        )

    async def _pool(self, key: RunKey, head: ServiceHead) -> PoolView:
        state = head.state
        assert isinstance(state, PoolState)
        board = await self._board(key.tenant, key.run)
        draining = sum(1 for held in state.requests if held.draining_at)
        now = self._platform.clock.now()
        return PoolView(
            name=key.run,
            state=pool_words(state),
            source=source_words(state),
            runners=len(board.entries),
            slots=sum(entry.total for entry in board.entries.values()),
            taken=sum(entry.taken for entry in board.entries.values()),
            waiting=len(board.pending),
            wanted=state.config.desired(boards.slots(board)) if state.config.serverless else 0,
            held=len(state.requests) - draining,
            draining=draining,
            error=state.error,
            why=pool_why(state, now),
            past=_past(head.past),
        )


_ACTOR_WORDS: dict[type, str] = {
    Created: "created",
    Pending: "waiting for a slot",
    Starting: "starting",
    Running: "running",
    SleepIntent: "going to sleep",
    GoingAway: "leaving its runner",
    StopIntent: "stopping for good",
    Sleeping: "sleeping",
    Backoff: "backing off",
    Destroyed: "destroyed",
}
_RUNNER_WORDS: dict[type, str] = {
    Connected: "connected",
    Away: "disconnected",
    Draining: "draining",
}


def actor_words(state: ActorState) -> str:
    """The actor's state in a few words."""
    words = _ACTOR_WORDS[type(state.phase)]
    if getattr(state.phase, "will_wake", False):
        words += ", will wake"
    if isinstance(state.phase, Sleeping) and state.error and state.crashes:
        words += ", crashed"
    return words


def pool_words(state: PoolState) -> str:
    if isinstance(state.phase, Unmanaged):
        return "unmanaged"
    if isinstance(state.phase, BackingOff):
        return "backing off"
    return "scaling down" if isinstance(state.phase, Surplus) else "steady"


def source_words(state: PoolState) -> str:
    """Where the pool's runners come from."""
    if state.config.url:
        return state.config.url
    return " ".join(state.config.command) or "they come by themselves"


def pool_why(state: PoolState, now: int) -> str:
    """What keeps the pool from starting runners, if anything does."""
    if not state.error:
        return ""
    if isinstance(state.phase, BackingOff) and state.phase.until > now:
        pause_s = -(-(state.phase.until - now) // 1000)
        times = _times(state.failures)
        return f"{state.error}; that happened {times}, and it tries again in {pause_s} s"
    return state.error


def error_words(error: str) -> str:
    """What went wrong with an actor, in a sentence about it."""
    kind, _, text = error.partition(": ")
    if kind == NO_CAPACITY:
        return "no runner had a free slot for it"
    if kind == RUNNER_NO_RESPONSE:
        return f"runner '{text}' has not answered in time"
    if kind == RUNNER_LOST:
        return f"runner '{text}' was lost"
    return f"it has crashed: {text}" if kind == CRASHED else error


def why_in_public(head: ServiceHead) -> str:
    """What an actor waits for, for anybody to read: nothing that its code, its runner or the
    endpoint of its pool has said."""
    return _IN_PUBLIC.get(type(head.state.phase), "try again")


_IN_PUBLIC: dict[type, str] = {
    Created: "it waits for a free slot",
    Pending: "it waits for a free slot",
    Starting: "it is being started",
    SleepIntent: "it is still stopping",
    GoingAway: "it is still leaving its runner",
    StopIntent: "it is being destroyed",
    Backoff: "it has failed, and is started again after a pause",
    Running: "its runner cannot be reached",
}


async def why_not_ready(directory: Directory, key: RunKey, head: ServiceHead, now: int) -> str:
    """What an actor waits for that cannot be reached, in a sentence."""
    state = head.state
    assert isinstance(state, ActorState)
    phase = state.phase
    if isinstance(phase, Pending | Created):
        return await _why_no_slot(directory, key.tenant, state, now)
    if isinstance(phase, Starting):
        return f"runner '{phase.runner}' has been told to start it, and has not answered yet"
    if isinstance(phase, SleepIntent | GoingAway | StopIntent):
        return f"it is still stopping on runner '{phase.runner}'"
    if isinstance(phase, Backoff):
        pause_s = max(0, -(-(phase.due - now) // 1000))
        return (
            f"it has failed {_times(state.crashes)}; {error_words(state.error)}; "
            f"it is started again in {pause_s} s"
        )
    if isinstance(phase, Running):
        return f"it runs, and its runner '{phase.runner}' cannot be reached"
    said = "it has been destroyed" if isinstance(phase, Destroyed) else "it sleeps"
    return f"{said}; {error_words(state.error)}" if state.error else said


async def _why_no_slot(directory: Directory, tenant: str, state: ActorState, now: int) -> str:
    head = await directory.head(party_key(Kind.POOL, state.pool, tenant))
    waiting = f"no runner of pool '{state.pool}' has a free slot"
    if head is None or not isinstance(head.state, PoolState):
        return f"{waiting}: none has ever connected"
    pool = head.state
    if pool.error:
        return f"{waiting}: {pool_why(pool, now)}"
    if not pool.config.serverless:
        return f"{waiting}; the pool starts none itself: start a runner"
    live = [held for held in pool.requests if not held.draining_at]
    if len(live) >= pool.config.max_runners:
        return f"{waiting}, and it may have no more runners than {pool.config.max_runners}"
    coming = sum(1 for held in live if not held.runner)
    return f"{waiting}; runners that are being started: {coming}"


def _runner_view(key: RunKey, head: ServiceHead, board: boards.Board) -> RunnerView:
    state = head.state
    assert isinstance(state, RunnerState)
    entry = board.entries.get(key.run)
    return RunnerView(
        id=key.run,
        pool=state.pool,
        key=state.key,
        state=_RUNNER_WORDS.get(type(state.phase), "gone"),
        version=state.version,
        slots=state.slots,
        taken=entry.taken if entry is not None else 0,
        created_at=state.created_at,
        heard_at=board.pings.get(key.run, 0),
        gone_at=state.gone_at,
        why=state.why_gone,
        past=_past(head.past),
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times in a row"


def _past(past: tuple[Past, ...]) -> tuple[PastView, ...]:
    return tuple(PastView(each.at, each.signal, each.phase, each.said) for each in past)
