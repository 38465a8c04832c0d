"""Look after runs that nobody has looked at for too long (DESIGN §4 rule 9).

A sweep asks the `wake_at` index for runs whose time has come, confirms each by a strong read, moves
the look-at times on, doubling, and only then sends: two sweepers at once cannot both send, because
one of their saves conflicts. What it brings back: timers beyond the queue's reach, messages that
were lost, and starts whose sender died between the write and the send.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from engine.errors import NewerFormat, PlatformError
from engine.layout import WAKE_SHARDS, RunKey
from engine.ports import Commit, Platform, RevisionConflict
from engine.records import head_record, token_sends
from engine.snapshot import Head, State, Token, decode_head
from engine.timing import LOOK_AFTER_MS, coarse_look, in_reach, with_wake

log = logging.getLogger("tidestep")

MAX_DOUBLINGS = 8
"""The longest wait between two looks at a token that stays silent: about a day and three quarters.
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many runs the index named, and how many messages were sent for them."""

    looked_at: int = 0
    sent: int = 0


async def sweep(
    platform: Platform, shards: Iterable[int] = range(WAKE_SHARDS), limit: int = 100
) -> Swept:
    """Look once at up to `limit` runs of each shard."""
    looked_at = sent = 0
    for shard in shards:
        for key in await platform.journal.due(shard, platform.clock.now(), limit):
            looked_at += 1
            try:
                sent += await sweep_run(platform, key)
            except PlatformError as error:  # one run that cannot be read must not hide the others
                log.error("run %s cannot be looked after: %s", key.run, error)
    return Swept(looked_at, sent)


async def sweep_run(platform: Platform, key: RunKey) -> int:
    """Look after one run if its time has come; how many messages were sent for it."""
    body = await platform.journal.head(key)
    now = platform.clock.now()
    try:
        head = decode_head(body) if body is not None else None
    except NewerFormat:
        return 0
    if head is None or not 0 < head.wake_at <= now:
        return 0
    after, tokens = look_after(head, now)
    sends = token_sends(key, after, tokens, now, platform.entropy.new_id)
    try:
        await platform.journal.commit(Commit(head_record(key, after), head.rev, sends=sends))
    except RevisionConflict:
        return 0  # somebody else has just looked at it
    return len(sends)


def look_after(head: Head, now: int) -> tuple[Head, tuple[Token, ...]]:
    """The head with the look-at times that have passed moved on, and the tokens to send: pure."""
    frontier = tuple(_moved_on(token, now) for token in head.frontier)
    sent = tuple(
        moved
        for token, moved in zip(head.frontier, frontier, strict=True)
        if moved is not token and in_reach(moved, now) and moved.state is not State.WAITING
    )
    after = replace(head, rev=head.rev + 1, frontier=frontier)
    return replace(after, wake_at=with_wake(after)), sent


def _moved_on(token: Token, now: int) -> Token:
    if token.look_at > now or token.state is State.STOPPED:
        return token
    if token.due > now:  # its time has come into the queue's reach: not a loss, no doubling
        return replace(token, look_at=coarse_look(token.due, now))
    wait = LOOK_AFTER_MS * 2 ** min(token.looks, MAX_DOUBLINGS)
    return replace(token, looks=token.looks + 1, look_at=now + wait)
