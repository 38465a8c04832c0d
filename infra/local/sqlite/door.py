"""The door that lets other processes write while the worker commits back to back.

SQLite has no queue of waiting writers: who finds the file locked sleeps and tries again, and the
worker, which locks it again within microseconds, wins every time. So a visiting writer (the command
line) holds the door while it waits and writes; the worker looks at the door before each batch and,
while somebody holds it, waits.

What must stay true
- The door decides about turns only. Correctness rests on SQLite's own lock, so a door that cannot
  be used, or a visitor that is killed or never leaves, costs time and nothing else.
- The worker waits for at most `PATIENCE_S` before a batch: visitors cannot starve it either.
- A lock of the operating system (flock), which a killed process cannot leave behind. Platforms
  without it have SQLite's busy timeout alone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

if sys.platform != "win32":
    import fcntl

PATIENCE_S = 1.0
LOOK_S = 0.001


class Door(Protocol):
    """Entered before each transaction, left after it; used by one thread."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def close(self) -> None: ...


def worker_door(database: Path) -> Door:
    """The door as the worker uses it: entering waits, up to `PATIENCE_S`, for visitors to leave."""
    return _NoDoor() if sys.platform == "win32" else _WorkerDoor(_open(database))


def visitor_door(database: Path) -> Door:
    """The door as every other process uses it: whoever is inside holds back the worker."""
    return _NoDoor() if sys.platform == "win32" else _VisitorDoor(_open(database))


def _open(database: Path) -> IO[bytes]:
    return open(f"{database}.door", "ab")


class _NoDoor:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


if sys.platform != "win32":

    class _VisitorDoor:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file

        def __enter__(self) -> None:
            # Blocks for no longer than the worker's look takes.
            fcntl.flock(self._file, fcntl.LOCK_SH)

        def __exit__(self, *_: object) -> None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

        def close(self) -> None:
            self._file.close()

    class _WorkerDoor:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file

        def __enter__(self) -> None:
            if self._free():
                return
            give_up = time.monotonic() + PATIENCE_S
            while time.monotonic() < give_up:
                time.sleep(LOOK_S)
                if self._free():
                    return

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            self._file.close()

        def _free(self) -> bool:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            fcntl.flock(self._file, fcntl.LOCK_UN)
            return True
