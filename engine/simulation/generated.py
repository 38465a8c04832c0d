"""Random workloads: a workflow of scripted actors, its runs, and what comes from outside, by seed.

    with Simulation(seed=7, faults=STORM, actors=..., observers=...) as simulation: ...

`generate(seed)` draws all of it; the same seed draws the same. What comes from outside is a list of
`Happening`s, each a value that knows how to bring itself about; a new kind needs no more than a
class here and what `observers` must be told of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from engine.actors.registry import Registry
from engine.simulation.drawing import SIGNALS, draw_sketch
from engine.simulation.graphs import Sketch
from engine.simulation.observing import Observer
from engine.simulation.results import ScriptedResults
from engine.simulation.scripted import SCRIPTED
from engine.simulation.workload import Workload

if TYPE_CHECKING:
    from engine.simulation.world import Simulation

SKEW_MS = 2_000
"""How far the processes' clocks may be off for the checks to hold: as in `faults.STORM`."""


@dataclass(frozen=True, slots=True)
class Start:
    """A run is started, `at` seconds after the beginning; under an id that may be taken."""

    at: float
    run: str

    def happens(self, simulation: Simulation, workload: RandomWorkload) -> None:
        definition = workload.sketch.definition()
        simulation.start(definition, input_of(self.run), self.run, at=self.at)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal from outside; one of the same `id` may have been sent before."""

    at: float
    run: str
    name: str
    id: str
    pad: int = 0

    def happens(self, simulation: Simulation, workload: RandomWorkload) -> None:
        payload = {"tag": f"signal:{self.id}", "pad": "x" * self.pad}
        name = f"signal {self.run} {self.id}"
        simulation.at(self.at, lambda api: api.signal(self.run, self.name, payload, self.id), name)


@dataclass(frozen=True, slots=True)
class Cancel:
    """A run is cancelled: gracefully, with `grace` seconds, or at once."""

    at: float
    run: str
    grace: float = 0.0

    def happens(self, simulation: Simulation, workload: RandomWorkload) -> None:
        if self.grace:
            name = f"close {self.run} at {self.at:g}"
            simulation.at(self.at, lambda api: api.close(self.run, self.grace), name)
        else:
            name = f"cancel {self.run} at {self.at:g}"
            simulation.at(self.at, lambda api: api.cancel(self.run), name)


@dataclass(frozen=True, slots=True)
class Retry:
    """An operator goes on with a run, if it has failed or was cancelled by then."""

    at: float
    run: str

    def happens(self, simulation: Simulation, workload: RandomWorkload) -> None:
        simulation.at(self.at, lambda api: api.retry(self.run), f"retry {self.run} at {self.at:g}")


Happening = Start | Signal | Cancel | Retry


@dataclass(frozen=True, slots=True)
class RandomWorkload(Workload):
    """Implements `engine.simulation.workload.Workload`."""

    sketch: Sketch
    happenings: tuple[Happening, ...]

    def actors(self) -> Registry:
        return SCRIPTED

    def observers(self) -> Sequence[Observer]:
        inputs = {each.run: input_of(each.run) for each in self.happenings}
        checks = ScriptedResults(
            inputs, confluent=self.sketch.confluent, actors=SCRIPTED, skew_ms=SKEW_MS
        )
        return [checks]

    def begin(self, simulation: Simulation) -> None:
        for happening in self.happenings:
            happening.happens(simulation, self)

    def smaller(self) -> Iterator[RandomWorkload]:
        """With less that comes from outside, then with a smaller graph, then all at once."""
        for place in range(len(self.happenings) - 1, -1, -1):
            rest = self.happenings[:place] + self.happenings[place + 1 :]
            if rest:
                yield replace(self, happenings=rest)
        for sketch in self.sketch.smaller():
            yield replace(self, sketch=sketch)
        at_once = tuple(replace(each, at=0.0) for each in self.happenings)
        if at_once != self.happenings:
            yield replace(self, happenings=at_once)


def generate(seed: int) -> RandomWorkload:
    """The workload of this seed."""
    random = Random(f"workload {seed}")
    sketch = draw_sketch(random)
    starts: list[Happening] = []
    for number in range(1, random.choice((1, 1, 1, 2, 3)) + 1):
        run = f"run{number}"
        at = random.choice((0.0, 0.0, round(random.uniform(0, 30), 3)))
        starts.append(Start(at, run))
        if random.random() < 0.15:
            starts.append(Start(at + random.choice((0.0, 0.2, 60.0, 4_000.0)), run))
        starts += _interventions(random, sketch, run)
    return RandomWorkload(sketch, tuple(starts))


def _interventions(random: Random, sketch: Sketch, run: str) -> list[Happening]:
    """What comes to a run from outside."""
    found: list[Happening] = []
    if any(node.script.waits for node in sketch.nodes):
        for number in range(random.randint(0, 5)):
            at = round(random.choice((1.0, 50.0, 2_000.0)) * random.random() * 2, 3)
            pad = random.choice((0, 0, 0, 150, 5_000))
            signal = Signal(at, run, random.choice(SIGNALS), f"s{number}", pad)
            found.append(signal)
            if random.random() < 0.3:
                found.append(replace(signal, at=at + random.choice((0.0, 0.5, 300.0))))
    if random.random() < 0.1:
        at = round(random.choice((1.0, 60.0, 3_000.0)) * random.random(), 3)
        found.append(Cancel(at, run, random.choice((0.0, 5.0, 400.0))))
    while random.random() < 0.12:
        found.append(Retry(round(random.choice((5.0, 200.0, 9_000.0)) * random.random(), 3), run))
    return found


def input_of(run: str) -> dict[str, Any]:
    """What a run is started with; of some runs more than a head holds."""
    pad = {"pad": "x" * 200} if run.endswith("2") else {}
    return {"tag": f"in:{run}", **pad}
