"""Mutants that write, send and acknowledge in another order: see `mutants`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.keeping
import engine.starting
from engine.errors import PlatformError
from engine.layout import OUTPUT_PREFIX, PAGE_PREFIX
from engine.ordered import OrderedJournal
from engine.ports import Commit, RevisionConflict
from engine.simulation.world.faults import SUBJECT
from engine.snapshot import Payload, Token, decode_head, decode_page

Committing = Callable[[OrderedJournal, Commit], Any]


def _committing(change: Committing) -> AbstractContextManager[Any]:
    return patch.object(OrderedJournal, "commit", change)


async def _deletes_drops(journal: OrderedJournal, commit: Commit) -> None:
    if commit.drops:
        await journal._store.delete_items(commit.head.key.partition, commit.drops)


def skips_the_revision() -> AbstractContextManager[Any]:
    async def changed(self: OrderedJournal, commit: Commit) -> None:
        await self._store.put_items(commit.items)
        expected = commit.expected
        while True:
            try:
                await self._store.put_head(commit.head, expected)
                break
            except RevisionConflict as conflict:
                if conflict.current is None:
                    raise
                expected = decode_head(conflict.current).rev
        await self.send(commit.sends, commit.acknowledgement)
        await _deletes_drops(self, commit)

    return _committing(changed)


def sends_before_the_commit() -> AbstractContextManager[Any]:
    async def changed(self: OrderedJournal, commit: Commit) -> None:
        await self._store.put_items(commit.items)
        await self.send(commit.sends)
        await self._store.put_head(commit.head, commit.expected)
        await self.send((), commit.acknowledgement)
        await _deletes_drops(self, commit)

    return _committing(changed)


def starts_after_sending() -> AbstractContextManager[Any]:
    original = OrderedJournal.commit

    async def changed(self: OrderedJournal, commit: Commit) -> None:
        if commit.expected is None:
            await self.send(commit.sends)
            commit = replace(commit, sends=())
        await original(self, commit)

    return _committing(changed)


def sweeps_after_sending() -> AbstractContextManager[Any]:
    original = OrderedJournal.commit

    async def changed(self: OrderedJournal, commit: Commit) -> None:
        if SUBJECT.get() == "sweeper":
            await self.send(commit.sends)
            commit = replace(commit, sends=())
        await original(self, commit)

    return _committing(changed)


def acknowledges_before_sending() -> AbstractContextManager[Any]:
    """What cannot be sent is forgotten: the delivery is acknowledged all the same."""

    async def changed(self: OrderedJournal, commit: Commit) -> None:
        await self._store.put_items(commit.items)
        await self._store.put_head(commit.head, commit.expected)
        try:
            await self.send(commit.sends, commit.acknowledgement)
        except PlatformError:
            await self.send((), commit.acknowledgement)
        await _deletes_drops(self, commit)

    return _committing(changed)


def writes_items_after_the_head() -> AbstractContextManager[Any]:
    async def changed(self: OrderedJournal, commit: Commit) -> None:
        await self._store.put_head(commit.head, commit.expected)
        await self._store.put_items(commit.items)
        await self.send(commit.sends, commit.acknowledgement)
        await _deletes_drops(self, commit)

    return _committing(changed)


def shares_output_names() -> AbstractContextManager[Any]:
    def changed(epoch: int, token: Token, execution: str) -> str:
        return f"{OUTPUT_PREFIX}{epoch}.{token.node}.{token.visit}.{token.attempt}"

    return patch.object(engine.keeping, "output_item", changed)


def lets_outputs_expire() -> AbstractContextManager[Any]:
    """What a page refers to is gone once the page is written."""
    original = OrderedJournal.commit

    async def changed(self: OrderedJournal, commit: Commit) -> None:
        await original(self, commit)
        pages = [decode_page(i.body) for i in commit.items if i.name.startswith(PAGE_PREFIX)]
        values = [entry.value for page in pages for entry in page.entries]
        names = [value.ref for value in values if isinstance(value, Payload) and not value.blob]
        await self._store.delete_items(commit.head.key.partition, names)

    return _committing(changed)


def takes_any_start_for_the_same() -> AbstractContextManager[Any]:
    return patch.object(engine.starting, "_start_digest", lambda *content: b"the same")
