"""The consumer of dead letters: what the queue gave up on is brought to an end (DESIGN §4 rule 13).

A message ends here when it was received too often: processes died, the store was throttled for
hours, a function was misconfigured. Its consumer first does what any delivery would, short of
running the actor. Then it sends the message again, a limited number of times, and after that fails
the *attempt*, for the node's retry policy to decide about, and not the run.

What must stay true
- Nothing is thrown away unread: a text that never was a message of ours is kept as a blob.
- A message that cannot be judged now (the store does not answer, a newer version wrote it) stays a
  dead letter.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Container

from msgspec.structs import replace

from engine.actors import Registry
from engine.attempt import Attempt
from engine.claims import Claims, Fatal, Taken
from engine.dispatcher import RUNNING_DELAY_MS, Running
from engine.errors import Corrupt, NewerFormat, Undeliverable
from engine.layout import message_group
from engine.messages import Message, decode_message, encode_message
from engine.ports import Delivery, Platform, Send
from engine.receiving import Handled, Received, Receiver
from engine.snapshot import Token

log = logging.getLogger("tidestep")

INJECTION_DELAY_MS = 60_000
"""Before a message is sent again for the first time; each further time it is doubled."""


class DeadLetters(Receiver):
    """Handles dead letters as the dispatcher handles deliveries, and runs no actor."""

    def __init__(
        self, platform: Platform, actors: Registry, running: Container[Running] = frozenset()
    ) -> None:
        """`running` is what a dispatcher of the same process runs right now."""
        super().__init__(platform)
        self._running = running
        self._actors = actors
        self._claims = Claims(platform)

    async def handle(self, delivery: Delivery, deadline: int) -> Handled:
        """As `Receiver.handle`; a text that is no message of ours is kept and acknowledged."""
        try:
            decode_message(delivery.body)
        except Corrupt as error:
            return await self._keep(delivery, error)
        return await super().handle(delivery, deadline)

    async def put_off(self, delivery: Delivery, error: NewerFormat) -> Handled:
        """What a newer version has written stays a dead letter, for that one to judge."""
        raise error

    async def run(self, received: Received, token: Token) -> Handled:
        """Send the message again, or fail the attempt that cannot be delivered."""
        message, head = received.message, received.head
        name = (received.key, head.epoch, token.node, token.visit, token.attempt)
        if name in self._running:
            return await self.defer(received, self._platform.clock.now() + RUNNING_DELAY_MS)
        if message.injected < self._platform.limits.injections:
            again = replace(message, again=True, injected=message.injected + 1)
            delay_ms = min(INJECTION_DELAY_MS << message.injected, 900_000)
            group = message_group(received.key.tenant, received.head.workflow)
            send = Send(encode_message(again), group, delay_ms)
            await self._platform.journal.send([send], received.delivery)
            return received.handled("sent again")
        key, head, loaded = received.key, received.head, received.loaded
        attempt = Attempt(self._platform, self._actors, key, head, loaded, token)
        async with self._claims.claimed(
            key, head.epoch, token, received.deadline, at_most_once=attempt.at_most_once
        ) as judgement:
            if isinstance(judgement, Taken):
                return await self.defer(received, judgement.until)
            error = judgement.error if isinstance(judgement, Fatal) else _undeliverable(message)
            failed = attempt.failed(error)
            log.error("run %s: an attempt of node %d fails: %s", key.run, token.node, error)
            return await self.record(received, token, failed, [])

    async def _keep(self, delivery: Delivery, error: Corrupt) -> Handled:
        body = delivery.body.encode()
        name = f"dead-letters/{hashlib.sha256(body).hexdigest()}"
        await self._platform.blobs.put(name, body)
        log.error("a dead letter is kept as blob %s: %s", name, error)
        await self._platform.journal.send((), delivery)
        return Handled("kept")


def _undeliverable(message: Message) -> Undeliverable:
    times = message.injected + 1
    return Undeliverable(f"the queue gave its message up {times} times: see the dispatcher's logs")
