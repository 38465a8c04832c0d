"""Run the random workloads in a test, and see what they find."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.simulation import Observer, Report, Violation
from engine.simulation.recipes import prepare, recipe_for
from engine.simulation.workloads.generated import generate


@dataclass(frozen=True, slots=True)
class Found:
    """The first seed that broke a rule, and which."""

    seed: int
    rule: str
    text: str


def simulated(
    seed: int, faults: str = "storm", observers: Iterable[Observer] | None = None
) -> Report:
    """One random workload under these faults, checked by its own observers, or by others."""
    simulation = prepare(recipe_for(generate, seed, faults), generate(seed))
    if observers is not None:
        simulation.stage.observers[1:] = observers
    with simulation:
        return simulation.run()


def first_found(seeds: Iterable[int], faults: str = "storm") -> Found | None:
    """The first violation, or the first error of the engine's that ends a simulation."""
    with quietly():
        for seed in seeds:
            try:
                violation = simulated(seed, faults).violation
            except Exception as error:
                return Found(seed, type(error).__name__, str(error))
            if violation is not None:
                return Found(seed, violation.rule, violation.text)
    return None


@contextmanager
def quietly() -> Iterator[None]:
    """Without the engine's log: under faults it complains all the time, as it should."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass
class Recorder(Observer):
    """Writes down what observers are told, so that it can be told again, changed."""

    told: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("told", "retell"):
            return super().__getattribute__(name)
        return lambda *facts: self.told.append((name, facts))

    def retell(self, observer: Observer) -> Violation | None:
        """Tell another observer the same; what it objects to."""
        try:
            for name, facts in self.told:
                getattr(observer, name)(*facts)
        except Violation as violation:
            return violation
        return None
