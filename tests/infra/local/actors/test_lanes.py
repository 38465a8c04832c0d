"""The order in which a runner's frames are handled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from engine.allocation import frames
from engine.allocation.frames import Event, Events, FromRunner, Load, Ping, ResponseStart, Running
from engine.errors import StoreUnusable
from infra.local.actors import lanes
from infra.local.actors.lanes import Lanes


class Slow:
    """Handles a frame when the test lets it."""

    def __init__(self) -> None:
        self.begun: list[FromRunner] = []
        self.broken = 0
        self.fails: list[FromRunner] = []
        self._gates: dict[int, asyncio.Event] = {}

    async def handle(self, frame: FromRunner) -> None:
        self.begun.append(frame)
        if not isinstance(frame, ResponseStart):
            await self._gate(frame).wait()
        if frame in self.fails:
            raise StoreUnusable("the disk is full")

    async def finish(self, frame: FromRunner) -> None:
        self._gate(frame).set()
        for _ in range(5):
            await asyncio.sleep(0)

    def _gate(self, frame: FromRunner) -> asyncio.Event:
        return self._gates.setdefault(id(frame), asyncio.Event())

    def count_broken(self) -> None:
        self.broken += 1


def play(script: Callable[[Lanes, Slow], Awaitable[None]]) -> None:
    async def whole() -> None:
        slow = Slow()
        async with asyncio.timeout(20):
            await script(Lanes(slow.handle, slow.count_broken), slow)

    asyncio.run(whole())


def an_event(index: int) -> Events:
    return Events((Event(index, "a1", 1, Running()),))


ANSWER = ResponseStart("r1", 200)


def test_events_wait_for_the_events_before_them_and_answers_for_nothing() -> None:
    async def script(lanes: Lanes, slow: Slow) -> None:
        first, second = an_event(1), an_event(2)
        load, later = Load("q1", "a1", 1), Load("q2", "a1", 1)
        other = Load("q3", "a2", 1)
        for frame in (first, second, load, later, other, ANSWER):
            await lanes.put(frame)
            await asyncio.sleep(0)
        assert slow.begun == [first, load, other, ANSWER]
        await slow.finish(first)
        await slow.finish(load)
        assert slow.begun[4:] == [second, later]
        for frame in (second, later, other):
            await slow.finish(frame)
        await lanes.finish()

    play(script)


def test_after_a_frame_that_failed_no_other_is_handled() -> None:
    async def script(lanes: Lanes, slow: Slow) -> None:
        first, second = an_event(1), an_event(2)
        slow.fails.append(first)
        await lanes.put(first)
        await lanes.put(second)
        await asyncio.sleep(0)
        await slow.finish(first)
        await lanes.finish()
        assert (slow.begun, slow.broken) == ([first], 1)

    play(script)


def test_no_more_is_read_than_may_wait() -> None:
    async def script(lanes_: Lanes, slow: Slow) -> None:
        pings: list[frames.Frame] = [Ping(number) for number in range(lanes.MOST_WAITING)]
        for ping in pings:
            assert isinstance(ping, Ping)
            await lanes_.put(ping)
        one_more = asyncio.create_task(lanes_.put(Ping(1_000)))
        await asyncio.sleep(0)
        assert not one_more.done()
        assert isinstance(pings[0], Ping)
        await slow.finish(pings[0])
        await one_more

    play(script)
