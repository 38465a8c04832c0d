"""What must be true when the faults have stopped and everything has had its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from engine.allocation.actor_state import ActorState, Destroyed
from engine.allocation.board import PING_PREFIX, board_partition, decode_ping
from engine.allocation.directory import ActorNotFound
from engine.allocation.errors import (
    ActorBackingOff,
    ActorFailed,
    ActorGone,
    ActorKeepsStopping,
    ActorNotReady,
    ActorTooSlow,
)
from engine.allocation.head import ServiceHead
from engine.allocation.keyvalue import STATE_ITEM
from engine.allocation.pool_state import PoolState
from engine.allocation.runner_state import Connected, Gone, RunnerState
from engine.layout import DEFAULT_TENANT, INBOX_PREFIX, RunKey
from engine.simulation.allocation.checks.board import Mirror
from engine.simulation.allocation.checks.parties import PartyRules
from engine.simulation.allocation.hosting import Count
from engine.simulation.allocation.world import AllocationWorld, Asked
from engine.simulation.observing import Violation
from engine.snapshot import Head

OLD_MS = 120_000
"""What runs all the time (pings, and what follows from them) is never this far behind."""
CODES = {
    each.code
    for each in (
        ActorNotReady,
        ActorBackingOff,
        ActorKeepsStopping,
        ActorTooSlow,
        ActorFailed,
        ActorGone,
    )
} | {ActorNotFound.__name__, "Unavailable"}
"""What a user may be told instead of an answer."""


class AllocationRules(PartyRules):
    """All rules. Give it the world when there is one; `must_be_served` are the requests that were
    made when nothing went wrong any more."""

    def __init__(self) -> None:
        super().__init__()
        self.world: AllocationWorld | None = None
        self.must_be_served: list[Asked] = []

    def came_to_rest(self, heads: Mapping[RunKey, Head], quiet: bool, at: int) -> None:
        assert self.world is not None
        for problem in self._problems(self.world, at):
            raise problem

    def _problems(self, world: AllocationWorld, at: int) -> Iterator[Violation]:
        yield from _unserved(self.must_be_served)
        yield from _unanswered(world.asked)
        for key, head in self.heads.items():
            yield from self._debts(world, key, head, at)
            if isinstance(head.state, PoolState):
                yield from self._pool(world, key.run, head.state, at)
            elif isinstance(head.state, ActorState):
                yield from _state(world, key, head.state)

    def _debts(
        self, world: AllocationWorld, key: RunKey, head: ServiceHead, at: int
    ) -> Iterator[Violation]:
        if head.owed and head.past[-1].at < at - OLD_MS:
            yield Violation("nothing is owed", f"{key.run}: {head.owed}")
        if isinstance(head.state.phase, Gone | Destroyed):
            return  # what is sent to them changes nothing, and nobody looks for it
        if 0 < head.state.due < at - OLD_MS:
            yield Violation("timers are looked at", f"{key.run}: {head.state.phase}")
        names = world.table.names(key.partition, INBOX_PREFIX, "", 10)
        old = [name for name in names if int(name.split("/")[1][:15]) < at - OLD_MS]
        if old:
            yield Violation("inboxes are empty", f"{key.run} ({head.phase}): {old}")

    def _pool(
        self, world: AllocationWorld, pool: str, state: PoolState, at: int
    ) -> Iterator[Violation]:
        mirror = self.boards.pools[pool]
        for (runner, actor), _ in mirror.seats.items():
            head = self.heads[RunKey(DEFAULT_TENANT, runner, "runner")]
            assert isinstance(head.state, RunnerState)
            if 0 < head.state.gone_at < at - OLD_MS:
                yield Violation("nobody sits on a runner that is gone", f"{actor} on {runner}")
        for runner in mirror.entries:
            head = self.heads[RunKey(DEFAULT_TENANT, runner, "runner")]
            if isinstance(head.state.phase, Gone):
                yield Violation("who is gone is in no index", runner)
        free = list(self._free(world, pool, mirror, at))
        late = [p for p in mirror.pending.values() if p.since < at - OLD_MS]
        if free and late:
            yield Violation("nobody waits beside a free slot", f"{pool}: {late}, {free}")
        busy = sum(entry.taken for entry in mirror.entries.values()) + len(mirror.pending)
        allocated = sum(
            isinstance(head.state, ActorState)
            and head.state.pool == pool
            and (bool(head.state.runner) or head.phase == "Pending")
            for head in self.heads.values()
        )
        if busy != allocated:
            yield Violation("slots that are wanted", f"{pool}: {busy}, and {allocated} actors")
        config = state.config
        to_zero = config.serverless and not (busy or config.min_runners or config.margin)
        if to_zero and (state.requests or mirror.entries):
            text = f"{pool}: {state.requests}, runners {list(mirror.entries)}"
            yield Violation("scaled to zero", text)

    def _free(self, world: AllocationWorld, pool: str, mirror: Mirror, at: int) -> Iterator[str]:
        """Runners that could take an actor."""
        partition = board_partition(DEFAULT_TENANT, pool)
        newest = max((e.version for e in mirror.entries.values() if e.open), default=0)
        for runner, entry in mirror.entries.items():
            state = self.heads[RunKey(DEFAULT_TENANT, runner, "runner")].state
            assert isinstance(state, RunnerState)
            name = f"{PING_PREFIX}{runner}"
            ping = world.table.items(partition, [name]).get(name)
            heard = decode_ping(ping) if ping is not None else 0
            is_there = isinstance(state.phase, Connected) and entry.version == newest
            if is_there and entry.free and heard > at - world.settings.eligible_ms:
                yield runner


def _unserved(asked: Iterable[Asked]) -> Iterator[Violation]:
    for each in asked:
        if each.status != 200:
            text = f"{each.actor}{each.path}: {each.status} {each.code} {each.body!r}"
            yield Violation("served in the end", text)


def _unanswered(asked: Iterable[Asked]) -> Iterator[Violation]:
    for each in asked:
        if not each.status:
            yield Violation("every request is answered", f"{each.name}: {each.tries} tries")
        if each.code and each.code not in CODES:
            text = f"{each.name}: {each.status} {each.code} {each.body!r}"
            yield Violation("refusals have a documented code", text)


def _state(world: AllocationWorld, key: RunKey, state: ActorState) -> Iterator[Violation]:
    """What was acknowledged is there, and of a destroyed actor nothing."""
    body = world.table.items(key.partition, [STATE_ITEM]).get(STATE_ITEM)
    if isinstance(state.phase, Destroyed):
        if body is not None:
            yield Violation("what is destroyed leaves nothing", key.run)
        return
    count = msgspec.json.decode(body, type=Count).count if body is not None else 0
    known = world.notes.acknowledged(key.run)
    if count < known:
        yield Violation("what was acknowledged is found", f"{key.run}: {count}, not {known}")
