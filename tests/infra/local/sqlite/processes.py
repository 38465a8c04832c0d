"""Other processes for tests: `python -m tests.infra.local.sqlite.processes <role> <file> ...`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from infra.local.sqlite import SqliteVisitor, SqliteWorker
from infra.system import SystemClock
from tests.infra.records import HEAD, create, message, step

ROOT = Path(__file__).parents[4]
CHAINS = 20


def start(*arguments: object) -> subprocess.Popen[str]:
    """Starts a role; its output is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.infra.local.sqlite.processes", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A role that has said it is ready, and that is killed in the end as by `kill -9`."""
    with start(*arguments) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


async def saturate(path: str) -> None:
    """A worker that commits back to back until it is killed."""

    async def commit_forever(name: int) -> None:
        for number in count():
            await worker.journal.commit(create(f"worker-{name}-{number}"))

    with SqliteWorker(path, SystemClock()) as worker:
        await worker.journal.commit(create("first"))
        print("ready", flush=True)
        await asyncio.gather(*(commit_forever(name) for name in range(CHAINS)))


async def count_up(path: str) -> None:
    """A worker that says each revision of `HEAD` as soon as its commit has returned."""
    with SqliteWorker(path, SystemClock()) as worker:
        await worker.journal.commit(create(HEAD.key.run))
        print("ready", flush=True)
        for rev in count(1):
            await worker.journal.commit(step(rev, sends=[message(f"{rev + 1}")]))
            print(rev + 1, flush=True)


async def visit(path: str, name: str, commits: str) -> None:
    """A command line's process: some commits, one after the other."""
    with SqliteVisitor(path, SystemClock()) as visitor:
        for number in range(int(commits)):
            await visitor.journal.commit(create(f"{name}-{number}"))


async def hold(path: str) -> None:
    """A worker with one message in flight, one ready and one due much later."""
    with SqliteWorker(path, SystemClock()) as worker:
        sends = [message("in flight"), message("ready"), message("later", delay_s=900)]
        await worker.journal.send(sends)
        assert len(await worker.source.receive(1, 5)) == 1
        print("ready", flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[None, None, None]]]
    roles = {"saturate": saturate, "count_up": count_up, "visit": visit, "hold": hold}
    asyncio.run(roles[sys.argv[1]](*sys.argv[2:]))
