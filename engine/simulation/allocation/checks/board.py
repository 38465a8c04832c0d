"""The allocation index as an observer sees it: a mirror of the boards' items, and what must be true
of them whenever a transaction is over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from engine.allocation.actor_moves import OWNER_ITEM, Owner, decode_owner
from engine.allocation.board import (
    ENTRY_PREFIX,
    PENDING_PREFIX,
    SEAT_PREFIX,
    Entry,
    Pending,
    decode_entry,
    decode_pending,
    decode_seat,
)
from engine.ports import Item
from engine.simulation.observing import Violation

BOARD = "/board/"
ACTOR = "/actor/"


@dataclass
class Mirror:
    """One pool's index."""

    entries: dict[str, Entry] = field(default_factory=dict)
    seats: dict[tuple[str, str], int] = field(default_factory=dict)
    """(runner, actor) -> generation."""
    pending: dict[str, Pending] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    """Pending item -> when it was really written."""

    def taken(self) -> Counter[str]:
        return Counter(runner for runner, _ in self.seats)


class Boards:
    """All pools' indexes, and who owns which actor."""

    def __init__(self) -> None:
        self.pools: defaultdict[str, Mirror] = defaultdict(Mirror)
        self.owners: dict[str, Owner] = {}
        self._seated: list[tuple[str, str, str]] = []
        """(pool, runner, actor) of seats that were given since the last look."""
        self._left: list[tuple[str, str, Pending]] = []
        """(pool, item, content) of actors that have left a queue since."""

    def written(self, item: Item, at: int) -> None:
        if BOARD in item.partition:
            pool = item.partition.partition(BOARD)[2]
            self._board_item(pool, item.name, item.body, at)
        elif ACTOR in item.partition and item.name == OWNER_ITEM:
            self.owners[item.partition.partition(ACTOR)[2]] = decode_owner(item.body)

    def deleted(self, partition: str, name: str) -> None:
        if BOARD in partition:
            self._board_item(partition.partition(BOARD)[2], name, None, 0)
        elif ACTOR in partition and name == OWNER_ITEM:
            self.owners.pop(partition.partition(ACTOR)[2], None)

    def _board_item(self, pool: str, name: str, body: bytes | None, at: int) -> None:
        mirror = self.pools[pool]
        if name.startswith(ENTRY_PREFIX):
            runner = name.removeprefix(ENTRY_PREFIX)
            if body is None:
                mirror.entries.pop(runner)
                return
            entry, before = decode_entry(body), mirror.entries.get(runner)
            if before is not None and entry.rev <= before.rev:
                raise Violation("an entry's revision rises", f"{runner}: {before} -> {entry}")
            mirror.entries[runner] = entry
        elif name.startswith(SEAT_PREFIX):
            runner, _, actor = name.removeprefix(SEAT_PREFIX).partition("/")
            if body is None:
                mirror.seats.pop((runner, actor))
            else:
                mirror.seats[runner, actor] = decode_seat(body).generation
                self._seated.append((pool, runner, actor))
        elif name.startswith(PENDING_PREFIX):
            if body is None:
                self._left.append((pool, name, mirror.pending.pop(name)))
            else:
                mirror.pending[name] = decode_pending(body)
                mirror.since[name] = at

    def look(self) -> None:
        """A transaction is over. Raises Violation."""
        for pool, mirror in self.pools.items():
            taken = mirror.taken()
            for runner, entry in mirror.entries.items():
                if entry.taken != taken[runner]:
                    text = f"{pool}: {runner} has {taken[runner]} seats taken, and says {entry}"
                    raise Violation("an entry counts its seats", text)
                if not 0 <= entry.taken <= entry.total:
                    raise Violation("slots are not given twice", f"{pool}: {runner}: {entry}")
            sitting = Counter(actor for _, actor in mirror.seats)
            waiting = Counter(pending.actor for pending in mirror.pending.values())
            for actor, places in (sitting + waiting).items():
                if places > 1:
                    text = f"{actor}: {sitting[actor]} seats, {waiting[actor]} times in the queue"
                    raise Violation("one seat or one place in the queue", text)
        self._nobody_overtakes()

    def _nobody_overtakes(self) -> None:
        """Whoever was given a slot out of the queue had waited longest, by the queue's order and by
        the true time of its arrival."""
        seated, self._seated = self._seated, []
        gone, self._left = self._left, []
        given = {(pool, actor) for pool, _, actor in seated}
        for pool, name, pending in gone:
            if (pool, pending.actor) not in given:
                continue
            mirror = self.pools[pool]
            arrived = mirror.since.pop(name)
            for other, waiting in mirror.pending.items():
                if other < name and mirror.since[other] < arrived:
                    text = f"{pool}: {pending} is given a slot, and {waiting} waits for longer"
                    raise Violation("nobody overtakes", text)
