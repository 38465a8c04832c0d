"""Make a failing history short: fewer kinds of faults, a smaller workload, fewer faults.

Every decision is drawn by name, so a fault that is taken away leaves the others where they were.
What counts as the same failure is the same rule broken; the place may move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.simulation.recipes import Recipe, simulate_workload, without, workload_of
from engine.simulation.workload import Workload
from engine.simulation.world.faults import SIZES
from engine.simulation.world.report import Report


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shortest recipe found, what it does, and how many simulations it took to find it."""

    recipe: Recipe
    report: Report
    tried: int

    def __str__(self) -> str:
        faults = ", ".join(self.report.occurrences) or "none"
        return f"{self.report.violation}\nfaults left: {faults}\nreplay with: {self.recipe.command}"


def shrink(recipe: Recipe, tries: int = 500) -> Shrunk:
    """The shortest failing recipe that up to `tries` simulations find.

    Raises ValueError for a recipe that does not fail.
    """
    search = _Search(recipe, tries)
    search.mute_kinds()
    search.shrink_workload()
    search.mute_occurrences()
    search.shrink_workload()
    search.mute_occurrences()
    return Shrunk(search.recipe, search.report, search.tried)


class _Search:
    """The shortest recipe so far that fails, and attempts at a shorter one."""

    def __init__(self, recipe: Recipe, tries: int) -> None:
        self.recipe = recipe
        self._workload = workload_of(recipe)
        self.report = simulate_workload(recipe, self._workload)
        self.tried = 1
        self._tries = tries
        if self.report.violation is None:
            raise ValueError(f"nothing fails: {recipe}")
        self._rule = self.report.violation.rule

    def mute_kinds(self) -> None:
        for kind in (*self.report.injected, *SIZES):
            self._try(without(self.recipe, kind), self._workload)

    def shrink_workload(self) -> None:
        """Take the first simpler workload that fails too, and go on from there."""
        found = True
        while found and self._may_try():
            found = False
            for place, workload in enumerate(self._workload.smaller()):
                shorter = replace(self.recipe, smaller=(*self.recipe.smaller, place))
                if self._try(shorter, workload):
                    found = True
                    break
                if not self._may_try():
                    return

    def mute_occurrences(self) -> None:
        """Delta debugging (Zeller 1999) over the faults that happened."""
        kept = reduced(self.report.occurrences, self._fails_with)
        self._fails_with(kept)

    def _fails_with(self, kept: Sequence[str]) -> bool:
        return self._try(replace(self.recipe, only=frozenset(kept)), self._workload)

    def _may_try(self) -> bool:
        return self.tried < self._tries

    def _try(self, recipe: Recipe, workload: Workload) -> bool:
        """Whether this one fails for the same reason; it is the shortest so far then."""
        if recipe == self.recipe:
            return True
        if not self._may_try():
            return False
        self.tried += 1
        report = simulate_workload(recipe, workload)
        if report.violation is None or report.violation.rule != self._rule:
            return False
        self.recipe, self.report, self._workload = recipe, report, workload
        return True


def reduced(parts: Sequence[str], fails: Callable[[Sequence[str]], bool]) -> Sequence[str]:
    """A part of `parts` that fails, of which nothing can be left out: ddmin.

    `parts` itself is taken to fail.
    """
    if fails(()):
        return ()
    pieces = 2
    while len(parts) > 1:
        size = -(-len(parts) // pieces)
        for start in range(0, len(parts), size):
            rest = (*parts[:start], *parts[start + size :])
            if rest and fails(rest):
                parts, pieces = rest, max(2, pieces - 1)
                break
        else:
            if size == 1:
                break
            pieces = min(len(parts), 2 * pieces)
    return parts
