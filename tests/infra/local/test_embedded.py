"""The worker of a database file: restarted over a backlog, and beside its own dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.actors import Actor, Registry, actor
from engine.documents import parse_definition
from engine.events import Event, Type
from engine.layout import run_key
from engine.messages import decode_message, encode_message
from engine.ports import Delivery, Source
from engine.snapshot import Status
from engine.worker import WorkerSettings
from infra.local.embedded import visiting, working

RESTARTS = 20
IMPATIENT = WorkerSettings(poll=0.01, sweep_every=0, stop_grace=0)
ONE_AT_A_TIME = WorkerSettings(concurrency=1, poll=0.01, sweep_every=0, stop_grace=0)


class Ends:
    """Implements `engine.ports.Events`: sets `stop` once so many runs have ended."""

    def __init__(self, runs: int) -> None:
        self.stop = asyncio.Event()
        self._left = runs

    def publish(self, event: Event) -> None:
        self._left -= event.type in (Type.COMPLETED, Type.FAILED)
        if not self._left:
            self.stop.set()


async def begin(path: Path, slow: Actor[..., Any], runs: Sequence[str]) -> Registry:
    registry = Registry([slow])
    document = "name: w\nnodes: [{id: only, actor: slow}]"
    definition = parse_definition(document, "w.yaml", registry)
    with visiting(path, {}) as tidestep:
        for run in runs:
            await tidestep.starter.start(definition, {}, run)
    return registry


def in_time(script: Awaitable[None]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(30):
            await script

    asyncio.run(timed())


def test_restarting_the_worker_over_a_backlog_makes_no_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    runs = [f"r{number}" for number in range(5)]
    begun, may_end = asyncio.Event(), asyncio.Event()

    @actor("slow")
    async def slow(message: Any) -> None:
        begun.set()
        await may_end.wait()

    async def script() -> None:
        registry = await begin(path, slow, runs)
        for _ in range(RESTARTS):
            begun.clear()
            stop = asyncio.Event()
            with working(path, {}) as embedded:
                work = asyncio.create_task(embedded.worker(registry, ONE_AT_A_TIME).run(stop))
                await begun.wait()
                stop.set()
                await work
        may_end.set()
        ends = Ends(len(runs))
        with working(path, {}, ends) as embedded:
            await embedded.worker(registry, ONE_AT_A_TIME).run(ends.stop)
            views = [await embedded.reader.view(run_key(run)) for run in runs]
        assert {(view.status, view.failures) for view in views} == {(Status.COMPLETED, 0)}

    in_time(script())


def test_a_dead_letter_of_what_the_worker_runs_right_now_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.dead_letters.RUNNING_DELAY_MS", 0)
    path = tmp_path / "runs.db"
    begun, came_round = asyncio.Event(), asyncio.Event()

    @actor("slow")
    async def slow(message: Any) -> None:
        begun.set()
        await came_round.wait()

    class Repeating:
        """While the step runs, its message comes once more, given up on for the last time."""

        def __init__(self, source: Source) -> None:
            self._source = source
            self._bodies: list[str] = []
            self._repeated = False

        async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
            if begun.is_set() and not self._repeated:
                self._repeated = True
                dead = replace(decode_message(self._bodies[0]), injected=99, again=True)
                return [Delivery(encode_message(dead), None, 99)]
            found = await self._source.receive(limit, wait_s)
            self._bodies += [delivery.body for delivery in found]
            if len(self._bodies) > 1:  # it was put off
                came_round.set()
            return found

        async def release(self, delivery: Delivery, delay_s: int) -> None:
            await self._source.release(delivery, delay_s)

    async def script() -> None:
        registry = await begin(path, slow, ["run"])
        ends = Ends(1)
        with working(path, {}, ends) as embedded:
            source = Repeating(embedded.source)
            await embedded.worker(registry, IMPATIENT, source).run(ends.stop)
            view = await embedded.reader.view(run_key("run"))
        assert (view.status, view.failures) == (Status.COMPLETED, 0)

    in_time(script())
