"""The rules of allocation are needed: with one switched off, a storm or a golden trace finds it.

As in `checks/test_mutations`: the test begins at the seed that is known to find it, and gives it
`MORE` of them.
"""

from __future__ import annotations

import pytest

from tests.engine.simulation.allocation import test_golden_races as races
from tests.engine.simulation.allocation.golden import play
from tests.engine.simulation.allocation.mutants import (
    MUTANTS,
    Mutant,
    first_found,
    overlooks_who_waits_beside_a_free_slot,
)

pytestmark = pytest.mark.thorough

MORE = 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_storms_find_an_engine_that(mutant: Mutant) -> None:
    with mutant.make():
        found = first_found(range(mutant.seed, mutant.seed + MORE))
    assert found is not None, "all storms pass although a rule is off"
    assert found.rule in (mutant.breaks, mutant.or_breaks), (
        f"seed {found.seed}: {found.rule}: {found.text}"
    )


def test_a_golden_trace_finds_a_pool_that_overlooks_who_waits_beside_a_free_slot() -> None:
    """Storms do not: the runner's own timer looks into the queue again, seconds later."""
    with overlooks_who_waits_beside_a_free_slot(), pytest.raises(AssertionError):
        play(races._limbo, races.UNMANAGED)
