"""The dispatcher: one message in, exactly one actor step, one commit out.

Theory of operation (DESIGN §4; the numbers are its rules)

    message -> load head -> plan -> run ONE actor -> settle -> commit -> send -> acknowledge

- The head's revision is the condition of every save (1). A save that conflicts reloads: if the
  token is still pending, the *same outcome* is settled on the newer head and the actor is not run
  again (2); if it is not, somebody else settled it, and this delivery has lost.
- Everything that a commit makes ready names this delivery's sid as its owner. A delivery that has
  lost, or comes again after its work is done, re-sends exactly the pending tokens that it owns,
  each with a fresh sid (5, 6). So a crash between commit and send is repaired by the queue's own
  redelivery, and of two copies of a message only one can have successors.
- A delivery that may not be the first claims its token before it runs the actor (11, 12).
- What needs no actor (stale, early, waiting) is `engine.receiving`'s.
- What raises out of `handle` is the platform's trouble alone: the delivery stays unacknowledged and
  comes again. Whatever the actor, its types or its expressions do wrong is the attempt's outcome.
"""

from __future__ import annotations

import logging

from engine.actors import Registry
from engine.attempt import Attempt
from engine.claims import Claims, Fatal, Taken
from engine.errors import Corrupt, OutOfTime
from engine.events import executing
from engine.heads import named_head
from engine.layout import RunKey, claim_item
from engine.ports import Platform
from engine.receiving import Handled, Received, Receiver
from engine.snapshot import Token
from engine.timing import rate_delay

log = logging.getLogger("tidestep")

RUNNING_DELAY_MS = 60_000
"""How long a second delivery of a token that runs in this process is put off."""
OWING_DELAY_MS = 1_000
"""How long a step is put off in a run that owes others as much as it may."""
SHORTEST_STEP_MS = 50
"""With less time left than this, no attempt is begun: the message goes round once more."""


Running = tuple[RunKey, int, int, int, int]
"""Run, epoch, node, visit and attempt."""


class Dispatcher(Receiver):
    """Handles deliveries, any number at a time.

    Between them it keeps nothing but definitions, and the names of the tokens that it runs right
    now: a second delivery of one of those waits instead of running the actor beside itself.
    """

    def __init__(self, platform: Platform, actors: Registry) -> None:
        super().__init__(platform)
        self._actors = actors
        self._claims = Claims(platform)
        self.running: set[Running] = set()
        """What this process runs right now."""

    async def run(self, received: Received, token: Token) -> Handled:
        """Run the actor of this token and record what comes of it, or put it off."""
        key, head = received.key, received.head
        now = self._platform.clock.now()
        delay_ms = rate_delay(head, self._platform.limits.steps_per_minute, now)
        if delay_ms:
            log.warning("run %s takes too many steps a minute and rests %d ms", key.run, delay_ms)
            return await self.defer(received, now + delay_ms)
        if len(head.owed) >= self._platform.limits.owed:
            await self._payer.pay(key, head, received.loaded.definition)
            return await self.defer(received, now + OWING_DELAY_MS)
        if received.deadline - now < SHORTEST_STEP_MS:
            return await self.defer(received, now)
        name = (key, head.epoch, token.node, token.visit, token.attempt)
        if name in self.running:
            return await self.defer(received.begun_before(), now + RUNNING_DELAY_MS)
        self.running.add(name)
        try:
            return await self._claim_and_run(received, token)
        except OutOfTime:
            if received.repeated:
                raise  # not for the first time: it counts as received, and is a dead letter one day
            return await self.defer(received.begun_before(), now)
        except Corrupt:
            # What the head referred to may have been dropped by a save since; a newer head knows.
            current = await self._platform.journal.head(key)
            if current is None or named_head(key, current).rev == head.rev:
                raise
        finally:
            self.running.discard(name)
        return await self._handle(received.delivery, received.deadline)

    async def _claim_and_run(self, received: Received, token: Token) -> Handled:
        key, epoch, deadline = received.key, received.head.epoch, received.deadline
        attempt = Attempt(self._platform, self._actors, key, received.head, received.loaded, token)
        if not (received.repeated or attempt.at_most_once):
            async with self._claims.claimed_late(key, epoch, token, deadline) as claims:
                return await self._step(received, token, attempt, claims)
        # One that must not run twice stays claimed: a delivery that loaded the head before this
        # attempt's save finds the claim still.
        claims = [] if attempt.at_most_once else [claim_item(epoch, token)]
        async with self._claims.claimed(
            key,
            epoch,
            token,
            deadline,
            at_most_once=attempt.at_most_once,
            called=attempt.called,
        ) as judgement:
            if isinstance(judgement, Taken):
                return await self.defer(received, judgement.until)
            if isinstance(judgement, Fatal):
                failed = attempt.failed(judgement.error)
            else:
                return await self._step(received, token, attempt, claims)
        return await self.record(received, token, failed, claims)

    async def _step(
        self, received: Received, token: Token, attempt: Attempt, claims: list[str]
    ) -> Handled:
        events = self._platform.events
        if events is not None:
            now = self._platform.clock.now()
            events.publish(executing(received.key, received.loaded.definition, token, now))
        attempted = await attempt.run(received.deadline)
        return await self.record(received, token, attempted, claims)
