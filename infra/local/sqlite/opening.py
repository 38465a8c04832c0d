"""Opening the one file: making it where there is none, refusing it where it cannot be used.

What must stay true
- A file that is not ours, is damaged, or was written by a newer version is refused before anything
  could change it or lay other files beside it.
- A file of an older version is brought up to date in one transaction, after all these checks.
- Nobody opens the file but SQLite, not even to read it: see `_check_numbers_in_file`.
- A new file gets its tables while it still has a rollback journal, and write-ahead logging after
  that: so whoever looks at the file without its log finds it empty or with our number.
- Commits are durable when they return (`synchronous=FULL`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from engine.errors import NewerFormat, StoreUnusable
from infra.local.sqlite.failures import translated
from infra.local.sqlite.schema import APPLICATION_ID, FORMAT, TABLE_NAMES, TABLES, UPGRADES

BUSY_TIMEOUT_S = 5.0

_HEADER_BYTES = 100
_WRITE_BITS = 0o222
_NOT_A_DATABASE = "this is not a database, or a damaged one; name another file"


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection that may change the file, which is created where it does not exist.

    Raises NewerFormat or StoreUnusable; then nothing was changed.
    """
    with translated(path):
        _check_place(path)
        _check_numbers_in_file(path)
        connection = _connect(path)
        try:
            _check_tables(path, connection)
            _upgrade(path, connection)
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that refuses to write, to a file that `open_for_writing` has checked."""
    with translated(path):
        connection = _connect(path)
        connection.execute("PRAGMA query_only = ON")
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    # Who calls from which thread is this package's own affair: one writer thread, one reader.
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=128,
    )


def _check_place(path: Path) -> None:
    directory = path.absolute().parent
    if not directory.is_dir():
        raise StoreUnusable(f"{path}: the directory {directory} does not exist; create it first")
    if path.exists() and not path.is_file():
        raise StoreUnusable(f"{path}: this is not a file; name a file for the database")
    if not _writable(directory):
        raise StoreUnusable(
            f"{path}: the directory {directory} is read-only, and the log must lie beside the "
            "database; make it writable, or name a file elsewhere"
        )
    if path.exists() and not _writable(path):
        raise StoreUnusable(f"{path}: the file is read-only; make it writable, or name another")


def _writable(path: Path) -> bool:
    # The bits count for root too, to whom the system would allow it: they say what somebody meant.
    return bool(path.stat().st_mode & _WRITE_BITS) and os.access(path, os.W_OK)


def _check_numbers_in_file(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    if path.stat().st_size < _HEADER_BYTES:
        raise StoreUnusable(f"{path}: {_NOT_A_DATABASE}")
    # Not with `open`: closing a file drops every lock that this process holds on it, those of an
    # open connection included, and the next process to close it would then delete the log in use.
    # SQLite knows that, and an immutable file it reads without locks and without files beside it.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        try:
            _check_numbers(path, connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise StoreUnusable(f"{path}: {_NOT_A_DATABASE}") from error
            # Without its log a good file may look damaged; whether it is shows when it is opened.


def _check_numbers(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise StoreUnusable(f"{path}: this database belongs to another program; name another file")
    stored = _stored_format(connection)
    if stored > FORMAT:
        raise NewerFormat(
            f"{path}: written by a newer version of Tidestep (format {stored}; this one reads up "
            f"to {FORMAT}); install that version, or name another file"
        )


def _stored_format(connection: sqlite3.Connection) -> int:
    (stored,) = connection.execute("PRAGMA user_version").fetchone()
    return int(stored)


def _check_tables(path: Path, connection: sqlite3.Connection) -> None:
    if not _names(connection):
        _create(connection)
    _check_numbers(path, connection)  # again: the newest may lie in the log, not in the file
    if missing := TABLE_NAMES - _names(connection):
        raise StoreUnusable(
            f"{path}: it lacks the tables {', '.join(sorted(missing))}; restore it from a copy, "
            "or name another file"
        )
    for table in TABLE_NAMES:  # reads each root page, where damage shows first
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()


def _names(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {name for (name,) in rows}


def _create(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        if not _names(connection):  # another process may have been faster
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            for statement in TABLES:
                connection.execute(statement)


def _upgrade(path: Path, connection: sqlite3.Connection) -> None:
    if _stored_format(connection) == FORMAT:
        return
    with _transaction(connection):
        _check_numbers(path, connection)  # another process may have been faster, or be newer
        stored = _stored_format(connection)
        for older, statements in sorted(UPGRADES.items()):
            for statement in statements if older >= stored else ():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # Two processes that create the file meet here, and SQLite does not wait by itself.
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            if time.monotonic() > give_up:
                raise sqlite3.OperationalError("this file system does not allow write-ahead logs")
