"""Every signal in every state that a party can be in, before every board that matters.

The states are the reachable ones: a table may not promise what only an impossible state leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

from engine.allocation import actor_state as a
from engine.allocation import actor_table, frames, pool_table, runner_table, signals
from engine.allocation import pool_state as p
from engine.allocation import runner_state as r
from engine.allocation.board import Board
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.frames import Command, StopActor
from engine.allocation.rules import Scene
from tests.engine.allocation.scenes import (
    NOW,
    SERVERLESS,
    UNMANAGED,
    a_board,
    a_pool,
    a_runner,
    a_scene,
    an_actor,
    an_entry,
    waiting,
)


class Case(NamedTuple):
    """`column` is the signal's in the table."""

    state: Any
    signal: Any
    column: type
    scene: Scene


# -- actors ---------------------------------------------------------------------------------------

PAST, FUTURE = NOW - 1_000, NOW + 1_000

ACTOR_PHASES: Sequence[a.Phase] = (
    a.Created(NOW),
    a.Pending(PAST, FUTURE),
    a.Pending(PAST, PAST),
    a.Pending(PAST, 0, True),
    a.Starting("n1", FUTURE),
    a.Running("n1"),
    a.SleepIntent("n1", FUTURE),
    a.SleepIntent("n1", FUTURE, True),
    a.GoingAway("n1", FUTURE),
    a.GoingAway("n1", FUTURE, True),
    a.StopIntent("n1", FUTURE),
    a.Sleeping(),
    a.Sleeping(PAST),
    a.Backoff(PAST),
    a.Backoff(FUTURE),
    a.Destroyed(),
)
ACTOR_BOARDS: Sequence[Board] = (
    a_board(),
    a_board(config=SERVERLESS),
    a_board({"n1": an_entry(1, 1)}, config=SERVERLESS),
    a_board({"n1": an_entry(1, 1)}, pending=[waiting()], waits=True),
    a_board({"n1": an_entry(1, 1), "n2": an_entry(2, 1)}),
    a_board({"n1": an_entry(1, 1, is_open=False), "n2": an_entry()}, pending=[waiting()]),
)


def reports(generation: int, runner: str) -> list[signals.ActorSignal]:
    """Whatever is said of a runner and a generation."""
    told = (
        frames.Running(),
        frames.Sleep(),
        frames.Stop(),
        frames.Alarm(FUTURE),
        frames.Alarm(),
        frames.Stopped(),
        frames.Stopped("boom"),
    )
    return [
        *(signals.Reported(runner, generation, report) for report in told),
        signals.GoingAway(runner, generation),
        signals.Lost(runner, generation),
        signals.Lost(runner, generation, "runner_connection_lost: n1"),
    ]


ACTOR_SIGNALS: Sequence[signals.ActorSignal] = (
    signals.Timer(),
    signals.Wake(),
    signals.Wake(pend=False),
    signals.Allocate("n1", 3),
    signals.Allocate("n1", 2),
    *reports(2, "n1"),
    signals.Sleep(),
    signals.Destroy(),
)


def actor_cases() -> Iterator[Case]:
    histories: Sequence[dict[str, Any]] = (
        {},
        {"crashes": 1, "crashed_at": PAST, "error": "crashed: earlier"},
        {"crashes": 3, "crashed_at": PAST, "not_before": FUTURE, "error": "crashed: earlier"},
    )
    for phase, signal, board, crash, alarm, history in product(
        ACTOR_PHASES, ACTOR_SIGNALS, ACTOR_BOARDS, CrashPolicy, (0, PAST, FUTURE), histories
    ):
        if isinstance(phase, a.Created) and (history or alarm):
            continue  # it has not been anywhere yet
        state = an_actor(phase, crash=crash, alarm_at=alarm, **history)
        column = type(signal.report) if isinstance(signal, signals.Reported) else type(signal)
        yield Case(state, signal, column, a_scene(board))


# -- runners --------------------------------------------------------------------------------------

RUNNER_PHASES: Sequence[r.Phase] = (
    r.Connected(PAST),
    r.Away(PAST),
    r.Draining(PAST),
    r.Gone(),
)
RUNNER_SIGNALS: Sequence[signals.RunnerSignal] = (
    signals.Timer(),
    signals.Connected("c2", 2),
    signals.Connected("c1", 1),
    signals.Disconnected("c1"),
    signals.Disconnected("c0"),
    signals.CheckQueue(),
    signals.StopRunner(),
    signals.Start("a1", 3, "counter", ("main",), NOW, 0),
    signals.Stop("a1", 3, False),
    signals.Happened(1, "a1", 2, frames.Running()),
    signals.Happened(2, "a1", 2, frames.Running(), 1),
)


def runner_cases() -> Iterator[Case]:
    crowd = [waiting(f"a{number}", since=PAST + number) for number in range(30)]
    unheard = (Command(1, StopActor("a1", 2)), Command(2, StopActor("a2", 2)))
    for phase, signal, owed in product(RUNNER_PHASES, RUNNER_SIGNALS, ((), unheard)):
        gone = isinstance(phase, r.Gone)
        is_open = isinstance(phase, r.Connected)
        connections = {r.Connected: ["c1"], r.Draining: ["c1", ""]}.get(type(phase), [""])
        entry = an_entry(40, 1, is_open=is_open)
        entries = {} if gone else {"n1": entry}
        boards = [
            a_board(entries, seats={"a7": 4}, pending=queue, pings={"n1": ping})
            for queue in ([], crowd[:1], crowd)
            for ping in (NOW - 60_000, NOW - 3_000)
        ]
        boards.append(a_board({name: an_entry(40, 0, is_open=is_open) for name in entries}))
        for connection, board in product(connections, boards):
            state = a_runner(
                phase, connection=connection, events=1, commands=2, unheard=() if gone else owed
            )
            yield Case(state, signal, type(signal), a_scene(board, me="n1"))


# -- pools ----------------------------------------------------------------------------------------

OTHER = PoolConfig(command=("run",))
SOURCE = p.source_of(SERVERLESS)


def held(id: str = "q-1", began_ago_s: float = 60, runner: str = "", **changes: Any) -> p.Held:
    fields: dict[str, Any] = {"source": SOURCE, "runner": runner} | changes
    return p.Held(id, NOW - int(began_ago_s * 1000), **fields)


POOL_SIGNALS: Sequence[signals.PoolSignal] = (
    signals.Timer(),
    signals.Bump(),
    signals.Configure(SERVERLESS),
    signals.Configure(OTHER),
    signals.Configure(PoolConfig(url=SERVERLESS.url, max_runners=1)),
    signals.Configure(UNMANAGED),
    signals.RequestBegan("q-1", "n1"),
    signals.RequestBegan("q-9", "n9"),
    signals.RequestEnded("q-1"),
    signals.RequestEnded("q-1", "it answered with 500"),
    signals.RequestEnded("q-9"),
)
POOL_REQUESTS: Sequence[tuple[p.Held, ...]] = (
    (),
    (held(began_ago_s=1),),
    (held(),),  # nothing came of it
    (held(runner="n1"),),
    (held(runner="n1"), held("q-2", 30, "n2")),
    (held(runner="n9"),),  # it has gone
    (held(began_ago_s=1), held("q-2"), held("q-3", runner="n1")),
    (held(began_ago_s=1), held("q-2", 1), held("q-3", runner="n1")),
    (held("q-2", 7_200, "n2"),),  # it has lived long enough
)
DRAINING: Sequence[tuple[p.Held, ...]] = (
    (held(runner="n1", draining_at=PAST),),
    (held(draining_at=PAST),),
    (held(draining_at=NOW - 60_000),),
)
POOL_BOARDS: Sequence[Board] = (
    a_board(),
    a_board({"n1": an_entry(), "n2": an_entry(1, 1)}),
    a_board({"n1": an_entry()}, pending=[waiting()]),
    a_board({"n1": an_entry(1, 1)}, pending=[waiting("a8"), waiting()]),
)


def pool_cases() -> Iterator[Case]:
    phases: Sequence[p.Phase] = (
        p.Steady(PAST),
        p.Surplus(PAST, PAST),
        p.Surplus(NOW, FUTURE),
        p.BackingOff(PAST, PAST),
        p.BackingOff(FUTURE, FUTURE),
    )
    for signal, board in product(POOL_SIGNALS, POOL_BOARDS):
        scene = a_scene(board, me="p")
        yield Case(a_pool(p.Unmanaged(), UNMANAGED), signal, type(signal), scene)
        for phase, requests in product(phases, (*POOL_REQUESTS, *DRAINING)):
            yield Case(a_pool(phase, requests=requests), signal, type(signal), scene)
        for requests in DRAINING:  # of before it became unmanaged
            state = a_pool(p.Steady(PAST), UNMANAGED, requests=requests)
            yield Case(state, signal, type(signal), scene)


CASES: dict[str, tuple[ModuleType, list[Case]]] = {
    "actor": (actor_table, list(actor_cases())),
    "runner": (runner_table, list(runner_cases())),
    "pool": (pool_table, list(pool_cases())),
}
