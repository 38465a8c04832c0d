"""Values too large for an item, in a table of the same file."""

from __future__ import annotations

import sqlite3

from infra.local.sqlite.database import Database
from infra.local.sqlite.writer import Job


class SqliteBlobs:
    """Implements `engine.ports.Blobs`. A blob written again under its name stays as it was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, body: bytes) -> None:
        await self._database.write(_PutBlob(name, body))

    async def get(self, name: str) -> bytes | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT body FROM blobs WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]


class _PutBlob(Job):
    def __init__(self, name: str, body: bytes) -> None:
        self._name = name
        self._body = body

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO blobs (name, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (self._name, self._body),
        )
