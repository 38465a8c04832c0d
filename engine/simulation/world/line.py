"""The way from a process to a service, and what can happen to a request on it.

Every call of a port goes this way. A request may find the process killed or frozen before it or
after it, be refused or lost, be done although the caller is told otherwise, be done twice, or be
done when nobody reckons with it any more. The service itself is never wrong: what it holds changes
only by what has reached it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from engine.errors import StoreUnusable, TooLarge
from engine.ports import ItemConflict, RevisionConflict
from engine.simulation.world.process import Process

T = TypeVar("T")

LATENCY_MS = 5
"""What a request takes at least, there and back."""
LATE_REPEAT_MS = 1000
"""When a client library tries again what it got no answer to."""

_READING = ("frozen", "hung", "slow", "throttled", "lost")
_WRITING = (*_READING, "overdue", "unanswered", "repeated")


class Line:
    """From one process to one service."""

    def __init__(self, process: Process, service: str) -> None:
        self._process = process
        self._service = service

    async def read(self, name: str, effect: Callable[[], T]) -> T:
        """What `effect` returns, from the service's moment. Raises StoreUnusable."""
        fault = await self._go(name, _READING)
        if fault:
            await self._suffer(name, fault)
        return effect()

    async def write(
        self, name: str, effect: Callable[[], T], part: Callable[[], object] | None = None
    ) -> T:
        """Do `effect` once, or less or more often; say so, or not. Raises StoreUnusable, and what
        `effect` raises. `part` does a part of it, where a lost batch may have been done in part.
        """
        process = self._process
        fault = await self._go(name, _WRITING)
        if fault in ("", "repeated", "unanswered"):
            result = effect()
        else:
            if fault == "lost" and part is not None:
                part()
            if fault == "overdue":
                delay = process.stage.dice.size("overdue_ms")
                process.stage.later(delay, self._overdue, name, effect)
            await self._suffer(name, fault)
            result = effect()
        await process.point(f"after {name}")
        if fault == "unanswered":
            await asyncio.sleep(process.stage.dice.size("slow_ms") / 1000)
            raise StoreUnusable(f"simulated: {self._service} {name} timed out")
        if fault == "repeated":  # a write that was conditional meets its own success
            await asyncio.sleep(LATE_REPEAT_MS / 1000)
            result = effect()
        return result

    async def _go(self, name: str, kinds: tuple[str, ...]) -> str:
        process = self._process
        await process.point(f"before {name}")
        dice = process.stage.dice
        await asyncio.sleep((LATENCY_MS + dice.size("jitter_ms")) / 1000)
        return dice.fault(name, kinds)

    async def _suffer(self, name: str, fault: str) -> None:
        """What keeps a request from being done, or from being done now."""
        process = self._process
        if fault == "frozen":
            return await process.freeze()
        if fault == "hung":
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(process.stage.dice.size("slow_ms") / 1000)
        if fault != "slow":
            how = "is throttled" if fault == "throttled" else "timed out"
            raise StoreUnusable(f"simulated: {self._service} {name} {how}")

    def _overdue(self, name: str, effect: Callable[[], object]) -> None:
        self._process.stage.note(self._process.name, "! overdue {} is done now", name)
        with suppress(RevisionConflict, ItemConflict, TooLarge):
            effect()


class Unhindered(Line):
    """For looking at what the services hold, from outside the simulated world."""

    async def read(self, name: str, effect: Callable[[], T]) -> T:
        return effect()
