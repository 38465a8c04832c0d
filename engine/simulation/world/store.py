"""The simulated store: a table as DynamoDB keeps one, and a process's way to it.

What must stay true
- The table is never wrong. A condition is judged and a write done at one moment; reads that decide
  are strongly consistent; only the two indexes lag behind.
- Everything is bytes, through the engine's own codecs, and an item has DynamoDB's bound.
- What a process sees of it, with time-outs and lost answers, is the matter of `line`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from engine.errors import TooLarge
from engine.layout import RunKey, wake_shard
from engine.ports import HeadRecord, Item, ItemConflict, RevisionConflict, RunRow
from engine.simulation.observing import BLOBS, Observer
from engine.simulation.world.line import Line
from engine.simulation.world.stage import Stage
from engine.snapshot import Head, Status, decode_head

ITEM_LIMIT = 400 << 10
TRANSACTION_ITEMS = 20
INDEX_LAG_MS = 20
SCAN_PAGE = 4
"""Items in one page of a scan: few, so that writes come between two pages."""
_ATTRIBUTES = 40
"""About what the names and the small attributes of an item take."""


@dataclass(slots=True)
class _Row:
    """A run's head, and what the indexes show of it."""

    record: HeadRecord
    head: Head
    indexed: list[tuple[int, HeadRecord]]
    """(from when, what): ascending, the last one that has begun counts."""

    def shown(self, now: int) -> HeadRecord | None:
        while len(self.indexed) > 1 and self.indexed[1][0] <= now:
            del self.indexed[0]
        began, record = self.indexed[0]
        return record if began <= now else None


class Table:
    """What is stored. `on_wake` is told each `wake_at` that a save sets."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rows: dict[RunKey, _Row] = {}
        self._items: dict[str, dict[str, bytes]] = {}
        self.on_wake: Callable[[int], None] = lambda wake_at: None

    @property
    def heads(self) -> dict[RunKey, Head]:
        return {key: row.head for key, row in self._rows.items()}

    def earliest_wake(self, now: int) -> int | None:
        """The first time at which a sweep would find something, by the truth or by the index."""
        wakes = [
            record.wake_at
            for row in self._rows.values()
            for record in (row.record, row.shown(now) or row.record)
            if record.wake_at
        ]
        return min(wakes, default=None)

    # -- heads ------------------------------------------------------------------------------------

    def head(self, key: RunKey) -> bytes | None:
        row = self._rows.get(key)
        return None if row is None else row.record.body

    def put_head(self, record: HeadRecord, expected: int | None) -> None:
        _check_size(record.key.partition, "head", record.body)
        key = record.key
        row = self._rows.get(key)
        if (None if row is None else row.record.rev) != expected:
            raise RevisionConflict(None if row is None else row.record.body)
        before = None if row is None else row.head
        after = decode_head(record.body)
        now = self._stage.now()
        shown_at = now + self._lag(key)
        if row is None:
            self._rows[key] = _Row(record, after, [(shown_at, record)])
        else:
            row.record, row.head = record, after
            row.indexed.append((max(shown_at, row.indexed[-1][0]), record))
        self._stage.note(
            "store", "{} saved: revision {}, {}", key.run, record.rev, record.status.value
        )
        self._stage.tell(lambda observer, at: observer.head_saved(key, before, after, at))
        if record.wake_at:
            self.on_wake(record.wake_at)

    def _lag(self, key: RunKey) -> int:
        dice = self._stage.dice
        if dice.fault("index", ("stale",), key.run):
            return dice.size("stale_ms", key.run)
        return INDEX_LAG_MS

    # -- items ------------------------------------------------------------------------------------

    def put_items(self, items: Sequence[Item]) -> None:
        for item in items:
            _check_size(item.partition, item.name, item.body)
        for item in items:
            self._put(item)

    def swap_item(self, item: Item, expected: bytes | None, also: Sequence[Item]) -> None:
        if len(also) > TRANSACTION_ITEMS or any(i.partition != item.partition for i in also):
            raise ValueError(f"a swap takes {TRANSACTION_ITEMS} items of one partition beside it")
        for each in (item, *also):
            _check_size(each.partition, each.name, each.body)
        current = self._items.get(item.partition, {}).get(item.name)
        if current != expected:
            raise ItemConflict(current)
        for each in (item, *also):
            self._put(each)

    def delete_items(self, partition: str, names: Sequence[str]) -> None:
        held = self._items.get(partition, {})
        for name in names:
            if held.pop(name, None) is not None:
                self._stage.note("store", "{}: {} deleted", partition, name)
                self._stage.tell(partial(_deleted, partition, name))

    def items(self, partition: str, names: Collection[str]) -> dict[str, bytes]:
        held = self._items.get(partition, {})
        return {name: held[name] for name in names if name in held}

    def names(self, partition: str, prefix: str, after: str, limit: int) -> list[str]:
        """The next names that begin with `prefix`, in order."""
        held = self._items.get(partition, {})
        return sorted(name for name in held if name.startswith(prefix) and name > after)[:limit]

    def _put(self, item: Item) -> None:
        self._items.setdefault(item.partition, {})[item.name] = item.body
        self._stage.note("store", "{}: {} written", item.partition, item.name)
        self._stage.tell(lambda observer, at: observer.item_written(item, at))

    # -- indexes ----------------------------------------------------------------------------------

    def shown(self) -> list[HeadRecord]:
        """What the indexes show of every head now."""
        now = self._stage.now()
        records = (row.shown(now) for row in self._rows.values())
        return [record for record in records if record is not None]


class SimulatedStore:
    """Implements `engine.ports.Store` for one process."""

    def __init__(self, table: Table, line: Line) -> None:
        self._table = table
        self._line = line

    async def head(self, key: RunKey) -> bytes | None:
        return await self._line.read("head", lambda: self._table.head(key))

    async def put_head(self, head: HeadRecord, expected: int | None) -> None:
        await self._line.write("put_head", lambda: self._table.put_head(head, expected))

    async def put_items(self, items: Sequence[Item]) -> None:
        await self._line.write(
            "put_items",
            lambda: self._table.put_items(items),
            part=lambda: self._table.put_items(items[: len(items) // 2]),
        )

    async def swap_item(self, item: Item, expected: bytes | None, also: Sequence[Item]) -> None:
        await self._line.write("swap_item", lambda: self._table.swap_item(item, expected, also))

    async def delete_items(self, partition: str, names: Sequence[str]) -> None:
        await self._line.write(
            "delete_items",
            lambda: self._table.delete_items(partition, names),
            part=lambda: self._table.delete_items(partition, names[: len(names) // 2]),
        )

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        return await self._line.read("items", lambda: self._table.items(partition, names))

    async def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        table, after = self._table, ""

        def page() -> dict[str, bytes]:
            return table.items(partition, table.names(partition, prefix, after, SCAN_PAGE))

        while True:
            found = await self._line.read("scan", page)
            for after, body in found.items():
                yield after, body
            if len(found) < SCAN_PAGE:
                return

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        def hits() -> list[RunKey]:
            found = sorted(
                (record.wake_at, record.key)
                for record in self._table.shown()
                if 0 < record.wake_at <= now and wake_shard(record.key) == shard
            )
            return [key for _, key in found[:limit]]

        return await self._line.read("due", hits)

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None
    ) -> Sequence[RunRow]:
        def rows() -> list[RunRow]:
            found = [
                RunRow(record.key, record.status, record.workflow, record.created_at)
                for record in reversed(self._table.shown())
                if record.key.tenant == tenant and status in (None, record.status)
            ]
            return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]

        return await self._line.read("runs", rows)


class Bucket:
    """The blobs that are stored."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.blobs: dict[str, bytes] = {}

    def put(self, name: str, body: bytes) -> None:
        self.blobs[name] = body
        item = Item(BLOBS, name, body)
        self._stage.tell(lambda observer, at: observer.item_written(item, at))


class SimulatedBlobs:
    """Implements `engine.ports.Blobs` for one process."""

    def __init__(self, bucket: Bucket, line: Line) -> None:
        self._bucket = bucket
        self._line = line

    async def put(self, name: str, body: bytes) -> None:
        await self._line.write("put_blob", lambda: self._bucket.put(name, body))

    async def get(self, name: str) -> bytes | None:
        return await self._line.read("get_blob", lambda: self._bucket.blobs.get(name))


def _check_size(partition: str, name: str, body: bytes) -> None:
    size = len(partition) + len(name) + len(body) + _ATTRIBUTES
    if size > ITEM_LIMIT:
        raise TooLarge(f"item {name} of {partition} has {size:,} bytes; the limit is 400 KB")


def _deleted(partition: str, name: str, observer: Observer, at: int) -> None:
    observer.item_deleted(partition, name, at)
