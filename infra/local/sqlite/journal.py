"""The journal: the end of a step as one transaction.

What must stay true
- A commit is all or nothing: items, head, swaps, sends, drops and acknowledgement. The head's
  compare and swap on `rev` comes first, so that a conflict has written nothing (`writer.py` relies
  on it); so does a swap's look at its item. Where a commit has both, it looks at the head, then at
  the items, and then writes.
- What was sent and acknowledged is told to the database's listener after the commit, so that a
  worker in this process need not ask the table.
- `Send.group` is not stored: one worker has the queue for itself, and serves it in order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from engine.layout import RunKey, wake_shard
from engine.ports import Commit, Delivery, HeadRecord, Item, ItemConflict, RevisionConflict, Send
from infra.local.sqlite import item_rows, queue_rows
from infra.local.sqlite.database import Database
from infra.local.sqlite.queue_rows import QueueRow, Receipt
from infra.local.sqlite.reader import SqliteReader
from infra.local.sqlite.writer import Job

BACKLOG_LIMIT = 10_000
"""Counting further would say nothing new, and reads of the loop's thread must stay short."""


class SqliteJournal(SqliteReader):
    """Implements `engine.ports.Journal`. Raises StoreUnusable where the file fails."""

    async def commit(self, commit: Commit) -> None:
        await self._database.write(
            _Write(
                self._database,
                _queue_rows(self._database, commit.sends),
                _receipt(commit.acknowledgement),
                commit=commit,
                items=commit.items,
            )
        )

    async def put(self, items: Sequence[Item]) -> None:
        if items:
            await self._database.write(_Write(self._database, (), None, items=items))

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        await self._database.write(_Swap(item, expected, also, drops))

    async def put_once(self, item: Item, also: Sequence[Item], sends: Sequence[Send]) -> None:
        rows = _queue_rows(self._database, sends)
        await self._database.write(_PutOnce(self._database, item, also, rows))

    async def remove(self, partition: str, names: Sequence[str]) -> None:
        if names:
            await self._database.write(_Remove(partition, names))

    async def expire(self, limit: int) -> int:
        job = _Expire(self._database.clock.now(), limit)
        await self._database.write(job)
        return job.deleted

    async def backlog(self) -> int:
        """At most `BACKLOG_LIMIT`. A visitor counts what is in the worker's hands too."""
        now = self._database.clock.now()
        with self._database.reading() as connection:
            due = queue_rows.count_due(connection, now, BACKLOG_LIMIT)
        listener = self._database.listener
        return due if listener is None else max(0, due - listener.in_hand())

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        receipt = _receipt(acknowledgement)
        if sends or receipt is not None:
            rows = _queue_rows(self._database, sends)
            await self._database.write(_Write(self._database, rows, receipt))


class _Write(Job):
    """Everything that one call of the journal writes."""

    def __init__(
        self,
        database: Database,
        sends: Sequence[QueueRow],
        acknowledged: Receipt | None,
        *,
        commit: Commit | None = None,
        items: Sequence[Item] = (),
    ) -> None:
        self._database = database
        self._sends = sends
        self._acknowledged = acknowledged
        self._commit = commit
        self._items = items

    def run(self, connection: sqlite3.Connection) -> None:
        if self._commit is not None:
            _swap_all(connection, self._commit)
        item_rows.put(connection, self._items)
        if self._commit is not None:
            item_rows.delete(connection, self._commit.head.key.partition, self._commit.drops)
        queue_rows.insert(connection, self._sends)
        if self._acknowledged is not None:
            queue_rows.delete(connection, self._acknowledged)

    def committed(self) -> None:
        listener = self._database.listener
        if listener is not None:
            listener.arrived(self._sends)
            if self._acknowledged is not None:
                listener.gone(self._acknowledged)


class _Swap(Job):
    def __init__(
        self, item: Item, expected: bytes | None, also: Sequence[Item], drops: Sequence[str]
    ) -> None:
        self._item = item
        self._expected = expected
        self._also = also
        self._drops = drops

    def run(self, connection: sqlite3.Connection) -> None:
        partition, name = self._item.partition, self._item.name
        item_rows.expect(connection, partition, name, self._expected)
        item_rows.put(connection, [self._item, *self._also])
        item_rows.delete(connection, partition, self._drops)


class _PutOnce(Job):
    def __init__(
        self, database: Database, item: Item, also: Sequence[Item], sends: Sequence[QueueRow]
    ) -> None:
        self._database = database
        self._item = item
        self._also = also
        self._sends = sends

    def run(self, connection: sqlite3.Connection) -> None:
        with suppress(ItemConflict):
            item_rows.expect(connection, self._item.partition, self._item.name, None)
            item_rows.put(connection, [self._item, *self._also])
        queue_rows.insert(connection, self._sends)

    def committed(self) -> None:
        if self._database.listener is not None:
            self._database.listener.arrived(self._sends)


class _Remove(Job):
    def __init__(self, partition: str, names: Sequence[str]) -> None:
        self._partition = partition
        self._names = names

    def run(self, connection: sqlite3.Connection) -> None:
        item_rows.delete(connection, self._partition, self._names)


class _Expire(Job):
    deleted = 0

    def __init__(self, now: int, limit: int) -> None:
        self._now = now
        self._limit = limit

    def run(self, connection: sqlite3.Connection) -> None:
        self.deleted = item_rows.expire(connection, self._now, self._limit)


def _queue_rows(database: Database, sends: Sequence[Send]) -> Sequence[QueueRow]:
    if not sends:
        return ()
    now = database.clock.now()
    return [QueueRow(now + send.delay_ms, database.row_ids.next(), 0, send.body) for send in sends]


def _receipt(delivery: Delivery | None) -> Receipt | None:
    return None if delivery is None else delivery.receipt


def _swap_all(connection: sqlite3.Connection, commit: Commit) -> None:
    """The head and the swaps, or a conflict and nothing: the head's, where both have one."""
    if commit.swaps:
        _expect_head(connection, commit.head.key, commit.expected)
        for swap in commit.swaps:
            item_rows.expect(connection, swap.partition, swap.name, swap.expected)
    _swap_head(connection, commit.head, commit.expected)
    item_rows.change(connection, commit.swaps)


def _expect_head(connection: sqlite3.Connection, key: RunKey, expected: int | None) -> None:
    row = connection.execute(
        "SELECT rev, body FROM heads WHERE tenant = ? AND run = ?", (key.listing, key.run)
    ).fetchone()
    rev, body = (None, None) if row is None else row
    if rev != expected:
        raise RevisionConflict(body)


def _swap_head(connection: sqlite3.Connection, head: HeadRecord, expected: int | None) -> None:
    if expected is None:
        stored = _create_head(connection, head)
    else:
        stored = _replace_head(connection, head, expected)
    if not stored:
        raise RevisionConflict(_current_head(connection, head.key))


def _create_head(connection: sqlite3.Connection, head: HeadRecord) -> bool:
    created = connection.execute(
        "INSERT INTO heads "
        "(tenant, run, rev, status, workflow, created_at, shard, wake_at, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            head.key.listing,
            head.key.run,
            head.rev,
            head.status.value,
            head.workflow,
            head.created_at,
            wake_shard(head.key),
            head.wake_at,
            head.body,
        ),
    )
    return created.rowcount == 1


def _replace_head(connection: sqlite3.Connection, head: HeadRecord, expected: int) -> bool:
    # SQLite rewrites an index whenever its columns are named, changed or not. Most steps change
    # neither status nor wake_at, so the statement that names neither is tried first.
    where = (head.key.listing, head.key.run, expected)
    same_indexes = connection.execute(
        "UPDATE heads SET rev = ?, body = ? "
        "WHERE tenant = ? AND run = ? AND rev = ? AND status = ? AND wake_at = ?",
        (head.rev, head.body, *where, head.status.value, head.wake_at),
    )
    if same_indexes.rowcount == 1:
        return True
    changed = connection.execute(
        "UPDATE heads SET rev = ?, body = ?, status = ?, wake_at = ? "
        "WHERE tenant = ? AND run = ? AND rev = ?",
        (head.rev, head.body, head.status.value, head.wake_at, *where),
    )
    return changed.rowcount == 1


def _current_head(connection: sqlite3.Connection, key: RunKey) -> bytes | None:
    row = connection.execute(
        "SELECT body FROM heads WHERE tenant = ? AND run = ?", (key.listing, key.run)
    ).fetchone()
    return None if row is None else row[0]
