"""Which files the backend opens, which it refuses, and that a refused one stays as it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import NewerFormat, StoreUnusable
from infra.local.sqlite import SqliteVisitor, SqliteWorker
from infra.local.sqlite.opening import open_for_writing
from infra.local.sqlite.schema import FORMAT
from tests.clock import ManualClock
from tests.infra.local.sqlite.processes import start
from tests.infra.records import HEAD, create, item

Opener = Callable[[Path, ManualClock], SqliteWorker | SqliteVisitor]


@pytest.fixture(params=[SqliteWorker, SqliteVisitor])
def opener(request: pytest.FixtureRequest) -> Opener:
    opener: Opener = request.param
    return opener


@pytest.fixture
def ours(path: Path, clock: ManualClock, runner: asyncio.Runner) -> Path:
    """A closed file of ours with something in it, and nothing beside it."""
    with SqliteVisitor(path, clock) as visitor:
        runner.run(visitor.journal.put([item(f"item-{n}", bytes(500)) for n in range(100)]))
        runner.run(visitor.journal.commit(create("r")))
    Path(f"{path}.door").unlink()
    assert os.listdir(path.parent) == [path.name]
    return path


def _refused(opener: Opener, path: Path, clock: ManualClock) -> str:
    """What opening says; nothing in the directory may have changed."""
    before = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(StoreUnusable) as refusal:
        opener(path, clock)
    after = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert after == before
    assert str(path) in str(refusal.value)
    return str(refusal.value)


def _edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_new_file_is_made_and_opened_again(
    path: Path, clock: ManualClock, opener: Opener, runner: asyncio.Runner
) -> None:
    with opener(path, clock) as first:
        runner.run(first.journal.commit(create("r", body=b"kept")))
    with opener(path, clock) as second:
        assert runner.run(second.journal.head(HEAD.key)) == b"kept"


def test_an_empty_file_counts_as_new(path: Path, clock: ManualClock, opener: Opener) -> None:
    path.touch()
    opener(path, clock).close()


def test_closing_leaves_the_log_folded_into_the_file(ours: Path) -> None:
    assert not Path(f"{ours}-wal").exists()


def test_commits_are_logged_ahead_and_flushed(path: Path) -> None:
    with closing(open_for_writing(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_opening_a_file_again_keeps_the_locks_of_this_process(
    path: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    with SqliteWorker(path, clock) as worker:
        runner.run(worker.journal.commit(create("before")))
        SqliteVisitor(path, clock).close()
        # Where the locks were lost, this process would delete the log that the worker writes to.
        with start("visit", path, "visitor", 1) as process:
            assert process.wait(60) == 0
        runner.run(worker.journal.commit(create("after")))
        with SqliteVisitor(path, clock) as visitor:
            rows = runner.run(visitor.journal.runs("default", limit=10))
    assert {row.key.run for row in rows} == {"before", "visitor-0", "after"}


def test_text_is_refused(path: Path, clock: ManualClock, opener: Opener) -> None:
    path.write_text("my shopping list\n" * 50)
    assert "not a database" in _refused(opener, path, clock)


def test_another_programs_database_is_refused(
    path: Path, clock: ManualClock, opener: Opener
) -> None:
    _edit(path, "CREATE TABLE songs (title TEXT)")
    assert "another program" in _refused(opener, path, clock)


def test_another_programs_database_without_tables_is_refused(
    path: Path, clock: ManualClock, opener: Opener
) -> None:
    _edit(path, "PRAGMA user_version = 1")
    assert "another program" in _refused(opener, path, clock)


def test_another_programs_unfinished_log_is_left_alone(
    path: Path, clock: ManualClock, opener: Opener
) -> None:
    original = path.parent / "elsewhere" / path.name
    original.parent.mkdir()
    with closing(sqlite3.connect(original)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("INSERT INTO songs VALUES ('only in the log')")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{original}{suffix}", f"{path}{suffix}")
    assert "another program" in _refused(opener, path, clock)


def test_a_newer_format_is_refused(ours: Path, clock: ManualClock, opener: Opener) -> None:
    _edit(ours, f"PRAGMA user_version = {FORMAT + 1}")
    before = ours.read_bytes()
    with pytest.raises(NewerFormat, match=rf"runs\.db.*newer version.*format {FORMAT + 1}"):
        opener(ours, clock)
    assert ours.read_bytes() == before


def test_a_newer_format_that_only_the_log_knows_is_refused(
    ours: Path, clock: ManualClock, opener: Opener
) -> None:
    with closing(sqlite3.connect(ours)) as newer:
        newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
        newer.commit()
        with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
            opener(ours, clock)


def test_an_overwritten_file_is_refused(ours: Path, clock: ManualClock, opener: Opener) -> None:
    content = ours.read_bytes()
    ours.write_bytes(content[:100] + bytes([0xA5]) * (len(content) - 100))
    assert "restore it from a copy" in _refused(opener, ours, clock)


def test_a_cut_file_is_refused(ours: Path, clock: ManualClock, opener: Opener) -> None:
    content = ours.read_bytes()
    ours.write_bytes(content[: len(content) // 2])
    assert "restore it from a copy" in _refused(opener, ours, clock)


def test_a_stump_is_refused(ours: Path, clock: ManualClock, opener: Opener) -> None:
    ours.write_bytes(ours.read_bytes()[:60])
    assert "damaged" in _refused(opener, ours, clock)


def test_a_file_without_one_of_the_tables_is_refused(
    ours: Path, clock: ManualClock, opener: Opener
) -> None:
    _edit(ours, "DROP TABLE queue")
    with pytest.raises(StoreUnusable, match="lacks the tables queue"):
        opener(ours, clock)


def test_a_read_only_file_is_refused(ours: Path, clock: ManualClock, opener: Opener) -> None:
    ours.chmod(0o444)
    assert "read-only" in _refused(opener, ours, clock)


def test_a_read_only_directory_is_refused(path: Path, clock: ManualClock, opener: Opener) -> None:
    path.parent.chmod(0o555)
    try:
        message = _refused(opener, path, clock)
    finally:
        path.parent.chmod(0o755)
    assert "directory" in message
    assert "read-only" in message


def test_a_missing_directory_is_refused(path: Path, clock: ManualClock, opener: Opener) -> None:
    missing = path.parent / "no" / "such" / "runs.db"
    with pytest.raises(StoreUnusable, match=r"no/such does not exist; create it"):
        opener(missing, clock)
    assert not (path.parent / "no").exists()


def test_a_directory_in_place_of_the_file_is_refused(
    path: Path, clock: ManualClock, opener: Opener
) -> None:
    path.mkdir()
    assert "not a file" in _refused(opener, path, clock)


def test_processes_that_create_the_same_file_at_once_all_succeed(
    path: Path, clock: ManualClock, runner: asyncio.Runner
) -> None:
    processes = [start("visit", path, f"process-{number}", 3) for number in range(4)]
    for process in processes:
        with process:
            assert process.wait(60) == 0
    with SqliteVisitor(path, clock) as visitor:
        assert len(runner.run(visitor.journal.runs("default", limit=100))) == 12
