"""When to look again: due times, queue delays and the coarse times of the `wake_at` index.

All times are milliseconds since 1970. The queue carries delays of up to `QUEUE_REACH_MS` (SQS's 900
seconds); what is due later has no message, and the sweeper sends it one when it comes into reach
(DESIGN §4 rules 8 and 9).
"""

from __future__ import annotations

from msgspec.structs import replace

from engine.snapshot import Head, State, Status, Token

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


def wait_look(due: int, now: int) -> int:
    """When to look after a wait that has looked into its inbox; 0 where it never times out."""
    return coarse_look(due, now) if due else 0


def first_wait_look(due: int, now: int) -> int:
    """When to look after a wait that has yet to look into its inbox: its message may be lost."""
    return min(coarse_look(0, now), coarse_look(due, now))


def in_reach(token: Token, now: int) -> bool:
    """Whether a message for this token belongs on the queue once it is ready.

    One for a wait always does: it looks into the inbox, then stands for the time-out if it can.
    """
    if token.state is State.WAITING:
        return True
    return token.state is not State.STOPPED and token.due <= now + QUEUE_REACH_MS


def in_time(token: Token, now: int) -> bool:
    """Whether a wait's time-out is within the queue's reach."""
    return 0 < token.due <= now + QUEUE_REACH_MS


def runnable(head: Head, now: int) -> tuple[Token, ...]:
    """Everything pending whose message belongs on the queue: what an opened run sends."""
    return tuple(token for token in looked_after(head) if in_reach(token, now))


def next_look(head: Head) -> int:
    """`Head.wake_at`: the first look that anything pending or owed asks for; 0 for never."""
    if head.held:
        return 0
    looks = [head.owed_look_at] if head.owed else []
    looks += [token.look_at for token in looked_after(head) if token.look_at]
    return min(looks, default=0)


def looked_after(head: Head) -> tuple[Token, ...]:
    """The tokens that a sweep looks after: of a run that is closing, only what ends it."""
    if head.status.terminal:
        return ()
    limit = () if head.limit is None else (head.limit,)
    if head.status is Status.CLOSING:
        return limit
    return (*(token for token in head.frontier if token.state is not State.STOPPED), *limit)


def touched(token: Token, now: int) -> Token:
    """The token as a commit leaves it that no delivery stands behind."""
    look_at = now + API_LOOK_MS
    return replace(token, look_at=min(token.look_at, look_at) if token.look_at else look_at)


def rate_delay(head: Head, steps_per_minute: int, now: int) -> int:
    """How long the run must rest (ms) before its next step: 0 while it is within its rate.

    It may take `steps_per_minute` at once, and as many again for every minute since it began.
    """
    over = head.steps + 1 - steps_per_minute
    if over <= 0:
        return 0
    return max(0, head.created_at + over * 60_000 // steps_per_minute - now)
