"""Foreign errors end here: what SQLite or the file system says becomes what an operator can do.

What must stay true: no `sqlite3` exception leaves this package. Every message names the file and
ends with what to do about it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import StoreUnusable

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space, then start again",
    sqlite3.SQLITE_IOERR: "the disk reports an error: check it and the system's log",
    sqlite3.SQLITE_BUSY: "another program keeps the file locked: find it and end it",
    sqlite3.SQLITE_LOCKED: "another program keeps the file locked: find it and end it",
    sqlite3.SQLITE_READONLY: "it cannot be written: check the permissions of file and directory",
    sqlite3.SQLITE_PERM: "it cannot be used: check the permissions of file and directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the permissions of file and directory",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy, or name another file",
    sqlite3.SQLITE_NOTADB: "it is damaged: restore it from a copy, or name another file",
}
_PRIMARY_CODE = 0xFF
"""The extended codes of SQLite keep the primary one in their low byte."""


def unusable(path: Path, error: Exception) -> StoreUnusable:
    """The StoreUnusable that stands for `error`, which becomes its cause."""
    code = getattr(error, "sqlite_errorcode", None)
    advice = _ADVICE.get(code & _PRIMARY_CODE) if isinstance(code, int) else None
    failure = StoreUnusable(f"{path}: {error}" + (f"; {advice}" if advice else ""))
    failure.__cause__ = error
    return failure


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever SQLite or the file system raises inside comes out as StoreUnusable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error
