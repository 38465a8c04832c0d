"""When to look again: due times, queue delays and the coarse times of the `wake_at` index.

All times are milliseconds since 1970. The queue carries delays of up to `QUEUE_REACH_MS` (SQS's 900
seconds); what is due later has no message, and the sweeper sends it one when it comes into reach
(DESIGN §4 rules 8 and 9).
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.snapshot import Head, State, Token

QUEUE_REACH_MS = 900_000
LOOK_AFTER_MS = 600_000
"""How long a ready token may be silent before a sweep suspects that its message was lost. More than
the queue's visibility time-out, so that redelivery comes first."""
LOOK_GRAIN_MS = 600_000
"""Look-at times are rounded up to this, so that a busy run changes its index entry every ten
minutes and not at every step."""
API_LOOK_MS = 60_000
"""After a commit that no message stands behind: nobody would redeliver it."""


def coarse_look(due: int, now: int) -> int:
    """When to look after a token that becomes runnable at `due`, if nothing has come of it."""
    if due > now + QUEUE_REACH_MS:
        return due - LOOK_AFTER_MS
    settled = max(due, now) + LOOK_AFTER_MS
    return -(-settled // LOOK_GRAIN_MS) * LOOK_GRAIN_MS


def in_reach(token: Token, now: int) -> bool:
    """Whether a message for this token is on the queue, or should be."""
    return token.state is not State.STOPPED and token.due <= now + QUEUE_REACH_MS


def earliest_look(frontier: Iterable[Token]) -> int:
    """`Head.wake_at`: the first look that anything pending asks for; 0 where nothing is pending."""
    return min([t.look_at for t in frontier if t.state is not State.STOPPED], default=0)


def with_wake(head: Head) -> int:
    return 0 if head.status.terminal or head.held else earliest_look(head.frontier)
