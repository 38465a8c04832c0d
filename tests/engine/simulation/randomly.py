"""Run the random workloads in a test, and see what they find."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

from engine.simulation import PROFILES, Observer, Report, Simulation, Violation
from engine.simulation.generated import RandomWorkload, generate
from engine.simulation.invariants import Invariants
from engine.simulation.queue import Mailbox, Receipt
from engine.simulation.recipes import CALM_AFTER


@dataclass(frozen=True, slots=True)
class Found:
    """The first seed that broke a rule, and how."""

    seed: int
    problem: str


def simulated(
    seed: int, faults: str = "storm", observers: Iterable[Observer] | None = None
) -> Report:
    """One random workload under these faults, checked by its own observers, or by others."""
    workload: RandomWorkload = generate(seed)
    with Simulation(
        seed=seed,
        faults=PROFILES[faults],
        actors=workload.actors(),
        observers=workload.observers() if observers is None else observers,
        calm_after=CALM_AFTER,
    ) as simulation:
        workload.begin(simulation)
        return simulation.run()


def first_found(seeds: Iterable[int], faults: str = "storm") -> Found | None:
    """The first violation, or the first error of the engine's that ends a simulation."""
    with quietly(), telling_acknowledgements():
        for seed in seeds:
            try:
                violation: Exception | None = simulated(seed, faults).violation
            except Exception as error:
                violation = error
            if violation is not None:
                return Found(seed, f"{type(violation).__name__}: {violation}")
    return None


@contextmanager
def telling_acknowledgements() -> Iterator[None]:
    """Observers are told of each message that a queue deletes, as long as the world does not."""
    if hasattr(Observer, "acknowledged"):
        yield
        return
    original = Mailbox.delete

    def delete(self: Mailbox, receipt: Receipt) -> None:
        if receipt.message.number in self._held:
            self._stage.tell(partial(_acknowledged, receipt.message.body))
        original(self, receipt)

    with patch.object(Mailbox, "delete", delete):
        yield


def _acknowledged(body: str, observer: Observer, at: int) -> None:
    if isinstance(observer, Invariants | Recorder):
        observer.acknowledged(body, at)


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
