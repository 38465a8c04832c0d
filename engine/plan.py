"""What to do about one message: pure, from the snapshot, the message and the time.

`plan` enforces rules 4, 6, 8, 14 and 16 of the step protocol (DESIGN §4): the snapshot decides; a
stale delivery re-sends exactly the pending tokens that it owns; an early one is put off, changes
nothing and burns no attempt; one that finds a wait looks into the inbox and never runs the actor;
a run that is being cancelled begins nothing new.
"""

from __future__ import annotations

import msgspec

from engine.messages import Message
from engine.snapshot import RUN_LEVEL, Head, State, Status, Token
from engine.timing import QUEUE_REACH_MS, in_reach


class Run(msgspec.Struct, frozen=True):
    """Run the actor of this token, then settle."""

    token: Token


class Look(msgspec.Struct, frozen=True):
    """Look into the inbox for what this token waits for."""

    token: Token


class Finish(msgspec.Struct, frozen=True):
    """The run's deadline, or the grace of its cancel, is over: end it."""


class Relay(msgspec.Struct, frozen=True):
    """The message has done its work: re-send what it owns, then acknowledge it."""

    tokens: tuple[Token, ...]


class Defer(msgspec.Struct, frozen=True):
    """Too early: send a copy with the same sid that arrives at `due`, then acknowledge this one."""

    due: int


class Ignore(msgspec.Struct, frozen=True):
    """Nothing to do but acknowledge; `reason` is for counting."""

    reason: str


Plan = Run | Look | Finish | Relay | Defer | Ignore


def plan(head: Head, message: Message, now: int) -> Plan:
    """`now` is milliseconds since 1970, by the clock of whoever holds the message."""
    if head.status.terminal:
        return Ignore("ended")
    if head.held:
        return Ignore("held")
    if head.limit is not None and head.limit.due <= now:
        return Finish()
    token = addressed(head, message)
    if token is None:
        owned = owned_by(head, message.sid, now)
        return Relay(owned) if owned else Ignore("stale")
    if token.node != RUN_LEVEL:
        if head.status is Status.CLOSING:
            return Ignore("closing")
        if token.state is State.STOPPED:
            return Ignore("stopped")
        if token.state is State.WAITING:
            return Look(token)
    if token.due > now + QUEUE_REACH_MS:
        return Ignore("far")
    if token.due > now:
        return Defer(token.due)
    return Run(token)


def addressed(head: Head, message: Message) -> Token | None:
    """The token that the message names, if it is pending, in this epoch."""
    epoch, node, visit, attempt = message.token
    if epoch != head.epoch:
        return None
    if node == RUN_LEVEL:
        limit = head.limit
        return limit if limit is not None and limit.attempt == attempt else None
    return head.find(node, visit, attempt)


def owned_by(head: Head, sid: str, now: int) -> tuple[Token, ...]:
    """The pending tokens that `sid` made ready and whose messages belong on the queue by `now`."""
    if head.status is Status.CLOSING:
        return ()
    return tuple(t for t in head.frontier if t.owner == sid and in_reach(t, now))
