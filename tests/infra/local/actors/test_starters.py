"""Who holds a pool's requests: processes and endpoints, begun once, ended in order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.allocation.config import PoolConfig
from engine.allocation.directory import Directory
from engine.allocation.viewing import AllocationReader
from tests.infra.local.actors.world import World, open_world

SLEEPS = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")
TELLS = (
    sys.executable,
    "-c",
    "import os\nfor name in sorted(os.environ):\n"
    "    if name.startswith('TIDESTEP_'): print(name, os.environ[name], flush=True)\n"
    "raise SystemExit('that is all')",
)


def play(directory: Path, script: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with open_world(directory) as world:
            await script(world)

    asyncio.run(whole())


def test_a_process_is_told_where_to_connect_and_its_failure_is_the_pools(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        await world.configure(PoolConfig(command=TELLS, min_runners=1, slots_per_runner=7))
        ended = await world.step("pool", "RequestEnded")
        assert ended.error.startswith("the runner's process ended with exit code 1: ")
        assert ended.error.endswith("that is all")
        told = dict(line.split(" ", 1) for line in world.said if line.startswith("TIDESTEP_"))
        assert told["TIDESTEP_ENDPOINT"] == world.url
        assert told["TIDESTEP_POOL"] == "default"
        assert told["TIDESTEP_SLOTS"] == "7"
        assert told["TIDESTEP_RUNNER_TOKEN"] == "token"
        assert told["TIDESTEP_CONNECTION"] == told["TIDESTEP_RUNNER_KEY"] != ""
        view = await AllocationReader(world.platform).pool("default")
        assert (view.state, view.error) == ("backing off", ended.error)

    play(tmp_path, script)


def test_a_request_is_begun_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        config = PoolConfig(command=SLEEPS)
        starters = world.hosting.starters
        assert starters is not None
        for _ in range(3):
            await starters.begin("default", "default", "q1", config)
        assert len(starters) == 1

    play(tmp_path, script)


def test_a_request_that_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        starters = world.hosting.starters
        assert starters is not None
        await Directory(world.platform).configure("default", PoolConfig())
        await starters.begin("default", "default", "q1", PoolConfig(command=SLEEPS))
        await starters.end_unwanted()
        await world.step("pool", "RequestEnded")
        assert len(starters) == 0
        await starters.begin("default", "default", "q1", PoolConfig(command=SLEEPS))
        assert len(starters) == 0  # its end was reported

    play(tmp_path, script)


def test_once_the_server_stops_all_is_over_and_nothing_is_begun(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        await world.configure(PoolConfig(command=SLEEPS, min_runners=2))
        starters = world.hosting.starters
        assert starters is not None
        await world.hears("here", count=2)
        await starters.stop()
        assert len(starters) == 0
        await starters.begin("default", "default", "q9", PoolConfig(command=SLEEPS))
        assert len(starters) == 0
        assert not any(step.signal == "RequestEnded" for step in world.steps)

    play(tmp_path, script)


def test_what_an_earlier_server_has_held_is_over_and_the_pool_begins_anew(tmp_path: Path) -> None:
    async def whole() -> None:
        async with open_world(tmp_path) as world:
            await world.configure(PoolConfig(command=SLEEPS, min_runners=1))
            await world.step("pool", "Timer")
        async with open_world(tmp_path) as again:
            await again.step("pool", "RequestEnded")
            await again.step("pool", "Configure")
            view = await AllocationReader(again.platform).pool("default")
            assert (view.held, view.error) == (1, "")

    asyncio.run(whole())


def test_an_endpoint_that_is_not_there_is_the_pools_error(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        nowhere = "http://127.0.0.1:9"
        await world.configure(PoolConfig(url=nowhere, min_runners=1))
        ended = await world.step("pool", "RequestEnded")
        assert "the endpoint cannot be reached" in ended.error

    play(tmp_path, script)
