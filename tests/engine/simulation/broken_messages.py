"""Mutants that mistake what a message means: see `mutants`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.plan
import engine.receiving
from engine.dispatcher import Dispatcher
from engine.errors import NewerFormat
from engine.heads import named_head
from engine.layout import RunKey
from engine.messages import Message, encode_message
from engine.plan import Defer, Finish, Ignore, Look, Plan, Relay, Run, plan
from engine.ports import Delivery
from engine.receiving import Handled, Received, Receiver
from engine.simulation.workloads.generated import RandomWorkload
from engine.simulation.world.settings import Settings
from engine.snapshot import RUN_LEVEL, Head, Status, Token
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
        early = isinstance(decision, Defer) and token and token.node != RUN_LEVEL
        return Run(token) if early and token else decision

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


_RECORDING: ContextVar[bool] = ContextVar("recording", default=False)


@contextmanager
def settles_what_has_ended() -> Iterator[None]:
    """A result that comes when the run has ended is recorded as if it had not."""
    original = Receiver.record

    async def recording(self: Receiver, *arguments: Any) -> Handled:
        _RECORDING.set(True)
        try:
            return await original(self, *arguments)
        finally:
            _RECORDING.set(False)

    def changed(key: RunKey, body: bytes) -> Head:
        head = named_head(key, body)
        ended = head.status.terminal and _RECORDING.get()
        return replace(head, status=Status.ACTIVE) if ended else head

    with (
        patch.object(Receiver, "record", recording),
        patch.object(engine.receiving, "named_head", changed),
    ):
        yield


def runs_while_closing() -> AbstractContextManager[Any]:
    def changed(head: Head, message: Message, now: int) -> Plan:
        if head.status is Status.CLOSING:
            head = replace(head, status=Status.ACTIVE)
        return plan(head, message, now)

    return _planning(changed)


def overlooks_deadlines() -> AbstractContextManager[Any]:
    """Other messages than the deadline's own begin new work when it is over."""

    def changed(head: Head, message: Message, now: int) -> Plan:
        decision = plan(head, message, now)
        if isinstance(decision, Finish) and message.token[1] != RUN_LEVEL:
            return plan(replace(head, limit=None), message, now)
        return decision

    return _planning(changed)


def drops_newer_formats() -> AbstractContextManager[Any]:
    async def changed(self: Receiver, delivery: Delivery, deadline: int) -> Handled:
        try:
            return await self._handle(delivery, deadline)
        except NewerFormat:
            await self._platform.journal.send((), delivery)
            return Handled("newer")

    return patch.object(Receiver, "handle", changed)


def waits_without_looking() -> AbstractContextManager[Any]:
    async def changed(self: Receiver, received: Received, token: Token) -> None:
        await self._done(received)

    return patch.object(Receiver, "_look_after_waiting", changed)


@contextmanager
def stops_at_the_seventeenth_hop() -> Iterator[None]:
    """Not the engine, but its template: the function does not say RecursiveLoop: Allow."""
    original = RandomWorkload.settings

    def changed(self: RandomWorkload) -> Settings:
        return dataclasses.replace(original(self), recursive=False)

    with patch.object(RandomWorkload, "settings", changed):
        yield
