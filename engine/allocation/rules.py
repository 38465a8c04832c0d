"""What the three transition tables are made of, and how one is read.

A table says for every state of its party and every signal what follows: a `Rule`, whose function
decides from values alone, or `ignored`, with the reason. Rules declare the states that they may
lead to and the signals that they may send, so that documents and diagrams are drawn from the table,
and the tests hold every decision against its declaration.

What must stay true: a table is complete. There is no pair without an entry, and no transition that
is decided anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Generic, TypeVar

import msgspec

from engine.allocation.board import Board
from engine.allocation.parties import Party
from engine.allocation.settings import AllocationSettings
from engine.allocation.signals import Signal
from engine.ports import Swap


class Scene(msgspec.Struct, frozen=True):
    """What a decision is made from, beside the state and the signal."""

    me: str
    """The party's own id."""
    partition: str
    """Where its own items lie."""
    now: int
    """Milliseconds since 1970."""
    chance: float
    """In [0, 1)."""
    board: Board
    settings: AllocationSettings
    owner: bytes | None = None
    """Of an actor that is on a runner: the item that says so, as it is stored."""
    fresh: tuple[str, ...] = ()
    """Ids that nobody else has, as many as a decision may need."""


# -- what a decision asks for ---------------------------------------------------------------------


class Tell(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Send a signal to another party."""

    to: Party
    signal: Signal


class Post(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Send the runner's commands over its connection: the `newest` of those that it may not have,
    all of them where that is 0. What they say is in the state alone, which must fit into an item.
    """

    connection: str
    newest: int = 0


class Evict(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Close a runner's connection for good."""

    connection: str
    reason: str


class HangUp(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Close a connection; its runner may connect again."""

    connection: str


class Request(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Begin a held request (or a process) that brings forth a runner."""

    request: str


class Clear(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Delete what the party has stored, and what leads to it."""


Effect = Tell | Post | Evict | HangUp | Request | Clear

State = TypeVar("State")


class Step(msgspec.Struct, Generic[State], frozen=True):
    """A decision: the state from now on, and what goes with it.

    `swaps` are written in one transaction with the state, `effects` are owed from then on, in this
    order. `said` is what happened, in the words of the seed's diagrams.
    """

    state: State
    said: tuple[str, ...]
    effects: tuple[Effect, ...] = ()
    swaps: tuple[Swap, ...] = ()


class Reads(Flag):
    """What a decision must have read of the board."""

    NOTHING = 0
    INDEX = auto()
    """Entries, pings, and those who have waited longest."""
    WAITS = auto()
    """Whether the actor itself is still in the queue."""
    SEATS = auto()
    """Who sits on the runner itself."""
    ALL = INDEX | WAITS | SEATS


@dataclass(frozen=True, slots=True)
class Rule:
    """`act` decides; `to` and `sends` are what it may lead to and ask for, by class, where it does
    not ignore the signal; `reads` is what of the board it looks at."""

    act: Callable[[Any, Any, Scene], Step[Any]]
    to: Sequence[type]
    sends: Sequence[type] = ()
    reads: Reads = Reads.NOTHING


@dataclass(frozen=True, slots=True)
class Ignored:
    """The signal changes nothing in this state."""

    why: str


Cell = Rule | Ignored
Table = Mapping[type, Mapping[type, Cell]]
"""Phase class -> signal class -> what follows."""


def cell(table: Table, phase: type, signal: type) -> Cell:
    """What follows. Raises LookupError for a pair that the table does not have."""
    try:
        return table[phase][signal]
    except KeyError:
        raise LookupError(f"no rule for {signal.__name__} in {phase.__name__}") from None


def decided(table: Table, state: Any, signal: Signal, column: type, scene: Scene) -> Step[Any]:
    """What the table says about this signal, of this `column`, in the state's phase."""
    found = cell(table, type(state.phase), column)
    if isinstance(found, Ignored):
        return ignored(state, found.why)
    return found.act(state, signal, scene)


def reads(table: Table, phase: type, column: type) -> Reads:
    """What must be read of the board before this can be decided."""
    found = cell(table, phase, column)
    return Reads.NOTHING if isinstance(found, Ignored) else found.reads


def ignored(state: State, why: str) -> Step[State]:
    """Nothing changes."""
    return Step(state, (f"ignored: {why}",))


def complete(
    phases: Sequence[type],
    signals: Sequence[type],
    rows: Mapping[type, Mapping[type, Cell]],
    default: Mapping[type, Ignored],
) -> Table:
    """The table of these rows, with `default` where a row says nothing about a signal.

    Raises ValueError for a pair that neither says anything about: a gap is a mistake of ours, and
    shows at import.
    """
    table: dict[type, dict[type, Cell]] = {}
    for phase in phases:
        row: dict[type, Cell] = {}
        for signal in signals:
            found = rows.get(phase, {}).get(signal) or default.get(signal)
            if found is None:
                raise ValueError(f"nothing is said about {signal.__name__} in {phase.__name__}")
            row[signal] = found
        table[phase] = row
    return table
