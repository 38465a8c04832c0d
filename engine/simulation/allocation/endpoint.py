"""Held requests: whoever is asked to begin one has a runner brought forth, or not.

What may go wrong: the endpoint answers 500; it never answers; its runner ends at once; the runner
comes after the pool has given the request up; the holder dies with its word that the request ended;
a runner outlives its holder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from engine.allocation import frames
from engine.allocation.config import PoolConfig
from engine.allocation.parties import pool
from engine.allocation.signals import RequestEnded
from engine.layout import RunKey
from engine.simulation.allocation.gate import Gate
from engine.simulation.allocation.runners import SimulatedRunner
from engine.simulation.world.calling import Api, Caller
from engine.simulation.world.functions import Function
from engine.simulation.world.line import Line
from engine.simulation.world.stage import Stage

COLD_START_MS = 4_000
"""At most from a request until its runner connects."""
EARLY_MS = 4_000
TOO_LATE_MS = 90_000
FATES = ("answers 500", "brings forth nothing", "ends early", "is late")

MakeRunner = Callable[[str, frames.Hello, Callable[[], None]], SimulatedRunner]


@dataclass
class HeldRequest:
    request: str
    key: RunKey
    """The pool's."""
    config: PoolConfig
    runner: SimulatedRunner | None = None
    over: bool = False
    silent: bool = False
    """Nobody reports its end: its holder is dead."""


@dataclass
class Endpoint:
    """All endpoints of one world. `make` makes a runner from a name and its Hello."""

    stage: Stage
    gate: Function[Api]
    make: MakeRunner
    versions: Callable[[str], int]
    """Of the code that runners of a pool have, which rises with deploys."""
    held: dict[str, HeldRequest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = count(1)

    @property
    def live(self) -> list[HeldRequest]:
        return [each for each in self.held.values() if not each.over]

    def begin(self, tenant: str, name: str, request: str, config: PoolConfig) -> None:
        if request in self.held:
            return
        held = self.held[request] = HeldRequest(request, pool(name).key(tenant), config)
        dice, site = self.stage.dice, f"start:{request}"
        fate = "runs"
        if dice.fault("start", ("ill_begun",), request):
            fate = FATES[dice.pick(site, len(FATES))]
        held.silent = bool(dice.fault("holder", ("ill_begun",), request))
        self.stage.note("endpoint", "{} begins: {}", request, fate)
        self.stage.later(config.lifespan_ms, self._time_is_up, held)
        delay = 1 + dice.pick(site, COLD_START_MS)
        if fate == "answers 500":
            self.stage.later(delay, self._end, held, "answered 500")
        elif fate == "is late":
            self.stage.later(dice.pick(site, TOO_LATE_MS), self._run, held)
        elif fate != "brings forth nothing":
            self.stage.later(delay, self._run, held)
        if fate == "ends early":
            self.stage.later(delay + dice.pick(site, EARLY_MS), self._time_is_up, held)

    def _run(self, held: HeldRequest) -> None:
        if held.over:
            return
        name = held.key.run
        number = next(self._numbers)
        hello = frames.Hello(
            name,
            f"key-{held.request}",
            held.config.slots_per_runner,
            version=self.versions(name),
            connection=held.request,
        )
        held.runner = self.make(f"R{number}", hello, lambda: self._end(held, ""))
        held.runner.start()

    def _time_is_up(self, held: HeldRequest) -> None:
        if held.over:
            return
        if held.runner is not None:
            held.runner.kill()
        self._end(held, "")

    def _end(self, held: HeldRequest, error: str) -> None:
        if held.over:
            return
        held.over = True
        self.stage.note("endpoint", "{} is over {}", held.request, error)
        if held.silent:
            return
        ended = RequestEnded(held.request, error)
        caller = Caller(
            self.stage,
            self.gate,
            f"ended {held.request}",
            lambda gate: _mailed(gate, held.key, ended),
        )
        caller.ask()


async def _mailed(gate: object, key: RunKey, ended: RequestEnded) -> None:
    assert isinstance(gate, Gate)
    await gate.mailer.signal(key, ended, f"ended:{ended.request}")


class SimulatedStarters:
    """Implements `engine.allocation.ports.Starters` for one process."""

    def __init__(self, endpoint: Endpoint, line: Line) -> None:
        self._endpoint = endpoint
        self._line = line

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        await self._line.write("begin", lambda: self._endpoint.begin(tenant, pool, request, config))
