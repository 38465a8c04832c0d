"""Random storms over actors that sleep: they pass, can be repeated, and draw everything."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.allocation.config import CrashPolicy
from engine.simulation import Muting, Observer
from engine.simulation.allocation.checks.rest import AllocationRules
from engine.simulation.allocation.happenings import (
    Configure,
    Deploy,
    Make,
    Order,
    RunnerComes,
    Trouble,
    UserRequest,
)
from engine.simulation.allocation.storms import storm
from engine.simulation.recipes import prepare, recipe_for, simulate
from engine.simulation.world.faults import RATES
from tests.engine.simulation.allocation.mutants import first_found

pytestmark = pytest.mark.thorough

SEEDS = range(300)


@pytest.mark.parametrize("faults", ["none", "mild", "storm"])
def test_storms_break_no_rule(faults: str) -> None:
    assert first_found(range(1_000, 1_010), faults) is None


def test_the_same_seed_is_the_same_history() -> None:
    histories = []
    for _ in range(2):
        with prepare(recipe_for(storm, 4), storm(4)) as simulation:
            simulation.run()
            histories.append(simulation.history.digest())
    assert histories[0] == histories[1]


def test_everything_that_can_happen_to_actors_is_drawn() -> None:
    drawn: Counter[str] = Counter()
    for seed in SEEDS:
        drawn_storm = storm(seed)
        for pool in drawn_storm.pools:
            drawn["serverless" if pool.config.serverless else "unmanaged"] += 1
            drawn[f"{pool.config.slots_per_runner} slots"] += 1
            for crash in CrashPolicy:
                drawn[crash] += crash in pool.crashes
        for happening in drawn_storm.happenings:
            drawn[type(happening).__name__] += 1
            if isinstance(happening, UserRequest):
                drawn[happening.path.split("/")[1]] += 1
            elif isinstance(happening, Order):
                drawn[happening.word] += 1
            elif isinstance(happening, Trouble):
                drawn[happening.what] += 1
    expected = {
        *(kind.__name__ for kind in (Configure, Deploy, Make, Order, RunnerComes, Trouble)),
        *("sleep", "add", "ping", "crash", "stop", "alarm", "slow", "wake", "destroy"),
        *("kill", "freeze", "stop", "disconnect", *CrashPolicy),
        *("serverless", "unmanaged", *(f"{slots} slots" for slots in range(1, 5))),
    }
    assert [what for what in sorted(expected) if drawn[what] < 10] == []


def test_storms_lead_parties_into_every_phase_and_meet_every_fault() -> None:
    met: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    for seed in range(12):
        with prepare(recipe_for(storm, seed), storm(seed)) as simulation:
            met.update(simulation.run().injected)
            phases.update(_rules(simulation.stage.observers).phases)
    assert {rate for rate in RATES if not met[rate]} <= {"expired", "given_up"}
    for phase in (
        *("Pending", "Starting", "Running", "SleepIntent", "GoingAway", "StopIntent", "Sleeping"),
        *("Destroyed", "Away", "Draining", "Gone", "Surplus", "BackingOff"),
    ):
        assert any(step.endswith(f"-> {phase}") for step in phases), phase


@pytest.mark.parametrize("seed", range(5))
def test_smaller_storms_are_smaller_and_always_the_same(seed: int) -> None:
    whole = storm(seed)
    smaller = list(whole.smaller())
    assert smaller == list(whole.smaller())
    assert all(
        len(each.happenings) < len(whole.happenings) or len(each.pools) <= len(whole.pools)
        for each in smaller
    )


def test_no_message_is_lost_for_good_in_a_storm() -> None:
    """A sleeping actor has neither timer nor debt: by design, nobody would look."""
    with prepare(recipe_for(storm, 0), storm(0)) as simulation:
        assert simulation.stage.dice.muting == Muting(kinds=frozenset({"expired"}))


def test_a_storm_can_be_replayed_from_its_recipe() -> None:
    report = simulate(recipe_for(storm, 1, "none"))
    assert report.violation is None
    assert report.seconds > storm(1).ends_at


def _rules(observers: list[Observer]) -> AllocationRules:
    (rules,) = (each for each in observers if isinstance(each, AllocationRules))
    return rules
