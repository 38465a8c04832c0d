"""The simulated store: a table as DynamoDB keeps one, and a process's way to it.

What must stay true
- The table is never wrong. A condition is judged and a write done at one moment; reads that decide
  are strongly consistent; only the two indexes lag behind.
- Everything is bytes, through the engine's own codecs, and items and transactions have DynamoDB's
  bounds. The head of a workflow's run is decoded for whoever watches, a service run's is not.
- A transaction is applied before any of it is told.
- What a process sees of it, with time-outs and lost answers, is the matter of `line`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from engine.errors import TooLarge
from engine.layout import HEAD, RUN_KIND, RunKey, listing, wake_shard
from engine.ports import (
    MAX_ALSO,
    MAX_SWAPS,
    HeadRecord,
    Item,
    ItemConflict,
    RevisionConflict,
    RunRow,
    Swap,
)
from engine.simulation.observing import BLOBS, Observer
from engine.simulation.world.line import Line
from engine.simulation.world.stage import Stage
from engine.snapshot import Head, Status, decode_head

ITEM_LIMIT = 400 << 10
TRANSACTION_LIMIT = 4 << 20
"""Of all items that one transaction writes; it has at most 100, which our own bounds stay below."""
INDEX_LAG_MS = 20
SCAN_PAGE = 4
"""Items in one page of a scan: few, so that writes come between two pages."""
_ATTRIBUTES = 40
"""About what the names and the small attributes of an item take."""

Place = tuple[str, str]
"""An item's partition and name."""


@dataclass(slots=True)
class _Row:
    """A run's head, and what the indexes show of it."""

    record: HeadRecord
    head: Head | None
    """None for a service run."""
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
        self._items: dict[str, dict[str, Item]] = {}
        self._names: dict[str, list[str]] = {}
        """Of each partition's items, in order."""
        self.on_wake: Callable[[int], None] = lambda wake_at: None

    @property
    def heads(self) -> dict[RunKey, Head]:
        """Of the workflows' runs."""
        return {key: row.head for key, row in self._rows.items() if row.head is not None}

    @property
    def services(self) -> dict[RunKey, bytes]:
        """The bodies of the service runs' heads."""
        return {key: row.record.body for key, row in self._rows.items() if row.head is None}

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

    def put_head(
        self, record: HeadRecord, expected: int | None, swaps: Sequence[Swap] = ()
    ) -> None:
        head = Item(record.key.partition, HEAD, record.body)
        written = [
            Item(swap.partition, swap.name, swap.body, swap.expires_at)
            for swap in swaps
            if swap.writes and swap.body is not None
        ]
        _check_transaction([head, *written], [(swap.partition, swap.name) for swap in swaps])
        if len(swaps) > MAX_SWAPS:
            raise ValueError(f"a commit takes {MAX_SWAPS} swaps")
        row = self._rows.get(record.key)
        if (None if row is None else row.record.rev) != expected:
            raise RevisionConflict(None if row is None else row.record.body)
        for swap in swaps:
            self._expect(swap.partition, swap.name, swap.expected)
        tell_head = self._save(record, row)
        gone = [(swap.partition, swap.name) for swap in swaps if swap.writes and swap.body is None]
        self._change(written, gone)
        self._stage.note(
            "store", "{} saved: revision {}, {}", record.key.run, record.rev, record.status.value
        )
        self._stage.tell(tell_head)
        if record.wake_at:
            self.on_wake(record.wake_at)

    def _save(self, record: HeadRecord, row: _Row | None) -> Callable[[Observer, int], None]:
        """Store a head; what tells an observer of it."""
        key, body_before = record.key, None if row is None else row.record.body
        before = None if row is None else row.head
        after = decode_head(record.body) if key.kind == RUN_KIND else None
        shown_at = self._stage.now() + self._lag(key)
        if row is None:
            self._rows[key] = _Row(record, after, [(shown_at, record)])
        else:
            row.record, row.head = record, after
            row.indexed.append((max(shown_at, row.indexed[-1][0]), record))
        if after is None:
            return lambda observer, at: observer.service_saved(key, body_before, record.body, at)
        return lambda observer, at: observer.head_saved(key, before, after, at)

    def _lag(self, key: RunKey) -> int:
        dice = self._stage.dice
        if dice.fault("index", ("stale",), key.run):
            return dice.size("stale_ms", key.run)
        return INDEX_LAG_MS

    # -- items ------------------------------------------------------------------------------------

    def put_items(self, items: Sequence[Item]) -> None:
        for item in items:
            _check_size(item)
        self._change(items, ())

    def swap_item(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        beside = len(also) + len(drops)
        if beside > MAX_ALSO or any(i.partition != item.partition for i in also):
            raise ValueError(f"a swap takes {MAX_ALSO} items of one partition beside it")
        gone = [(item.partition, name) for name in drops]
        _check_transaction([item, *also], [*map(_place, (item, *also)), *gone])
        self._expect(item.partition, item.name, expected)
        self._change([item, *also], gone)

    def delete_items(self, partition: str, names: Sequence[str]) -> None:
        self._change((), [(partition, name) for name in names])

    def expire(self, limit: int) -> None:
        """Delete items whose time has passed: by the true time, as the service knows no other."""
        now = self._stage.now()
        held = (item for items in self._items.values() for item in items.values())
        expired = (_place(item) for item in held if 0 < item.expires_at <= now)
        self._change((), list(islice(expired, limit)))

    def items(self, partition: str, names: Collection[str]) -> dict[str, bytes]:
        held = self._items.get(partition, {})
        return {name: held[name].body for name in names if name in held}

    def names(self, partition: str, prefix: str, after: str, limit: int) -> list[str]:
        """The next names that begin with `prefix`, in order."""
        held = self._names.get(partition, [])
        first = bisect_left(held, prefix) if after < prefix else bisect_right(held, after)
        found = held[first : first + limit]
        return [name for name in found if name.startswith(prefix)]

    def _expect(self, partition: str, name: str, expected: bytes | None) -> None:
        """Raises ItemConflict."""
        current = self.items(partition, [name]).get(name)
        if current != expected:
            raise ItemConflict(current)

    def _change(self, written: Sequence[Item], gone: Sequence[Place]) -> None:
        """Write and delete all of it, then tell of each."""
        for item in written:
            held = self._items.setdefault(item.partition, {})
            if item.name not in held:
                insort(self._names.setdefault(item.partition, []), item.name)
            held[item.name] = item
        deleted = [
            (partition, name)
            for partition, name in gone
            if self._items.get(partition, {}).pop(name, None) is not None
        ]
        for partition, name in deleted:
            names = self._names[partition]
            del names[bisect_left(names, name)]
        for item in written:
            self._stage.note("store", "{}: {} written", item.partition, item.name)
            self._stage.tell(partial(_written, item))
        for partition, name in deleted:
            self._stage.note("store", "{}: {} deleted", partition, name)
            self._stage.tell(partial(_deleted, partition, name))

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

    async def put_head(
        self, head: HeadRecord, expected: int | None, swaps: Sequence[Swap] = ()
    ) -> None:
        await self._line.write("put_head", lambda: self._table.put_head(head, expected, swaps))

    async def put_items(self, items: Sequence[Item]) -> None:
        await self._line.write(
            "put_items",
            lambda: self._table.put_items(items),
            part=lambda: self._table.put_items(items[: len(items) // 2]),
        )

    async def swap_item(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        await self._line.write(
            "swap_item", lambda: self._table.swap_item(item, expected, also, drops)
        )

    async def delete_items(self, partition: str, names: Sequence[str]) -> None:
        await self._line.write(
            "delete_items",
            lambda: self._table.delete_items(partition, names),
            part=lambda: self._table.delete_items(partition, names[: len(names) // 2]),
        )

    async def expire(self, limit: int) -> int:
        """The table deletes by itself, without a request: some time later, and this is as good a
        time as any."""
        self._table.expire(limit)
        return 0

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
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        listed = listing(tenant, kind)

        def rows() -> list[RunRow]:
            found = [
                RunRow(record.key, record.status, record.workflow, record.created_at)
                for record in reversed(self._table.shown())
                if record.key.listing == listed and status in (None, record.status)
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


def _size(item: Item) -> int:
    return len(item.partition) + len(item.name) + len(item.body) + _ATTRIBUTES


def _check_size(item: Item) -> None:
    size = _size(item)
    if size > ITEM_LIMIT:
        raise TooLarge(
            f"item {item.name} of {item.partition} has {size:,} bytes; the limit is 400 KB"
        )


def _check_transaction(written: Sequence[Item], places: Sequence[Place]) -> None:
    """`places` are all that the transaction names, each once."""
    for item in written:
        _check_size(item)
    if sum(map(_size, written)) > TRANSACTION_LIMIT:
        raise TooLarge("items that are written together have more than 4 MB")
    if len(set(places)) < len(places):
        twice = sorted({each for each in places if places.count(each) > 1})
        raise ValueError(f"a transaction names an item twice: {twice}")


def _place(item: Item) -> Place:
    return item.partition, item.name


def _written(item: Item, observer: Observer, at: int) -> None:
    observer.item_written(item, at)


def _deleted(partition: str, name: str, observer: Observer, at: int) -> None:
    observer.item_deleted(partition, name, at)
