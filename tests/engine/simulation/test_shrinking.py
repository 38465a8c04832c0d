"""Replaying and shrinking: recipes as text, short histories of the same failure."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from engine.simulation import parse_recipe, shrink
from engine.simulation.recipes import COMMAND, InvalidRecipe, Recipe, recipe_for, simulate
from engine.simulation.shrinking import reduced
from tests.engine.simulation.chains import broken, misleading, sound


def first_failing() -> Recipe:
    recipes = (recipe_for(broken, seed) for seed in range(50))
    return next(recipe for recipe in recipes if simulate(recipe).violation is not None)


def test_a_failure_shrinks_to_few_faults_and_a_small_workload_that_replay_it() -> None:
    recipe = first_failing()
    before = simulate(recipe)
    shrunk = shrink(recipe)
    assert before.violation is not None
    assert shrunk.report.violation is not None
    assert shrunk.report.violation.rule == before.violation.rule
    assert len(before.occurrences) > 5
    assert 1 <= len(shrunk.report.occurrences) <= 2
    assert shrunk.report.steps < before.steps / 2
    assert sum(shrunk.report.statuses.values()) == 1
    again = simulate(parse_recipe(shlex.split(str(shrunk.recipe))))
    assert str(again.violation) == str(shrunk.report.violation)
    assert again.occurrences == shrunk.report.occurrences


def test_a_smaller_workload_that_fails_for_another_reason_is_not_taken() -> None:
    recipes = (recipe_for(misleading, seed) for seed in range(50))
    recipe = next(each for each in recipes if simulate(each).violation is not None)
    shrunk = shrink(recipe)
    assert shrunk.report.violation is not None
    assert shrunk.report.violation.rule == "one execution"


def test_the_printed_command_replays_the_history() -> None:
    shrunk = shrink(first_failing())
    command = shlex.split(shrunk.recipe.command)
    assert shrunk.recipe.command.startswith(COMMAND)
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 1
    assert "VIOLATION" in done.stdout
    assert str(shrunk.report.violation) in done.stdout


def test_what_does_not_fail_cannot_shrink() -> None:
    with pytest.raises(ValueError, match="nothing fails"):
        shrink(recipe_for(sound, 1))


def test_a_recipe_survives_being_text() -> None:
    recipe = Recipe(
        "a.b:c",
        17,
        "storm",
        mute=frozenset({"late", "lost"}),
        only=frozenset({"crashed:delivery:r/0.2.1.1#0", "asked_again:answer:start r#1"}),
        smaller=(3, 0),
        calm_after=60.0,
    )
    assert parse_recipe(shlex.split(str(recipe))) == recipe
    assert parse_recipe(shlex.split(str(Recipe("a:b", -3)))) == Recipe("a:b", -3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed=1", "'workload' is missing"),
        ("workload=a:b seed=x", "not a number"),
        ("workload=a:b seed=1 colour=red", "'colour=red'"),
        ("workload=a:b seed=1 faults=hurricane", "none, mild, storm"),
        ("workload=a:b seed=1 mute=nonsense", "no such kind"),
        ("nonsense", "'nonsense'"),
    ],
)
def test_a_recipe_that_cannot_be_read_says_why(text: str, problem: str) -> None:
    with pytest.raises(InvalidRecipe) as error:
        parse_recipe(text.split())
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("workload", "smaller"),
    [("no.such.module:x", ()), (f"{sound.__module__}:nothing", ()), (None, (9,))],
)
def test_a_recipe_for_what_is_not_there_says_so(
    workload: str | None, smaller: tuple[int, ...]
) -> None:
    recipe = Recipe(workload or recipe_for(sound, 1).workload, 1, smaller=smaller)
    with pytest.raises(InvalidRecipe):
        simulate(recipe)


@pytest.mark.parametrize("culprits", [set(), {"3"}, {"0", "9"}, {"2", "5", "8"}])
def test_delta_debugging_finds_what_cannot_be_left_out(culprits: set[str]) -> None:
    parts = [str(number) for number in range(10)]
    assert set(reduced(parts, lambda kept: culprits <= set(kept))) == culprits
