"""The embedded backend at work on one file, and a stopwatch in its actors.

Runs are planted at a step and rewound to it, so that a window behind ten thousand steps is measured
as often as one behind ten, and both in turns.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks.shapes import Shape, registry, text_of
from benchmarks.simulated import PACE_MS
from benchmarks.walking import Walk, plant
from engine.ports import Commit, Journal
from engine.snapshot import State, decode_head
from infra.local.embedded import working
from infra.system import SystemClock, collect_garbage_less_often

OUTPUT_BYTES = 64
_LOOK_S = 0.002


class Laps:
    """Notes when actors are called, and sends runs to sleep after so many calls or seconds."""

    def __init__(self) -> None:
        self._limit: float = 0
        self._seconds: float = 0
        self.calls = 0
        self.first = self.last = 0.0

    def begin(self, limit: float, seconds: float) -> None:
        self._limit, self._seconds, self.calls = limit, seconds, 0

    def beat(self) -> bool:
        now = time.perf_counter()
        if self.calls == 0:
            self.first = now
        if self.calls >= self._limit or now - self.first > self._seconds:
            return True
        self.calls += 1
        self.last = now
        return self.calls >= self._limit

    @property
    def per_step(self) -> float:
        """Seconds from a call to the next: a whole step, commit included."""
        return (self.last - self.first) / (self.calls - 1)


class Planted(NamedTuple):
    """A run that can be set to the step it was planted at."""

    start: Commit
    steps: int
    """In the window that begins there."""


class EmbeddedRun:
    """A worker on one file."""

    def __init__(self, journal: Journal, laps: Laps) -> None:
        self._journal = journal
        self._laps = laps

    async def plant(self, walk: Walk, run: str, steps: int) -> Planted:
        """Lay down a run that stands where the walk does, asleep."""
        start = await plant(self._journal, walk, run)
        await self._journal.commit(replace(start, sends=()))
        return Planted(start, steps)

    async def seconds_per_step(self, planted: Planted, repetitions: int) -> float:
        """Over the window of one run, alone."""
        seconds = 0.0
        for _ in range(repetitions):
            self._laps.begin(planted.steps + 1, float("inf"))
            await self._wake(planted)
            await self._asleep(planted)
            seconds += self._laps.per_step
        return seconds / repetitions

    async def rate(self, runs: Sequence[Planted], seconds: float) -> float:
        """Steps per second of these runs together."""
        self._laps.begin(float("inf"), seconds)
        await asyncio.gather(*(self._wake(planted) for planted in runs))
        for planted in runs:
            await self._asleep(planted)
        return 1 / self._laps.per_step

    async def _wake(self, planted: Planted) -> None:
        body = await self._journal.head(planted.start.head.key)
        assert body is not None
        await self._journal.commit(replace(planted.start, expected=decode_head(body).rev))

    async def _asleep(self, planted: Planted) -> None:
        """Until all that is pending sleeps."""
        while True:
            body = await self._journal.head(planted.start.head.key)
            assert body is not None
            head = decode_head(body)
            assert not head.status.terminal, head.failure
            if all(token.state is State.SLEEPING for token in head.frontier):
                return
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def embedded_run(path: Path) -> AsyncIterator[EmbeddedRun]:
    """As `tidestep work` puts it together, with a worker of default settings."""
    laps, stop = Laps(), asyncio.Event()
    thresholds = gc.get_threshold()
    collect_garbage_less_often()
    try:
        with working(path, {}) as embedded:
            task = asyncio.create_task(embedded.worker(registry(laps.beat)).run(stop))
            try:
                yield EmbeddedRun(embedded.platform.journal, laps)
            finally:
                stop.set()
                await task
    finally:
        gc.set_threshold(*thresholds)


def walked(shape: Shape, steps: int) -> Walk:
    """A walk that arrives at `steps` about now."""
    begun_at = SystemClock().now() - steps * PACE_MS
    walk = Walk(shape, text_of(OUTPUT_BYTES), begun_at)
    walk.go(steps)
    return walk
