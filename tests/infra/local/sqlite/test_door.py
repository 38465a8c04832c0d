"""Visitors get their turn beside a worker that never pauses."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.local.sqlite import SqliteVisitor, SqliteWorker, door
from infra.local.sqlite.door import Door, visitor_door, worker_door
from infra.system import SystemClock
from tests.infra.local.sqlite.processes import running, start
from tests.infra.records import create


@pytest.fixture
def worker(path: Path) -> Iterator[Door]:
    with closing(worker_door(path)) as worker:
        yield worker


@pytest.fixture
def visitor(path: Path) -> Iterator[Door]:
    with closing(visitor_door(path)) as visitor:
        yield visitor


def entered(worker: Door) -> threading.Event:
    """Set once the worker is through."""
    through = threading.Event()

    def enter() -> None:
        with worker:
            through.set()

    threading.Thread(target=enter, daemon=True).start()
    return through


def test_the_worker_waits_while_a_visitor_is_inside(
    worker: Door, visitor: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 60)
    with visitor:
        through = entered(worker)
        assert not through.wait(0.1)
    assert through.wait(30)


def test_the_worker_goes_ahead_when_a_visitor_never_leaves(
    worker: Door, visitor: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 0.05)
    with visitor:
        assert entered(worker).wait(30)


def test_visitors_do_not_keep_each_other_out(path: Path, visitor: Door) -> None:
    with closing(visitor_door(path)) as other, visitor, other:
        pass


def test_a_worker_inside_keeps_no_visitor_out(worker: Door, visitor: Door) -> None:
    with worker, visitor:
        pass


def test_a_visiting_process_is_inside_while_it_waits_and_writes(
    path: Path, worker: Door, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 60)

    async def commit_while_the_file_is_locked() -> None:
        with SqliteVisitor(path, SystemClock()) as visitor:
            with closing(sqlite3.connect(path)) as lock:
                lock.execute("BEGIN IMMEDIATE")
                committing = asyncio.ensure_future(visitor.journal.commit(create("r")))
                await asyncio.sleep(0.1)
                through = entered(worker)
                assert not await asyncio.to_thread(through.wait, 0.1)
            await committing
            assert await asyncio.to_thread(through.wait, 30)

    runner.run(commit_while_the_file_is_locked())


def test_a_working_process_lets_visitors_finish_first(
    path: Path, visitor: Door, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 60)

    async def commit_while_somebody_visits() -> None:
        with SqliteWorker(path, SystemClock()) as process:
            with visitor:
                committing = asyncio.ensure_future(process.journal.commit(create("r")))
                await asyncio.sleep(0.1)
                assert not committing.done()
            await committing

    runner.run(commit_while_somebody_visits())


def test_visitors_commits_succeed_beside_a_worker_that_saturates_the_file(
    path: Path, runner: asyncio.Runner
) -> None:
    with running("saturate", path) as worker:
        visitors = [start("visit", path, name, 10) for name in ("one", "two")]
        for visitor in visitors:
            with visitor:
                assert visitor.wait(100) == 0
        assert worker.poll() is None
        with SqliteVisitor(path, SystemClock()) as reader:
            rows = runner.run(reader.journal.runs("default", limit=1_000_000))
    names = {row.key.run for row in rows}
    assert names >= {f"{name}-{number}" for name in ("one", "two") for number in range(10)}
    assert len(names) > 100  # the worker did work meanwhile
