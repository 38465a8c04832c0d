"""A simulation in one line of text: what it takes to see the same history again.

    workload=tests.orders:workload seed=17 faults=storm only=crashed:delivery:r/0.2.1.1#0

The workload is named by the function that makes it from the seed; `smaller` says which of its
simpler forms is meant, by place; `mute` names kinds of faults that do not happen, `only` the
occurrences that do.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

from engine.errors import CallerError
from engine.simulation.workload import MakeWorkload, Workload
from engine.simulation.world.faults import PROFILES, RATES, SIZES, Muting
from engine.simulation.world.report import Report
from engine.simulation.world.simulation import Simulation

CALM_AFTER = 7200.0
"""Seconds of virtual time after which faults stop, so that what is left must come to its end."""
COMMAND = "python -m engine.simulation"


class InvalidRecipe(CallerError):
    """The text does not say how to replay a simulation."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """`workload` is `module:function`, `faults` the name of a profile."""

    workload: str
    seed: int
    faults: str = "storm"
    mute: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    smaller: tuple[int, ...] = ()
    calm_after: float = CALM_AFTER

    def __str__(self) -> str:
        parts = [f"workload={self.workload}", f"seed={self.seed}", f"faults={self.faults}"]
        if self.smaller:
            parts.append(f"smaller={'.'.join(map(str, self.smaller))}")
        if self.mute:
            parts.append(f"mute={','.join(sorted(self.mute))}")
        if self.only is not None:
            parts.append(f"only={','.join(sorted(self.only))}")
        if self.calm_after != CALM_AFTER:
            parts.append(f"calm={self.calm_after:g}")
        return shlex.join(parts)

    @property
    def command(self) -> str:
        """What replays it from a shell."""
        return f"{COMMAND} {self}"

    @property
    def muting(self) -> Muting:
        return Muting(kinds=self.mute, only=self.only)


def parse_recipe(words: Iterable[str]) -> Recipe:
    """A recipe from the words of its text. Raises InvalidRecipe."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in _FIELDS:
            raise InvalidRecipe(f"{word!r}: expected one of {', '.join(_FIELDS)}, then '='")
        given[name] = value
    try:
        recipe = Recipe(
            workload=given["workload"],
            seed=int(given["seed"]),
            faults=given.get("faults", "storm"),
            mute=_names(given.get("mute", "")),
            only=_names(given["only"]) if "only" in given else None,
            smaller=tuple(int(each) for each in given.get("smaller", "").split(".") if each),
            calm_after=float(given.get("calm", CALM_AFTER)),
        )
    except (KeyError, ValueError) as error:
        raise InvalidRecipe(f"{error} is missing or not a number") from error
    if recipe.faults not in PROFILES:
        raise InvalidRecipe(f"faults={recipe.faults}: expected one of {', '.join(PROFILES)}")
    if unknown := recipe.mute - {*RATES, *SIZES}:
        raise InvalidRecipe(f"mute={','.join(unknown)}: there is no such kind of fault")
    return recipe


def recipe_for(make: MakeWorkload, seed: int, faults: str = "storm") -> Recipe:
    return Recipe(f"{make.__module__}:{make.__qualname__}", seed, faults)


def workload_of(recipe: Recipe) -> Workload:
    """Raises InvalidRecipe where the recipe names something that is not there."""
    module_name, _, name = recipe.workload.partition(":")
    try:
        make: MakeWorkload = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise InvalidRecipe(f"workload={recipe.workload}: {error}") from error
    workload = make(recipe.seed)
    for place in recipe.smaller:
        simpler = next(islice(workload.smaller(), place, None), None)
        if simpler is None:
            raise InvalidRecipe(f"smaller={recipe.smaller}: {place} is one too many")
        workload = simpler
    return workload


def prepare(recipe: Recipe, workload: Workload) -> Simulation:
    """The simulation of the recipe's workload, ready to run."""
    simulation = Simulation(
        seed=recipe.seed,
        faults=PROFILES[recipe.faults],
        actors=workload.actors(),
        observers=workload.observers(),
        settings=workload.settings(),
        muting=recipe.muting,
        calm_after=recipe.calm_after,
    )
    workload.begin(simulation)
    return simulation


def simulate(recipe: Recipe) -> Report:
    return simulate_workload(recipe, workload_of(recipe))


def simulate_workload(recipe: Recipe, workload: Workload) -> Report:
    with prepare(recipe, workload) as simulation:
        return simulation.run()


def without(recipe: Recipe, kind: str) -> Recipe:
    return replace(recipe, mute=recipe.mute | {kind})


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) - {""}


_FIELDS = ("workload", "seed", "faults", "smaller", "mute", "only", "calm")
