"""The order in which the frames of one connection are handled.

What must stay true
- The frames of one lane are handled one after another, as they came: what an actor asks of its
  store has a lane per actor; events, pings and the rest have one together. Answers to users have
  none: they are handed on at once, before the next frame is read.
- After a frame that could not be handled no other is: events are stored without a gap, and the
  runner sends all of it again on its next connection.
- No more than `MOST_WAITING` frames wait: then nothing is read until one is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from engine.allocation.frames import (
    Events,
    Fetch,
    FromRunner,
    Hello,
    Load,
    Ping,
    Save,
    Stopping,
)
from engine.errors import PlatformError
from engine.stateful.tasks import Tasks

MOST_WAITING = 200
OWN_LANE = ""
"""Of what concerns the runner itself."""

log = logging.getLogger("tidestep")


def lane_of(frame: FromRunner) -> str | None:
    """None for what is handed on at once."""
    if isinstance(frame, Load | Save | Fetch):
        return f"actor/{frame.actor}"
    return OWN_LANE if isinstance(frame, Events | Ping | Stopping | Hello) else None


class Lanes:
    """`handle` is given each frame; `broken` is called where one could not be handled."""

    def __init__(
        self, handle: Callable[[FromRunner], Awaitable[None]], broken: Callable[[], None]
    ) -> None:
        self._handle = handle
        self._broken = broken
        self._is_broken = False
        self._waiting: dict[str, deque[FromRunner]] = {}
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._tasks = Tasks()
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, frame: FromRunner) -> None:
        """Returns when the frame is handled, or waits in its lane. Raises PlatformError."""
        lane = lane_of(frame)
        if lane is None:
            await self._handle(frame)
            return
        await self._room.acquire()
        if lane in self._waiting:
            self._waiting[lane].append(frame)
        else:
            self._waiting[lane] = deque([frame])
            self._idle.clear()
            self._tasks.spawn(self._run(lane))

    async def finish(self) -> None:
        """Until all that waits is handled."""
        await self._idle.wait()

    async def _run(self, lane: str) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                try:
                    if not self._is_broken:
                        await self._handle(waiting[0])
                except PlatformError as error:
                    log.error("a runner's frame could not be handled: %s", error)
                    self._break()
                except Exception:
                    log.exception("a runner's frame could not be handled")
                    self._break()
                waiting.popleft()
                self._room.release()
        finally:
            del self._waiting[lane]
            if not self._waiting:
                self._idle.set()

    def _break(self) -> None:
        self._is_broken = True
        self._broken()
