"""Look after runs that nobody has looked at for too long (DESIGN §4 rule 9).

A sweep asks the `wake_at` index for runs whose time has come, confirms each by a strong read, moves
the look-at times on, doubling, and only then sends: two sweepers at once cannot both send, because
one of their saves conflicts. What it brings back: timers beyond the queue's reach, messages that
were lost, starts and signals whose sender died between the write and the send, and debts. In the
end it deletes what has expired, where the store does not do so by itself.

What must stay true
- A backlog is not a loss: while the queue itself is behind, tokens that could run are left alone.
  Timers, waits and debts are looked after all the same.
- A run that cannot be read, or that was written by a newer version, hides no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import NewerFormat, PlatformError
from engine.heads import named_head
from engine.inbox import Signal, for_wait, read_inbox
from engine.layout import RUN_KIND, WAKE_SHARDS, RunKey
from engine.loaded import Definitions
from engine.paying import Payer
from engine.ports import Commit, Platform, RevisionConflict
from engine.records import at_once, head_record, token_sends
from engine.snapshot import RUN_LEVEL, Head, State, Token
from engine.timing import (
    LOOK_AFTER_MS,
    coarse_look,
    in_reach,
    in_time,
    looked_after,
    next_look,
    wait_look,
)

if TYPE_CHECKING:
    from engine.allocation.stepping import Services

log = logging.getLogger("tidestep")

MAX_DOUBLINGS = 8
"""The longest wait between two looks at a token that stays silent: about a day and three quarters.
"""
PAGE = 100
"""Runs of one shard that are asked for at a time."""
EXPIRED_AT_ONCE = 1000
"""Items that one sweep deletes, where the store leaves that to somebody."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many runs the index named, and how many messages were sent for them."""

    looked_at: int = 0
    sent: int = 0
    behind: bool = False
    """Whether the queue was behind, and what could run was left alone."""


async def sweep(
    platform: Platform, shards: Iterable[int] = range(WAKE_SHARDS), until: int | None = None
) -> Swept:
    """Look once at every run whose time has come; begin no more after `until` (ms since 1970)."""
    behind = await platform.journal.backlog() > platform.limits.backlog
    sweeper = _Sweeper(platform, behind=behind, until=until)
    looked_at = sent = 0
    looks = [sweeper.shard(shard) for shard in shards]
    for found in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(found, PlatformError):  # one shard must not hide the others
            log.error("a part of the index cannot be swept: %s", found)
        elif isinstance(found, BaseException):
            raise found
        else:
            looked_at, sent = looked_at + found[0], sent + found[1]
    try:
        while await platform.journal.expire(EXPIRED_AT_ONCE) == EXPIRED_AT_ONCE:
            pass
    except PlatformError as error:
        log.error("what has expired cannot be deleted: %s", error)
    return Swept(looked_at, sent, behind)


async def sweep_run(platform: Platform, key: RunKey) -> int:
    """Look at one run, if its time has come; how many messages were sent for it."""
    return await _Sweeper(platform, behind=False, until=None).run(key)


class _Sweeper:
    def __init__(self, platform: Platform, *, behind: bool, until: int | None) -> None:
        self._platform = platform
        self._behind = behind
        self._until = until
        self._payer = Payer(platform)
        self._definitions = Definitions(platform.journal)

    @cached_property
    def _services(self) -> Services:
        from engine.allocation.stepping import Services

        return Services(self._platform)

    async def shard(self, shard: int) -> tuple[int, int]:
        """How many runs of this shard were looked at, and how many messages sent."""
        journal, clock = self._platform.journal, self._platform.clock
        seen: set[RunKey] = set()
        sent = 0
        while self._until is None or clock.now() < self._until:
            # those that could not be moved on stay in front, and must not hide the others
            limit = PAGE + len(seen)
            due = [key for key in await journal.due(shard, clock.now(), limit) if key not in seen]
            for key in due:
                try:
                    sent += await self.run(key)
                except PlatformError as error:
                    log.error("run %s cannot be looked after: %s", key.run, error)
            seen.update(due)
            if len(due) < PAGE:
                break
        return len(seen), sent

    async def run(self, key: RunKey) -> int:
        """Look after one run if its time has come; how many messages were sent for it."""
        if key.kind != RUN_KIND:
            steps_actors = self._platform.allocation is not None
            return await self._services.sweep(key) if steps_actors else 0
        journal = self._platform.journal
        body = await journal.head(key)
        now = self._platform.clock.now()
        try:
            head = named_head(key, body) if body is not None else None
        except NewerFormat as error:
            log.warning("left alone: %s", error)
            return 0
        if head is None or not 0 < head.wake_at <= now:
            return 0
        signals = await self._signals(key, head, now)
        after, tokens = look_after(head, now, signals, behind=self._behind)
        sends = [
            send
            for token in tokens
            for send in token_sends(
                key,
                after,
                at_once([token]),
                now,
                self._platform.entropy.new_id,
                again=token.due <= now,
            )
        ]
        try:
            await journal.commit(Commit(head_record(key, after), head.rev, sends=sends))
        except RevisionConflict:
            return 0  # somebody else has just looked at it
        if head.owed and head.owed_look_at <= now:
            loaded = await self._definitions.get(key.tenant, head.definition)
            await self._payer.pay(key, after, loaded.definition)
        return len(sends)

    async def _signals(self, key: RunKey, head: Head, now: int) -> list[Signal]:
        """What lies in the inbox, where a wait is looked after for its sake."""
        if not any(t.state is State.WAITING and 0 < t.look_at <= now for t in head.frontier):
            return []
        return [signal for _, signal in await read_inbox(self._platform.journal, key, head)]


def look_after(
    head: Head, now: int, signals: Iterable[Signal] = (), *, behind: bool = False
) -> tuple[Head, tuple[Token, ...]]:
    """The head with the look-at times that have passed moved on, and the tokens to send: pure."""
    moved: dict[Token, Token] = {}
    sent: list[Token] = []
    for token in looked_after(head):
        if not 0 < token.look_at <= now:
            continue
        moved[token], send = _moved_on(head, token, now, signals, behind=behind)
        if send:
            sent.append(moved[token])
    owed_look_at = head.owed_look_at
    if head.owed and owed_look_at <= now:
        owed_look_at = now + LOOK_AFTER_MS
    after = replace(
        head,
        rev=head.rev + 1,
        frontier=tuple(moved.get(token, token) for token in head.frontier),
        limit=None if head.limit is None else moved.get(head.limit, head.limit),
        owed_look_at=owed_look_at,
    )
    return replace(after, wake_at=next_look(after)), tuple(sent)


def _moved_on(
    head: Head, token: Token, now: int, signals: Iterable[Signal], *, behind: bool
) -> tuple[Token, bool]:
    """The token with its next look, and whether to send a message for it."""
    if token.state is State.WAITING:
        return _wait_moved_on(head, token, now, signals)
    if token.due > now:  # its time has come into the queue's reach: not a loss, no doubling
        return replace(token, look_at=coarse_look(token.due, now)), in_reach(token, now)
    if behind and token.node != RUN_LEVEL:
        return replace(token, look_at=coarse_look(0, now)), False
    return _doubled(token, now), True


def _wait_moved_on(
    head: Head, token: Token, now: int, signals: Iterable[Signal]
) -> tuple[Token, bool]:
    """A wait is looked after for its time-out, or because a signal for it has come."""
    wait = head.wait(token.node, token.visit)
    if 0 < token.due <= now or (wait and any(for_wait(signal, wait) for signal in signals)):
        return _doubled(token, now), True
    return replace(token, look_at=wait_look(token.due, now)), in_time(token, now)


def _doubled(token: Token, now: int) -> Token:
    wait = LOOK_AFTER_MS * 2 ** min(token.looks, MAX_DOUBLINGS)
    return replace(token, looks=token.looks + 1, look_at=now + wait)
