"""Signals that come twice and out of turn lead to the same end: a metamorphic test.

The same scenarios are played twice, without any fault: as they are, and with every signal stored a
second time under another id, both copies at times that are shuffled. Of one sender the order stays:
that is what its sequence is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from engine.allocation.actor_state import ActorState
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.keyvalue import STATE_ITEM
from engine.allocation.mailing import Mailer
from engine.allocation.pool_state import PoolState
from engine.layout import RunKey
from engine.ports import Clock
from engine.simulation.allocation.checks.rest import AllocationRules
from engine.simulation.allocation.happenings import (
    Happening,
    Make,
    Order,
    RunnerComes,
    Trouble,
    UserRequest,
)
from engine.simulation.allocation.hosting import Count
from engine.simulation.allocation.storms import Pool, Storm
from engine.simulation.world.simulation import Simulation

SERVERLESS = PoolConfig(url="http://endpoint", slots_per_runner=2)
SHUFFLED_MS = 40
NAME = "p.sleep"

ADDS = tuple(UserRequest(10.0 * n, NAME, key, "/add") for n in range(1, 4) for key in "ab")
SCENARIOS: dict[str, tuple[PoolConfig, tuple[Happening, ...]]] = {
    "requests": (SERVERLESS, ADDS),
    "sleeps and wakes": (
        SERVERLESS,
        tuple(
            UserRequest(10.0 * n, NAME, "a", path)
            for n, path in enumerate(("/add", "/sleep", "/sleep", "/add", "/sleep", "/add"))
        ),
    ),
    "an alarm": (
        SERVERLESS,
        (UserRequest(1.0, NAME, "a", "/alarm/100"), UserRequest(5.0, NAME, "a", "/sleep")),
    ),
    "an end": (
        SERVERLESS,
        (
            Make(0.5, "p", CrashPolicy.SLEEP, NAME, "b"),
            *ADDS,
            Order(60.0, NAME, "a", "destroy"),
        ),
    ),
    "a runner that dies": (
        PoolConfig(),
        (
            RunnerComes(0.0, "p", "one", 4),
            *ADDS,
            Trouble(50.0, "kill", 0),
            RunnerComes(100.0, "p", "two", 4),
            UserRequest(120.0, NAME, "a", "/add"),
        ),
    ),
    "a connection that breaks": (
        PoolConfig(),
        (
            RunnerComes(0.0, "p", "one", 4),
            UserRequest(5.0, NAME, "a", "/add"),
            Trouble(12.0, "disconnect", 0),
            UserRequest(30.0, NAME, "a", "/add"),
        ),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", range(2))
def test_signals_that_come_twice_and_out_of_turn_lead_to_the_same_end(name: str, seed: int) -> None:
    config, happenings = SCENARIOS[name]
    pool = Pool("p", config, (CrashPolicy.SLEEP,), ("a", "b"))
    scenario = Storm((pool,), happenings, 200.0, idle_s=15.0)
    once = _end(scenario)
    with _twice_and_shuffled(seed):
        assert _end(scenario) == once


def _end(scenario: Storm) -> dict[str, object]:
    """What every actor and pool has come to."""
    with Simulation(
        actors=scenario.actors(), observers=scenario.observers(), settings=scenario.settings()
    ) as simulation:
        scenario.begin(simulation)
        report = simulation.run()
        assert report.violation is None
        (rules,) = (o for o in simulation.stage.observers if isinstance(o, AllocationRules))
        table = simulation.deployment.table
        end: dict[str, object] = {}
        for key, head in rules.heads.items():
            state = head.state
            if isinstance(state, ActorState):
                end[f"{state.name}/{state.key}"] = (head.phase, _count(table, key), state.alarm_at)
            elif isinstance(state, PoolState):
                end[key.run] = (head.phase, len(state.requests), state.failures)
        return end


def _count(table: Any, key: RunKey) -> int:
    body = table.items(key.partition, [STATE_ITEM]).get(STATE_ITEM)
    return 0 if body is None else msgspec.json.decode(body, type=Count).count


class _Shuffled:
    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random

    def now(self) -> int:
        return self._clock.now() + self._random.randint(-SHUFFLED_MS, SHUFFLED_MS)


@contextmanager
def _twice_and_shuffled(seed: int) -> Iterator[None]:
    original, random = Mailer.signal, Random(seed)

    async def changed(
        self: Mailer, to: RunKey, signal: Any, id: str, sender: str = "", sequence: int = 0
    ) -> None:
        for twin in ("", ":again"):
            mailer = Mailer(self._journal, _Shuffled(self._clock, random), self._entropy)
            await original(mailer, to, signal, id + twin, sender, sequence)

    with patch.object(Mailer, "signal", changed):
        yield
