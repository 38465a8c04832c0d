"""A party's inbox: which signal a step takes.

What must stay true: the oldest goes first, and among those of one sender the one that was sent
first. What it is follows from the inbox alone.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Any

import msgspec

from engine.allocation.signals import Bump, Envelope, decode
from engine.errors import Corrupt
from engine.layout import INBOX_PREFIX, RunKey
from engine.ports import Journal, Swap

log = logging.getLogger("tidestep")

READ = 40
"""Signals that one step looks at: as many bumps as it may take at once."""


class Taken(msgspec.Struct, frozen=True):
    """The signal that a step takes, and the swaps by which it leaves the inbox."""

    envelope: Envelope
    swaps: tuple[Swap, ...]
    left: bool
    """Whether others stay behind."""


async def take(journal: Journal, key: RunKey, most: int = READ) -> Taken | None:
    """The signal that is next; None where the inbox is empty. Raises NewerFormat.

    It is the next of the `most` that were stored first, by the clocks of those who stored them: of
    more, an earlier one of its sender may lie behind them. What cannot be read is thrown away: it
    must not stand in the way of all that come after it.
    """
    found: list[tuple[str, bytes, Envelope]] = []
    rows: Any = journal.scan(key.partition, INBOX_PREFIX)
    async with aclosing(rows):
        async for name, body in rows:
            try:
                found.append((name, body, decode(body)))
            except Corrupt as error:
                log.error("%s '%s': %s is thrown away: %s", key.kind, key.run, name, error)
                await journal.remove(key.partition, [name])
            if len(found) == most:
                break
    if not found:
        return None
    first = found[0][2]
    if first.sender:
        of_sender = [each for each in found if each[2].sender == first.sender]
        chosen = min(of_sender, key=lambda each: each[2].sequence)
    else:
        chosen = found[0]
    taken = [chosen]
    if isinstance(chosen[2].signal, Bump):
        # a bump says nothing: one look answers all that have come before it
        taken = [each for each in found if isinstance(each[2].signal, Bump)]
    swaps = tuple(Swap(key.partition, name, None, body) for name, body, _ in taken)
    return Taken(chosen[2], swaps, len(found) > len(taken))
