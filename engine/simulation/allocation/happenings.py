"""What comes to actors, runners and pools from outside: values, each at its time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from engine.allocation import signals
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.simulation.allocation.gate import Gate
from engine.simulation.allocation.runners import SimulatedRunner
from engine.simulation.allocation.world import AllocationWorld

ORDERS: dict[str, type[signals.Sleep | signals.Destroy | signals.Wake]] = {
    "sleep": signals.Sleep,
    "destroy": signals.Destroy,
    "wake": signals.Wake,
}


@dataclass(frozen=True, slots=True)
class Happening(ABC):
    """`at` is seconds from the beginning."""

    at: float

    @abstractmethod
    def happens(self, world: AllocationWorld) -> None:
        """Plan it."""


@dataclass(frozen=True, slots=True)
class UserRequest(Happening):
    name: str
    key: str
    path: str
    tries: int = 1

    def happens(self, world: AllocationWorld) -> None:
        world.request(self.at, self.name, self.key, self.path, tries=self.tries)


@dataclass(frozen=True, slots=True)
class Make(Happening):
    """Somebody creates the actor; where it is there already, that is an error, and no more."""

    pool: str
    crash: CrashPolicy
    name: str
    key: str

    def happens(self, world: AllocationWorld) -> None:
        async def make(gate: Gate) -> None:
            await gate.directory.create(self.name, [self.key], pool=self.pool, crash=self.crash)

        world.call(self.at, "create", make)


@dataclass(frozen=True, slots=True)
class Order(Happening):
    """A word of an operator to an actor, which may not exist."""

    name: str
    key: str
    word: str

    def happens(self, world: AllocationWorld) -> None:
        async def tell(gate: Gate) -> None:
            actor = await gate.directory.find(self.name, [self.key])
            await gate.mailer.signal(actor, ORDERS[self.word](), f"{self.word}:{self.at}")

        world.call(self.at, self.word, tell)


@dataclass(frozen=True, slots=True)
class Configure(Happening):
    pool: str
    config: PoolConfig

    def happens(self, world: AllocationWorld) -> None:
        async def configure(gate: Gate) -> None:
            await gate.directory.configure(self.pool, self.config)

        world.call(self.at, "configure", configure)


@dataclass(frozen=True, slots=True)
class RunnerComes(Happening):
    """A runner that nobody has asked for; it is killed `lives_s` later, where that is not 0."""

    pool: str
    key: str
    slots: int
    lives_s: float = 0.0

    def happens(self, world: AllocationWorld) -> None:
        def come() -> None:
            runner = world.run_runner(self.pool, self.key, self.slots, world.version(self.pool))
            if self.lives_s:
                world.stage.later(self.lives_s * 1000, runner.kill)

        world.at(self.at, come)


@dataclass(frozen=True, slots=True)
class Deploy(Happening):
    """Runners that come from now on have newer code."""

    pool: str

    def happens(self, world: AllocationWorld) -> None:
        def deploy() -> None:
            world.versions[self.pool] = world.version(self.pool) + 1

        world.at(self.at, deploy)


@dataclass(frozen=True, slots=True)
class Trouble(Happening):
    """Something befalls one of the runners that are there then, by its place among them."""

    what: str
    place: int
    ms: int = 0

    def happens(self, world: AllocationWorld) -> None:
        def befall() -> None:
            live = [runner for runner in world.runners if not runner.over]
            if live:
                self._befall(live[self.place % len(live)])

        world.at(self.at, befall)

    def _befall(self, runner: SimulatedRunner) -> None:
        if self.what == "kill":
            runner.kill()
        elif self.what == "freeze":
            runner.freeze(self.ms)
        elif self.what == "stop":
            runner.stop()
        else:
            runner.lose_connection()
