"""The items' rows: a run's pages, outputs, inbox and claims, one row for each.

What must stay true: whoever expects something looks, by `expect`, before anything is written, so
that a conflict has written nothing (`writer.py` relies on it); the transaction makes look and write
one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from engine.ports import Item, ItemConflict, Swap


def put(connection: sqlite3.Connection, items: Iterable[Item]) -> None:
    for item in items:
        connection.execute(
            "INSERT INTO items (partition, name, expires_at, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, body = excluded.body",
            (item.partition, item.name, item.expires_at, item.body),
        )


def expect(
    connection: sqlite3.Connection, partition: str, name: str, expected: bytes | None
) -> None:
    """Raises ItemConflict where anything but `expected` is stored; None expects nothing."""
    row = connection.execute(
        "SELECT body FROM items WHERE partition = ? AND name = ?", (partition, name)
    ).fetchone()
    current = None if row is None else row[0]
    if current != expected:
        raise ItemConflict(current)


def change(connection: sqlite3.Connection, swaps: Iterable[Swap]) -> None:
    """Write what the swaps write; that what they expect is stored, `expect` has seen."""
    for swap in swaps:
        if swap.body is None:
            delete(connection, swap.partition, [swap.name])
        elif swap.writes:
            put(connection, [Item(swap.partition, swap.name, swap.body, swap.expires_at)])


def delete(connection: sqlite3.Connection, partition: str, names: Iterable[str]) -> None:
    """A row that is gone already is no error."""
    for name in names:
        connection.execute("DELETE FROM items WHERE partition = ? AND name = ?", (partition, name))


def expire(connection: sqlite3.Connection, now: int, limit: int) -> int:
    """Delete up to `limit` items whose time has passed, the earliest first; how many there were."""
    deleted = connection.execute(
        "DELETE FROM items WHERE (partition, name) IN (SELECT partition, name FROM items "
        "WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (now, limit),
    )
    return deleted.rowcount
