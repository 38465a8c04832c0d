"""One open database file: a connection that reads, a thread that writes, and who must hear of news.

Reads happen on the event loop's own thread: a write-ahead log never makes a reader wait, and a
point query is quicker than handing it to a thread. A read sees every change whose `submit` has
returned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Protocol

from engine.ports import Clock
from infra.local.sqlite.door import Door
from infra.local.sqlite.failures import translated, unusable
from infra.local.sqlite.opening import open_for_reading, open_for_writing
from infra.local.sqlite.queue_rows import QueueRow, Receipt, RowIds
from infra.local.sqlite.writer import Job, Writer


class QueueListener(Protocol):
    """Hears on the event loop, in the order of the commits, what this process did to the queue."""

    def arrived(self, rows: Sequence[QueueRow]) -> None: ...

    def gone(self, receipt: Receipt) -> None: ...

    def in_hand(self) -> int:
        """How many due rows are received and not yet acknowledged."""
        ...


class Database:
    """Opens `path`, creating it where it does not exist. Raises NewerFormat or StoreUnusable.

    One event loop at a time may use it. Close it when done: that writes what is still waiting.
    """

    def __init__(self, path: Path, clock: Clock, make_door: Callable[[Path], Door]) -> None:
        self.path = path
        self.clock = clock
        self.row_ids = RowIds()
        self.listener: QueueListener | None = None
        with ExitStack() as undo:
            writing = open_for_writing(path)
            undo.callback(writing.close)
            self._reading = open_for_reading(path)
            undo.callback(self._reading.close)
            with translated(path):
                self._writer = Writer(path, writing, make_door(path))
            undo.pop_all()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection for queries on the event loop's thread; fetch all rows before leaving."""
        with translated(self.path):
            yield self._reading

    def fetch_one(self, query: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The first row of a query: every step begins with one, so it takes the short way."""
        try:
            row: tuple[Any, ...] | None = self._reading.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        return row

    async def write(self, job: Job) -> None:
        """See `Writer.submit`."""
        await self._writer.submit(job)

    def close(self) -> None:
        """Blocks until what was submitted is written; harmless when repeated."""
        # The writer closes last: the last connection folds the log into the file.
        self._reading.close()
        self._writer.close()
