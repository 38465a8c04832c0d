"""A simulated process: its clock, its ids, and the moments at which it dies or stands still.

What must stay true: a killed process does nothing any more. Its code stops where it is, because
nothing on its host is run again; no exception passes through the engine, no `finally` block runs.
Services keep what had reached them before.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from engine.simulation.observing import Observer
from engine.simulation.world.faults import SUBJECT
from engine.simulation.world.loop import Host
from engine.simulation.world.stage import Stage

CRASH_POINTS = 12
"""A crash is drawn for one of so many points, most of which a step has."""
LONGEST_CRASH_MS = 30_000


class Process:
    """Implements `engine.ports.Clock` and `engine.ports.Entropy` for what runs in it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.host = Host(name)
        self.chain: dict[str, int] = {}
        """How often each function was invoked in the chain of messages that led here."""
        self.on_death: Callable[[], None] | None = None
        self._skew = stage.dice.size("skew_ms", name) - stage.dice.size("skew_ms", name)
        self._points_left = 0

    # -- clock and entropy ------------------------------------------------------------------------

    def now(self) -> int:
        return self.stage.now() + self._skew

    def new_id(self) -> str:
        return self.stage.new_id()

    def chance(self) -> float:
        return self.stage.dice.chance(f"engine:{SUBJECT.get()}")

    def new_key(self) -> bytes:
        return hashlib.blake2b(self.new_id().encode(), digest_size=32).digest()

    # -- death ------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.host.alive

    def doom(self) -> None:
        """Let the process die at some point or moment of what it does now."""
        dice, subject = self.stage.dice, SUBJECT.get()
        point = dice.pick(f"point:{subject}", CRASH_POINTS + 4)
        if point < CRASH_POINTS:
            self._points_left = point + 1
        else:
            # evenly over the magnitudes: steps take milliseconds, and actors what they like
            delay = LONGEST_CRASH_MS ** dice.chance(f"moment:{subject}")
            self.stage.later(delay, self.kill, "at a moment")

    def spare(self) -> bool:
        """No longer let it die at a point; whether it was to."""
        doomed, self._points_left = self._points_left > 0, 0
        return doomed

    async def point(self, where: str) -> None:
        """A point at which the process may die, if it is doomed to."""
        if self._points_left:
            self._points_left -= 1
            if not self._points_left:
                await self.die(where)

    async def die(self, where: str) -> None:
        """Called by its own code: never returns."""
        self.kill(where)
        await asyncio.get_running_loop().create_future()

    def kill(self, where: str) -> None:
        if self.host.alive:
            self.host.kill()
            self.stage.note(self.name, "! killed {}", where)
            self.stage.tell(lambda observer, at: _died(observer, self.name, at))
            if self.on_death is not None:
                self.on_death()

    async def freeze(self) -> None:
        """Stand still, and go on much later: after the message went to somebody else, as a rule."""
        delay = self.stage.dice.size("frozen_ms")
        self.host.freeze()
        self.stage.later(delay, self._thaw)
        await asyncio.sleep(0)  # resumed by the thaw

    def _thaw(self) -> None:
        if self.host.alive:
            self.stage.note(self.name, "thawed")
            self.stage.loop.thaw(self.host)


def _died(observer: Observer, worker: str, at: int) -> None:
    observer.died(worker, at)
