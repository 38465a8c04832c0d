"""Mutants that mistake what a message means: see `mutants`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.keeping
import engine.plan
import engine.receiving
import engine.saving
import engine.settle
from engine.dispatcher import Dispatcher
from engine.messages import Message, encode_message
from engine.plan import Defer, Ignore, Look, Plan, Relay, Run, plan
from engine.receiving import Handled, Received
from engine.snapshot import Head, Status, Token, decode_head
from engine.timing import in_reach


def _planning(change: Callable[[Head, Message, int], Plan]) -> AbstractContextManager[Any]:
    return patch.object(engine.receiving, "plan", change)


def drops_stale_messages() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        decision = plan(head, message, now)
        return Ignore("stale") if isinstance(decision, Relay) else decision

    return _planning(changed)


def runs_early_deliveries() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        decision = plan(head, message, now)
        token = engine.plan.addressed(head, message)
        return Run(token) if isinstance(decision, Defer) and token else decision

    return _planning(changed)


def drops_early_deliveries() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        decision = plan(head, message, now)
        return Ignore("early") if isinstance(decision, Defer) else decision

    return _planning(changed)


def runs_what_has_ended() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        return plan(replace(head, status=Status.ACTIVE), message, now)

    return _planning(changed)


@contextmanager
def _owning(change: Callable[[Head, str, int], tuple[Token, ...]]) -> Iterator[None]:
    with (
        patch.object(engine.plan, "owned_by", change),
        patch.object(engine.receiving, "owned_by", change),
    ):
        yield


def relays_everything() -> AbstractContextManager[Any]:
    def changed(head: Head, sid: str, now: int) -> tuple[Token, ...]:
        return tuple(token for token in head.frontier if in_reach(token, now))

    return _owning(changed)


def relays_nothing() -> AbstractContextManager[Any]:
    return _owning(lambda head, sid, now: ())


def defers_under_a_new_name() -> AbstractContextManager[Any]:
    original = Dispatcher.defer

    async def changed(self: Dispatcher, received: Received, due: int) -> Handled:
        message = replace(received.message, sid=self._platform.entropy.new_id())
        delivery = replace(received.delivery, body=encode_message(message))
        return await original(self, replace(received, message=message, delivery=delivery), due)

    return patch.object(Dispatcher, "defer", changed)


def settles_what_an_earlier_epoch_began() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        return plan(head, replace(message, token=(head.epoch, *message.token[1:])), now)

    return _planning(changed)


def runs_what_waits() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        decision = plan(head, message, now)
        return Run(decision.token) if isinstance(decision, Look) else decision

    return _planning(changed)


def settles_what_has_ended() -> AbstractContextManager[Any]:
    def changed(body: bytes) -> Head:
        head = decode_head(body)
        return replace(head, status=Status.ACTIVE) if head.status.terminal else head

    return patch.object(engine.receiving, "decode_head", changed)
