"""The simulated deployment: the same composition as `template.yaml`, of simulated services.

A table, a queue and its dead letters, a bucket; the dispatcher, the sweeper, the consumer of dead
letters and the API, each the engine's real code in processes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from engine.actors import Registry
from engine.allocation.ports import Allocation
from engine.dead_letters import DeadLetters
from engine.dispatcher import Dispatcher
from engine.errors import TidestepError
from engine.messages import decode_message
from engine.ordered import OrderedJournal
from engine.ports import Journal, Platform, Queue, Store
from engine.simulation.world.acting import simulated
from engine.simulation.world.calling import Api
from engine.simulation.world.functions import Function
from engine.simulation.world.invoking import EventSource, Handler, Schedule
from engine.simulation.world.line import Line, Unhindered
from engine.simulation.world.process import Process
from engine.simulation.world.queue import Mailbox, SimulatedQueue
from engine.simulation.world.settings import Settings
from engine.simulation.world.stage import Stage
from engine.simulation.world.store import Bucket, SimulatedBlobs, SimulatedStore, Table
from engine.sweeper import sweep


class _Secrets:
    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def get(self, name: str) -> str | None:
        return self._secrets.get(name)


@dataclass(frozen=True, slots=True)
class Parts:
    """The engine's parts that are deployed; a test puts a broken one into the place of one."""

    dispatcher: Callable[[Platform, Registry], Handler] = Dispatcher
    dead_letters: Callable[[Platform, Registry], Handler] = DeadLetters
    sweep: Callable[[Platform], Coroutine[Any, Any, object]] = sweep
    journal: Callable[[Store, Queue], Journal] = OrderedJournal
    api: Callable[[Platform], Api] = Api


ENGINE = Parts()


class Deployment:
    """All that is deployed on one stage."""

    def __init__(self, stage: Stage, settings: Settings, actors: Registry, parts: Parts) -> None:
        self._parts = parts
        self._settings = settings
        self._stage = stage
        self.allocation: Callable[[Process, type[Line]], Allocation] | None = None
        """How a process steps actors and reaches their runners; set before any process is made."""
        self.table = Table(stage)
        self.bucket = Bucket(stage)
        self.dead_letters = Mailbox(
            stage,
            "dead letters",
            visibility_ms=_ms(settings.visibility),
            retention_ms=_ms(settings.retention),
            max_receives=1 << 30,
            subject_of=subject_of,
        )
        self.queue = Mailbox(
            stage,
            "queue",
            visibility_ms=_ms(settings.visibility),
            retention_ms=_ms(settings.retention),
            max_receives=settings.max_receives,
            dead_letters=self.dead_letters,
            subject_of=subject_of,
        )
        watched = simulated(actors)
        timeout_ms, concurrency = _ms(settings.step_timeout), settings.concurrency
        self.dispatcher: Function[Handler] = Function(
            stage,
            "dispatcher",
            lambda process: parts.dispatcher(self.platform(process), watched),
            timeout_ms=timeout_ms,
            concurrency=concurrency,
        )
        EventSource(stage, self.queue, self.dispatcher, recursive=settings.recursive)
        self.consumer: Function[Handler] = Function(
            stage,
            "consumer",
            lambda process: parts.dead_letters(self.platform(process), watched),
            timeout_ms=timeout_ms,
            concurrency=concurrency,
        )
        EventSource(stage, self.dead_letters, self.consumer, recursive=settings.recursive)
        self.api: Function[Api] = Function(
            stage,
            "api",
            lambda process: parts.api(self.platform(process)),
            timeout_ms=_ms(settings.api_timeout),
            concurrency=1000,
        )
        sweeper: Function[Platform] = Function(
            stage, "sweeper", self.platform, timeout_ms=timeout_ms, concurrency=1000
        )
        schedule = Schedule(
            stage,
            sweeper,
            lambda process, platform: parts.sweep(platform),
            every_ms=_ms(settings.sweep_every),
            earliest=lambda: self.table.earliest_wake(stage.now()),
        )
        self.table.on_wake = schedule.plan

    def platform(self, process: Process) -> Platform:
        """The ports of one process."""
        return self._platform(process, Line)

    def unhindered(self) -> Platform:
        """For reading what is stored; its reads never wait."""
        return self._platform(Process(self._stage, "outside"), Unhindered)

    def _platform(self, process: Process, line: type[Line]) -> Platform:
        store = SimulatedStore(self.table, line(process, "table"))
        queue = SimulatedQueue(self.queue, line(process, "queue"), process)
        return Platform(
            journal=self._parts.journal(store, queue),
            blobs=SimulatedBlobs(self.bucket, line(process, "bucket")),
            clock=process,
            entropy=process,
            secrets=_Secrets(self._settings.secrets),
            allocation=None if self.allocation is None else self.allocation(process, line),
            env=self._settings.env,
            limits=self._settings.limits,
        )


def subject_of(body: str) -> str:
    """What a message is about, in the words of the trace: run/epoch.node.visit.attempt."""
    try:
        message = decode_message(body)
    except TidestepError:
        return "message"
    return f"{message.run}/{'.'.join(map(str, message.token))}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
