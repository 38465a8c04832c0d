"""The dispatcher: one message in, exactly one actor step, one commit out.

Theory of operation (DESIGN §4; the numbers are its rules)

    message -> load head -> plan -> run ONE actor -> settle -> commit -> send -> acknowledge

- The head's revision is the condition of every save (1). A save that conflicts reloads: if the
  token is still pending, the *same outcome* is settled on the newer head and the actor is not run
  again (2); if it is not, somebody else settled it, and this delivery has lost.
- A message has no authority (4): the head decides what it means. What is early, or written in a
  newer format (20), is deferred: a copy with the same sid is sent, delayed, and this one
  acknowledged, so that receive counts count only deaths and errors.
- Everything that a commit makes ready names this delivery's sid as its owner. A delivery that has
  lost, or comes again after its work is done, re-sends exactly the pending tokens that it owns,
  each with a fresh sid (5, 6). So a crash between commit and send is repaired by the queue's own
  redelivery, and of two copies of a message only one can have successors.
- What raises out of `handle` is the platform's trouble alone: the delivery stays unacknowledged and
  comes again. Whatever the actor, its types or its expressions do wrong is the attempt's outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from engine.actors import Registry
from engine.attempt import Attempt, Attempted
from engine.errors import Corrupt, ExpressionError, InvalidValue, NewerFormat, OutOfTime
from engine.events import executing, settled_events
from engine.layout import RunKey, message_group, page_item
from engine.loaded import Definitions, LoadedDefinition
from engine.messages import Message, decode_message
from engine.outputs import run_output
from engine.plan import Defer, Ignore, Relay, Run, owned_by, plan
from engine.ports import Commit, Delivery, Item, Platform, RevisionConflict, Send
from engine.records import head_record, token_sends
from engine.settle import Settled, Settling, complete, fail, settle
from engine.snapshot import Failure, Head, Status, Token, decode_head, encode_page

log = logging.getLogger("tidestep")

RUNNING_DELAY_MS = 60_000
"""How long a second delivery of a token that runs in this process is put off."""
NEWER_GROUP = "newer"
NEWER_DELAY_MS = 60_000
"""How long a message or head of a newer format is put off: a rollback is not over at once."""

SHORTEST_STEP_MS = 50
"""With less time left than this, no attempt is begun: the message goes round once more."""


class Handled(msgspec.Struct, frozen=True):
    """What became of one delivery, for logs and metrics. `what` is one of a few words."""

    what: str
    run: str = ""
    node: str = ""
    visit: int = 0
    attempt: int = 0
    status: Status | None = None
    conflicts: int = 0


class Dispatcher:
    """Handles deliveries, any number at a time.

    Between them it keeps nothing but definitions, and the names of the tokens that it runs right
    now: a second delivery of one of those waits instead of running the actor beside itself.
    """

    def __init__(self, platform: Platform, actors: Registry) -> None:
        self._platform = platform
        self._actors = actors
        self._definitions = Definitions(platform.journal)
        self._running: set[tuple[RunKey, int, int, int]] = set()

    async def handle(self, delivery: Delivery, deadline: int) -> Handled:
        """Do what `delivery` asks for; the actor is cut off at `deadline` (ms since 1970).

        Raises PlatformError, and leaves the delivery unacknowledged, where the store or the queue
        cannot be used or the message never was one of ours.
        """
        try:
            return await self._handle(delivery, deadline)
        except NewerFormat as error:
            log.warning("put off: %s", error)
            send = Send(delivery.body, NEWER_GROUP, NEWER_DELAY_MS)
            await self._platform.journal.send([send], delivery)
            return Handled("newer")

    async def _handle(self, delivery: Delivery, deadline: int) -> Handled:
        journal = self._platform.journal
        message = decode_message(delivery.body)
        key = RunKey(message.tenant, message.run)
        body = await journal.head(key)
        if body is None:
            await journal.send((), delivery)
            return Handled("unknown run", message.run)
        try:
            head = decode_head(body)
        except Corrupt as error:
            raise Corrupt(f"run '{key.run}': {error}") from error
        loaded = await self._definitions.get(key.tenant, head.definition)
        now = self._platform.clock.now()
        decision = plan(head, message, now)
        if isinstance(decision, Ignore):
            await journal.send((), delivery)
            return Handled(decision.reason, key.run, status=head.status)
        if isinstance(decision, Relay):
            await self._relay(key, head, decision.tokens, delivery)
            return Handled("relayed", key.run, status=head.status)
        if isinstance(decision, Run) and deadline - now < SHORTEST_STEP_MS:
            decision = Defer(now)
        elif isinstance(decision, Run) and self._is_running(key, decision.token):
            decision = Defer(now + RUNNING_DELAY_MS)
        if isinstance(decision, Defer):
            return await self._defer(key, head, delivery, decision.due - now)
        token = decision.token
        running = (key, token.node, token.visit, token.attempt)
        self._running.add(running)
        try:
            return await self._step(key, head, loaded, token, message, delivery, deadline)
        except OutOfTime:
            return await self._defer(key, head, delivery, 0)
        except Corrupt:
            # What the head referred to may have been dropped by a save since; a newer head knows.
            current = await journal.head(key)
            if current is None or decode_head(current).rev == head.rev:
                raise
        finally:
            self._running.discard(running)
        return await self._handle(delivery, deadline)

    async def _defer(self, key: RunKey, head: Head, delivery: Delivery, delay_ms: int) -> Handled:
        """Send a copy with the same sid, then acknowledge (rule 4)."""
        group = message_group(key.tenant, head.workflow)
        copy = Send(delivery.body, group, max(0, delay_ms))
        await self._platform.journal.send([copy], delivery)
        return Handled("deferred", key.run, status=head.status)

    def _is_running(self, key: RunKey, token: Token) -> bool:
        """Whether this very process runs the token: a duplicate, or a sweep of a long step."""
        return (key, token.node, token.visit, token.attempt) in self._running

    async def _step(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        token: Token,
        message: Message,
        delivery: Delivery,
        deadline: int,
    ) -> Handled:
        clock = self._platform.clock
        events = self._platform.events
        node = loaded.definition.nodes[token.node].id
        if events is not None:
            events.publish(executing(key, loaded.definition, token, clock.now()))
        attempt = Attempt(self._platform, self._actors, key, head, loaded, token)
        attempted = await attempt.run(deadline)
        settling = Settling(
            token,
            attempted.outcome,
            message.sid,
            clock.now(),
            attempted.took_ms,
            self._platform.entropy.chance(),
            attempted.policy,
            attempted.state,
        )
        epoch, conflicts = head.epoch, 0
        while True:
            try:
                settled = await self._save(key, head, loaded, settling, attempted, delivery)
                break
            except RevisionConflict as conflict:
                conflicts += 1
                if conflict.current is None:
                    await self._platform.journal.send((), delivery)
                    return Handled("unknown run", key.run, node)
                head = decode_head(conflict.current)
            pending = head.find(token.node, token.visit, token.attempt)
            if pending is None or head.epoch != epoch or head.status.terminal:
                owned = () if head.status.terminal else owned_by(head, message.sid, clock.now())
                await self._relay(key, head, owned, delivery)
                return Handled(
                    "lost", key.run, node, token.visit, token.attempt, head.status, conflicts
                )
            settling = msgspec.structs.replace(settling, token=pending)
        if events is not None:
            for event in settled_events(key, loaded.definition, settled, settled.head.tail[-1]):
                events.publish(event)
        return Handled(
            "stepped", key.run, node, token.visit, token.attempt, settled.head.status, conflicts
        )

    async def _save(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        settling: Settling,
        attempted: Attempted,
        delivery: Delivery,
    ) -> Settled:
        """Settle and commit. Raises RevisionConflict, with nothing changed."""
        limits = self._platform.limits
        settled = settle(head, loaded.definition, settling, limits.frontier)
        items = list(attempted.items)
        if settled.page is not None:
            name = page_item(settled.page.first)
            items.append(Item(key.partition, name, encode_page(settled.page)))
        if settled.quiescent:
            settled = await self._end(key, loaded, settled, settling.now, items)
        after = settled.head
        await self._platform.journal.commit(
            Commit(
                head=head_record(key, after),
                expected=head.rev,
                items=items,
                sends=self._sends(key, after, settled.ready, settling.now),
                drops=attempted.drops,
                acknowledgement=delivery,
            )
        )
        return settled

    async def _end(
        self,
        key: RunKey,
        loaded: LoadedDefinition,
        settled: Settled,
        now: int,
        items: list[Item],
    ) -> Settled:
        """The run has nothing left to run: compute its output, and end it with that."""
        try:
            output, item = await run_output(self._platform, key, settled.head, loaded, items)
        except (ExpressionError, InvalidValue) as error:
            failure = Failure(type(error).__name__, f"the workflow's output: {error}")
            return msgspec.structs.replace(settled, head=fail(settled.head, failure, -1, now))
        if item is not None:
            items.append(item)
        return msgspec.structs.replace(settled, head=complete(settled.head, output, now))

    async def _relay(
        self, key: RunKey, head: Head, tokens: Iterable[Token], delivery: Delivery
    ) -> None:
        now = self._platform.clock.now()
        await self._platform.journal.send(self._sends(key, head, tokens, now), delivery)

    def _sends(self, key: RunKey, head: Head, tokens: Iterable[Token], now: int) -> list[Send]:
        return token_sends(key, head, tokens, now, self._platform.entropy.new_id)
