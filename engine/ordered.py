"""A journal made of a store and a queue that share no transaction.

The order is the whole point (DESIGN §4 rule 5): items before the head that refers to them, the head
before the messages that it calls for, the messages before the acknowledgement of the one that was
worked on. A crash between any two of these requests leaves either an unreferenced item or an
unacknowledged message, whose redelivery re-sends what it owns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress

from engine.layout import RUN_KIND, RunKey
from engine.ports import Commit, Delivery, Item, ItemConflict, Queue, RunRow, Send, Store
from engine.snapshot import Status


class OrderedJournal:
    """Implements `engine.ports.Journal` over a `Store` and a `Queue`."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store = store
        self._queue = queue

    async def commit(self, commit: Commit) -> None:
        if commit.items:
            await self._store.put_items(commit.items)
        await self._store.put_head(commit.head, commit.expected, commit.swaps)
        await self.send(commit.sends, commit.acknowledgement)
        if commit.drops:
            await self._store.delete_items(commit.head.key.partition, commit.drops)

    async def put(self, items: Sequence[Item]) -> None:
        await self._store.put_items(items)

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        await self._store.swap_item(item, expected, also, drops)

    async def put_once(self, item: Item, also: Sequence[Item], sends: Sequence[Send]) -> None:
        with suppress(ItemConflict):  # it is there, or our own write seemed to have failed
            await self.swap(item, None, also)
        await self.send(sends)

    async def remove(self, partition: str, names: Sequence[str]) -> None:
        if names:
            await self._store.delete_items(partition, names)

    async def expire(self, limit: int) -> int:
        return await self._store.expire(limit)

    async def backlog(self) -> int:
        return await self._queue.backlog()

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        if sends:
            await self._queue.send(sends)
        if acknowledgement is not None and acknowledgement.receipt is not None:
            await self._queue.acknowledge(acknowledgement)

    async def head(self, key: RunKey) -> bytes | None:
        return await self._store.head(key)

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        return await self._store.items(partition, names)

    def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        return self._store.scan(partition, prefix)

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        return await self._store.due(shard, now, limit)

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        return await self._store.runs(tenant, limit=limit, status=status, kind=kind)
