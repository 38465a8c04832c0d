"""A runner that is a process of its own: it stays connected until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.stateful.declaring import AnyActor
from engine.stateful.runner import Runner
from infra.runner.websocket import connector
from infra.system import SystemClock, SystemEntropy

SLOTS = 100


async def run_runner(
    actors: Sequence[type[AnyActor]],
    endpoint: str,
    pool: str,
    key: str = "",
    slots: int = SLOTS,
    stop: asyncio.Event | None = None,
    *,
    version: int = 0,
    connection: str = "",
    token: str = "",
) -> str:
    """Host these actors until `stop` is set, or the other side evicts this runner: then, why.

    Without a `key` the runner is a new one each time. Once `stop` is set, all actors are saved and
    handed back first. Raises Misconfigured or InvalidActor before anything is connected.
    """
    entropy = SystemEntropy()
    runner = Runner(
        actors,
        pool=pool,
        key=key or f"k{entropy.new_id()}",
        slots=slots,
        connect=connector(endpoint),
        clock=SystemClock(),
        entropy=entropy,
        version=version,
        connection=connection,
        token=token,
    )
    stopping = asyncio.create_task(_stop_when(stop or asyncio.Event(), runner))
    try:
        await runner.run()
    finally:
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
    return runner.evicted


async def _stop_when(stop: asyncio.Event, runner: Runner) -> None:
    await stop.wait()
    await runner.stop()
