"""Files that older versions made: they keep what they hold, and become files of this one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from engine.errors import StoreUnusable
from engine.layout import wake_shard
from engine.ports import Item
from infra.local.sqlite import SqliteVisitor, SqliteWorker
from infra.local.sqlite.opening import open_for_writing
from infra.local.sqlite.schema import APPLICATION_ID, FORMAT, UPGRADES
from tests.clock import ManualClock
from tests.infra.local.sqlite.processes import start
from tests.infra.records import HEAD, PARTITION, collect, item, message, step

FORMAT_1 = (
    """
    CREATE TABLE heads (
        tenant TEXT NOT NULL,
        run TEXT NOT NULL,
        rev INTEGER NOT NULL,
        status TEXT NOT NULL,
        workflow TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        shard INTEGER NOT NULL,
        wake_at INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (tenant, run)
    )
    """,
    "CREATE INDEX heads_due ON heads (shard, wake_at) WHERE wake_at > 0",
    "CREATE INDEX heads_newest ON heads (tenant, created_at)",
    "CREATE INDEX heads_newest_of_status ON heads (tenant, status, created_at)",
    """
    CREATE TABLE items (
        partition TEXT NOT NULL,
        name TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (partition, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE queue (
        due_at INTEGER NOT NULL,
        id INTEGER NOT NULL,
        receives INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (due_at, id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE blobs (name TEXT PRIMARY KEY NOT NULL, body BLOB NOT NULL)",
)
OLD_PUT = (
    "INSERT INTO items (partition, name, body) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET body = excluded.body"
)


@pytest.fixture
def old(path: Path) -> Path:
    """A file of format 1 with one row in each table."""
    with _connected(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        for statement in FORMAT_1:
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "INSERT INTO heads VALUES ('default', 'r', 1, 'active', 'flow', 1000, ?, 5, ?)",
            (wake_shard(HEAD.key), b"first"),
        )
        connection.execute(OLD_PUT, (PARTITION, "page/1", bytes(10_000)))
        connection.execute("INSERT INTO queue VALUES (1, 1, 0, ?)", (message("a").body,))
        connection.execute("INSERT INTO blobs VALUES ('large', x'00ff')")
    return path


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def _format(path: Path) -> int:
    with _connected(path) as connection:
        (stored,) = connection.execute("PRAGMA user_version").fetchone()
    return int(stored)


def test_a_file_of_format_1_loses_nothing_and_is_one_of_ours(
    old: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    with SqliteWorker(old, clock) as worker:
        journal = worker.journal
        assert runner.run(journal.head(HEAD.key)) == b"first"
        assert list(runner.run(journal.due(wake_shard(HEAD.key), 5, 9))) == [HEAD.key]
        (row,) = runner.run(journal.runs("default", limit=9))
        assert row.key == HEAD.key
        assert runner.run(collect(journal.scan(PARTITION, ""))) == [("page/1", bytes(10_000))]
        (delivery,) = runner.run(worker.source.receive(9, 5))
        assert delivery.body == message("a").body
        assert runner.run(worker.blobs.get("large")) == b"\x00\xff"
    assert _format(old) == FORMAT


def test_an_upgraded_file_does_what_a_new_one_does(
    old: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    with SqliteVisitor(old, clock) as visitor:
        journal = visitor.journal
        runner.run(journal.commit(step(1, items=[item("page/1", b"new")])))
        expiring = Item(PARTITION, "claim", b"", clock.now())
        runner.run(journal.put([expiring]))
        assert runner.run(journal.expire(9)) == 1
        assert runner.run(collect(journal.scan(PARTITION, ""))) == [("page/1", b"new")]
    with SqliteVisitor(old, clock) as visitor:
        assert runner.run(visitor.journal.head(HEAD.key)) == b"rev 2"


def test_what_expires_is_found_by_an_index_in_new_files_and_in_upgraded_ones(
    old: Path, clock: ManualClock
) -> None:
    new = old.with_name("new.db")
    for path in (old, new):
        SqliteVisitor(path, clock).close()
        with _connected(path) as connection:
            plan = connection.execute(
                "EXPLAIN QUERY PLAN SELECT partition, name FROM items "
                "WHERE expires_at > 0 AND expires_at <= 9 ORDER BY expires_at LIMIT 9"
            ).fetchall()
        assert [step[3] for step in plan] == [
            "SEARCH items USING COVERING INDEX items_expiring (expires_at>? AND expires_at<?)"
        ]


def test_an_older_process_that_has_the_file_open_goes_on_writing(
    old: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    with _connected(old) as older:
        older.execute(OLD_PUT, (PARTITION, "page/2", b"before"))
        with SqliteVisitor(old, clock) as visitor:
            older.execute(OLD_PUT, (PARTITION, "page/2", b"after"))
            older.execute(OLD_PUT, (PARTITION, "page/3", b"new"))
            assert runner.run(visitor.journal.expire(9)) == 0
            found = runner.run(visitor.journal.items(PARTITION, ["page/2", "page/3"]))
    assert dict(found) == {"page/2": b"after", "page/3": b"new"}


def test_an_upgrade_that_breaks_off_leaves_the_old_file(old: Path) -> None:
    broken = (*UPGRADES[1], "CREATE TABLE heads (again TEXT)")
    with patch.dict(UPGRADES, {1: broken}), pytest.raises(StoreUnusable, match=r"runs\.db"):
        open_for_writing(old)
    assert _format(old) == 1
    with _connected(old) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(items)")]
    assert columns == ["partition", "name", "body"]
    open_for_writing(old).close()
    assert _format(old) == FORMAT


def test_processes_that_open_the_same_old_file_at_once_all_succeed(
    old: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    processes = [start("visit", old, f"process-{number}", 3) for number in range(4)]
    for process in processes:
        with process:
            assert process.wait(60) == 0
    with SqliteVisitor(old, clock) as visitor:
        assert len(runner.run(visitor.journal.runs("default", limit=100))) == 13
