"""Many simulations, in several processes, and what came of all of them together.

summary = simulate_many(workload, range(3000), processes=2)
print(summary)
for failure in summary.failures: print(failure)
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context

from engine.simulation.observing import Violation
from engine.simulation.recipes import Recipe, recipe_for, simulate
from engine.simulation.workload import MakeWorkload
from engine.simulation.world.report import Report

CHUNK = 25
"""Seeds that a process takes at a time."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke a rule."""

    recipe: Recipe
    violation: Violation

    def __str__(self) -> str:
        return f"seed {self.recipe.seed}: {self.violation}\n  replay: {self.recipe.command}"


@dataclass
class Summary:
    """Sums over many simulations; add them up with `include`."""

    seeds: int = 0
    elapsed: float = 0.0
    """Seconds that it took, by a real clock."""
    simulated: float = 0.0
    """Seconds of virtual time."""
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def seeds_per_second(self) -> float:
        return self.seeds / self.elapsed if self.elapsed else 0.0

    def per_step(self, what: str) -> float:
        """How many of `what` (a key of `Report.counts`) a recorded result took."""
        return self.counts[what] / max(1, self.steps)

    def add(self, recipe: Recipe, report: Report) -> None:
        self.seeds += 1
        self.simulated += report.seconds
        self.steps += report.steps
        self.counts.update(report.counts)
        self.injected.update(report.injected)
        self.statuses.update(report.statuses)
        if report.violation is not None:
            self.failures.append(Failure(recipe, report.violation))

    def include(self, other: Summary) -> None:
        self.seeds += other.seeds
        self.simulated += other.simulated
        self.steps += other.steps
        self.counts.update(other.counts)
        self.injected.update(other.injected)
        self.statuses.update(other.statuses)
        self.failures += other.failures

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {number:,}" for kind, number in self.injected.most_common())
        statuses = ", ".join(f"{each} {number:,}" for each, number in self.statuses.most_common())
        return (
            f"{self.seeds:,} seeds, {self.steps:,} steps, {self.simulated / 86_400:,.1f} days of "
            f"virtual time in {self.elapsed:,.1f} s: {self.seeds_per_second:,.0f} seeds a second\n"
            f"runs: {statuses or 'none'}\n"
            f"faults: {faults or 'none'}\n"
            f"messages per step {self.per_step('messages'):.3f}, "
            f"executions per step {self.per_step('executions'):.3f}\n"
            f"violations: {len(self.failures)}"
        )


def simulate_seed(make: MakeWorkload, seed: int, faults: str = "storm") -> Report:
    """One simulation. `make` must be a function of a module."""
    return simulate(recipe_for(make, seed, faults))


def simulate_many(
    make: MakeWorkload, seeds: Iterable[int], faults: str = "storm", processes: int = 1
) -> Summary:
    """All of these seeds."""
    summary = Summary()
    for latest in summaries(make, seeds, faults, processes):
        summary = latest
    return summary


def summaries(
    make: MakeWorkload, seeds: Iterable[int], faults: str = "storm", processes: int = 1
) -> Iterator[Summary]:
    """The sum so far, each time that some more seeds are through; `seeds` may be endless."""
    began = time.perf_counter()
    summary = Summary()
    for part in _parts(make, iter(seeds), faults, processes):
        summary.include(part)
        summary.elapsed = time.perf_counter() - began
        yield summary


def _parts(
    make: MakeWorkload, seeds: Iterator[int], faults: str, processes: int
) -> Iterator[Summary]:
    chunks = iter(lambda: list(islice(seeds, CHUNK)), [])
    if processes == 1:
        for chunk in chunks:
            yield _simulate_chunk(make, chunk, faults)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        pending: set[Future[Summary]] = set()
        try:
            for chunk in chunks:
                pending.add(pool.submit(_simulate_chunk, make, chunk, faults))
                while len(pending) > 2 * processes:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in pending:
                future.cancel()


def _simulate_chunk(make: MakeWorkload, seeds: list[int], faults: str) -> Summary:
    summary = Summary()
    with _uncollected():
        for seed in seeds:
            recipe = recipe_for(make, seed, faults)
            summary.add(recipe, simulate(recipe))
    return summary


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect what the simulations of a chunk leave behind at its end: looking for it all the time
    takes a sixth of theirs."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        gc.collect()
