"""Every rule is needed: with one switched off, the general random runs find a violation.

The workloads and the checks are those of every other simulation; none was written for a mutant. A
rule whose removal nothing finds would not be tested. How many seeds from 0 on it takes is stated
with each mutant; the test begins at the one that finds it, to be quick, and gives it `MORE` of
them, so that a change that shifts what is drawn does not matter.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.engine.simulation.mutants import ALIKE, RULES, Mutant
from tests.engine.simulation.randomly import first_found

pytestmark = pytest.mark.thorough

MORE = 25
BUILT = {*map(str, range(1, 21))}
"""The rules of DESIGN §4 that are built; 21 is not."""


@pytest.mark.parametrize("mutant", RULES, ids=lambda mutant: mutant.name)
def test_the_random_runs_find_an_engine_that(mutant: Mutant) -> None:
    with mutant.make():
        found = first_found(range(mutant.seed, mutant.seed + MORE), mutant.faults)
    assert found is not None, f"all seeds pass although rule {mutant.rule} is off"
    assert found.rule == mutant.breaks, f"seed {found.seed}: {found.rule}: {found.text}"


def test_every_rule_has_a_mutant() -> None:
    assert BUILT - {mutant.rule for mutant in RULES} == set()


def test_checks_that_cannot_tell_mutants_apart_say_so() -> None:
    times = Counter(mutant.breaks for mutant in RULES)
    assert {rule for rule, number in times.items() if number > 1} == ALIKE.keys()


def test_the_engine_itself_passes_the_same_seeds() -> None:
    seeds = {seed for m in RULES for seed in range(m.seed, m.seed + MORE)}
    assert first_found(sorted(seeds)) is None


@pytest.mark.parametrize("faults", ["none", "mild"])
def test_the_engine_passes_where_little_goes_wrong(faults: str) -> None:
    assert first_found(range(100), faults) is None
