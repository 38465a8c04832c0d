"""Mutants of what a step makes of a head, and of the dataflow: see `mutants`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.forking
import engine.saving
import engine.settle
import engine.starting
import engine.sweeper
from engine.actors import Context
from engine.attempt import Attempted
from engine.dataflow import Board
from engine.definition import Definition, RetryPolicy
from engine.dispatcher import Dispatcher
from engine.gathering import Gathering
from engine.loaded import Definitions, LoadedDefinition
from engine.outcomes import Settling, Waited
from engine.ports import RevisionConflict
from engine.receiving import Handled, Received, Receiver
from engine.settle import Settled, settle
from engine.snapshot import Head, Token
from engine.timing import LOOK_AFTER_MS, coarse_look

Changing = Callable[[Head, Definition, Settling, int], Settled]


def _settling(change: Changing) -> AbstractContextManager[Any]:
    return patch.object(engine.saving, "settle", change)


def keeps_the_old_owner() -> AbstractContextManager[Any]:
    def changed(head: Head, definition: Definition, settling: Settling, limit: int) -> Settled:
        return settle(head, definition, replace(settling, sid=settling.token.owner), limit)

    return _settling(changed)


def forgets_to_wake() -> AbstractContextManager[Any]:
    return patch.object(engine.settle, "next_look", lambda head: 0)


def pushes_looks_with_every_save() -> AbstractContextManager[Any]:
    def changed(head: Head, definition: Definition, settling: Settling, limit: int) -> Settled:
        settled = settle(head, definition, settling, limit)
        after = settled.head
        if after.status.terminal or not after.frontier:
            return settled
        frontier = tuple(
            replace(token, look_at=coarse_look(token.due, settling.now)) for token in after.frontier
        )
        wake_at = min(token.look_at for token in frontier)
        return replace(settled, head=replace(after, frontier=frontier, wake_at=wake_at))

    return _settling(changed)


def keeps_the_attempt_number() -> AbstractContextManager[Any]:
    original = engine.settle._again

    def changed(*arguments: Any) -> Token:
        token = original(*arguments)
        return replace(token, attempt=token.attempt - 1)

    return patch.object(engine.settle, "_again", changed)


def has_no_frontier_limit() -> AbstractContextManager[Any]:
    return _settling(lambda head, definition, settling, _: settle(head, definition, settling, 9999))


def has_no_step_budget() -> AbstractContextManager[Any]:
    def changed(head: Head, definition: Definition, settling: Settling, limit: int) -> Settled:
        return settle(head, replace(definition, max_steps=1 << 30), settling, limit)

    return _settling(changed)


def runs_the_actor_again_after_a_conflict() -> AbstractContextManager[Any]:
    """The second outcome is the one that is recorded."""

    async def changed(
        self: Receiver, received: Received, token: Token, attempted: Attempted, claims: Any
    ) -> Handled:
        settling = Settling(
            token,
            attempted.outcome,
            received.message.sid,
            self._platform.clock.now(),
            attempted.took_ms,
            self._platform.entropy.chance(),
            attempted.policy,
            attempted.state,
            attempted.effects,
        )
        key, head, loaded = received.key, received.head, received.loaded
        waits = isinstance(attempted.outcome, Waited)
        delivery = None if waits else received.delivery
        try:
            settled = await self._saver.save(
                key, head, loaded, settling, delivery, attempted.items, claims
            )
        except RevisionConflict:
            if isinstance(self, Dispatcher):
                self.running.clear()
            return await self._handle(received.delivery, received.deadline)
        received = replace(received, head=settled.head)
        if waits:
            await self._look_after_waiting(received, token)
        else:
            await self._pay(received)
        return received.settled("stepped", token, settled.head.status)

    return patch.object(Receiver, "record", changed)


def forgets_what_was_consumed() -> AbstractContextManager[Any]:
    def changed(head: Head, definition: Definition, settling: Settling, limit: int) -> Settled:
        settled = settle(head, definition, settling, limit)
        return replace(settled, head=replace(settled.head, consumed=head.consumed))

    return _settling(changed)


# -- the dataflow ---------------------------------------------------------------------------------


def joins_fire_on_any_message() -> AbstractContextManager[Any]:
    def changed(self: Board, node: int) -> None:
        queues = self.ports.get(node)
        if queues is not None and any(queues) and self._has_room(node):
            self._take(node, queues)

    return patch.object(Board, "fire", changed)


def nodes_are_not_serial() -> AbstractContextManager[Any]:
    return patch.object(Board, "_has_room", lambda self, node: True)


def ports_are_not_queues() -> AbstractContextManager[Any]:
    """The newest message goes first."""

    def changed(self: Board, node: int, position: int, reference: int) -> None:
        queues = self.ports.get(node) or ((),) * len(self._nodes[node].inports)
        queue = (reference, *queues[position])
        self.ports = {**self.ports, node: (*queues[:position], queue, *queues[position + 1 :])}

    return patch.object(Board, "_queue", changed)


def retries_without_end() -> AbstractContextManager[Any]:
    return patch.object(RetryPolicy, "allows", lambda self, failures, kinds: True)


def retries_at_once() -> AbstractContextManager[Any]:
    return patch.object(RetryPolicy, "delay_ms", lambda self, failures, chance: 0)


# -- what lies in the head ------------------------------------------------------------------------


def keeps_its_whole_history() -> AbstractContextManager[Any]:
    return patch.object(engine.settle, "PAGE_ENTRIES", 10_000)


def forgets_the_deadline() -> AbstractContextManager[Any]:
    return patch.object(engine.starting, "limited", lambda head, deadline, now: head)


def names_attempts_in_the_key() -> AbstractContextManager[Any]:
    original = Gathering.context

    async def changed(self: Gathering, *arguments: Any) -> Context:
        context = await original(self, *arguments)
        context.idempotency_key += f"/{context.attempt}"
        return context

    return patch.object(Gathering, "context", changed)


def mixes_up_definitions() -> AbstractContextManager[Any]:
    """A process works with the first definition of a workflow that it has loaded."""
    original = Definitions.get

    async def changed(self: Definitions, tenant: str, digest: bytes) -> LoadedDefinition:
        loaded = next(iter(self._loaded.values()), None)
        return loaded or await original(self, tenant, digest)

    return patch.object(Definitions, "get", changed)


def forks_share_what_lies_elsewhere() -> AbstractContextManager[Any]:
    async def changed(self: Any) -> None:
        self._names = []

    return patch.object(engine.forking._Copier, "flush", changed)


# -- sweeps ---------------------------------------------------------------------------------------


def sweeps_during_a_backlog() -> AbstractContextManager[Any]:
    original = engine.sweeper.look_after

    def changed(head: Head, now: int, signals: Any = (), *, behind: bool = False) -> Any:
        return original(head, now, signals, behind=False)

    return patch.object(engine.sweeper, "look_after", changed)


def looks_without_doubling() -> AbstractContextManager[Any]:
    def changed(token: Token, now: int) -> Token:
        return replace(token, looks=token.looks + 1, look_at=now + LOOK_AFTER_MS)

    return patch.object(engine.sweeper, "_doubled", changed)
