"""A worker that lives long: it polls a source and keeps many steps in flight.

It is the Lambda dispatcher's loop for people who run their own process: the embedded backend, and
`tidestep work` against real queues. What fails is released and comes again later; what is in flight
when the process dies was not acknowledged, and comes again too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from engine.dead_letters import DeadLetters
from engine.dispatcher import Dispatcher
from engine.errors import PlatformError, TidestepError
from engine.ports import Delivery, Platform, Source
from engine.receiving import Receiver
from engine.sweeper import sweep

log = logging.getLogger("tidestep")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times are seconds. `sweep_every` of 0 leaves sweeping to somebody else."""

    concurrency: int = 200
    step_timeout: float = 900.0
    poll: float = 10.0
    sweep_every: float = 15.0
    stop_grace: float = 20.0
    longest_release: int = 300
    max_receives: int = 10
    """A delivery that was received more often is a dead letter, where somebody consumes those."""


class Worker:
    """Run it with `run`; stop it by setting the event that `run` was given."""

    def __init__(
        self,
        platform: Platform,
        dispatcher: Dispatcher,
        source: Source,
        settings: WorkerSettings = WorkerSettings(),
        dead_letters: DeadLetters | None = None,
        dead_source: Source | None = None,
    ) -> None:
        """`dead_source` is where a queue puts what it has given up on. Without one, deliveries
        that were received too often are dead letters here.
        """
        self._platform = platform
        self._dispatcher = dispatcher
        self._source = source
        self._settings = settings
        self._dead_letters = dead_letters
        self._dead_source = dead_source
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then let running steps end, for `stop_grace` seconds."""
        stopped = asyncio.create_task(stop.wait())
        loops = [asyncio.create_task(self._receive(self._source, self._receiver))]
        dead = self._dead_letters
        if dead is not None and self._dead_source is not None:
            loops.append(asyncio.create_task(self._receive(self._dead_source, lambda _: dead)))
        if self._settings.sweep_every:
            loops.append(asyncio.create_task(self._sweep()))
        try:
            done, _ = await asyncio.wait({stopped, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()  # a loop only ends by raising: the source or store is unusable
        finally:
            for task in (stopped, *loops):
                task.cancel()
            await asyncio.gather(stopped, *loops, return_exceptions=True)
            await self._drain()

    async def _receive(self, source: Source, receiver: Callable[[Delivery], Receiver]) -> None:
        while True:
            while len(self._running) >= self._settings.concurrency:
                self._room.clear()
                await self._room.wait()
            room = self._settings.concurrency - len(self._running)
            for delivery in await source.receive(room, self._settings.poll):
                handling = self._handle(delivery, receiver(delivery), source)
                self._running.add(asyncio.create_task(handling))

    async def _handle(self, delivery: Delivery, receiver: Receiver, source: Source) -> None:
        deadline = self._platform.clock.now() + int(self._settings.step_timeout * 1000)
        try:
            await receiver.handle(delivery, deadline)
        except (Exception, BaseExceptionGroup) as error:
            known = isinstance(error, TidestepError)
            log.error(
                "a delivery could not be handled and comes again: %s",
                error,
                exc_info=None if known else error,
            )
            delay = min(2 ** min(delivery.receives, 20), self._settings.longest_release)
            await source.release(delivery, delay)
        finally:
            self._running.remove(asyncio.current_task())  # type: ignore[arg-type]
            self._room.set()

    def _receiver(self, delivery: Delivery) -> Receiver:
        too_often = self._dead_source is None and delivery.receives > self._settings.max_receives
        if self._dead_letters is not None and too_often:
            return self._dead_letters
        return self._dispatcher

    async def _sweep(self) -> None:
        while True:
            try:
                await sweep(self._platform)
            except PlatformError as error:
                log.error("the sweep broke off, and begins again: %s", error)
            await asyncio.sleep(self._settings.sweep_every)

    async def _drain(self) -> None:
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._settings.stop_grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
