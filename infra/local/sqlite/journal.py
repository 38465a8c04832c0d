"""The journal: the end of a step as one transaction.

What must stay true
- A commit is all or nothing: items, head, sends, drops and acknowledgement. The head's compare and
  swap on `rev` comes first, so that a conflict has written nothing (`writer.py` relies on it).
- What was sent and acknowledged is told to the database's listener after the commit, so that a
  worker in this process need not ask the table.
- `Send.group` is not stored: one worker has the queue for itself, and serves it in order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from engine.layout import RunKey, wake_shard
from engine.ports import Commit, Delivery, HeadRecord, Item, RevisionConflict, Send
from infra.local.sqlite import queue_rows
from infra.local.sqlite.database import Database
from infra.local.sqlite.queue_rows import QueueRow, Receipt
from infra.local.sqlite.reader import SqliteReader
from infra.local.sqlite.writer import Job


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
            _swap_head(connection, self._commit.head, self._commit.expected)
        for item in self._items:
            connection.execute(
                "INSERT INTO items (partition, name, body) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET body = excluded.body",
                (item.partition, item.name, item.body),
            )
        if self._commit is not None:
            partition = self._commit.head.key.partition
            for name in self._commit.drops:
                connection.execute(
                    "DELETE FROM items WHERE partition = ? AND name = ?", (partition, name)
                )
        queue_rows.insert(connection, self._sends)
        if self._acknowledged is not None:
            queue_rows.delete(connection, self._acknowledged)

    def committed(self) -> None:
        listener = self._database.listener
        if listener is not None:
            listener.arrived(self._sends)
            if self._acknowledged is not None:
                listener.gone(self._acknowledged)


def _queue_rows(database: Database, sends: Sequence[Send]) -> Sequence[QueueRow]:
    if not sends:
        return ()
    now = database.clock.now()
    return [QueueRow(now + send.delay_ms, database.row_ids.next(), 0, send.body) for send in sends]


def _receipt(delivery: Delivery | None) -> Receipt | None:
    return None if delivery is None else delivery.receipt


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
            head.key.tenant,
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
    where = (head.key.tenant, head.key.run, expected)
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
        "SELECT body FROM heads WHERE tenant = ? AND run = ?", (key.tenant, key.run)
    ).fetchone()
    return None if row is None else row[0]
