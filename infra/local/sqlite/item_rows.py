"""The items' rows: a run's pages, outputs, inbox and claims, one row for each.

What must stay true: `swap` looks before it writes, so that a conflict has written nothing
(`writer.py` relies on it); the transaction that it runs in makes look and write one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from engine.ports import Item, ItemConflict


def put(connection: sqlite3.Connection, items: Iterable[Item]) -> None:
    for item in items:
        connection.execute(
            "INSERT INTO items (partition, name, body) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET body = excluded.body",
            (item.partition, item.name, item.body),
        )


def swap(connection: sqlite3.Connection, item: Item, expected: bytes | None) -> None:
    """Raises ItemConflict where anything but `expected` is stored; None expects nothing."""
    row = connection.execute(
        "SELECT body FROM items WHERE partition = ? AND name = ?", (item.partition, item.name)
    ).fetchone()
    current = None if row is None else row[0]
    if current != expected:
        raise ItemConflict(current)
    put(connection, [item])


def delete(connection: sqlite3.Connection, partition: str, names: Iterable[str]) -> None:
    """A row that is gone already is no error."""
    for name in names:
        connection.execute("DELETE FROM items WHERE partition = ? AND name = ?", (partition, name))
