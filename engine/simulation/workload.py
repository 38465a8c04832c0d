"""What happens in a simulation: which actors there are, which runs are started, what comes when.

A workload is a value: the same one gives the same history under the same seed and faults. Where a
history fails, the shrinker asks the workload for smaller ones of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from engine.actors import Registry
from engine.simulation.observing import Observer
from engine.simulation.world.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from engine.simulation.world.simulation import Simulation


class Workload(Protocol):
    """One scenario: a value, which several simulations may share."""

    def actors(self) -> Registry:
        """The actors that the simulated processes have; fresh ones if they remember anything."""
        ...

    def observers(self) -> Sequence[Observer]:
        """Fresh ones: what must stay true while this scenario runs."""
        ...

    def begin(self, simulation: Simulation) -> None:
        """Start runs (`simulation.start`) and plan what comes later (`simulation.at`)."""
        ...

    def settings(self) -> Settings:
        """How the deployment is set up."""
        return DEFAULTS

    def smaller(self) -> Iterable[Workload]:
        """Simpler scenarios of the same kind, the most promising first; none where it is minimal.

        Always the same ones in the same order: a replay finds one by its place.
        """
        ...


MakeWorkload = Callable[[int], Workload]
"""From a seed. A function of a module, so that other processes find it by its name."""
