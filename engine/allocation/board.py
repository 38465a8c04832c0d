"""The allocation index of one pool: who has free slots, who waits, and who holds which slot.

The index is items of one partition, `<tenant>/board/<pool>`:

    index/config              how the pool gets its runners (`PoolConfig`)
    index/runner/<runner>     `Entry`: its slots, and how many are taken
    index/ping/<runner>       when it was last heard of, written by whoever holds its connection
    pending/<since>.<actor>   `Pending`: an actor that waits for a slot, the first comes first
    seat/<runner>/<actor>     `Seat`: an actor that holds a slot, with its generation

What must stay true
- An actor that is allocated has one seat, one that waits has one pending item, every other has
  neither. An entry's `taken` is the number of its seats. All of it changes in the transaction that
  saves the actor's or the runner's own state.
- `Entry.rev` rises with every change of a runner's seats, so that whoever has read an entry and
  then its seats, and swaps the entry, has seen all of them.
- Nobody overtakes: a slot goes to whoever waits longest, and who finds anybody waiting waits too.
- What two parties decide at the same moment, each from an index that the other is about to change,
  is found by looking again after the write: an actor that begins to wait bumps the pool, and the
  pool compares.

All functions are pure: they return the `Swap`s that a commit carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from engine.allocation.config import PoolConfig
from engine.ports import Swap

CONFIG_ITEM = "index/config"
INDEX_PREFIX = "index/"
ENTRY_PREFIX = "index/runner/"
PING_PREFIX = "index/ping/"
PENDING_PREFIX = "pending/"
SEAT_PREFIX = "seat/"


def board_partition(tenant: str, pool: str) -> str:
    return f"{tenant}/board/{pool}"


def ping_item(runner: str) -> str:
    return f"{PING_PREFIX}{runner}"


def seats_prefix(runner: str) -> str:
    return f"{SEAT_PREFIX}{runner}/"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A runner in the index. `open` is False while its slots are not given away: it is away, or it
    is `draining`, and will not come back."""

    total: int
    taken: int
    version: int
    open: bool
    rev: int
    draining: bool = False

    @property
    def free(self) -> int:
        return self.total - self.taken if self.open else 0


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """An actor that waits; a slot makes it this generation."""

    actor: str
    generation: int
    since: int


class Seat(msgspec.Struct, frozen=True, array_like=True):
    generation: int


class Board(msgspec.Struct, frozen=True):
    """The index as one step has read it. Bodies are kept: they are the conditions of a swap."""

    partition: str
    config: PoolConfig
    entries: Mapping[str, Entry]
    pings: Mapping[str, int]
    """Runner -> when it was last heard of (ms since 1970)."""
    pending: Sequence[tuple[str, Pending]]
    """Items' names and contents, the longest waiting first; not all of many."""
    seats: Mapping[str, int] = {}
    """Actor -> generation, where the step of their runner has read the board."""
    waits: bool = False
    """Whether the actor whose step has read the board is still in the queue."""
    config_body: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_pending = msgspec.msgpack.Decoder(Pending).decode
_decode_seat = msgspec.msgpack.Decoder(Seat).decode
_decode_config = msgspec.msgpack.Decoder(PoolConfig).decode
_decode_ping = msgspec.msgpack.Decoder(int).decode

decode_entry, decode_pending, decode_seat = _decode_entry, _decode_pending, _decode_seat
decode_config, decode_ping = _decode_config, _decode_ping


def encode_ping(at: int) -> bytes:
    return _encode(at)


def encode_config(config: PoolConfig) -> bytes:
    return _encode(config)


def candidates(board: Board, now: int, eligible_ms: int) -> list[str]:
    """Runners that may take an actor, the best first: pure.

    Of the highest version that has an open runner at all; with a free slot; heard of lately. The
    emptiest first, then the one that was heard of longest ago, then by name.
    """
    latest = max((entry.version for entry in board.entries.values() if entry.open), default=0)
    found = [
        (-(entry.free * 1000 // entry.total), board.pings.get(runner, 0), runner)
        for runner, entry in board.entries.items()
        if entry.version == latest
        and entry.free > 0
        and board.pings.get(runner, 0) >= now - eligible_ms
    ]
    return [runner for _, _, runner in sorted(found)]


def slots(board: Board) -> int:
    """How many actors hold a slot or wait for one."""
    return sum(entry.taken for entry in board.entries.values()) + len(board.pending)


def entry_swap(board: Board, runner: str, after: Entry | None) -> Swap:
    """Replace, make or delete a runner's entry."""
    before = board.entries.get(runner)
    return Swap(
        board.partition,
        f"{ENTRY_PREFIX}{runner}",
        None if after is None else _encode(after),
        None if before is None else _encode(before),
    )


def take(board: Board, runner: str, actor: str, generation: int) -> list[Swap]:
    """Give a free slot of this runner to the actor."""
    entry = board.entries[runner]
    after = replace(entry, taken=entry.taken + 1, rev=entry.rev + 1)
    return [entry_swap(board, runner, after), _sit(board, runner, actor, generation)]


def wait(board: Board, pending: Pending) -> Swap:
    """Put an actor into the queue."""
    return Swap(board.partition, pending_item(pending), _encode(pending), None)


def leave(board: Board, pending: Pending) -> Swap:
    """Take an actor out of the queue. Conflicts where it has been given a slot."""
    return Swap(board.partition, pending_item(pending), None, _encode(pending))


def pending_item(pending: Pending) -> str:
    return f"{PENDING_PREFIX}{pending.since:015d}.{pending.actor}"


class Released(msgspec.Struct, frozen=True):
    """The swaps that free a slot, and who is given it."""

    swaps: tuple[Swap, ...]
    next: Pending | None


def release(
    board: Board, runner: str, actor: str, generation: int, now: int, eligible_ms: int
) -> Released:
    """Free the slot of an actor that has stopped; whoever waits longest gets it at once."""
    swaps = [_stand(board, runner, actor, generation)]
    entry = board.entries.get(runner)
    if entry is None:  # the runner is gone, and its slots with it
        return Released(tuple(swaps), None)
    freed = replace(entry, taken=entry.taken - 1, rev=entry.rev + 1)
    vacant = replace(board, entries={**board.entries, runner: freed})
    heir = board.pending[0][1] if board.pending else None
    # an actor that waits already while it leaves was read late: this decision will conflict
    if heir is not None and heir.actor != actor and runner in candidates(vacant, now, eligible_ms):
        handed = replace(entry, rev=entry.rev + 1)
        swaps += [
            entry_swap(board, runner, handed),
            leave(board, heir),
            _sit(board, runner, heir.actor, heir.generation),
        ]
        return Released(tuple(swaps), heir)
    return Released((*swaps, entry_swap(board, runner, freed)), None)


class HandedOut(msgspec.Struct, frozen=True):
    """The swaps that give a runner's free slots away, to whom, and its entry then."""

    swaps: tuple[Swap, ...]
    heirs: tuple[Pending, ...]
    entry: Entry


def hand_out(board: Board, runner: str, now: int, eligible_ms: int, most: int) -> HandedOut:
    """Give this runner's free slots to those who wait longest, to `most` of them."""
    entry = board.entries[runner]
    if runner not in candidates(board, now, eligible_ms):
        return HandedOut((), (), entry)
    heirs = [pending for _, pending in board.pending[: min(entry.free, most)]]
    if not heirs:
        return HandedOut((), (), entry)
    after = replace(entry, taken=entry.taken + len(heirs), rev=entry.rev + 1)
    swaps = [entry_swap(board, runner, after)]
    for heir in heirs:
        swaps += [leave(board, heir), _sit(board, runner, heir.actor, heir.generation)]
    return HandedOut(tuple(swaps), tuple(heirs), after)


def _sit(board: Board, runner: str, actor: str, generation: int) -> Swap:
    return Swap(board.partition, _seat_item(runner, actor), _encode(Seat(generation)), None)


def _stand(board: Board, runner: str, actor: str, generation: int) -> Swap:
    return Swap(board.partition, _seat_item(runner, actor), None, _encode(Seat(generation)))


def _seat_item(runner: str, actor: str) -> str:
    return f"{seats_prefix(runner)}{actor}"
