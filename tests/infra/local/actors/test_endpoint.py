"""A pool of any HTTP endpoint: runners that live as long as a request is held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.allocation.config import PoolConfig
from engine.allocation.operating import Operator
from engine.allocation.viewing import AllocationReader
from infra.local.http.server import listen, serve, url_of
from infra.runner.serverless import runner_app
from tests.infra.local.actors.cast import Pad
from tests.infra.local.actors.world import PATIENCE_S, TOKEN, open_world


@asynccontextmanager
async def endpoint(token: str) -> AsyncIterator[str]:
    """The address of a server that starts runners."""
    with listen("127.0.0.1", 0) as listening:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(runner_app(Pad, token=token), listening, stop))
        try:
            yield url_of(listening)
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await serving


def test_a_request_wakes_an_actor_on_a_runner_that_an_endpoint_brings_forth(tmp_path: Path) -> None:
    async def whole() -> None:
        async with endpoint(TOKEN) as url, open_world(tmp_path) as world:
            await world.configure(PoolConfig(url=url, slots_per_runner=1, max_runners=2))
            answer = await world.client.post("/actors/pad/a", content=b"one")
            assert (answer.status_code, answer.json()) == (200, ["one"])
            pool = await AllocationReader(world.platform).pool("default")
            assert (pool.runners, pool.held, pool.error) == (1, 1, "")
            operator = Operator(world.platform)
            await operator.sleep(await operator.find("pad/a"))
            await world.step("pool", "RequestEnded")  # nobody needs it: it was drained
            starters = world.hosting.starters
            assert starters is not None
            assert len(starters) == 0
            again = await world.client.get("/actors/pad/a")
            assert again.json() == ["one"]
            await world.hosting.stop()
            await world.step("actor", "Stopped", count=2)  # it was given back

    asyncio.run(whole())


def test_an_endpoint_that_knows_another_token_is_the_pools_error(tmp_path: Path) -> None:
    async def whole() -> None:
        async with endpoint("another") as url, open_world(tmp_path) as world:
            await world.configure(PoolConfig(url=url, min_runners=1))
            ended = await world.step("pool", "RequestEnded")
            assert ended.error.startswith("the endpoint answered 401: ")
            assert "x-tidestep-token" in ended.error

    asyncio.run(whole())
