"""What concerns stateful actors lies in the file until a worker comes that can step it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from engine.actors import Registry, actor
from engine.allocation.directory import Directory
from engine.documents import parse_definition
from engine.events import Type
from engine.worker import WorkerSettings
from infra.local.embedded import working
from tests.infra.local.actors.world import open_world
from tests.infra.local.until import Until

IMPATIENT = WorkerSettings(poll=0.01, sweep_every=0.01, stop_grace=0)


@actor("quick")
def quick(message: object) -> None:
    """Nothing at all."""


def test_a_worker_of_workflows_leaves_actors_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> None:
        until, registry = Until(Type.COMPLETED), Registry([quick])
        with working(tmp_path / "world.db", {}, until) as embedded:
            directory = Directory(embedded.platform)
            made = await directory.create("pad", ["a"])
            before = await directory.actor(made.key)
            document = "name: w\nnodes: [{id: only, actor: quick}]"
            await embedded.starter.start(parse_definition(document, "w.yaml", registry), {})
            async with asyncio.timeout(20):
                await embedded.worker(registry, IMPATIENT).run(until.stop)
            assert await directory.actor(made.key) == before
        async with open_world(tmp_path) as world:
            assert (await world.step("actor", "Timer")).before == "Created"

    with caplog.at_level(logging.WARNING, "tidestep"):
        asyncio.run(whole())
    assert not caplog.records
