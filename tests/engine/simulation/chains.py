"""Small workloads that the simulator's own tests run; other processes import them by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from engine.actors import Context, Registry, Sleep, actor
from engine.definition import Definition
from engine.layout import RunKey
from engine.simulation import Observer, Simulation, TokenId, Violation, Workload
from engine.snapshot import Head
from tests.engine.graphs import graph


@actor
async def step(number: int) -> int:
    return number + 1


@actor
def plain(number: int) -> int:
    return number + 1


@actor
async def slow(number: int, context: Context) -> int:
    await asyncio.sleep(30)
    return number + 1


@actor
async def month(number: int, context: Context) -> Any:
    return number if context.resumed == "sleep" else Sleep(30 * 86_400)


ACTORS = Registry([step, plain, slow, month])


def chain(length: int, actor: str = "step") -> Definition:
    """`length` nodes in a row, all of one actor."""
    edges = [f"n{i} -> n{i + 1}" for i in range(length - 1)] or ["n0"]
    definition = graph(*edges)
    nodes = tuple(replace(node, actor=actor, named=True) for node in definition.nodes)
    return replace(definition, nodes=nodes)


class OneExecution(Observer):
    """A rule that the engine does not promise, and that a crash or duplicate breaks."""

    def __init__(self) -> None:
        self._begun: set[tuple[RunKey, TokenId]] = set()

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        if (key, token) in self._begun:
            raise Violation("one execution", f"{key.run} {token} ran again")
        self._begun.add((key, token))


class Saves(Observer):
    """The statuses that heads were saved with, in order."""

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        self.statuses.append(after.status.value)


@dataclass(frozen=True)
class Chains(Workload):
    """Some runs of one chain, under a rule that does not hold."""

    runs: tuple[int, ...]
    length: int

    def actors(self) -> Registry:
        return ACTORS

    def observers(self) -> Sequence[Observer]:
        return [OneExecution()]

    def begin(self, simulation: Simulation) -> None:
        for number in self.runs:
            simulation.start(chain(self.length), number, run=f"r{number}", at=number)

    def smaller(self) -> Iterable[Chains]:
        if len(self.runs) > 1:
            for left_out in self.runs:
                yield Chains(tuple(run for run in self.runs if run != left_out), self.length)
        if self.length > 1:
            yield Chains(self.runs, self.length // 2)
            yield Chains(self.runs, self.length - 1)


@dataclass(frozen=True)
class SoundChains(Chains):
    """The same, with nothing to object to."""

    def observers(self) -> Sequence[Observer]:
        return []


def broken(seed: int) -> Workload:
    return Chains(runs=(0, 1, 2, 3), length=12)


def sound(seed: int) -> Workload:
    return SoundChains(runs=(0, 1, 2), length=15)


class Objects(Observer):
    """Objects to everything, for another reason."""

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        raise Violation("another rule", "a message was sent")


class Misleading(Chains):
    """Its first simpler form breaks another rule."""

    def smaller(self) -> Iterable[Chains]:
        yield Hopeless((0,), 1)
        yield from super().smaller()


class Hopeless(Chains):
    def observers(self) -> Sequence[Observer]:
        return [Objects()]


def misleading(seed: int) -> Workload:
    return Misleading(runs=(0, 1, 2, 3), length=12)
