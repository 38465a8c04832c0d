"""A simulation as a whole: one seed, one history; callers; calm; the report."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.errors import RunExists, RunNotFound
from engine.layout import RunKey
from engine.simulation import MILD, NONE, STORM, Api, Observer, Simulation, Violation
from engine.simulation.recipes import prepare, recipe_for
from engine.snapshot import Head, Status
from tests.engine.simulation.chains import ACTORS, OneExecution, chain, month, sound


def history(seed: int) -> tuple[str, str]:
    with prepare(recipe_for(sound, seed), sound(seed)) as simulation:
        simulation.run()
        return simulation.history.digest(), str(simulation.history)


def test_a_run_takes_its_course() -> None:
    with Simulation(actors=ACTORS) as simulation:
        key = simulation.start(chain(3), 4, run="r")
        report = simulation.run()
        assert simulation.view("r").output == {"n2": 7}
        assert simulation.head("r").status is Status.COMPLETED
    assert key == RunKey("default", "r")
    assert report.quiet
    assert report.violation is None
    assert (report.steps, report.counts["messages"], report.counts["executions"]) == (3, 3, 3)
    assert report.unsettled == ()


def test_the_same_seed_has_the_same_history_and_another_seed_another() -> None:
    assert history(11) == history(11)
    assert history(11) != history(12)


_DIGESTS = """
from tests.engine.simulation.world.test_simulation import history
for seed in range(12):
    print(history(seed)[0])
"""


def test_other_processes_with_other_hash_seeds_see_the_same_history() -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "4242")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0].split())) == 12


@pytest.mark.parametrize("seed", range(20))
def test_in_a_storm_that_ends_every_run_comes_to_its_end(seed: int) -> None:
    with prepare(recipe_for(sound, seed), sound(seed)) as simulation:
        report = simulation.run()
        statuses = {each: simulation.view(f"r{each}").output for each in range(3)}
    assert report.violation is None
    assert statuses == {each: {"n14": each + 15} for each in range(3)}


def test_months_pass_without_anything_happening_in_them() -> None:
    with Simulation(actors=ACTORS, faults=STORM, seed=5, calm_after=7200) as simulation:
        simulation.start(chain(2, month.name), 0, run="r")
        report = simulation.run()
        assert simulation.head("r").status is Status.COMPLETED
        assert len(simulation.history) < 300
    assert report.seconds > 60 * 86_400


def test_it_goes_on_from_where_its_time_was_up() -> None:
    with Simulation(actors=ACTORS) as simulation:
        simulation.start(chain(1, month.name), 0, run="r")
        assert not simulation.run(until=3600).quiet
        assert simulation.head("r").status is Status.PAUSED
        assert simulation.run().quiet
        assert simulation.head("r").status is Status.COMPLETED


def test_calls_come_at_their_time_and_are_answered() -> None:
    class Answers(Observer):
        def __init__(self) -> None:
            self.seen: list[tuple[str, str, str, int]] = []

        def answered(self, call: str, key: RunKey, result: object, at: int) -> None:
            self.seen.append((call, key.run, type(result).__name__, at // 1000 % 100))

    answers = Answers()
    with Simulation(actors=ACTORS, observers=[answers]) as simulation:
        simulation.start(chain(1), 0, run="r")
        simulation.at(10, lambda api: api.start(chain(2), 0, run="r"))
        simulation.at(20, lambda api: api.view("r"))
        simulation.at(30, lambda api: api.view("s"))
        simulation.run()
    assert answers.seen == [
        ("start", "r", "Started", 0),
        ("start", "r", RunExists.__name__, 10),
        ("view", "r", "RunView", 20),
        ("view", "s", RunNotFound.__name__, 30),
    ]


def test_a_caller_without_an_answer_asks_again() -> None:
    asked: list[int] = []

    async def ask(api: Api) -> None:
        asked.append(1)
        await api.start(chain(1), 0, run="r")

    with Simulation(actors=ACTORS, faults=STORM, seed=2, calm_after=3600) as simulation:
        for number in range(20):
            simulation.at(number * 100, ask)
        simulation.run()
        assert simulation.view("r").output == {"n0": 1}
    assert len(asked) > 20


def test_an_observer_that_objects_ends_the_simulation() -> None:
    class Objects(Observer):
        def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
            if after.rev == 3:
                raise Violation("no third revision", f"{key.run} was saved again")

    with Simulation(actors=ACTORS, observers=[Objects()]) as simulation:
        simulation.start(chain(9), 0, run="r")
        report = simulation.run()
        assert simulation.head("r").rev == 3
        assert "VIOLATION" in str(simulation.history)
    assert str(report.violation) == "no third revision: r was saved again"
    assert not report.quiet


def test_an_observer_with_a_bug_of_its_own_is_not_taken_for_a_violation() -> None:
    class Buggy(Observer):
        def sent(self, body: str, delay_ms: int, at: int) -> None:
            raise KeyError("bug")

    with Simulation(actors=ACTORS, observers=[Buggy()]) as simulation:
        simulation.start(chain(1), 0)
        with pytest.raises(KeyError, match="bug"):
            simulation.run()


def test_the_end_is_told_with_all_heads() -> None:
    class End(Observer):
        told: tuple[list[str], bool] | None = None

        def came_to_rest(self, heads: dict[RunKey, Head], quiet: bool, at: int) -> None:  # type: ignore[override]
            self.told = (sorted(key.run for key in heads), quiet)

    end = End()
    with Simulation(actors=ACTORS, observers=[end]) as simulation:
        simulation.start(chain(1), 0, run="a")
        simulation.start(chain(1, month.name), 0, run="b")
        simulation.run(until=60)
    assert end.told == (["a", "b"], False)


def test_without_faults_nothing_runs_twice_and_a_crash_makes_it() -> None:
    for faults, broken in ((NONE, False), (STORM, True)):
        with Simulation(
            actors=ACTORS, faults=faults, observers=[OneExecution()], seed=1
        ) as simulation:
            for number in range(5):
                simulation.start(chain(12), 0, run=f"r{number}")
            assert (simulation.run().violation is not None) is broken


def test_mild_faults_are_duplicates_and_crashes_alone() -> None:
    with Simulation(actors=ACTORS, faults=MILD, seed=1) as simulation:
        for number in range(40):
            simulation.start(chain(15), 0, run=f"r{number}", at=number)
        report = simulation.run()
    assert set(report.injected) == {"duplicated", "crashed"}
    assert report.messages_per_step < 1.06
    assert report.executions_per_step < 1.03


def test_when_it_is_calm_from_the_beginning_nothing_goes_wrong() -> None:
    with Simulation(actors=ACTORS, faults=STORM, seed=1, calm_after=0) as simulation:
        for number in range(5):
            simulation.start(chain(12), 0, run=f"r{number}", at=1)
        report = simulation.run()
    assert report.injected == {}
