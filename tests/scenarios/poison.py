"""An actor that kills its process, and what scenarios of claims do with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from engine.errors import StoreUnusable
from engine.layout import CLAIM_PREFIX, run_key
from engine.ports import Commit, Delivery
from tests.scenarios.processes import Between, Process
from tests.scenarios.world import STEP_MS, World
from tidestep import Context, actor

ONE = "name: one\nnodes: [{id: only, actor: poison}]"
RETRIED = "name: one\nnodes: [{id: only, actor: poison, retry: {max_attempts: 2, interval: 1}}]"
VISIBILITY_S = STEP_MS / 1000
"""A visibility time-out is as long as a step may be, or longer."""


def claims(world: World, run: str = "run") -> list[str]:
    async def names() -> list[str]:
        partition = run_key(run).partition
        return [name async for name, _ in world.journal.scan(partition, CLAIM_PREFIX)]

    return world.do(names())


class Poison:
    """An actor whose process dies of it, `deaths` times."""

    def __init__(self, deaths: int, at_most_once: bool = False) -> None:
        self.calls = 0
        self.process: Process | None = None

        @actor("poison", at_most_once=at_most_once)
        async def poison(message: Any, context: Context) -> str:
            self.calls += 1
            if self.calls <= deaths:
                assert self.process is not None
                self.process.die()
            return "survived"

        self.actor = poison

    def deliver(self, world: World, deliveries: Sequence[Delivery]) -> list[Any]:
        self.process = Process(world)
        return self.process.handle(deliveries)


def suffer(world: World, poison: Poison, time_outs: int) -> list[Any]:
    """Deliver, and let the visibility time-out pass that often; what came of the last delivery."""
    results = poison.deliver(world, deliveries := world.receive())
    for _ in range(time_outs):
        world.clock.advance(VISIBILITY_S)
        results = poison.deliver(world, deliveries := world.redelivered(*deliveries))
    return results


def charged_once(world: World, poison: Poison) -> None:
    """After an operator's retry: the attempt is not run again, and fails."""
    world.work()
    assert poison.calls == 1
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == "Interrupted"


class Failing(Between):
    """A store that does not answer one kind of request."""

    def __init__(self, world: World, verb: str, error: Exception | None = None) -> None:
        super().__init__(world)
        self._verb = verb
        self._error = error or StoreUnusable("throttled")

    async def commit(self, commit: Commit) -> None:
        if self._verb == "commit":
            raise self._error
        await self.world.journal.commit(commit)

    async def items(self, partition: str, names: Collection[str]) -> Any:
        if self._verb == "items" and "/run/" in partition:
            raise self._error
        return await self.world.journal.items(partition, names)
