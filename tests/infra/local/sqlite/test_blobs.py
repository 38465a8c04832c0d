"""Blobs in the one file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.local.sqlite import SqliteVisitor, SqliteWorker
from tests.clock import ManualClock


def test_a_blob_is_read_back_and_a_missing_one_is_none(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    body = bytes(range(256)) * 20_000
    runner.run(worker.blobs.put("default/blob/1", body))
    assert runner.run(worker.blobs.get("default/blob/1")) == body
    assert runner.run(worker.blobs.get("default/blob/2")) is None


def test_a_blob_never_changes(runner: asyncio.Runner, worker: SqliteWorker) -> None:
    runner.run(worker.blobs.put("name", b"first"))
    runner.run(worker.blobs.put("name", b"second"))
    assert runner.run(worker.blobs.get("name")) == b"first"


def test_visitors_and_worker_see_each_others_blobs(
    runner: asyncio.Runner, worker: SqliteWorker, path: Path, clock: ManualClock
) -> None:
    with SqliteVisitor(path, clock) as visitor:
        runner.run(visitor.blobs.put("theirs", b"1"))
        runner.run(worker.blobs.put("ours", b"2"))
        assert runner.run(worker.blobs.get("theirs")) == b"1"
        assert runner.run(visitor.blobs.get("ours")) == b"2"
