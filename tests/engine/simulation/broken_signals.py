"""Mutants of claims, dead letters, signals and debts: see `mutants`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import engine.claims
import engine.signalling
from engine.attempt import Attempt
from engine.claims import Claim, Free, Judgement, Taken, judge
from engine.dead_letters import DeadLetters
from engine.definition import Definition
from engine.errors import PlatformError
from engine.layout import SIGNAL_PREFIX
from engine.ordered import OrderedJournal
from engine.paying import Payer
from engine.ports import Delivery, Item
from engine.receiving import Handled, Received, Receiver
from engine.signalling import Signaller
from engine.snapshot import Head


def claims_nothing() -> AbstractContextManager[Any]:
    return patch.object(Received, "repeated", property(lambda self: False))


def claims_nothing_that_must_not_run_twice() -> AbstractContextManager[Any]:
    return patch.object(Attempt, "at_most_once", property(lambda self: False))


def drops_dead_letters() -> AbstractContextManager[Any]:
    async def changed(self: DeadLetters, delivery: Delivery, deadline: int) -> Handled:
        return Handled("dropped")

    return patch.object(DeadLetters, "handle", changed)


def forgets_debts() -> AbstractContextManager[Any]:
    async def changed(self: Payer, key: Any, head: Head, definition: Definition) -> set[str]:
        return {owed.id for owed in head.owed}

    return patch.object(Payer, "_send", changed)


def owes_under_new_names() -> AbstractContextManager[Any]:
    original = Signaller.forward

    async def changed(
        self: Signaller, key: Any, name: str, text: bytes, sender: str, sequence: int, id: str
    ) -> Any:
        fresh = f"{id}:{self._platform.entropy.new_id()}"
        return await original(self, key, name, text, sender, sequence, fresh)

    return patch.object(Signaller, "forward", changed)


def wakes_nobody() -> AbstractContextManager[Any]:
    async def changed(self: Signaller, *arguments: Any) -> None:
        return None

    return patch.object(Signaller, "_wake", changed)


def answers_before_storing() -> AbstractContextManager[Any]:
    """What could not be stored is accepted all the same."""
    original = OrderedJournal.swap

    async def changed(self: OrderedJournal, item: Item, expected: Any, also: Any = ()) -> None:
        try:
            await original(self, item, expected, also)
        except PlatformError:
            if not item.name.startswith(SIGNAL_PREFIX):
                raise

    return patch.object(OrderedJournal, "swap", changed)


def takes_what_others_have_claimed() -> AbstractContextManager[Any]:
    def changed(found: Claim | None, now: int, **settings: Any) -> Judgement:
        judgement = judge(found, now, **settings)
        return Free(0) if isinstance(judgement, Taken) else judgement

    return patch.object(engine.claims, "judge", changed)


def takes_any_signal_for_the_same() -> AbstractContextManager[Any]:
    return patch.object(engine.signalling, "content_digest", lambda signal, text: b"the same")


def acknowledges_before_it_pays() -> AbstractContextManager[Any]:
    async def changed(self: Receiver, received: Received) -> None:
        await self._platform.journal.send((), received.delivery)

    return patch.object(Receiver, "_pay", changed)
