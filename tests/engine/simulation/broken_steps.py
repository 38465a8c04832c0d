"""Mutants of what a step makes of a head, and of the dataflow: see `mutants`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.keeping
import engine.plan
import engine.receiving
import engine.saving
import engine.settle
from engine.attempt import Attempted
from engine.dataflow import Board
from engine.definition import Definition, RetryPolicy
from engine.dispatcher import Dispatcher
from engine.outcomes import Settling
from engine.ports import RevisionConflict
from engine.receiving import Handled, Received, Receiver
from engine.settle import Settled, settle
from engine.snapshot import Head, Token
from engine.timing import coarse_look

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
        key, head, loaded, delivery = (
            received.key,
            received.head,
            received.loaded,
            received.delivery,
        )
        try:
            settled = await self._saver.save(
                key, head, loaded, settling, delivery, attempted.items, claims
            )
        except RevisionConflict:
            if isinstance(self, Dispatcher):
                self._running.clear()
            return await self._handle(delivery, received.deadline)
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
