"""Fixtures for the SQLite backend: a file, a clock that stands still, and a worker on the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.sqlite import SqliteWorker
from tests.clock import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def worker(path: Path, clock: ManualClock) -> Iterator[SqliteWorker]:
    with SqliteWorker(path, clock) as worker:
        yield worker
