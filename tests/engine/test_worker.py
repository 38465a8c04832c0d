"""The worker that lives long: many steps in flight, failures given back, a graceful stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from engine.actors import Actor, Registry, actor
from engine.definition import Definition
from engine.dispatcher import Dispatcher
from engine.errors import StoreUnusable
from engine.events import Event, Type
from engine.layout import run_key
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Delivery, Platform
from engine.reading import RunReader
from engine.receiving import Handled
from engine.snapshot import Status
from engine.starting import Starter
from engine.worker import Worker, WorkerSettings
from tests.clock import ManualClock
from tests.engine.graphs import graph
from tests.scenarios.world import CountingEntropy, FixedSecrets

QUICK = WorkerSettings(poll=0.01, sweep_every=0)


class Bench:
    """An engine in memory; `ended` is set when `runs` runs have completed."""

    def __init__(self, *actors: Actor[..., Any], settings: WorkerSettings = QUICK) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal(self.clock)
        self.runs = 0
        self.ended = asyncio.Event()
        self.platform = Platform(
            self.journal, MemoryBlobs(), self.clock, CountingEntropy(), FixedSecrets({}), self
        )
        self.dispatcher = Dispatcher(self.platform, Registry(actors))
        self.stop = asyncio.Event()
        self.worker = Worker(self.platform, self.dispatcher, self.journal.source, settings)

    def publish(self, event: Event) -> None:
        self.runs -= event.type is Type.COMPLETED
        if not self.runs:
            self.ended.set()

    async def start(self, definition: Definition, *runs: str) -> None:
        self.runs = len(runs)
        starter = Starter(self.platform)
        for run in runs:
            await starter.start(definition, {}, run)

    async def status(self, run: str) -> Status:
        return (await RunReader(self.platform).view(run_key(run))).status


def test_steps_of_many_runs_are_in_flight_together_up_to_the_limit() -> None:
    async def scenario() -> None:
        inside = 0
        most = 0
        full = asyncio.Event()

        @actor("a")
        async def meet(message: Any) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            if inside == 3:
                full.set()
            await full.wait()
            inside -= 1

        bench = Bench(meet, settings=WorkerSettings(concurrency=3, poll=0.01, sweep_every=0))
        runs = [f"r{i}" for i in range(7)]
        await bench.start(graph("a", counted=False), *runs)
        working = asyncio.create_task(bench.worker.run(bench.stop))
        await bench.ended.wait()
        bench.stop.set()
        await working
        assert most == 3

    asyncio.run(scenario())


def test_what_fails_is_given_back_and_the_worker_goes_on() -> None:
    async def scenario() -> None:
        @actor("a")
        async def fine(message: Any) -> None: ...

        bench = Bench(fine)
        released: list[int] = []
        handle = bench.dispatcher.handle
        failing = {"left": 2}

        async def sometimes(delivery: Delivery, deadline: int) -> Handled:
            if failing["left"]:
                failing["left"] -= 1
                raise StoreUnusable("the disk is full")
            return await handle(delivery, deadline)

        release = bench.journal.source.release

        async def at_once(delivery: Delivery, delay_s: int) -> None:
            released.append(delay_s)
            await release(delivery, 0)

        bench.dispatcher.handle = sometimes  # type: ignore[method-assign]
        bench.journal.source.release = at_once  # type: ignore[method-assign]
        await bench.start(graph("a", counted=False), "run")
        working = asyncio.create_task(bench.worker.run(bench.stop))
        await bench.ended.wait()
        bench.stop.set()
        await working
        assert released == [2, 4], "the wait doubles with each receipt"

    asyncio.run(scenario())


def test_a_stop_lets_running_steps_end() -> None:
    async def scenario() -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()

        @actor("a")
        async def slow(message: Any) -> None:
            begun.set()
            await may_end.wait()

        bench = Bench(slow)
        await bench.start(graph("a", counted=False), "run")
        working = asyncio.create_task(bench.worker.run(bench.stop))
        await begun.wait()
        bench.stop.set()
        await asyncio.sleep(0)
        may_end.set()
        await working
        assert await bench.status("run") is Status.COMPLETED

    asyncio.run(scenario())


def test_a_step_that_outlasts_the_grace_is_left_unacknowledged() -> None:
    async def scenario() -> None:
        begun = asyncio.Event()

        @actor("a")
        async def endless(message: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        bench = Bench(endless, settings=WorkerSettings(poll=0.01, sweep_every=0, stop_grace=0))
        await bench.start(graph("a", counted=False), "run")
        working = asyncio.create_task(bench.worker.run(bench.stop))
        await begun.wait()
        bench.stop.set()
        await working
        assert await bench.status("run") is Status.ACTIVE
        history = [r async for r in RunReader(bench.platform).history(run_key("run"))]
        assert history == []

    asyncio.run(scenario())


def test_a_source_that_cannot_be_used_ends_the_worker_with_its_error() -> None:
    async def scenario() -> None:
        bench = Bench()

        async def broken(limit: int, wait_s: float) -> Sequence[Delivery]:
            raise StoreUnusable("the file is gone")

        bench.journal.source.receive = broken  # type: ignore[method-assign]
        with pytest.raises(StoreUnusable, match="the file is gone"):
            await bench.worker.run(bench.stop)

    asyncio.run(scenario())


def test_the_worker_sweeps() -> None:
    async def scenario() -> None:
        @actor("a")
        async def fine(message: Any) -> None: ...

        bench = Bench(fine, settings=WorkerSettings(poll=0.01, sweep_every=0.01))
        await bench.start(graph("a", counted=False), "run")
        (lost,) = await bench.journal.source.receive(1, 0)
        await bench.journal.send((), lost)
        bench.clock.advance(61)
        working = asyncio.create_task(bench.worker.run(bench.stop))
        await bench.ended.wait()
        bench.stop.set()
        await working
        assert await bench.status("run") is Status.COMPLETED

    asyncio.run(scenario())
