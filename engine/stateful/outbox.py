"""Events on their way to the runner's run: numbered, kept until they are stored, sent one by one.

What must stay true
- Numbers rise by one, and an event keeps its own. After a reconnect everything that is not stored
  goes out again, in order, under the same numbers.
- At most one frame is under way (stop and wait): of two, API Gateway might deliver the second
  first, and the first would be taken for one that has been seen.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from engine.allocation.frames import FRAME_BYTES, Event, Report

BATCH_BYTES = FRAME_BYTES // 2

_encode = msgspec.json.Encoder().encode


class Outbox:
    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._last = 0
        self._stored = 0
        self._sent_at: float | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def __len__(self) -> int:
        """How many are not stored yet."""
        return len(self._events)

    @property
    def sent_at(self) -> float | None:
        """When the frame under way was taken, in the loop's time; None while none is."""
        return self._sent_at

    def add(self, actor: str, generation: int, report: Report) -> int:
        """The number that the event is given."""
        self._last += 1
        self._events.append(Event(self._last, actor, generation, report))
        return self._last

    async def stored(self, index: int) -> None:
        """Returns when this event is stored; is cancelled where another runner's events begin."""
        if index > self._stored:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((index, future))
            await future

    def next_batch(self) -> tuple[Event, ...]:
        """What to send now; it is under way then. Empty while something is, or nothing is left."""
        if self._sent_at is not None or not self._events:
            return ()
        batch: list[Event] = []
        room = BATCH_BYTES
        for event in self._events:
            room -= len(_encode(event)) + 1
            if batch and room < 0:
                break
            batch.append(event)
        self._sent_at = asyncio.get_running_loop().time()
        return tuple(batch)

    def confirm(self, index: int) -> None:
        """Events up to this number are stored."""
        if index <= self._stored:
            return
        self._stored = index
        self._last = max(self._last, index)
        while self._events and self._events[0].index <= index:
            self._events.popleft()
        self._sent_at = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if each[0] > index:
                self._waiting.append(each)
            elif not each[1].done():
                each[1].set_result(None)

    def resume(self, stored: int) -> None:
        """On a new connection: send again what is not stored."""
        self._sent_at = None
        self.confirm(stored)

    def restart(self) -> None:
        """For another runner: forget everything, and begin with 1."""
        self._events.clear()
        self._last = self._stored = 0
        self._sent_at = None
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            future.cancel()
