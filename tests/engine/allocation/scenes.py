"""States and scenes to decide from, with what a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.allocation.actor_state import ActorState, Running
from engine.allocation.actor_state import Phase as ActorPhase
from engine.allocation.board import Board, Entry, Pending, board_partition, pending_item
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.pool_state import Phase as PoolPhase
from engine.allocation.pool_state import PoolState
from engine.allocation.rules import Effect, Reads, Scene, Step, Tell
from engine.allocation.runner_state import Phase as RunnerPhase
from engine.allocation.runner_state import RunnerState
from engine.allocation.settings import AllocationSettings
from engine.allocation.signals import Signal

NOW = 1_700_000_000_000
SETTINGS = AllocationSettings()
SERVERLESS = PoolConfig(url="https://example.com/runners")
UNMANAGED = PoolConfig()

S = TypeVar("S")


def a_board(
    entries: Mapping[str, Entry] = {},
    *,
    pending: Sequence[Pending] = (),
    seats: Mapping[str, int] = {},
    waits: bool = False,
    config: PoolConfig = UNMANAGED,
    pings: Mapping[str, int] | None = None,
) -> Board:
    """A board whose runners were heard of just now, unless `pings` says otherwise."""
    return Board(
        board_partition("default", "p"),
        config,
        entries,
        dict.fromkeys(entries, NOW) if pings is None else pings,
        [(pending_item(each), each) for each in pending],
        seats,
        waits,
    )


def as_read(board: Board, reads: Reads) -> Board:
    """What is left of a board where only that was read."""
    if Reads.INDEX not in reads:
        board = replace(board, entries={}, pings={}, pending=(), config=UNMANAGED, config_body=None)
    if Reads.SEATS not in reads:
        board = replace(board, seats={})
    return board if Reads.WAITS in reads else replace(board, waits=False)


def an_entry(total: int = 1, taken: int = 0, *, version: int = 0, is_open: bool = True) -> Entry:
    return Entry(total, taken, version, is_open, 7)


def waiting(actor: str = "a9", generation: int = 3, since: int = NOW - 5_000) -> Pending:
    return Pending(actor, generation, since)


def a_scene(board: Board | None = None, *, me: str = "a1", **changes: Any) -> Scene:
    fields: dict[str, Any] = {
        "me": me,
        "partition": f"default/actor/{me}",
        "now": NOW,
        "chance": 0.5,
        "board": board if board is not None else a_board(),
        "settings": SETTINGS,
        "fresh": tuple(f"q{number}" for number in range(10)),
    }
    return Scene(**(fields | changes))


RUNNING = Running("n1")


def an_actor(phase: ActorPhase = RUNNING, **changes: Any) -> ActorState:
    """Of generation 2, on runner n1 where it is on one."""
    state = ActorState(
        "counter", ("main",), "p", CrashPolicy.SLEEP, NOW - 90_000, phase, generation=2
    )
    return replace(state, **changes)


def a_runner(phase: RunnerPhase, **changes: Any) -> RunnerState:
    """With connection c1 of epoch 1."""
    state = RunnerState("p", "key", 0, 2, NOW - 90_000, phase, "c1", 1)
    return replace(state, **changes)


def a_pool(phase: PoolPhase, config: PoolConfig = SERVERLESS, **changes: Any) -> PoolState:
    return replace(PoolState(config, NOW - 90_000, phase), **changes)


# -- what a step asks for -------------------------------------------------------------------------


def told(step: Step[Any]) -> list[tuple[str, Signal]]:
    """Whom it tells what."""
    return [(f"{e.to.kind}:{e.to.id}", e.signal) for e in step.effects if isinstance(e, Tell)]


def kinds(effects: Sequence[Effect]) -> list[type]:
    """The classes of the signals that are sent, and of what else is asked for."""
    return [type(e.signal) if isinstance(e, Tell) else type(e) for e in effects]


def changed(step: Step[Any]) -> dict[str, str]:
    """The items that its swaps make, replace or delete."""
    words = {}
    for swap in step.swaps:
        if swap.expected is None:
            words[swap.name] = "made"
        else:
            words[swap.name] = "deleted" if swap.body is None else "replaced"
    return words


def is_ignored(step: Step[Any]) -> bool:
    return len(step.said) == 1 and step.said[0].startswith("ignored: ")
