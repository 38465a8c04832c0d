"""What becomes of one delivery, short of running an actor: rules 4 to 8, 14, 16 and 20 in motion.

The dispatcher and the consumer of dead letters both receive: they differ in what they do about a
token whose actor should run now, and in nothing else.

What must stay true
- A message has no authority (4): the head decides what it means. What is early, or written in a
  newer format (20), is deferred: a copy with the same sid is sent, delayed, and this one
  acknowledged, so that receive counts count only deaths and errors.
- A delivery whose work is done re-sends exactly the pending tokens that it owns (6), and pays what
  the run owes (7).
- A token that waits looks into the inbox and never runs its actor (14). What it decides there is
  decided again where a save conflicts.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from engine.attempt import Attempted
from engine.ending import limit_reached
from engine.errors import NewerFormat
from engine.events import ended_event, settled_events
from engine.heads import named_head
from engine.inbox import dead_signals, outcome_of, read_inbox
from engine.layout import RUN_KIND, RunKey, message_group
from engine.loaded import Definitions, LoadedDefinition
from engine.messages import Message, decode_message, encode_message, marked_again
from engine.outcomes import Settling, Signalled, Waited
from engine.paying import Payer
from engine.plan import Defer, Finish, Ignore, Look, Relay, owned_by, plan
from engine.ports import Commit, Delivery, Platform, RevisionConflict, Send
from engine.records import at_once, head_record, token_sends
from engine.remembering import clear_away
from engine.saving import Saver
from engine.settle import Settled
from engine.snapshot import Head, State, Status, Token
from engine.timing import API_LOOK_MS, QUEUE_REACH_MS, in_time

if TYPE_CHECKING:
    from engine.allocation.stepping import Services

log = logging.getLogger("tidestep")

NEWER_GROUP = "newer"
NEWER_DELAY_MS = 60_000
"""How long a message or head of a newer format is put off: a rollback is not over at once."""


class Handled(msgspec.Struct, frozen=True):
    """What became of one delivery, for logs and metrics. `what` is one of a few words."""

    what: str
    run: str = ""
    node: str = ""
    visit: int = 0
    attempt: int = 0
    status: Status | None = None
    conflicts: int = 0


class Received(msgspec.Struct, frozen=True):
    """One delivery, and the snapshot that it found."""

    key: RunKey
    head: Head
    loaded: LoadedDefinition
    message: Message
    delivery: Delivery
    deadline: int
    """When an actor is cut off (ms since 1970)."""

    @property
    def repeated(self) -> bool:
        """Whether somebody may have begun to run this token before."""
        return self.delivery.receives > 1 or self.message.again

    def begun_before(self) -> Received:
        """The same, where somebody is known to have begun."""
        return replace(self, message=replace(self.message, again=True))

    def handled(self, what: str) -> Handled:
        return Handled(what, self.key.run, status=self.head.status)

    def settled(self, what: str, token: Token, status: Status, conflicts: int = 0) -> Handled:
        node = self.loaded.definition.nodes[token.node].id
        return Handled(what, self.key.run, node, token.visit, token.attempt, status, conflicts)


class Receiver(ABC):
    """Handles deliveries, any number at a time; keeps nothing between them but definitions."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._definitions = Definitions(platform.journal)
        self._saver = Saver(platform)
        self._payer = Payer(platform)

    @cached_property
    def _services(self) -> Services:
        """Imported by the processes that step actors: most functions start quicker without."""
        from engine.allocation.stepping import Services

        return Services(self._platform)

    @abstractmethod
    async def run(self, received: Received, token: Token) -> Handled:
        """The actor of this token should run now."""

    async def handle(self, delivery: Delivery, deadline: int) -> Handled:
        """Do what `delivery` asks for, by `deadline` (ms since 1970).

        Raises PlatformError, and leaves the delivery unacknowledged, where the store or the queue
        cannot be used or the message never was one of ours.
        """
        try:
            return await self._handle(delivery, deadline)
        except NewerFormat as error:
            return await self.put_off(delivery, error)

    async def put_off(self, delivery: Delivery, error: NewerFormat) -> Handled:
        """A message or head that a newer version has written: send a copy, delayed (rule 20)."""
        log.warning("put off: %s", error)
        body = delivery.body if delivery.receives < 2 else marked_again(delivery.body)
        send = Send(body, NEWER_GROUP, NEWER_DELAY_MS)
        await self._platform.journal.send([send], delivery)
        return Handled("newer")

    async def _handle(self, delivery: Delivery, deadline: int) -> Handled:
        journal = self._platform.journal
        message = decode_message(delivery.body)
        key = message.key
        if key.kind != RUN_KIND:
            what = await self._services.handle(message, delivery)
            return Handled(what, f"{key.kind}:{key.run}")
        body = await journal.head(key)
        if body is None:
            await journal.send((), delivery)
            return Handled("unknown run", message.run)
        head = named_head(key, body)
        loaded = await self._definitions.get(key.tenant, head.definition)
        received = Received(key, head, loaded, message, delivery, deadline)
        decision = plan(head, message, self._platform.clock.now())
        try:
            if isinstance(decision, Ignore):
                await self._done(received)
                return received.handled(decision.reason)
            if isinstance(decision, Relay):
                await self._done(received, decision.tokens)
                return received.handled("relayed")
            if isinstance(decision, Defer):
                return await self.defer(received, decision.due)
            if isinstance(decision, Look):
                return await self._look(received, decision.token)
            if isinstance(decision, Finish):
                return await self._finish(received)
        except RevisionConflict:
            return await self._handle(delivery, deadline)
        return await self.run(received, decision.token)

    async def defer(self, received: Received, due: int) -> Handled:
        """Send a copy with the same sid that arrives at `due`, then acknowledge (rule 4).

        A copy begins a new count of receives, and so says itself that it is not the first.
        """
        body = received.delivery.body
        if received.repeated:
            body = encode_message(replace(received.message, again=True))
        delay_ms = min(max(0, due - self._platform.clock.now()), QUEUE_REACH_MS)
        group = message_group(received.key.tenant, received.head.workflow)
        await self._platform.journal.send([Send(body, group, delay_ms)], received.delivery)
        return received.handled("deferred")

    async def save(self, received: Received, settling: Settling) -> Settled:
        """Save an outcome that no actor had a part in. Raises RevisionConflict."""
        settled = await self._saver.save(
            received.key, received.head, received.loaded, settling, received.delivery
        )
        await self._pay(replace(received, head=settled.head))
        self.publish(received, settled)
        return settled

    async def record(
        self, received: Received, token: Token, attempted: Attempted, claims: list[str]
    ) -> Handled:
        """Settle the outcome on whatever head there is by now, as long as its token is pending."""
        key, head, loaded = received.key, received.head, received.loaded
        sid, clock = received.message.sid, self._platform.clock
        settling = Settling(
            token,
            attempted.outcome,
            sid,
            clock.now(),
            attempted.took_ms,
            self._platform.entropy.chance(),
            attempted.policy,
            attempted.state,
            attempted.effects,
        )
        # one that waits is acknowledged once it has looked into its inbox
        acknowledgement = None if isinstance(attempted.outcome, Waited) else received.delivery
        epoch, conflicts = head.epoch, 0
        while True:
            try:
                settled = await self._saver.save(
                    key, head, loaded, settling, acknowledgement, attempted.items, claims
                )
                break
            except RevisionConflict as conflict:
                conflicts += 1
                if conflict.current is None:
                    await self._platform.journal.send((), received.delivery)
                    return Handled("unknown run", key.run)
                head = named_head(key, conflict.current)
            pending = head.find(token.node, token.visit, token.attempt)
            if (
                pending is None
                or pending.state is State.STOPPED  # a closing run has recorded its failure
                or head.epoch != epoch
                or head.status.terminal
            ):
                owned = () if head.status.terminal else owned_by(head, sid, clock.now())
                await self._done(replace(received, head=head), owned)
                return received.settled("lost", token, head.status, conflicts)
            settling = replace(settling, token=pending)
        self.publish(received, settled)
        received = replace(received, head=settled.head)
        if isinstance(attempted.outcome, Waited):
            await self._look_after_waiting(received, token)
        else:
            await self._pay(received)
        return received.settled("stepped", token, settled.head.status, conflicts)

    def publish(self, received: Received, settled: Settled) -> None:
        events = self._platform.events
        if events is not None:
            definition = received.loaded.definition
            for event in settled_events(received.key, definition, settled, settled.head.tail[-1]):
                events.publish(event)

    async def _look(self, received: Received, token: Token) -> Handled:
        """End the wait, if its signal is there or its time is up. Raises RevisionConflict."""
        settling = await self._found(received, token)
        if settling is not None:
            settled = await self.save(received, settling)
            return received.settled("resumed", token, settled.head.status)
        if in_time(token, self._platform.clock.now()):
            return await self.defer(received, token.due)
        await self._done(received)
        return received.handled("waiting")

    async def _look_after_waiting(self, received: Received, token: Token) -> None:
        """The token has just begun to wait: a signal may have come before, and found nobody."""
        waiting = received.head.find(token.node, token.visit, token.attempt + 1)
        if waiting is not None and not received.head.status.terminal:
            settling = await self._found(received, waiting)
            if settling is not None and isinstance(settling.outcome, Signalled):
                # Another receipt of this message may have sent what it owns, and acknowledged it,
                # between the two saves: no redelivery stands behind the second.
                sid, look_at = self._platform.entropy.new_id(), settling.now + API_LOOK_MS
                settling = replace(settling, sid=sid, look_at=look_at)
                try:
                    await self.save(received, settling)
                    return
                except RevisionConflict:  # somebody else has seen to this wait, or to another token
                    await self._handle(received.delivery, received.deadline)
                    return
        await self._done(received)

    async def _found(self, received: Received, token: Token) -> Settling | None:
        """How the wait of this token ends now, if it does."""
        head, sid = received.head, received.message.sid
        signals = await read_inbox(self._platform.journal, received.key, head)
        now = self._platform.clock.now()
        await clear_away(self._platform.journal, received.key, dead_signals(head, signals, now))
        outcome = outcome_of(head, token, signals, now)
        return None if outcome is None else Settling(token, outcome, sid, now)

    async def _done(self, received: Received, tokens: Iterable[Token] = ()) -> None:
        """Send messages for tokens that may have none, pay what is owed, and acknowledge."""
        key, head, now = received.key, received.head, self._platform.clock.now()
        new_id = self._platform.entropy.new_id
        sends = token_sends(key, head, at_once(tokens), now, new_id, again=True)
        delivery = None if head.owed else received.delivery
        await self._platform.journal.send(sends, delivery)
        await self._pay(received)

    async def _pay(self, received: Received) -> None:
        """Pay what the head owes, if it does, and acknowledge then."""
        if received.head.owed:
            key, head, definition = received.key, received.head, received.loaded.definition
            await self._payer.pay(key, head, definition, received.delivery)

    async def _finish(self, received: Received) -> Handled:
        """End a run whose limit is due. Raises RevisionConflict."""
        now = self._platform.clock.now()
        key, loaded = received.key, received.loaded
        head = await self._saver.without_consumed(key, received.head)
        after = limit_reached(head, loaded.definition.deadline, now)
        after = replace(after, rev=head.rev + 1)
        delivery = None if after.owed else received.delivery
        await self._platform.journal.commit(
            Commit(head_record(key, after), head.rev, acknowledgement=delivery)
        )
        await self._pay(replace(received, head=after))
        if self._platform.events is not None:
            self._platform.events.publish(ended_event(key, loaded.definition, after))
        return Handled("finished", key.run, status=after.status)
