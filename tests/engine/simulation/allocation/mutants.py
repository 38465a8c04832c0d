"""Allocation with one of its rules switched off, rule by rule.

Each mutant is a context manager that patches the engine while it is entered. None knows a storm,
and no storm knows them. `breaks` is the check that objects, `seed` the first storm that finds it.

    python -m tests.engine.simulation.allocation.mutants        # finds those seeds anew
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import engine.allocation.actor_moves
import engine.allocation.board
import engine.allocation.inbox
from engine.allocation import (
    actor_moves,
    actor_table,
    board,
    effects,
    frames,
    pool_table,
    runner_table,
)
from engine.allocation.actor_state import ActorState, GoingAway, Running, SleepIntent
from engine.allocation.config import CrashPolicy
from engine.allocation.keyvalue import KEY_PREFIX, STATE_ITEM, KeyValue
from engine.allocation.rules import Post, Rule, Table, decided
from engine.allocation.runner_state import RunnerState
from engine.allocation.stepping import Services
from engine.layout import RunKey
from engine.ports import Item
from engine.simulation.allocation.storms import storm
from engine.simulation.recipes import prepare, recipe_for

MutantMaker = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    make: MutantMaker
    seed: int = 0
    breaks: str = ""
    or_breaks: str = ""
    """Another check that may be the first to object."""


@contextmanager
def _acting(table: Table, act: Callable[..., Any], changed: Callable[..., Any]) -> Iterator[None]:
    """Every rule of the table that does `act` does `changed` instead."""
    cells = [cell for row in table.values() for cell in row.values() if isinstance(cell, Rule)]
    rules = [cell for cell in cells if cell.act is act]
    assert rules
    for rule in rules:
        object.__setattr__(rule, "act", changed)
    try:
        yield
    finally:
        for rule in rules:
            object.__setattr__(rule, "act", act)


# -- the store and the way to it ------------------------------------------------------------------


def writes_without_owning() -> AbstractContextManager[Any]:
    async def changed(
        self: KeyValue,
        key: RunKey,
        owner: Any,
        state: bytes | None,
        puts: Mapping[str, bytes],
        deletes: Sequence[str],
        sequence: int = 0,
    ) -> None:
        items = [Item(key.partition, KEY_PREFIX + name, body) for name, body in puts.items()]
        if state is not None:
            items.append(Item(key.partition, STATE_ITEM, state))
        await self._journal.put(items)

    return patch.object(KeyValue, "save", changed)


def forgets_debts_of_a_dead_step() -> AbstractContextManager[Any]:
    """What a step owes is paid by that step's process or by nobody."""
    original = Services._load

    async def changed(self: Services, key: RunKey) -> Any:
        head = await original(self, key)
        return None if head is None else replace(head, owed=())

    return patch.object(Services, "_load", changed)


def takes_the_newest_signal_first() -> AbstractContextManager[Any]:
    return patch.object(engine.allocation.inbox, "min", max, create=True)


def owes_one_thing_too_little() -> AbstractContextManager[Any]:
    original = Services._after

    def changed(self: Services, head: Any, *rest: Any) -> Any:
        after = original(self, head, *rest)
        return replace(after, owed=after.owed[:-1])

    return patch.object(Services, "_after", changed)


# -- the index ------------------------------------------------------------------------------------


def keeps_the_entrys_revision() -> AbstractContextManager[Any]:
    def changed(value: Any, **fields: Any) -> Any:
        fields.pop("rev", None)
        return replace(value, **fields)

    return patch.object(board, "replace", changed)


def hands_a_slot_over_without_a_word() -> AbstractContextManager[Any]:
    original = board.release

    def changed(*where: Any) -> Any:
        return replace(original(*where), next=None)

    return patch.object(board, "release", changed)


def overtakes() -> AbstractContextManager[Any]:
    """The newest of those who wait gets the slot."""
    original = board.hand_out

    def changed(read: board.Board, *rest: Any) -> Any:
        return original(replace(read, pending=list(reversed(read.pending))), *rest)

    return patch.object(board, "hand_out", changed)


def gives_back_no_slot() -> AbstractContextManager[Any]:
    def changed(read: board.Board, runner: str, actor: str, generation: int, *rest: Any) -> Any:
        return board.Released((board._stand(read, runner, actor, generation),), None)

    return patch.object(board, "release", changed)


def overlooks_who_waits_beside_a_free_slot() -> AbstractContextManager[Any]:
    return patch.object(pool_table, "_overlooked", lambda scene: ())


# -- the parties ----------------------------------------------------------------------------------


def believes_what_is_stale() -> AbstractContextManager[Any]:
    def changed(state: ActorState, signal: Any, scene: Any) -> Any:
        column = type(getattr(signal, "report", signal))
        return decided(actor_table.TABLE, state, signal, column, scene)

    return patch.object(actor_table, "decide", changed)


def stops_an_actor_again() -> AbstractContextManager[Any]:
    row: Any = actor_table.TABLE[SleepIntent]
    again = actor_table.TABLE[Running][frames.Sleep]
    return patch.dict(row, {frames.Sleep: again})


def counts_a_stop_that_was_asked_for_as_a_crash() -> AbstractContextManager[Any]:
    def changed(state: ActorState, signal: Any, scene: Any) -> Any:
        return actor_moves.left(replace(state, crashes=state.crashes + 1), scene, "")

    return _acting(actor_table.TABLE, actor_table._stopped_as_asked, changed)


def destroys_what_is_drained() -> AbstractContextManager[Any]:
    original = actor_moves.left

    def changed(state: ActorState, scene: Any, error: str, said: tuple[str, ...] = ()) -> Any:
        step = original(state, scene, error, said)
        if isinstance(state.phase, GoingAway) and state.crash is CrashPolicy.DESTROY:
            return actor_moves.ended(step.state, scene, step.said, step.effects, step.swaps)
        return step

    return patch.object(actor_table, "left", changed)


def sleeps_although_a_wake_was_deferred() -> AbstractContextManager[Any]:
    original = actor_moves.slept

    def changed(state: ActorState, scene: Any, error: str = "", *, again: bool = False) -> Any:
        return original(state, scene, error)

    return patch.object(actor_moves, "slept", changed)


def replays_no_command() -> AbstractContextManager[Any]:
    """Neither after a reconnect nor beside the next one."""

    def changed(state: RunnerState, post: Post) -> list[str]:
        if not post.newest:
            return []
        return runner_table.posted(state, Post(post.connection, 1))

    return patch.object(effects, "posted", changed)


def leaves_who_is_gone_in_the_index() -> AbstractContextManager[Any]:
    original = runner_table._gone

    def changed(*what: Any) -> Any:
        return replace(original(*what), swaps=())

    return patch.object(runner_table, "_gone", changed)


def tells_nobody_that_their_runner_is_gone() -> AbstractContextManager[Any]:
    original = runner_table._gone

    def changed(*what: Any) -> Any:
        step = original(*what)
        return replace(step, effects=step.effects[-1:])

    return patch.object(runner_table, "_gone", changed)


def never_scales_down() -> AbstractContextManager[Any]:
    def changed(state: Any, scene: Any, live: Any, surplus: int, effects: Any, said: Any) -> Any:
        return pool_table._timed(state, scene, effects, said)

    return patch.object(pool_table, "_fewer", changed)


MUTANTS: Sequence[Mutant] = (
    Mutant(
        "writes without owning",
        writes_without_owning,
        0,
        "only the owner writes",
        "no write is undone",
    ),
    Mutant(
        "forgets the debts of a dead step", forgets_debts_of_a_dead_step, 2, "served in the end"
    ),
    Mutant("takes the newest signal first", takes_the_newest_signal_first, 0, "no event is lost"),
    Mutant("owes one thing too little", owes_one_thing_too_little, 0, "served in the end"),
    Mutant("keeps the entry's revision", keeps_the_entrys_revision, 0, "an entry's revision rises"),
    Mutant(
        "hands a slot over without a word", hands_a_slot_over_without_a_word, 3, "served in the end"
    ),
    Mutant("overtakes", overtakes, 1, "nobody overtakes"),
    Mutant("gives back no slot", gives_back_no_slot, 0, "an entry counts its seats"),
    Mutant("believes what is stale", believes_what_is_stale, 3, "what is stale changes nothing"),
    Mutant("stops an actor again", stops_an_actor_again, 0, "one stop"),
    Mutant(
        "counts a stop as a crash",
        counts_a_stop_that_was_asked_for_as_a_crash,
        0,
        "a stop that was asked for is no crash",
    ),
    Mutant("destroys what is drained", destroys_what_is_drained, 2, "a drain destroys no actor"),
    Mutant(
        "forgets a deferred wake", sleeps_although_a_wake_was_deferred, 0, "a deferred wake is kept"
    ),
    Mutant("replays no command", replays_no_command, 2, "no command is lost"),
    Mutant(
        "leaves who is gone in the index",
        leaves_who_is_gone_in_the_index,
        0,
        "who is gone is in no index",
    ),
    Mutant(
        "tells nobody of a lost runner",
        tells_nobody_that_their_runner_is_gone,
        2,
        "served in the end",
    ),
    Mutant("never scales down", never_scales_down, 1, "scaled to zero"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The first seed that broke a rule, and which."""

    seed: int
    rule: str
    text: str


def first_found(seeds: Iterable[int], faults: str = "storm") -> Found | None:
    """The first storm that finds something."""
    logging.disable(logging.CRITICAL)
    try:
        for seed in seeds:
            with prepare(recipe_for(storm, seed, faults), storm(seed)) as simulation:
                violation = simulation.run().violation
            if violation is not None:
                return Found(seed, violation.rule, violation.text)
        return None
    finally:
        logging.disable(logging.NOTSET)


def main() -> None:
    for mutant in MUTANTS:
        if len(sys.argv) > 1 and not any(word in mutant.name for word in sys.argv[1:]):
            continue
        with mutant.make():
            found = first_found(range(60))
        if found is None:
            print(f"{mutant.name}: NOT FOUND", flush=True)
        else:
            text = found.text[:110].replace("\n", " ")
            print(f"{mutant.name}: {found.seed} {found.rule!r}: {text}", flush=True)


if __name__ == "__main__":
    main()
