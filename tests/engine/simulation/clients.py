"""Drive a simulated service by hand: one process, one call, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from engine.simulation.world.process import Process

T = TypeVar("T")


class NoAnswer(Exception):
    """The process was killed, or hangs."""


def ask(process: Process, work: Coroutine[Any, Any, T], until: float = 1e9) -> T:
    """The result of `work` on this process. Raises what it raises, or NoAnswer."""
    ended: asyncio.Future[T] = process.stage.loop.create_future()

    async def run() -> None:
        try:
            ended.set_result(await work)
        except Exception as error:
            ended.set_exception(error)

    process.stage.loop.call_soon(lambda: process.host.spawn(run()))
    process.stage.loop.run_dry(until)
    if not ended.done():
        raise NoAnswer
    return ended.result()
