"""How often this machine's SQLite commits: the writes of one step, in the tables of the backend.

One transaction each: the head replaced by one of the same size, a message inserted, one deleted;
opened by the backend's own settings (write-ahead log, every commit flushed). No engine, no threads.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.sqlite.opening import open_for_writing
from infra.local.sqlite.queue_rows import QueueRow, RowIds, delete, insert

_MESSAGE = '{"format":1,"tenant":"default","run":"r00000000001","token":[0,9000,1,1],"sid":"x"}'
_UPDATE = (
    "UPDATE heads SET rev = ?, body = ? "
    "WHERE tenant = 'default' AND run = 'raw' AND rev = ? AND status = 'active' AND wake_at = 9"
)


class RawCommits:
    """One file with one head of `head_bytes` bytes."""

    def __init__(self, path: Path, head_bytes: int) -> None:
        self._connection = open_for_writing(path)
        self._bodies = [bytes([fill]) * head_bytes for fill in (1, 2)]
        self._ids = RowIds()
        self._rev = 1
        self._waiting = QueueRow(1, self._ids.next(), 0, _MESSAGE)
        self._connection.execute(
            "INSERT INTO heads "
            "(tenant, run, rev, status, workflow, created_at, shard, wake_at, body) "
            "VALUES ('default', 'raw', 1, 'active', 'raw', 1, 1, 9, ?)",
            (self._bodies[0],),
        )
        insert(self._connection, [self._waiting])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def rate(self, seconds: float) -> float:
        """Transactions per second."""
        done, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            self._commit()
            done += 1
        return done / passed

    def _commit(self) -> None:
        following = QueueRow(self._rev, self._ids.next(), 0, _MESSAGE)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(_UPDATE, (self._rev + 1, self._bodies[self._rev % 2], self._rev))
        insert(self._connection, [following])
        delete(self._connection, self._waiting.receipt)
        self._connection.execute("COMMIT")
        self._waiting = following
        self._rev += 1
