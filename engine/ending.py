"""How a run ends, and how an operator opens it again: pure, heads in and heads out.

What must stay true (DESIGN §4 rule 16)
- Cancel wins over anything that settles later: a terminal head is left by `reopened` alone.
- A graceful cancel has two phases. While a run is `closing` nothing new is begun, the results of
  attempts that may be running are recorded, and what they call for is kept, unsent, for a retry.
  It ends when nothing is left that may be running, or when its grace is over.
- What was pending when a run ended stays in its head, so that a retry goes on from there.
"""

from __future__ import annotations

from msgspec.structs import replace

from engine.errors import DeadlineExceeded
from engine.snapshot import (
    RUN_LEVEL,
    Failure,
    Head,
    Resumed,
    State,
    Status,
    Token,
    Value,
    status_of,
)
from engine.timing import coarse_look, in_reach, next_look, touched


def complete(head: Head, output: Value, now: int) -> Head:
    """The head of a run that has ended well."""
    return _ended(replace(head, status=Status.COMPLETED, output=output), now)


def fail(head: Head, failure: Failure, node: int, now: int) -> Head:
    """The head of a run that `node` failed, or none (-1). What was pending stays, for a retry."""
    return _ended(replace(head, status=Status.FAILED, failure=failure, failed_node=node), now)


def cancel(head: Head, now: int) -> Head:
    """The head of a run that is cancelled at once."""
    return _ended(replace(head, status=Status.CANCELLED), now)


def close(head: Head, now: int, grace_ms: int) -> Head:
    """A graceful cancel begins: cancelled at once where nothing may be running."""
    due = now + grace_ms
    limit = _limit(head, due if head.limit is None else min(due, head.limit.due), now)
    return closed(replace(head, status=Status.CLOSING, limit=limit), now)


def closed(head: Head, now: int) -> Head:
    """A closing head after a save: cancelled once nothing is left that may be running."""
    if any(may_be_running(token, now) for token in head.frontier):
        return replace(head, wake_at=next_look(head))
    return cancel(head, now)


def may_be_running(token: Token, now: int) -> bool:
    """Whether a message for this token may be in somebody's hands. One that is never to be looked
    after was kept back while the run was closing."""
    idle = token.state in (State.STOPPED, State.WAITING)
    return token.look_at > 0 and token.due <= now and not idle


def limited(head: Head, deadline_s: float | None, now: int) -> Head:
    """The head with its run's deadline, counted from `now`."""
    if deadline_s is None:
        return replace(head, limit=None)
    return replace(head, limit=_limit(head, now + round(deadline_s * 1000), now))


def limit_reached(head: Head, deadline_s: float | None, now: int) -> Head:
    """What becomes of a run whose limit is due: cancelled if it is closing, else failed."""
    if head.status is Status.CLOSING:
        return cancel(head, now)
    text = f"the run has not ended within its deadline of {deadline_s:,.10g} s"
    return fail(head, Failure(DeadlineExceeded.__name__, text), -1, now)


def reopened(head: Head, deadline_s: float | None, owner: str, now: int) -> Head:
    """A failed or cancelled run, going on from where it ended, in a new epoch (rule 3).

    What had failed begins its next attempt, with a fresh count of failures; what was pending goes
    on. The step budget begins anew. `owner` is who sends the messages of what can run.
    """
    frontier = tuple(_reopened(token, owner, now) for token in head.frontier)
    head = replace(
        head,
        epoch=head.epoch + 1,
        status=status_of(frontier),
        frontier=frontier,
        steps=0,
        ended_at=0,
        failure=None,
        failed_node=-1,
    )
    head = limited(head, deadline_s, now)
    return replace(head, wake_at=next_look(head))


def _reopened(token: Token, owner: str, now: int) -> Token:
    if token.state is State.STOPPED:
        token = replace(
            token,
            attempt=token.attempt + 1,
            state=State.READY,
            due=0,
            failures=0,
            resumed=token.resumed or Resumed.RETRY,
        )
    token = replace(token, owner=owner, looks=0)
    if in_reach(token, now):
        return touched(token, now)
    return replace(token, look_at=coarse_look(token.due, now))


def _limit(head: Head, due: int, now: int) -> Token:
    attempt = 1 if head.limit is None else head.limit.attempt + 1
    token = Token(RUN_LEVEL, 0, attempt, State.SLEEPING, "", coarse_look(due, now), due=due)
    return touched(token, now) if in_reach(token, now) else token


def _ended(head: Head, now: int) -> Head:
    head = replace(head, ended_at=now, limit=None)
    return replace(head, wake_at=next_look(head))
