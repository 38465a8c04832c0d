"""Share requests among those who ask at the same time (a group commit for a queue).

What must stay true
- `do` returns when its own entry's fate is known, never before.
- Nobody waits for company: an entry leaves at once while fewer than `lanes` requests are on their
  way; only then do entries gather, and the next request takes up to ten of them. So an idle system
  has no added latency, and a busy one makes a tenth of the requests.
- Only who shares an event loop shares a request: a future completed in another loop's thread wakes
  nobody. Where a loop is torn down, its entries are gone with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

ENTRIES = 10
"""In one SendMessageBatch or DeleteMessageBatch."""
BYTES = 1 << 20
"""In one SendMessageBatch, over all of its messages: as much as a single one may have."""


Entry = TypeVar("Entry")
Deliver = Callable[[Sequence[Entry]], Awaitable[Sequence[Exception | None]]]
"""Makes one request for several entries, and tells the fate of each."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Entry]):
    entry: Entry
    size: int
    fate: asyncio.Future[None]


class Batching(Generic[Entry]):
    """Calls `deliver` with up to ten entries, up to `lanes` times at once for each event loop."""

    def __init__(self, deliver: Deliver[Entry], lanes: int = 8) -> None:
        self._deliver = deliver
        self._limit = lanes
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lanes[Entry]]
        self._of_loop = WeakKeyDictionary()

    async def do(self, entry: Entry, size: int = 0) -> None:
        """Deliver an entry of `size` bytes. Raises what `deliver` says or raises for it."""
        loop = asyncio.get_running_loop()
        lanes = self._of_loop.get(loop)
        if lanes is None:
            lanes = self._of_loop[loop] = _Lanes(self._deliver, self._limit)
        await lanes.do(entry, size)


class _Lanes(Generic[Entry]):
    """The entries that wait in one event loop, and the requests that are on their way from it."""

    def __init__(self, deliver: Deliver[Entry], limit: int) -> None:
        self._deliver = deliver
        self._limit = limit
        self._waiting: deque[_Waiting[Entry]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, entry: Entry, size: int) -> None:
        waiting = _Waiting(entry, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._running) < self._limit:
            lane = asyncio.create_task(self._work())  # starts after this tick's other entries
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        try:
            await waiting.fate
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif waiting.fate.done() and not waiting.fate.cancelled():
                waiting.fate.exception()  # seen, or asyncio logs that nobody looked
            raise

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                fates = await self._deliver([waiting.entry for waiting in batch])
            except Exception as error:
                fates = [error] * len(batch)
            except BaseException:  # the loop is being torn down
                for waiting in batch:
                    waiting.fate.cancel()
                raise
            for waiting, fate in zip(batch, fates, strict=True):
                if waiting.fate.done():  # its caller was cancelled
                    continue
                if fate is None:
                    waiting.fate.set_result(None)
                else:
                    waiting.fate.set_exception(fate)

    def _take(self) -> list[_Waiting[Entry]]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < ENTRIES:
            size += self._waiting[0].size
            if size > BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch
