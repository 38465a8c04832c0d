"""Group commit: who shares a flush, who fails with whom, and what closing does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import StoreUnusable
from engine.ports import ItemConflict, RevisionConflict
from infra.local.sqlite import opening
from infra.local.sqlite.opening import open_for_writing
from infra.local.sqlite.writer import BATCH_LIMIT, Job, Writer


class Turnstile:
    """A door that counts transactions, and holds them back while it is shut."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.arrived = threading.Event()
        self.passed = 0

    def __enter__(self) -> None:
        self.arrived.set()
        assert self.open.wait(30)
        self.passed += 1

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


class Change(Job):
    def __init__(self, run: Callable[[sqlite3.Connection], object]) -> None:
        self._run = run
        self.heard = 0

    def run(self, connection: sqlite3.Connection) -> None:
        self._run(connection)

    def committed(self) -> None:
        self.heard += 1


def store(name: str) -> Change:
    return Change(
        lambda connection: connection.execute(
            "INSERT INTO blobs (name, body) VALUES (?, ?)", (name, b"x")
        )
    )


def conflict(kind: type[RevisionConflict | ItemConflict] = RevisionConflict) -> Change:
    def lose(connection: sqlite3.Connection) -> None:
        raise kind(b"winner")

    return Change(lose)


@pytest.fixture
def door() -> Turnstile:
    return Turnstile()


@pytest.fixture
def writer(path: Path, door: Turnstile) -> Iterator[Writer]:
    with closing(Writer(path, open_for_writing(path), door)) as writer:
        yield writer


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM blobs ORDER BY rowid").fetchall()
    return [name for (name,) in rows]


async def in_one_batch(
    writer: Writer, door: Turnstile, jobs: list[Change]
) -> list[BaseException | None]:
    """Submits the jobs while a first one is held back, so that they wait together."""
    door.arrived.clear()
    door.open.clear()
    first = asyncio.ensure_future(writer.submit(store("first")))
    await asyncio.to_thread(door.arrived.wait, 30)
    rest = asyncio.gather(*(writer.submit(job) for job in jobs), return_exceptions=True)
    await asyncio.sleep(0)
    door.open.set()
    await first
    return await rest


def test_jobs_that_gather_during_a_flush_share_the_next_one(
    runner: asyncio.Runner, writer: Writer, door: Turnstile, path: Path
) -> None:
    jobs = [store(f"job-{number}") for number in range(100)]
    assert runner.run(in_one_batch(writer, door, jobs)) == [None] * 100
    assert door.passed == 2
    assert stored(path) == ["first", *(f"job-{number}" for number in range(100))]


def test_a_batch_is_bounded(runner: asyncio.Runner, writer: Writer, door: Turnstile) -> None:
    jobs = [store(f"job-{number}") for number in range(BATCH_LIMIT + 1)]
    runner.run(in_one_batch(writer, door, jobs))
    assert door.passed == 3


def test_a_conflict_and_an_error_take_nobody_along(
    runner: asyncio.Runner, writer: Writer, door: Turnstile, path: Path
) -> None:
    half_done = Change(
        lambda connection: (
            connection.execute("INSERT INTO blobs (name, body) VALUES ('half', x'00')"),
            1 // 0,
        )
    )
    jobs = [store("a"), conflict(), half_done, store("a"), store("b")]
    answers = runner.run(in_one_batch(writer, door, jobs))
    assert answers[0] is None
    assert isinstance(answers[1], RevisionConflict)
    assert isinstance(answers[2], ZeroDivisionError)
    assert isinstance(answers[3], StoreUnusable)  # the name is taken
    assert answers[4] is None
    assert stored(path) == ["first", "a", "b"]
    assert [job.heard for job in jobs] == [1, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", [RevisionConflict, ItemConflict])
def test_after_a_conflict_its_batch_goes_on_without_beginning_again(
    runner: asyncio.Runner,
    writer: Writer,
    door: Turnstile,
    kind: type[RevisionConflict | ItemConflict],
) -> None:
    runs: list[str] = []
    jobs = [
        Change(lambda _: runs.append("before")),
        conflict(kind),
        Change(lambda _: runs.append("after")),
    ]
    _, answer, _ = runner.run(in_one_batch(writer, door, jobs))
    assert isinstance(answer, kind)
    assert answer.current == b"winner"
    assert runs == ["before", "after"]


def test_when_the_commit_fails_everybody_fails_conflicts_included(
    runner: asyncio.Runner, writer: Writer, door: Turnstile, path: Path
) -> None:
    owe_a_row = Change(lambda connection: connection.execute("INSERT INTO child VALUES (1)"))

    for statement in (
        "PRAGMA foreign_keys = ON",
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    ):
        writer._connection.execute(statement)
    answers = runner.run(in_one_batch(writer, door, [store("a"), conflict(), owe_a_row]))
    assert all(isinstance(answer, StoreUnusable) for answer in answers)
    assert stored(path) == ["first"]
    runner.run(writer.submit(store("b")))
    assert stored(path) == ["first", "b"]


def test_a_full_disk_is_reported_and_survived(
    runner: asyncio.Runner, writer: Writer, path: Path
) -> None:
    big = Change(lambda c: c.execute("INSERT INTO blobs VALUES ('big', zeroblob(1000000))"))
    runner.run(writer.submit(Change(lambda c: c.execute("PRAGMA max_page_count = 50"))))
    with pytest.raises(StoreUnusable, match=r"runs\.db: .*full.*free some space"):
        runner.run(writer.submit(big))
    runner.run(writer.submit(store("small")))
    assert stored(path) == ["small"]


def test_a_file_that_stays_locked_is_reported(
    runner: asyncio.Runner, path: Path, door: Turnstile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0.05)
    connection = open_for_writing(path)
    with closing(Writer(path, connection, door)) as writer:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnusable, match="another program keeps the file locked"):
                runner.run(writer.submit(store("a")))
        runner.run(writer.submit(store("b")))
    assert stored(path) == ["b"]


def test_a_cancelled_caller_leaves_its_change_and_its_news(
    runner: asyncio.Runner, writer: Writer, door: Turnstile, path: Path
) -> None:
    async def give_up() -> Change:
        door.open.clear()
        job = store("a")
        task = asyncio.ensure_future(writer.submit(job))
        await asyncio.to_thread(door.arrived.wait, 30)
        task.cancel()
        await asyncio.wait([task])
        door.open.set()
        await writer.submit(store("b"))
        return job

    assert runner.run(give_up()).heard == 1
    assert stored(path) == ["a", "b"]


def test_closing_writes_what_was_submitted_and_answers_it(
    runner: asyncio.Runner, writer: Writer, path: Path
) -> None:
    async def submit_and_close() -> list[None]:
        tasks = [asyncio.ensure_future(writer.submit(store(f"{number}"))) for number in range(9)]
        await asyncio.sleep(0)
        writer.close()
        return await asyncio.gather(*tasks)

    assert runner.run(submit_and_close()) == [None] * 9
    assert len(stored(path)) == 9
    assert not any(thread.name == f"write {path.name}" for thread in threading.enumerate())


def test_after_closing_nothing_is_taken(runner: asyncio.Runner, writer: Writer) -> None:
    writer.close()
    writer.close()
    with pytest.raises(StoreUnusable, match="already closed"):
        runner.run(writer.submit(store("late")))


def test_a_writer_outlives_an_event_loop(writer: Writer, path: Path, door: Turnstile) -> None:
    async def leave_behind() -> None:
        door.open.clear()
        task = asyncio.ensure_future(writer.submit(store("left")))
        await asyncio.to_thread(door.arrived.wait, 30)
        assert not task.done()

    asyncio.run(leave_behind())
    door.open.set()
    asyncio.run(writer.submit(store("next")))
    assert stored(path) == ["left", "next"]
