"""What a step costs where little goes wrong: 1 % of messages doubled, 1 % of deliveries killed.

A step is a recorded result, as everywhere. The end of a wait is one too: it costs the message that
goes on from it, and no execution, and so flatters executions per step. What an actor made is an
attempt; executions are held against those. A wait needs one message more than an attempt without:
for its time-out, or for what comes after it. Messages are therefore held against steps, and against
attempts in the workloads in which nothing waits.
"""

from __future__ import annotations

from functools import cache

import pytest

from engine.simulation.checks.costs import Costs
from engine.simulation.checks.invariants import Invariants
from engine.simulation.recipes import prepare, recipe_for
from engine.simulation.workloads.generated import generate
from tests.engine.simulation.randomly import quietly

pytestmark = pytest.mark.thorough

SEEDS = range(200)


@cache
def costs(faults: str, waits: bool) -> Costs:
    """Of all these seeds; of those in which something waits or nothing does."""
    found: list[Costs] = []
    with quietly():
        for seed in SEEDS:
            workload = generate(seed)
            if any(node.script.waits for node in workload.sketch.nodes) is waits:
                simulation = prepare(recipe_for(generate, seed, faults), workload)
                with simulation:
                    assert simulation.run().violation is None
                checks = simulation.stage.observers[-1]
                assert isinstance(checks, Invariants)
                found.append(checks.costs)
    return sum(found, start=Costs())


def test_executions_per_attempt_stay_within_the_stated_bound() -> None:
    for waits in (False, True):
        assert 1 <= costs("mild", waits).executions_per_attempt <= 1.03


def test_messages_per_step_stay_within_the_stated_bound() -> None:
    everything = costs("mild", waits=False) + costs("mild", waits=True)
    assert everything.messages_per_step <= 1.06


def test_messages_per_attempt_stay_within_the_stated_bound_where_nothing_waits() -> None:
    assert 1 <= costs("mild", waits=False).messages_per_attempt <= 1.06


def test_faults_cost_what_they_are_worth() -> None:
    """Of a hundred messages one is doubled, and of a hundred deliveries one is killed."""
    calm, mild = costs("none", waits=False), costs("mild", waits=False)
    assert mild.executions_per_attempt - calm.executions_per_attempt <= 0.02
    assert mild.messages_per_attempt - calm.messages_per_attempt <= 0.02
