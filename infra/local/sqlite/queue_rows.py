"""The queue's rows: one for each message that is not yet acknowledged.

What must stay true
- A row lives until it is acknowledged. That somebody works on it is known in memory only.
- A row's key, when it is due and a number, is its receipt. The key is never used twice, so that a
  late acknowledgement cannot hit another message: the number counts up within a process, and its
  low bits tell processes apart.
- `receives` counts deliveries that are known to have ended without acknowledgement: given back, or
  possibly in the hands of a worker that died. A delivery reports one more.
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

Receipt = tuple[int, int]
"""`due_at` (ms since 1970) and id."""

_PROCESS_BITS = 22
"""Of 63: leaves 2**41 messages to a process."""


class QueueRow(NamedTuple):
    """One message as the table holds it."""

    due_at: int
    """Milliseconds since 1970."""
    id: int
    receives: int
    body: str

    @property
    def receipt(self) -> Receipt:
        return self.due_at, self.id


class RowIds:
    """Numbers for rows: rising within this process, and not met in any other."""

    def __init__(self) -> None:
        self._process = secrets.randbits(_PROCESS_BITS)
        self._count = itertools.count(1)

    def next(self) -> int:
        return next(self._count) << _PROCESS_BITS | self._process


def insert(connection: sqlite3.Connection, rows: Sequence[QueueRow]) -> None:
    for row in rows:
        connection.execute(
            "INSERT INTO queue (due_at, id, receives, body) VALUES (?, ?, ?, ?)", row
        )


def delete(connection: sqlite3.Connection, receipt: Receipt) -> None:
    """A row that is gone already is no error."""
    connection.execute("DELETE FROM queue WHERE due_at = ? AND id = ?", receipt)


def postpone(connection: sqlite3.Connection, receipt: Receipt, replacement: Receipt) -> bool:
    """Give the row a new key and count one more receive; False where the row is gone."""
    changed = connection.execute(
        "UPDATE queue SET due_at = ?, id = ?, receives = receives + 1 WHERE due_at = ? AND id = ?",
        (*replacement, *receipt),
    )
    return changed.rowcount == 1


def count_interrupted(connection: sqlite3.Connection, now: int) -> None:
    """A worker takes the file over: each due row may have been in its predecessor's hands.

    Once is enough to have it claimed; whether its worker died of it, claims tell. Most rows were in
    nobody's hands, and must not become dead letters because workers come and go.
    """
    connection.execute("UPDATE queue SET receives = 1 WHERE due_at <= ? AND receives = 0", (now,))


def due(connection: sqlite3.Connection, now: int, limit: int) -> Sequence[QueueRow]:
    """Earliest first."""
    rows = connection.execute(
        "SELECT due_at, id, receives, body FROM queue WHERE due_at <= ? "
        "ORDER BY due_at, id LIMIT ?",
        (now, limit),
    ).fetchall()
    return [QueueRow(*row) for row in rows]


def count_due(connection: sqlite3.Connection, now: int, limit: int) -> int:
    """How many are due, `limit` at most."""
    (count,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM queue WHERE due_at <= ? LIMIT ?)", (now, limit)
    ).fetchone()
    return int(count)


def next_due_at(connection: sqlite3.Connection, now: int) -> int | None:
    """When the earliest row that is not due yet will be (ms since 1970)."""
    (at,) = connection.execute("SELECT min(due_at) FROM queue WHERE due_at > ?", (now,)).fetchone()
    return None if at is None else int(at)
