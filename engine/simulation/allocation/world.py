"""The part of the simulated world that allocation needs, put together around a deployment.

world = AllocationWorld(simulation, settings)
world.call(10, "configure", lambda gate: gate.directory.configure("pool", config))
world.request(20, "room", "a", "/add")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from engine.allocation import frames
from engine.allocation.gateway import PREFIX, Served
from engine.allocation.local import LocalNews
from engine.allocation.ports import Allocation, Stepped
from engine.allocation.settings import AllocationSettings
from engine.errors import PlatformError
from engine.layout import RunKey
from engine.simulation.allocation.endpoint import Endpoint, SimulatedStarters
from engine.simulation.allocation.gate import Gate, ReplyHub, SimulatedReplies
from engine.simulation.allocation.notes import Notes
from engine.simulation.allocation.runners import SimulatedRunner
from engine.simulation.allocation.wire import SimulatedSockets, Wire
from engine.simulation.world.calling import Api, Caller
from engine.simulation.world.functions import Function
from engine.simulation.world.line import Line
from engine.simulation.world.process import Process
from engine.simulation.world.simulation import Simulation

GATE_TIMEOUT_MS = 40_000
DOOR_TIMEOUT_MS = 15_000

ByGate = Callable[[Gate], Awaitable[Any]]


@dataclass
class Asked:
    """A user's request: how often it was made, and what the last answer was."""

    name: str
    actor: str
    path: str
    tries: int = 0
    status: int = 0
    code: str = ""
    """Of an error of ours."""
    body: bytes = b""


class AllocationWorld:
    """Everything around the deployment of one simulation."""

    def __init__(
        self,
        simulation: Simulation,
        settings: AllocationSettings,
        served: Mapping[str, Served],
        idle_s: Callable[[str], float],
        *,
        shared_news: bool = False,
    ) -> None:
        self.simulation = simulation
        self.stage = simulation.stage
        self.table = simulation.deployment.table
        self.settings = settings
        self.notes = Notes(self.stage, settings.lost_ms, idle_s)
        self.asked: list[Asked] = []
        self.runners: list[SimulatedRunner] = []
        self._unmanaged: list[SimulatedRunner] = []
        self.versions: dict[str, int] = {}
        self._served = served
        self._news = LocalNews() if shared_news else None
        self._replies = ReplyHub()
        self._names = count(1)
        simulation.deployment.allocation = self._ports
        self.gate: Function[Api] = Function(
            self.stage, "gate", self._gate, timeout_ms=GATE_TIMEOUT_MS, concurrency=1000
        )
        door = Function[Gate](
            self.stage, "door", self._gate, timeout_ms=DOOR_TIMEOUT_MS, concurrency=1000
        )
        self.wire = Wire(self.stage, door)
        self.endpoint = Endpoint(self.stage, self.gate, self._runner, self.version)

    def _ports(self, process: Process, line: type[Line]) -> Allocation:
        return Allocation(
            SimulatedSockets(self.wire, line(process, "sockets")),
            SimulatedStarters(self.endpoint, line(process, "starters")),
            self._news or LocalNews(),
            self.settings,
            self._stepped,
        )

    def _gate(self, process: Process) -> Gate:
        platform = self.simulation.deployment.platform(process)
        replies = SimulatedReplies(self._replies, Line(process, "replies"))
        return Gate(platform, replies, self._served)

    def _stepped(self, step: Stepped) -> None:
        phases = step.before if step.after == step.before else f"{step.before} -> {step.after}"
        said, sent = ", ".join(step.said), ", ".join(step.sent)
        self.stage.note(step.key.run, "{}: {}. {} > {}", step.signal, phases, said, sent)

    def _runner(self, name: str, hello: frames.Hello, ended: Callable[[], None]) -> SimulatedRunner:
        runner = SimulatedRunner(self.stage, self.wire, self.notes, name, hello, ended)
        self.runners.append(runner)
        return runner

    def version(self, pool: str) -> int:
        return self.versions.get(pool, 0)

    # -- what happens -----------------------------------------------------------------------------

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something to the world at that time."""
        self.stage.later((seconds - self.stage.loop.time()) * 1000, act)

    def call(self, seconds: float, name: str, act: ByGate) -> None:
        """Ask for something, again and again until it is answered."""

        async def acted(api: Api) -> Any:
            assert isinstance(api, Gate)
            return await api.call(name, RunKey("default", name), _awaited(act, api))

        name = f"{name} {next(self._names)}"
        self.at(seconds, Caller(self.stage, self.gate, name, acted).ask)

    def request(self, seconds: float, name: str, key: str, path: str, *, tries: int = 1) -> Asked:
        """A user's request; what is refused for the time being is tried again, so often."""
        asked = Asked(f"request {next(self._names)}", f"{name}/{key}", path)
        self.asked.append(asked)

        async def acted(api: Api) -> None:
            assert isinstance(api, Gate)
            asked.tries += 1
            answer = await api.gateway.handle("GET", f"{PREFIX}{name}/{key}{path}", "", [], b"")
            asked.status, asked.body = answer.status, answer.body
            asked.code = dict(answer.headers).get("x-tidestep-error", "")
            self.stage.note(asked.name, "{} {}{}", answer.status, asked.code, answer.body)
            if asked.code and asked.tries < tries:
                raise TriesAgain(asked.code)

        self.at(seconds, Caller(self.stage, self.gate, asked.name, acted).ask)
        return asked

    def run_runner(self, pool: str, key: str, slots: int, version: int = 0) -> SimulatedRunner:
        """A runner that comes by itself."""
        hello = frames.Hello(pool, key, slots, version=version)
        runner = self._runner(f"{key}.{next(self._names)}", hello, lambda: None)
        runner.start()
        self._unmanaged.append(runner)
        return runner

    def end_unmanaged(self) -> None:
        """The processes of all runners that came by themselves end, unannounced."""
        for runner in self._unmanaged:
            runner.kill()


class TriesAgain(PlatformError):
    """A user asks again later."""


async def _awaited(act: ByGate, gate: Gate) -> Any:
    return await act(gate)
