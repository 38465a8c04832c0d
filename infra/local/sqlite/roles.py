"""The two ways to open the file: as its worker, or as a visitor.

What must stay true: only the holder of the worker's lock counts interrupted deliveries and receives
messages; whoever visits uses the visitors' side of the door.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path
from typing import Self

from engine.ports import Clock
from infra.local.sqlite import queue_rows
from infra.local.sqlite.blobs import SqliteBlobs
from infra.local.sqlite.database import Database
from infra.local.sqlite.door import visitor_door, worker_door
from infra.local.sqlite.failures import translated
from infra.local.sqlite.journal import SqliteJournal
from infra.local.sqlite.lock import WorkerLock
from infra.local.sqlite.opening import open_for_writing
from infra.local.sqlite.source import SqliteSource


class SqliteVisitor:
    """Reads and writes beside a worker. Raises NewerFormat or StoreUnusable; close it when done."""

    def __init__(self, path: str | PathLike[str], clock: Clock) -> None:
        self._database = Database(Path(path), clock, visitor_door)
        self.journal = SqliteJournal(self._database)
        self.blobs = SqliteBlobs(self._database)

    def close(self) -> None:
        """Blocks until what was submitted is written; harmless when repeated."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SqliteWorker:
    """The one worker of a file: what a visitor has, and the messages.

    Raises WorkerRunning while another process is the file's worker, NewerFormat or StoreUnusable
    where the file cannot be used. Close it when done.
    """

    def __init__(self, path: str | PathLike[str], clock: Clock) -> None:
        path = Path(path)
        # The file is checked first: a lock laid beside a stranger's file would be litter.
        with closing(open_for_writing(path)) as connection, ExitStack() as undo:
            self._lock = WorkerLock(path, clock)
            self._lock.acquire()
            undo.callback(self._lock.release)
            with translated(path):
                queue_rows.count_interrupted(connection, clock.now())
            self._database = Database(path, clock, worker_door)
            undo.pop_all()
        self.journal = SqliteJournal(self._database)
        self.blobs = SqliteBlobs(self._database)
        self.source = SqliteSource(self._database)

    def close(self) -> None:
        """Blocks until what was submitted is written; harmless when repeated."""
        self._database.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
