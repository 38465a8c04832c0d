"""Random workloads: a workflow of scripted actors, its runs, and what comes from outside, by seed.

    with prepare(recipe_for(generate, 7), generate(7)) as simulation:
        report = simulation.run()

`generate(seed)` draws all of it; the same seed draws the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from engine.actors.registry import Registry
from engine.ports import Limits
from engine.simulation.checks.results import ScriptedResults
from engine.simulation.observing import Observer
from engine.simulation.workload import Workload
from engine.simulation.workloads.drawing import SIGNALS, draw_sketch
from engine.simulation.workloads.graphs import Sketch
from engine.simulation.workloads.happenings import (
    Answer,
    Cancel,
    Fork,
    Happening,
    Newer,
    Redrive,
    Retry,
    Signal,
    Start,
)
from engine.simulation.workloads.scripted import SCRIPTED
from engine.simulation.world.settings import Settings
from engine.simulation.world.simulation import Simulation
from engine.snapshot import Status

SKEW_MS = 2_000
"""How far the processes' clocks may be off for the checks to hold: as in `faults.STORM`."""
MOST_FORKED = 12
"""The highest number of a step that is forked from."""


@dataclass(frozen=True, slots=True)
class Tightness:
    """How tight the deployment's limits are."""

    concurrency: int = 10
    frontier: int = Limits().frontier
    backlog: int = Limits().backlog


@dataclass(frozen=True, slots=True)
class RandomWorkload(Workload):
    """Implements `engine.simulation.workload.Workload`."""

    sketch: Sketch
    happenings: tuple[Happening, ...]
    tightness: Tightness = Tightness()

    def actors(self) -> Registry:
        return SCRIPTED

    def settings(self) -> Settings:
        tight = self.tightness
        limits = Limits(frontier=tight.frontier, backlog=tight.backlog)
        return Settings(concurrency=tight.concurrency, limits=limits)

    def observers(self) -> Sequence[Observer]:
        limits = self.settings().limits
        # whether a narrow frontier is full at some time depends on who is faster
        confluent = self.sketch.confluent and limits.frontier == Limits().frontier
        return [
            ScriptedResults(confluent=confluent, actors=SCRIPTED, skew_ms=SKEW_MS, limits=limits)
        ]

    def begin(self, simulation: Simulation) -> None:
        for happening in self.happenings:
            happening.happens(simulation, self.sketch)

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
        if self.tightness != Tightness():
            yield replace(self, tightness=Tightness())


def generate(seed: int) -> RandomWorkload:
    """The workload of this seed."""
    random = Random(f"workload {seed}")
    sketch = draw_sketch(random)
    happenings: list[Happening] = []
    for number in range(1, random.choice((1, 1, 1, 2, 3)) + 1):
        run = f"run{number}"
        happenings += _starts(random, run)
        happenings += _interventions(random, sketch, run)
        if random.random() < 0.25:
            happenings += _forks(random, sketch, run)
    if random.random() < 0.04:
        status = random.choice((Status.FAILED, Status.CANCELLED))
        happenings.append(Redrive(_sometime(random, 10.0, 300.0, 9_000.0), status))
    if random.random() < 0.04:
        happenings.append(Newer(_sometime(random, 1.0, 60.0, 600.0)))
    return RandomWorkload(sketch, tuple(happenings), _tightness(random))


def _starts(random: Random, run: str) -> list[Happening]:
    at = random.choice((0.0, 0.0, round(random.uniform(0, 30), 3)))
    version = 2 if random.random() < 0.1 else 1
    starts: list[Happening] = [Start(at, run, version)]
    if random.random() < 0.2:
        again = at + random.choice((0.0, 0.2, 60.0, 4_000.0))
        fate = random.random()
        other_version = 3 - version if fate < 0.2 else version
        starts.append(Start(again, run, other_version, other=0.2 < fate < 0.4))
    return starts


def _interventions(random: Random, sketch: Sketch, run: str) -> list[Happening]:
    """What comes to a run from outside."""
    found: list[Happening] = []
    waiting = [number for number, node in enumerate(sketch.nodes) if node.script.waits]
    if waiting:
        found += _signals(random, run)
        if random.random() < 0.5:
            found += _answers(random, run, waiting)
    if random.random() < 0.1:
        at = _sometime(random, 1.0, 60.0, 3_000.0)
        found.append(Cancel(at, run, random.choice((0.0, 5.0, 400.0))))
        if random.random() < 0.5:
            found.append(Retry(at + _sometime(random, 1.0, 600.0), run))
    while random.random() < 0.1:
        found.append(Retry(_sometime(random, 5.0, 200.0, 9_000.0), run))
    return found


def _signals(random: Random, run: str) -> list[Happening]:
    found: list[Happening] = []
    for number in range(random.randint(0, 5)):
        pad = random.choice((0, 0, 0, 150, 5_000))
        at = _sometime(random, 2.0, 100.0, 4_000.0)
        signal = Signal(at, run, random.choice(SIGNALS), f"s{number}", pad)
        found.append(signal)
        if random.random() < 0.3:
            again = at + random.choice((0.0, 0.5, 300.0))
            other = pad + 1 if random.random() < 0.3 else pad
            found.append(replace(signal, at=again, pad=other))
    return found


def _answers(random: Random, run: str, waiting: list[int]) -> list[Happening]:
    """To a wait or two: each answered once, or again, or otherwise."""
    found: list[Happening] = []
    for _ in range(random.randint(1, 2)):
        at = _sometime(random, 2.0, 30.0, 1_000.0)
        ordinal, visit = random.choice((1, 1, 2)), random.choice((1, 1, 1, 2))
        answer = Answer(at, run, random.choice(waiting), visit, ordinal, "yes")
        found.append(answer)
        if random.random() < 0.5:
            again = at + random.choice((0.0, 0.1, 1.0, 500.0))
            found.append(replace(answer, at=again, word=random.choice(("yes", "no"))))
    return found


def _forks(random: Random, sketch: Sketch, run: str) -> list[Happening]:
    """A fork or two of one run, and what comes to them; some are asked for twice."""
    found: list[Happening] = []
    parent = run
    for number in range(1, random.choice((1, 1, 2)) + 1):
        fork, at = f"{run}-fork{number}", _sometime(random, 5.0, 200.0, 9_000.0)
        step: int | str = random.randint(1, MOST_FORKED)
        if random.random() < 0.4:
            step = random.choice(sketch.nodes).id
        change, input = random.random() < 0.4, random.random() < 0.2
        made = Fork(at, parent, fork, step, changed=change, other_input=input)
        found.append(made)
        if random.random() < 0.2:
            again = at + random.choice((0.0, 1.0, 600.0))
            found.append(replace(made, at=again, changed=random.random() < 0.5))
        if random.random() < 0.5:
            later = _interventions(random, sketch, fork)
            found += [replace(each, at=at + each.at) for each in later]
        parent = random.choice((run, fork))
    return found


def _tightness(random: Random) -> Tightness:
    if random.random() < 0.7:
        return Tightness()
    return Tightness(
        concurrency=random.choice((1, 1, 2, 10)),
        frontier=random.choice((4, 6, 64)),
        backlog=random.choice((1, 1, 2, 1_000)),
    )


def _sometime(random: Random, *scales: float) -> float:
    """A time within one of these scales."""
    return round(random.choice(scales) * random.random(), 3)
