"""Some of the messages of a file's queue, for a worker that must leave the others alone.

What is not wanted is taken from the source once and left alone, neither acknowledged nor given
back: nothing is written, and the source hands no message out twice. The messages still lie in the
file, and the next worker gets them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engine.errors import TidestepError
from engine.layout import RUN_KIND
from engine.messages import decode_message
from engine.ports import Delivery, Source


class Filtered:
    """Implements `engine.ports.Source` for the messages that are `wanted`."""

    def __init__(self, source: Source, wanted: Callable[[Delivery], bool]) -> None:
        self._source = source
        self._wanted = wanted

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_s
        while True:
            remaining = max(0.0, give_up - loop.time())
            deliveries = await self._source.receive(limit, remaining)
            wanted = [delivery for delivery in deliveries if self._wanted(delivery)]
            if wanted or not deliveries:
                return wanted
            await asyncio.sleep(0)  # a long queue of others must not hold up steps that run

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        await self._source.release(delivery, delay_s)


def of_a_workflow(delivery: Delivery) -> bool:
    """Whether the message concerns no stateful actor, runner or pool: those need more than a
    worker."""
    try:
        return decode_message(delivery.body).kind == RUN_KIND
    except TidestepError:
        return True  # not for us to judge
