"""Many seeds: the same sums in one process and in several."""

from __future__ import annotations

from itertools import count

import pytest

from engine.simulation import simulate_many, simulate_seed
from engine.simulation.running import CHUNK, summaries
from tests.engine.simulation.chains import broken, sound

pytestmark = pytest.mark.thorough


def test_a_seed_is_simulated_by_its_number() -> None:
    report = simulate_seed(sound, 3)
    assert report.seed == 3
    assert report.steps == 45
    assert report == simulate_seed(sound, 3)


def test_sums_are_the_same_however_many_processes_work() -> None:
    one = simulate_many(sound, range(2 * CHUNK))
    two = simulate_many(sound, range(2 * CHUNK), processes=2)
    assert (one.seeds, one.failures) == (2 * CHUNK, [])
    assert (one.counts, one.injected, one.statuses) == (two.counts, two.injected, two.statuses)
    assert one.seeds_per_second > 0
    assert f"{2 * CHUNK} seeds" in str(one)


def test_failures_say_how_to_replay_them() -> None:
    summary = simulate_many(broken, range(20))
    assert summary.failures
    text = str(summary.failures[0])
    assert "one execution" in text
    assert "seed=" in text


def test_seeds_may_be_endless() -> None:
    so_far = summaries(sound, count())
    assert [next(so_far).seeds for _ in range(2)] == [CHUNK, 2 * CHUNK]
