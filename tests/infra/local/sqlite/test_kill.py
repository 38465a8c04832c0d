"""A worker is killed in the middle of its work: what was answered is stored, with its messages."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.local.sqlite import SqliteWorker
from tests.clock import ManualClock
from tests.infra.local.sqlite.processes import running
from tests.infra.records import HEAD, bodies, message

LONG_AFTER = 4_000_000_000_000


@pytest.mark.parametrize("answers", [1, 20, 300])
def test_after_kill_9_every_answered_commit_is_stored_whole(
    runner: asyncio.Runner, path: Path, answers: int
) -> None:
    with running("count_up", path) as process:
        assert process.stdout is not None
        for _ in range(answers):
            process.stdout.readline()
        process.kill()
        said = [
            line for line in process.stdout.read().splitlines(keepends=True) if line[-1] == "\n"
        ]
        answered = int(said[-1]) if said else answers + 1

    with SqliteWorker(path, ManualClock(LONG_AFTER)) as worker:
        head = runner.run(worker.journal.head(HEAD.key))
        messages = bodies(runner.run(worker.source.receive(100_000, 5)))
        while more := runner.run(worker.source.receive(100_000, 0)):
            messages += bodies(more)
    assert head is not None
    stored = int(head.removeprefix(b"rev "))
    assert answered <= stored <= answered + 1  # the last one may have died before its answer
    assert messages == [message(f"{rev}").body for rev in range(2, stored + 1)]
