"""One run's messages out of a file's queue.

`run` and `resume` are the file's worker while they last, and have the actors of one run only: a
step of another run would fail in their hands for want of its actor. So what belongs to other runs
is taken from the source once and left alone, neither acknowledged nor given back: nothing is
written, and the source hands no message out twice. The messages still lie in the file, and the next
worker gets them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.errors import TidestepError
from engine.layout import RunKey
from engine.messages import decode_message
from engine.ports import Delivery, Source


class OneRun:
    """Implements `engine.ports.Source` for the messages of the run `key`."""

    def __init__(self, source: Source, key: RunKey) -> None:
        self._source = source
        self._key = key

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_s
        while True:
            remaining = max(0.0, give_up - loop.time())
            deliveries = await self._source.receive(limit, remaining)
            own = [delivery for delivery in deliveries if self._is_own(delivery)]
            if own or not deliveries:
                return own
            await asyncio.sleep(0)  # a long queue of others must not hold up steps that run

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        await self._source.release(delivery, delay_s)

    def _is_own(self, delivery: Delivery) -> bool:
        try:
            message = decode_message(delivery.body)
        except TidestepError:
            return False  # of a newer version, or nobody's: not for us to judge
        return message.key == self._key
