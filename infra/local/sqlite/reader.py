"""Queries: heads, items, runs that are due, and listings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from engine.layout import RUN_KIND, RunKey, listed_key, listing
from engine.ports import RunRow
from engine.snapshot import Status
from infra.local.sqlite.database import Database

SCAN_PAGE = 32
"""Items read at a time; an item may be megabytes."""
_AFTER_ALL_NAMES = "\U0010ffff"
"""The last code point, which no name of ours contains."""


class SqliteReader:
    """The reading half of `SqliteJournal`; implements `engine.ports.Reader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, key: RunKey) -> bytes | None:
        row = self._database.fetch_one(
            "SELECT body FROM heads WHERE tenant = ? AND run = ?", (key.listing, key.run)
        )
        return None if row is None else row[0]

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for name in names:
            row = self._database.fetch_one(
                "SELECT body FROM items WHERE partition = ? AND name = ?", (partition, name)
            )
            if row is not None:
                found[name] = row[0]
        return found

    async def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        query = (
            "SELECT name, body FROM items WHERE partition = ? AND name >= ? AND name < ? "
            "ORDER BY name LIMIT ?"
        )
        begin, end = prefix, prefix + _AFTER_ALL_NAMES
        while True:
            with self._database.reading() as connection:
                page = connection.execute(query, (partition, begin, end, SCAN_PAGE)).fetchall()
            for name, body in page:
                yield name, body
            if len(page) < SCAN_PAGE:
                return
            begin = page[-1][0] + "\0"  # the first name behind the last one

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT tenant, run FROM heads WHERE shard = ? AND wake_at > 0 AND wake_at <= ? "
                "ORDER BY wake_at LIMIT ?",
                (shard, now, limit),
            ).fetchall()
        return [listed_key(listed, run) for listed, run in rows]

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        listed = listing(tenant, kind)
        columns = "SELECT run, status, workflow, created_at FROM heads WHERE tenant = ?"
        newest = "ORDER BY created_at DESC LIMIT ?"
        with self._database.reading() as connection:
            if status is None:
                found = connection.execute(f"{columns} {newest}", (listed, limit))
            else:
                found = connection.execute(
                    f"{columns} AND status = ? {newest}", (listed, status.value, limit)
                )
            rows = found.fetchall()
        return [
            RunRow(RunKey(tenant, run, kind), Status(stored), workflow, created_at)
            for run, stored, workflow, created_at in rows
        ]
