"""What the world knows of its actors beside the store: what was acknowledged to their runners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.simulation.observing import Violation
from engine.simulation.world.stage import Stage

if TYPE_CHECKING:
    from engine.simulation.allocation.runners import SimulatedRunner


@dataclass
class Notes:
    """`idle_s` says after how long without work an actor of this id wants to sleep; 0: never."""

    stage: Stage
    lost_ms: int
    idle_s: Callable[[str], float]
    counts: dict[str, int] = field(default_factory=dict)
    """Actor -> the highest count whose save was acknowledged."""
    runners: dict[str, SimulatedRunner] = field(default_factory=dict)
    """By the id that the deployment has given them."""
    happened: Counter[str] = field(default_factory=Counter)

    def runner_is(self, id: str, runner: SimulatedRunner) -> None:
        self.runners[id] = runner

    def acknowledged(self, actor: str) -> int:
        return self.counts.get(actor, 0)

    def acknowledge(self, actor: str, count: int) -> None:
        self.counts[actor] = max(self.counts.get(actor, 0), count)
        self.happened["saves"] += 1

    def found(self, actor: str, generation: int, count: int, known: int) -> None:
        """A generation has loaded its state; `known` was acknowledged when it was started."""
        if count < known:
            text = f"{actor}: generation {generation} finds {count}, and {known} was acknowledged"
            self.stage.end(Violation("what was acknowledged is found", text))

    def rang(self, actor: str, at: int) -> None:
        self.happened["alarms"] += 1
