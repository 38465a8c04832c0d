"""Every rule is needed: with one switched off, the general random runs find a violation.

The workloads and the checks are those of every other simulation; none was written for a mutant. The
engine itself passes the same seeds. A rule whose removal nothing finds would not be tested.
"""

from __future__ import annotations

import pytest

from tests.engine.simulation.mutants import RULES, Mutant
from tests.engine.simulation.randomly import first_found

BLOCK = 100


@pytest.mark.parametrize("mutant", RULES, ids=lambda mutant: mutant.name)
def test_the_random_runs_find_an_engine_that(mutant: Mutant) -> None:
    with mutant.make():
        found = first_found(range(mutant.within))
    assert found is not None, f"{mutant.within} seeds pass although rule {mutant.rule} is off"
    assert found.problem.startswith("Violation: "), f"seed {found.seed}: {found.problem}"


@pytest.mark.parametrize("block", range(max(mutant.within for mutant in RULES) // BLOCK))
def test_the_engine_itself_passes_the_same_seeds(block: int) -> None:
    assert first_found(range(block * BLOCK, (block + 1) * BLOCK)) is None


@pytest.mark.parametrize("faults", ["none", "mild"])
def test_the_engine_passes_where_little_goes_wrong(faults: str) -> None:
    assert first_found(range(100), faults) is None
