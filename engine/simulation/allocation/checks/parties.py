"""What must be true of every save of an actor's, a runner's or a pool's run.

The seats, the queue and the owner are held against the state; a change of state against what may
follow from what; the commands that a step owes against those before.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from engine.allocation import signals
from engine.allocation.actor_moves import Owner
from engine.allocation.actor_state import (
    ActorState,
    Backoff,
    Destroyed,
    GoingAway,
    Pending,
    SleepIntent,
    StopIntent,
)
from engine.allocation.config import CrashPolicy
from engine.allocation.head import ServiceHead, decode_service
from engine.allocation.keyvalue import STATE_ITEM
from engine.allocation.rules import Tell
from engine.allocation.runner_state import Gone, RunnerState
from engine.layout import INBOX_PREFIX, RunKey
from engine.ports import Item
from engine.simulation.allocation.checks.board import ACTOR, Boards, Mirror
from engine.simulation.allocation.hosting import Count
from engine.simulation.observing import Observer, Violation

ASKED = (SleepIntent, GoingAway, StopIntent)
"""Phases of an actor whose stop was asked for."""


class PartyRules(Observer):
    """Holds each save against the rules."""

    def __init__(self) -> None:
        self.boards = Boards()
        self.heads: dict[RunKey, ServiceHead] = {}
        self.phases: Counter[str] = Counter()
        """How often a party came into each phase: what the storms have covered."""
        self._starts: set[tuple[str, int]] = set()
        self._stops: set[tuple[str, int, bool]] = set()
        self._counts: dict[str, Count] = {}
        self._inbox: dict[tuple[str, str], signals.Signal] = {}
        self._taken: signals.Signal | None = None
        """By the step whose save is told next; None where it was the timer."""

    def item_written(self, item: Item, at: int) -> None:
        self.boards.written(item, at)
        if item.name.startswith(INBOX_PREFIX):
            self._inbox[item.partition, item.name] = signals.decode(item.body).signal
        if ACTOR in item.partition and item.name == STATE_ITEM:
            self._state_written(item.partition.partition(ACTOR)[2], item.body)

    def item_deleted(self, partition: str, name: str, at: int) -> None:
        self.boards.deleted(partition, name)
        if name.startswith(INBOX_PREFIX):
            self._taken = self._inbox.pop((partition, name))

    def service_saved(self, key: RunKey, before: bytes | None, after: bytes, at: int) -> None:
        head = decode_service(after)
        taken, self._taken = self._taken, None
        previous = self.heads.get(key)
        self.heads[key] = head
        self.boards.look()
        if previous is not None and head.rev != previous.rev + 1:
            raise Violation("rev", f"{key.run}: {previous.rev} -> {head.rev}")
        state = head.state
        if isinstance(state, ActorState):
            self._fits(key.run, state)
        if previous is None or head.steps == previous.steps:
            return
        if head.phase != previous.phase:
            self.phases[f"{key.kind} {previous.phase} -> {head.phase}"] += 1
        if isinstance(state, ActorState) and isinstance(previous.state, ActorState):
            self._stale(key.run, previous.state, state, taken)
            self._actor(key.run, previous.state, state, head)
        elif isinstance(state, RunnerState) and isinstance(previous.state, RunnerState):
            self._runner(key.run, previous.state, state)

    # -- actors -----------------------------------------------------------------------------------

    def _fits(self, id: str, state: ActorState) -> None:
        """The state, the index and the owner say the same."""
        mirror: Mirror = self.boards.pools[state.pool]
        seats = {runner: g for (runner, actor), g in mirror.seats.items() if actor == id}
        waits = [each for each in mirror.pending.values() if each.actor == id]
        owner = self.boards.owners.get(id)
        generation = state.generation
        if state.runner:
            fits = seats == {state.runner: generation} and not waits
            here = Owner(generation, state.runner)
            fits = fits and owner is not None and owner.is_same(here)
        elif isinstance(state.phase, Pending):
            generations = [*seats.values(), *(each.generation for each in waits)]
            fits = generations == [generation + 1] and owner is None
        else:
            fits = not seats and not waits and owner is None
        if not fits:
            text = f"{id} is {state.phase} ({generation}): seats {seats}, waits {waits}, {owner}"
            raise Violation("state and index are one", text)

    def _stale(
        self, id: str, before: ActorState, after: ActorState, taken: signals.Signal | None
    ) -> None:
        """What is said about another stay of the actor on a runner changes nothing."""
        if (
            isinstance(taken, signals.Reported | signals.Lost | signals.GoingAway)
            and (taken.generation, taken.runner) != (before.generation, before.runner)
            and after != before
        ):
            raise Violation("what is stale changes nothing", f"{id} {before.phase}: {taken}")

    def _actor(self, id: str, before: ActorState, after: ActorState, head: ServiceHead) -> None:
        signal = head.past[-1].signal
        told = f"{id}: {before.phase} -> {after.phase} because of {signal}"
        if isinstance(before.phase, Destroyed):
            if after != before:
                raise Violation("what is destroyed stays so", told)
            return
        took = bool(after.runner) and (after.runner, after.generation) != (
            before.runner,
            before.generation,
        )
        if after.generation != before.generation + took:
            raise Violation("generation", f"{told}: {before.generation} -> {after.generation}")
        left = bool(before.runner) and (not after.runner or took)
        if after.stops != before.stops + left:
            raise Violation("stops", f"{told}: {before.stops} -> {after.stops}")
        if left and took:
            raise Violation("stopped before it is allocated again", told)
        deferred = left and getattr(before.phase, "will_wake", False)
        if deferred and not isinstance(after.phase, Destroyed) and not after.due:
            raise Violation("a deferred wake is kept", told)
        crashed = isinstance(after.phase, Backoff) or after.crashes > before.crashes
        if isinstance(before.phase, ASKED) and crashed:
            raise Violation("a stop that was asked for is no crash", told)
        if isinstance(after.phase, Destroyed) and before.runner:
            asked = isinstance(before.phase, StopIntent)
            if not asked and not (after.crash is CrashPolicy.DESTROY and crashed):
                raise Violation("a drain destroys no actor", told)
        for effect in (debt.effect for debt in head.owed):
            if isinstance(effect, Tell):
                self._command(id, effect.signal, signal)

    def _command(self, id: str, order: Any, signal: str) -> None:
        if isinstance(order, signals.Start):
            if (id, order.generation) in self._starts:
                raise Violation("one start", f"{id}: generation {order.generation}")
            self._starts.add((id, order.generation))
        elif isinstance(order, signals.Stop) and signal != "Timer":
            name = (id, order.generation, order.forever)
            if name in self._stops:
                raise Violation("one stop", f"{id}: generation {order.generation}")
            self._stops.add(name)

    def _state_written(self, id: str, body: bytes) -> None:
        """Only the owner writes, and nothing that it has written is undone."""
        written = msgspec.json.decode(body, type=Count)
        owner, before = self.boards.owners.get(id), self._counts.get(id)
        if owner is None or owner.generation != written.generation:
            raise Violation("only the owner writes", f"{id}: {written}, and the owner is {owner}")
        if before is not None and written.count < before.count:
            raise Violation("no write is undone", f"{id}: {before} -> {written}")
        self._counts[id] = written

    # -- runners ----------------------------------------------------------------------------------

    def _runner(self, id: str, before: RunnerState, after: RunnerState) -> None:
        if after.events not in (before.events, before.events + 1):
            text = f"{id}: event {before.events} was taken, and then {after.events}"
            raise Violation("no event is lost", text)
        if isinstance(after.phase, Gone) and id in self.boards.pools[after.pool].entries:
            raise Violation("who is gone is in no index", id)
        if after.commands < before.commands or (
            len(after.unheard) > after.commands - before.commands + len(before.unheard)
        ):
            raise Violation("commands", f"{id}: {before.commands} -> {after.commands}")
