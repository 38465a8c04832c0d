"""Runs operated from a Python program, on a database file, through the public face."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable
from pathlib import Path

import pytest

from engine.actors import Registry
from engine.definition import Definition
from engine.documents import parse_definition
from engine.errors import RunEnded
from engine.events import Event, Type
from engine.layout import SIGNAL_PREFIX
from engine.library import ACTORS
from infra.local.embedded import working
from tests.infra.local.until import Until
from tidestep import run_key, visiting

WORKFLOW = "name: patient\nnodes: [{id: wait, actor: flow.wait, config: {signal: go}}]\n"
REGISTRY = Registry(ACTORS)
KEY = run_key("p1")
PAGE = Path("docs/cli.md").read_text()


@pytest.fixture
def definition() -> Definition:
    return parse_definition(WORKFLOW, "patient.yaml", REGISTRY)


async def work_until(path: Path, wanted: Type) -> Event:
    """As the file's worker, until there is an event of this type."""
    until = Until(wanted)
    with working(path, os.environ, until) as embedded:
        await embedded.worker(REGISTRY).run(until.stop)
    assert until.event is not None
    return until.event


def test_a_run_is_started_signalled_forked_cancelled_and_retried(
    tmp_path: Path, definition: Definition
) -> None:
    path = tmp_path / "runs.db"

    async def script() -> None:
        with visiting(path, os.environ) as tidestep:
            await tidestep.starter.start(definition, {}, "p1")
            await work_until(path, Type.WAITING)
            waiting = (await tidestep.reader.view(KEY)).pending
            assert [(token.state, token.signal) for token in waiting] == [("waiting", "go")]
            await tidestep.signaller.signal(KEY, "go", {"by": "Ada"})
            await work_until(path, Type.COMPLETED)
            assert (await tidestep.reader.view(KEY)).output == {"wait": {"by": "Ada"}}

            fork = (await tidestep.forker.fork(KEY, "wait", "p2")).key
            await tidestep.operator.cancel(fork)
            with pytest.raises(RunEnded):
                await tidestep.signaller.signal(fork, "go", 1)
            await tidestep.operator.retry(fork)
            await tidestep.signaller.signal(fork, "go", 2)
            await work_until(path, Type.COMPLETED)
            assert (await tidestep.reader.view(fork)).output == {"wait": 2}

    run(script())


def test_times_of_a_fork_count_from_the_fork(tmp_path: Path, definition: Definition) -> None:
    path = tmp_path / "runs.db"

    async def script() -> None:
        with visiting(path, os.environ) as tidestep:
            await tidestep.starter.start(definition, {}, "p1")
            await tidestep.signaller.signal(KEY, "go", 1)
            await work_until(path, Type.COMPLETED)
            parent = await tidestep.reader.view(KEY)
            fork = (await tidestep.forker.fork(KEY, 1, "p2")).key
            view = await tidestep.reader.view(fork)
            await tidestep.signaller.signal(fork, "go", 1)
            (row, _) = await tidestep.platform.journal.runs("default", limit=10)
            completed = await work_until(path, Type.COMPLETED)
            ended_at = (await tidestep.reader.view(fork)).ended_at
        assert view.forked_from is not None
        assert (view.forked_from.run, view.forked_from.step) == ("p1", 1)
        assert view.created_at == row.created_at >= parent.ended_at
        assert completed.took_ms == ended_at - view.created_at

    run(script())


def test_the_program_in_the_documentation_signals_a_run(
    tmp_path: Path,
    definition: Definition,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)

    async def start() -> None:
        with visiting(Path("tidestep.db"), os.environ) as tidestep:
            await tidestep.starter.start(definition, {}, "order-7")

    async def signals() -> list[str]:
        with visiting(Path("tidestep.db"), os.environ) as tidestep:
            items = tidestep.platform.journal.scan(run_key("order-7").partition, SIGNAL_PREFIX)
            return [name async for name, _ in items]

    run(start())
    exec(compile(program, "docs/cli.md", "exec"), {})
    assert capsys.readouterr().out == "active\n"
    assert asyncio.run(signals()) == ["signal/id:approval-1"]


def run(script: Awaitable[None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await script

    asyncio.run(in_time())
