"""Deliveries for the one worker of a file, from memory as far as possible.

What must stay true
- A message is in the hands of the worker, ready in memory, or only in the table; `_taken` names the
  rows of the first two kinds, so that no row is handed out twice at a time.
- What this process sends is handed over in memory, after its commit, while `_behind` is False.
  `_behind` says that the table may hold due rows that memory does not: the buffer was full, another
  process wrote, or a delayed row came due. Then memory is used up first and the table is asked, so
  that no stream of new messages can hide older ones, and memory stays bounded.
- Any commit by anybody changes `data_version`, which is looked at every `LOOK_S` seconds: a row
  that nobody told of is found all the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence

from engine.errors import StoreUnusable
from engine.ports import Delivery
from infra.local.sqlite import queue_rows
from infra.local.sqlite.database import Database
from infra.local.sqlite.queue_rows import QueueRow, Receipt
from infra.local.sqlite.writer import Job

READY_LIMIT = 1000
"""Rows in memory; the others wait in the table."""
LOOK_S = 0.05


class SqliteSource:
    """Implements `engine.ports.Source`. There is one per file, in the process with the lock.

    A delivery that is neither acknowledged nor released comes again when the next worker starts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ready: deque[QueueRow] = deque()
        self._taken: set[Receipt] = set()
        self._behind = True
        self._next_due_at: int | None = None
        self._data_version = -1
        self._looked_at = 0.0
        self._waiting: set[asyncio.Future[None]] = set()
        database.listener = self

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_s
        while True:
            self._look(loop.time())
            deliveries = self._take(limit)
            remaining = give_up - loop.time()
            if deliveries or remaining <= 0:
                return deliveries
            await self._news(min(remaining, self._look_s()))

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        """Where the file cannot be written, the delivery still comes again after the delay."""
        due_at = self._database.clock.now() + delay_s * 1000
        row = QueueRow(due_at, self._database.row_ids.next(), delivery.receives, delivery.body)
        try:
            await self._database.write(_Release(self, delivery.receipt, row))
        except StoreUnusable:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_s, self._forget, delivery.receipt)
            raise

    def arrived(self, rows: Sequence[QueueRow]) -> None:
        """The database's word that this process has stored these rows."""
        now = self._database.clock.now()
        for row in rows:
            if row.due_at > now:
                if self._next_due_at is None or row.due_at < self._next_due_at:
                    self._next_due_at = row.due_at
            elif self._behind or len(self._ready) >= READY_LIMIT:
                self._behind = True
            elif row.receipt not in self._taken:  # a look at the table may have been quicker
                self._taken.add(row.receipt)
                self._ready.append(row)
        if rows:
            self._wake()

    def gone(self, receipt: Receipt) -> None:
        """The database's word that this row is acknowledged."""
        self._taken.discard(receipt)

    def in_hand(self) -> int:
        """How many rows the worker works on; those ready in memory still wait."""
        return len(self._taken) - len(self._ready)

    def _take(self, limit: int) -> Sequence[Delivery]:
        if self._behind and not self._ready:
            self._refill()
        count = min(limit, len(self._ready))
        rows = [self._ready.popleft() for _ in range(count)]
        return [Delivery(row.body, row.receipt, row.receives + 1) for row in rows]

    def _refill(self) -> None:
        now = self._database.clock.now()
        limit = READY_LIMIT + len(self._taken)
        with self._database.reading() as connection:
            rows = queue_rows.due(connection, now, limit)
            self._next_due_at = queue_rows.next_due_at(connection, now)
        self._behind = len(rows) == limit
        fresh = [row for row in rows if row.receipt not in self._taken]
        self._taken.update(row.receipt for row in fresh)
        self._ready.extend(fresh)

    def _look(self, at: float) -> None:
        """Notices what came due and, every so often, what others have written."""
        if self._next_due_at is not None and self._next_due_at <= self._database.clock.now():
            self._behind = True
        if at - self._looked_at >= LOOK_S:
            self._looked_at = at
            with self._database.reading() as connection:
                (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._data_version:
                self._data_version = version
                self._behind = True

    def _look_s(self) -> float:
        if self._next_due_at is None:
            return LOOK_S
        return min(LOOK_S, max(0.001, (self._next_due_at - self._database.clock.now()) / 1000))

    async def _news(self, timeout_s: float) -> None:
        """Until something arrives or is given back, or the time is up."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        alarm = loop.call_later(timeout_s, _finish, waiter)
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            alarm.cancel()
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            _finish(waiter)

    def _forget(self, receipt: Receipt) -> None:
        self._taken.discard(receipt)
        self._behind = True
        self._wake()


class _Release(Job):
    """Gives a row a new due time, and the source the row that takes its place."""

    def __init__(self, source: SqliteSource, receipt: Receipt, replacement: QueueRow) -> None:
        self._source = source
        self._receipt = receipt
        self._replacement = replacement
        self._found = False

    def run(self, connection: sqlite3.Connection) -> None:
        self._found = queue_rows.postpone(connection, self._receipt, self._replacement.receipt)

    def committed(self) -> None:
        self._source.gone(self._receipt)
        if self._found:
            self._source.arrived([self._replacement])


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
