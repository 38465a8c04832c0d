"""The CPU time of steps in this one process, printed as JSON: `engine_steps` starts five of them.

For each shape and length, seconds per step of
- the pure parts, each replayed alone over a recorded window: decode, plan, settle, encode;
- the whole step in memory: dispatcher, actor and values, rewinding the store before each replay.

Lengths take turns, round by round, so that what else the machine does hits all of them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.shapes import LENGTHS, Shape, registry, shapes, text_of
from benchmarks.simulated import PACE_MS, CountingEntropy, SimulatedClock, simulated_platform
from benchmarks.walking import Step, Walk, plant, resumption
from engine.dispatcher import Dispatcher
from engine.layout import RunKey
from engine.memory import MemoryJournal
from engine.messages import decode_message
from engine.plan import plan
from engine.ports import Commit
from engine.records import head_record, token_sends
from engine.settle import settle
from engine.snapshot import decode_head, encode_page

ROUNDS = 5
CALLS = 400
"""Of each part in each round, at least."""
WHOLE_CALLS = 100
OUTPUT_BYTES = 64

Costs = dict[str, float]
"""Part -> CPU seconds per step."""
Part = Callable[[], None]


def main() -> None:
    gc.disable()  # a collection would fall on whichever part runs when its time has come
    costs = {shape.name: asyncio.run(_measure(shape)) for shape in shapes()}
    json.dump(costs, sys.stdout)


async def _measure(shape: Shape) -> dict[int, Costs]:
    spots = [await _Spot.at(shape, length) for length in LENGTHS]
    for _ in range(ROUNDS):
        for spot in spots:
            gc.collect()
            await spot.measure()
    return {
        length: {part: median(seconds) for part, seconds in spot.seconds.items()}
        for length, spot in zip(LENGTHS, spots, strict=True)
    }


class _Spot:
    """One window of one shape."""

    def __init__(self, walk: Walk, journal: MemoryJournal, start: Commit) -> None:
        self._journal = journal
        self._start = start
        self._key: RunKey = start.head.key
        self._begin = walk.clock.now()
        self._clock = SimulatedClock(self._begin)
        platform = simulated_platform(journal, self._clock)
        self._dispatcher = Dispatcher(platform, registry(self._beat))
        self._entropy = CountingEntropy()
        self._definition = walk.shape.definition
        self._steps: Sequence[Step] = ()
        self.seconds: dict[str, list[float]] = {}

    @classmethod
    async def at(cls, shape: Shape, length: int) -> _Spot:
        window = shape.window(length)
        walk = Walk(shape, text_of(OUTPUT_BYTES))
        walk.go(window[0] - 1)
        journal = MemoryJournal(walk.clock)
        start = await plant(journal, walk, "r00000000001")
        await journal.store.put_head(start.head, None)
        spot = cls(walk, journal, resumption(walk, start.head.key))
        spot._steps = walk.record(len(window))
        await spot._whole()  # loads the definition, and compiles what it needs
        return spot

    async def measure(self) -> None:
        for part in (self._decode, self._plan, self._settle, self._encode):
            self._note(part.__name__[1:], self._replayed(part))
        repetitions = -(-WHOLE_CALLS // len(self._steps))
        seconds = [await self._whole() for _ in range(repetitions)]
        self._note("whole step", sum(seconds) / repetitions)

    def _note(self, part: str, seconds: float) -> None:
        self.seconds.setdefault(part, []).append(seconds / len(self._steps))

    def _replayed(self, part: Part) -> float:
        repetitions = -(-CALLS // len(self._steps))
        began = time.process_time()
        for _ in range(repetitions):
            part()
        return (time.process_time() - began) / repetitions

    def _decode(self) -> None:
        for step in self._steps:
            decode_message(step.text)
            decode_head(step.body)

    def _plan(self) -> None:
        for step in self._steps:
            plan(step.head, step.message, step.settling.now)

    def _settle(self) -> None:
        for step in self._steps:
            settle(step.head, self._definition, step.settling)

    def _encode(self) -> None:
        for step in self._steps:
            settled = step.settled
            head_record(self._key, settled.head)
            if settled.page is not None:
                encode_page(settled.page)
            now, new_id = step.settling.now, self._entropy.new_id
            token_sends(self._key, settled.head, settled.ready, now, new_id)

    async def _whole(self) -> float:
        """CPU seconds of the window's steps, from the head before it."""
        body = await self._journal.head(self._key)
        assert body is not None
        await self._journal.store.put_head(self._start.head, decode_head(body).rev)
        await self._journal.send(self._start.sends)
        self._clock.ms = self._begin
        source, dispatcher = self._journal.source, self._dispatcher
        began = time.process_time()
        for _ in self._steps:
            (delivery,) = await source.receive(1, 0)
            handled = await dispatcher.handle(delivery, self._clock.ms + 60_000)
            assert handled.what == "stepped"
        seconds = time.process_time() - began
        for delivery in await source.receive(len(self._steps), 0):
            await source.acknowledge(delivery)
        return seconds

    def _beat(self) -> bool:
        self._clock.ms += PACE_MS
        return False


if __name__ == "__main__":
    main()
