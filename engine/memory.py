"""The in-memory twin of a backend: for tests of workflows, and for trying things out.

It keeps the contracts of `engine.ports` and runs the real codecs: heads and items are bytes, and
messages are the text that a queue would carry. Nothing survives the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from itertools import count

from engine.layout import RUN_KIND, RunKey, listing, wake_shard
from engine.ordered import OrderedJournal
from engine.ports import (
    Clock,
    Delivery,
    HeadRecord,
    Item,
    ItemConflict,
    RevisionConflict,
    RunRow,
    Send,
    Swap,
)
from engine.snapshot import Status


class MemoryStore:
    """Implements `engine.ports.Store`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heads: dict[RunKey, HeadRecord] = {}
        self._items: dict[str, dict[str, Item]] = {}

    async def head(self, key: RunKey) -> bytes | None:
        record = self._heads.get(key)
        return None if record is None else record.body

    async def put_head(
        self, head: HeadRecord, expected: int | None, swaps: Sequence[Swap] = ()
    ) -> None:
        current = self._heads.get(head.key)
        if (None if current is None else current.rev) != expected:
            raise RevisionConflict(None if current is None else current.body)
        for swap in swaps:
            self._expect(swap.partition, swap.name, swap.expected)
        self._heads[head.key] = head
        for swap in swaps:
            if swap.body is None:
                await self.delete_items(swap.partition, [swap.name])
            elif swap.writes:
                item = Item(swap.partition, swap.name, swap.body, swap.expires_at)
                await self.put_items([item])

    async def put_items(self, items: Sequence[Item]) -> None:
        for item in items:
            self._items.setdefault(item.partition, {})[item.name] = item

    async def swap_item(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        self._expect(item.partition, item.name, expected)
        await self.put_items([item, *also])
        await self.delete_items(item.partition, drops)

    def _expect(self, partition: str, name: str, expected: bytes | None) -> None:
        """Raises ItemConflict."""
        item = self._items.get(partition, {}).get(name)
        current = None if item is None else item.body
        if current != expected:
            raise ItemConflict(current)

    async def delete_items(self, partition: str, names: Sequence[str]) -> None:
        for name in names:
            self._items.get(partition, {}).pop(name, None)

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        held = self._items.get(partition, {})
        return {name: held[name].body for name in names if name in held}

    async def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for name, item in sorted(self._items.get(partition, {}).items()):
            if name.startswith(prefix):
                yield name, item.body

    async def expire(self, limit: int) -> int:
        now = self._clock.now()
        held = (item for items in self._items.values() for item in items.values())
        expired = [item for item in held if 0 < item.expires_at <= now][:limit]
        for item in expired:
            del self._items[item.partition][item.name]
        return len(expired)

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        hits = sorted(
            (record.wake_at, key)
            for key, record in self._heads.items()
            if 0 < record.wake_at <= now and wake_shard(key) == shard
        )
        return [key for _, key in hits[:limit]]

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        listed = listing(tenant, kind)
        rows = [
            RunRow(record.key, record.status, record.workflow, record.created_at)
            for record in reversed(self._heads.values())
            if record.key.listing == listed and status in (None, record.status)
        ]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)[:limit]


class MemoryQueue:
    """Implements `engine.ports.Queue` and `engine.ports.Source`, first come, first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._waiting: dict[int, tuple[int, str, int]] = {}
        """Number -> (due, text, receives so far)."""
        self._taken: dict[int, tuple[int, str, int]] = {}
        self._arrived = asyncio.Event()

    async def send(self, sends: Sequence[Send]) -> None:
        for send in sends:
            due = self._clock.now() + send.delay_ms
            self._waiting[next(self._numbers)] = (due, send.body, 0)
        self._arrived.set()

    async def acknowledge(self, delivery: Delivery) -> None:
        self._taken.pop(delivery.receipt, None)
        self._waiting.pop(delivery.receipt, None)

    async def backlog(self) -> int:
        now = self._clock.now()
        return sum(due <= now for due, _, _ in self._waiting.values())

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        deliveries = self._take(limit)
        if not deliveries and wait_s > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), wait_s)
            except TimeoutError:
                return []
            deliveries = self._take(limit)
        return deliveries

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        entry = self._taken.pop(delivery.receipt, None)
        if entry is not None:
            _, body, receives = entry
            self._waiting[delivery.receipt] = (self._clock.now() + delay_s * 1000, body, receives)
            self._arrived.set()

    def _take(self, limit: int) -> list[Delivery]:
        now = self._clock.now()
        ready = sorted((due, n) for n, (due, _, _) in self._waiting.items() if due <= now)[:limit]
        deliveries = []
        for _, number in ready:
            due, body, receives = self._waiting.pop(number)
            self._taken[number] = (due, body, receives + 1)
            deliveries.append(Delivery(body, number, receives + 1))
        return deliveries


class MemoryBlobs:
    """Implements `engine.ports.Blobs`."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    async def put(self, name: str, body: bytes) -> None:
        self._blobs[name] = body

    async def get(self, name: str) -> bytes | None:
        return self._blobs.get(name)


class MemoryJournal(OrderedJournal):
    """A journal over a `MemoryStore` and a `MemoryQueue`; `source` is what a worker polls."""

    def __init__(self, clock: Clock) -> None:
        self.store = MemoryStore(clock)
        self.source = MemoryQueue(clock)
        super().__init__(self.store, self.source)
