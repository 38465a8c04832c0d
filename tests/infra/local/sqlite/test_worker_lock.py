"""One worker per file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.errors import WorkerRunning
from infra.local.sqlite import SqliteVisitor, SqliteWorker, WorkerLock
from tests.clock import ManualClock
from tests.infra.local.sqlite.processes import running


def test_a_second_worker_is_told_who_the_first_is(path: Path, clock: ManualClock) -> None:
    with SqliteWorker(path, clock), pytest.raises(WorkerRunning) as refusal:
        SqliteWorker(path, clock)
    message = str(refusal.value)
    assert str(path) in message
    assert f"process {os.getpid()} on {socket.gethostname()}" in message
    assert "since 2023-11-14 22:13:20+00:00" in message
    assert "stop it first" in message


def test_another_process_holds_the_lock_until_it_is_killed(path: Path, clock: ManualClock) -> None:
    with running("hold", path) as process:
        with pytest.raises(WorkerRunning, match=f"process {process.pid} on"):
            SqliteWorker(path, clock)
        process.kill()
        process.wait()
        SqliteWorker(path, clock).close()


def test_closing_frees_the_lock(path: Path, clock: ManualClock) -> None:
    first = SqliteWorker(path, clock)
    first.close()
    first.close()
    SqliteWorker(path, clock).close()


def test_a_refused_second_worker_leaves_the_first_its_lock(path: Path, clock: ManualClock) -> None:
    with SqliteWorker(path, clock):
        for _ in range(3):
            with pytest.raises(WorkerRunning):
                SqliteWorker(path, clock)


def test_a_worker_that_fails_to_open_frees_the_lock(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("infra.local.sqlite.roles.Database", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError) as failure:
            SqliteWorker(path, clock)
    SqliteWorker(path, clock).close()
    assert (
        failure.tb is not None
    )  # it keeps the failed worker alive, whose end would free the lock too


def test_visitors_come_and_go_beside_a_worker(path: Path, clock: ManualClock) -> None:
    with (
        SqliteWorker(path, clock),
        SqliteVisitor(path, clock),
        SqliteVisitor(path, clock),
    ):
        pass


def test_a_holder_that_left_no_note_is_reported_too(path: Path, clock: ManualClock) -> None:
    lock = WorkerLock(path, clock)
    lock.acquire()
    Path(f"{path}.worker.json").write_text("{")
    with pytest.raises(WorkerRunning, match="has not said who it is"):
        WorkerLock(path, clock).acquire()
    lock.release()
    lock.release()
