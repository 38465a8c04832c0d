"""The modules of allocation on the journal in memory, with runners that a test plays itself.

Nothing runs by itself: `work` delivers what is due, one message after another, until nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from engine.allocation import frames, signals
from engine.allocation.actor_state import ActorState
from engine.allocation.board import Board
from engine.allocation.board_reading import read_board
from engine.allocation.config import PoolConfig
from engine.allocation.directory import Directory, Registered
from engine.allocation.head import ServiceHead
from engine.allocation.local import LocalNews, LocalReplies
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, Party
from engine.allocation.ports import Allocation, ConnectionGone, Stepped
from engine.allocation.rules import Reads
from engine.allocation.runner_state import RunnerState
from engine.allocation.settings import AllocationSettings
from engine.allocation.signals import Signal
from engine.allocation.stepping import Services
from engine.layout import RunKey
from engine.memory import MemoryBlobs, MemoryJournal
from engine.messages import decode_message
from engine.ports import Delivery, Journal, Platform
from tests.clock import ManualClock
from tests.scenarios.world import CountingEntropy, FixedSecrets

T = TypeVar("T")


class Wires:
    """Implements `Sockets`: keeps what was posted, and knows which connections are closed."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, frames.ToRunner]] = []
        self.closed: set[str] = set()

    async def post(self, connection: str, text: str) -> None:
        if connection in self.closed:
            raise ConnectionGone(connection)
        self.posted.append((connection, frames.to_runner(text)))

    async def close(self, connection: str) -> None:
        self.closed.add(connection)

    def to(self, connection: str, kind: type[frames.Frame] = frames.Frame) -> list[Any]:
        """The frames of this kind that went there."""
        return [f for c, f in self.posted if c == connection and isinstance(f, kind)]


class Holders:
    """Implements `Starters`."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        self.begun.append(request)


class Yard:
    """Synchronous. Close it at the end."""

    def __init__(self, settings: AllocationSettings | None = None) -> None:
        self._loop = asyncio.Runner()
        self.clock = ManualClock()
        self.journal = MemoryJournal(self.clock)
        self.entropy = CountingEntropy()
        self.wires, self.holders = Wires(), Holders()
        self.news, self.replies = LocalNews(), LocalReplies()
        self.settings = settings or AllocationSettings()
        self.steps: list[Stepped] = []
        self._mailer = Mailer(self.journal, self.clock, self.entropy)
        self.directory = Directory(self.platform())
        self.services = Services(self.platform())

    def close(self) -> None:
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def platform(self, journal: Journal | None = None) -> Platform:
        return Platform(
            journal=journal or self.journal,
            blobs=MemoryBlobs(),
            clock=self.clock,
            entropy=self.entropy,
            secrets=FixedSecrets({}),
            allocation=Allocation(
                self.wires, self.holders, self.news, self.settings, self.steps.append
            ),
        )

    # -- messages ---------------------------------------------------------------------------------

    def receive(self) -> list[Delivery]:
        return list(self.do(self.journal.source.receive(100, 0)))

    def deliver(self, delivery: Delivery, services: Services | None = None) -> str:
        message = decode_message(delivery.body)
        return self.do((services or self.services).handle(message, delivery))

    def work(self, most: int = 500) -> list[str]:
        """Deliver what is due until nothing is; what was done."""
        done: list[str] = []
        while deliveries := self.receive():
            for delivery in deliveries:
                done.append(self.deliver(delivery))
                assert len(done) < most, "it spins"
        return done

    def waiting(self) -> list[tuple[str, int]]:
        """Of each message on the queue, for whom it is and in how many ms it comes."""
        now = self.clock.now()
        held = self.journal.source._waiting.values()
        return [(decode_message(body).run, max(0, due - now)) for due, body, _ in held]

    # -- parties ----------------------------------------------------------------------------------

    def signal(
        self, to: RunKey, signal: Signal, id: str = "", sender: str = "", n: int = 0
    ) -> None:
        self.do(self._mailer.signal(to, signal, id or self.entropy.new_id(), sender, n))

    def head(self, key: RunKey) -> ServiceHead:
        head = self.do(self.directory.head(key))
        assert head is not None
        return head

    def actor(self, key: RunKey) -> ActorState:
        state = self.head(key).state
        assert isinstance(state, ActorState)
        return state

    def phase(self, key: RunKey) -> str:
        return self.head(key).phase

    def create(self, *key: str, name: str = "counter", **options: Any) -> RunKey:
        """A new actor, which has been stepped for the first time."""
        made = self.do(self.directory.create(name, key, **options))
        self.work()
        return made.key

    def connect(self, key: str = "r1", connection: str = "c1", **changes: Any) -> Registered:
        """A runner; what it leads to is not stepped yet."""
        options: dict[str, Any] = {"slots": 1, "session": "s1", "version": 0, "request": ""}
        register = self.directory.register(
            "default", key, connection=connection, tenant="default", **(options | changes)
        )
        registered = self.do(register)
        if not registered.created:
            connected = signals.Connected(connection, registered.epoch)
            self.signal(registered.key, connected, f"connected:{registered.epoch}")
        return registered

    def report(self, runner: RunKey, actor: RunKey, report: frames.Report) -> None:
        """The runner's next event, which is stepped; it has heard all commands."""
        state = self.head(runner).state
        assert isinstance(state, RunnerState)
        index, generation = state.events + 1, self.actor(actor).generation
        happened = signals.Happened(index, actor.run, generation, report, state.commands)
        self.signal(runner, happened, f"event:{index}", "connection", index)
        self.work()

    def run(self, actor: RunKey, runner: RunKey) -> None:
        """Wake it, and have the runner report that it runs."""
        self.signal(actor, signals.Wake())
        self.work()
        self.report(runner, actor, frames.Running())
        assert self.phase(actor) == "Running"

    def board(self, runner: str = "", pool: str = "default") -> Board:
        reads = Reads.INDEX | Reads.SEATS
        return self.do(read_board(self.journal, "default", pool, reads, runner, None))

    def items(self, partition: str, prefix: str = "") -> dict[str, bytes]:
        async def collect() -> dict[str, bytes]:
            return {name: body async for name, body in self.journal.scan(partition, prefix)}

        return self.do(collect())


def pool_key(name: str = "default") -> RunKey:
    return Party(Kind.POOL, name).key("default")


def said(steps: Sequence[Stepped]) -> list[str]:
    """What has happened, a step a line."""
    return [f"{step.key.kind} {step.signal}: {step.before} -> {step.after}" for step in steps]
