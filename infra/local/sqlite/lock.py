"""One worker per file: the lock that a worker holds, and who it says holds it.

What must stay true: the operating system holds the lock, so a worker that is killed frees it. The
note beside it (process, machine, since when) only serves the message that the second worker prints,
and may be stale or missing.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from engine.errors import WorkerRunning
from engine.ports import Clock
from infra.local.sqlite.failures import translated


class _Holder(msgspec.Struct):
    pid: int
    host: str
    since: str


class WorkerLock:
    """The worker's lock on the database `path`: the files `<path>.worker` and `<path>.worker.json`.

    Held from `acquire` to `release`, or until the process ends in whatever way.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = FileLock(f"{path}.worker", thread_local=False)
        self._note = Path(f"{path}.worker.json")

    def acquire(self) -> None:
        """Raises WorkerRunning, naming the holder, where another worker has it."""
        with translated(self._path):
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                raise WorkerRunning(
                    f"{self._path}: a worker already runs on this file: {self._holder()}; "
                    "stop it first, or name another file"
                ) from None
            since = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
            holder = _Holder(os.getpid(), socket.gethostname(), since.isoformat(" ", "seconds"))
            self._note.write_bytes(msgspec.json.encode(holder))

    def release(self) -> None:
        """Frees the lock; harmless where it is not held."""
        if self._lock.is_locked:
            with translated(self._path):
                self._note.unlink(missing_ok=True)
                self._lock.release()

    def _holder(self) -> str:
        try:
            holder = msgspec.json.decode(self._note.read_bytes(), type=_Holder)
        except (OSError, msgspec.DecodeError):
            return "a process that has not said who it is"
        return f"process {holder.pid} on {holder.host}, since {holder.since}"
