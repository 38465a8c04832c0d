"""The one thread that writes, and how many changes share one flush of the disk.

The event loop hands in jobs. The thread takes all that wait, runs them in one transaction, commits
once, and answers all of them with one call into the loop; while it waits for the disk, the next
jobs gather. So a lone job waits for one flush, and a hundred at once for one or two.

What must stay true
- Jobs run in the order in which they were handed in, each seeing what the earlier ones wrote.
- A job that raises RevisionConflict or ItemConflict has written nothing. A job that raises anything
  else is taken out of its batch, and the others run again from the start: it takes nobody along.
- Nobody is answered before the commit has returned; where the commit itself fails, everybody in the
  batch fails, conflicts included, because what they conflicted with is not stored.
- `Job.committed` runs on the event loop in the order of the commits, even where the caller is gone.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from engine.errors import StoreUnusable
from engine.ports import ItemConflict, RevisionConflict
from infra.local.sqlite.door import Door
from infra.local.sqlite.failures import unusable

BATCH_LIMIT = 500
"""More jobs would not make a flush cheaper, and would keep visitors and early jobs waiting."""


class Job(ABC):
    """One caller's change, for submitting once."""

    done: asyncio.Future[None]
    """Made when it is submitted, on the event loop that waits for it."""
    error: Exception | None = None

    @abstractmethod
    def run(self, connection: sqlite3.Connection) -> None:
        """Make the change, on the writer's thread, inside its transaction; may run repeatedly."""

    def committed(self) -> None:  # noqa: B027 - most jobs have nobody else to tell
        """The change is stored. On the event loop, before the caller goes on."""


class Writer:
    """Owns `connection` and `door`, and closes both. Start it once; any number may submit."""

    def __init__(self, path: Path, connection: sqlite3.Connection, door: Door) -> None:
        self._path = path
        self._connection = connection
        self._door = door
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._gathered: list[Job] = []
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"write {path.name}", daemon=True)
        self._thread.start()

    async def submit(self, job: Job) -> None:
        """Returns when the change is stored; else raises a conflict or StoreUnusable.

        Cancelling the caller does not take the change back.
        """
        if self._closed:
            raise StoreUnusable(f"{self._path}: already closed by this process")
        loop = asyncio.get_running_loop()
        job.done = loop.create_future()
        self._gathered.append(job)
        if len(self._gathered) == 1:
            loop.call_soon(self._hand_over)
        await job.done

    def _hand_over(self) -> None:
        """Everything that this turn of the event loop submitted, in one piece: one flush for it.

        Handing each job over at once would have the thread flush the first while the loop is about
        to submit the next, and the two of them fight over the interpreter's lock.
        """
        gathered, self._gathered = self._gathered, []
        for job in gathered:
            self._jobs.put(job)

    def close(self) -> None:
        """Writes what was submitted, then ends the thread. Blocks; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()
        self._door.close()

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._gather()
            if batch:
                self._write(batch)
                _answer(batch)

    def _gather(self) -> tuple[list[Job], bool]:
        """All jobs that wait, at least one; and whether more may come."""
        batch: list[Job] = []
        next_job = self._jobs.get()
        while next_job is not None:
            batch.append(next_job)
            if len(batch) == BATCH_LIMIT:
                return batch, True
            try:
                next_job = self._jobs.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _write(self, batch: Sequence[Job]) -> None:
        try:
            with self._door:
                self._transact(batch)
        except Exception as error:  # whatever it was, every caller must hear of it
            for job in batch:
                job.error = unusable(self._path, error)

    def _transact(self, batch: Sequence[Job]) -> None:
        pending = list(batch)
        while pending:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                broken = self._run(pending)
                if broken is None:
                    self._connection.execute("COMMIT")
                    return
                pending.remove(broken)
            finally:
                if self._connection.in_transaction:  # some failures have rolled back already
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def _run(self, jobs: Sequence[Job]) -> Job | None:
        """Runs the jobs up to the first that breaks, and returns that one."""
        for job in jobs:
            job.error = None
            try:
                job.run(self._connection)
            except (RevisionConflict, ItemConflict) as conflict:
                job.error = conflict
            except sqlite3.Error as error:
                job.error = unusable(self._path, error)
                return job
            except Exception as error:
                job.error = error
                return job
        return None


def _answer(batch: Sequence[Job]) -> None:
    """One call into each event loop; there is more than one only where programs use several."""
    for loop in {job.done.get_loop() for job in batch}:
        jobs = [job for job in batch if job.done.get_loop() is loop]
        with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.error is None:
            job.committed()
    for job in jobs:
        if job.done.done():  # its caller was cancelled
            continue
        if job.error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(job.error)
