"""What to do about one message: pure, from the snapshot, the message and the time.

`plan` enforces rules 4, 6 and 8 of the step protocol (DESIGN §4): the snapshot decides; a stale
delivery re-sends exactly the pending tokens that it owns; an early one is put off, changes nothing
and burns no attempt.
"""

from __future__ import annotations

import msgspec

from engine.messages import Message
from engine.snapshot import Head, State, Token
from engine.timing import QUEUE_REACH_MS, in_reach


class Run(msgspec.Struct, frozen=True):
    """Run the actor of this token, then settle."""

    token: Token


class Relay(msgspec.Struct, frozen=True):
    """The message has done its work: re-send what it owns, then acknowledge it."""

    tokens: tuple[Token, ...]


class Defer(msgspec.Struct, frozen=True):
    """Too early: send a copy with the same sid that arrives at `due`, then acknowledge this one."""

    due: int


class Ignore(msgspec.Struct, frozen=True):
    """Nothing to do but acknowledge; `reason` is for counting."""

    reason: str


Plan = Run | Relay | Defer | Ignore


def plan(head: Head, message: Message, now: int) -> Plan:
    """`now` is milliseconds since 1970, by the clock of whoever holds the message."""
    if head.status.terminal:
        return Ignore("ended")
    if head.held:
        return Ignore("held")
    epoch, node, visit, attempt = message.token
    token = head.find(node, visit, attempt) if epoch == head.epoch else None
    if token is None:
        owned = owned_by(head, message.sid, now)
        return Relay(owned) if owned else Ignore("stale")
    if token.state is State.WAITING:
        return Ignore("waiting")
    if token.due > now + QUEUE_REACH_MS:
        return Ignore("far")
    if token.due > now:
        return Defer(token.due)
    return Run(token)


def owned_by(head: Head, sid: str, now: int) -> tuple[Token, ...]:
    """The pending tokens that `sid` made ready and whose messages belong on the queue by `now`."""
    return tuple(t for t in head.frontier if t.owner == sid and in_reach(t, now))
