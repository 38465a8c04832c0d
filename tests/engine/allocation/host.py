"""The platform with one runner on it, which a test plays: everything works by itself, in memory.

Time is the loop's own, which jumps: a wait of seconds costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from engine.allocation import frames, signals
from engine.allocation.directory import Directory
from engine.allocation.local import LocalNews, LocalReplies
from engine.allocation.mailing import Mailer
from engine.allocation.ports import Allocation
from engine.allocation.reaching import Reaching
from engine.allocation.relaying import Relaying
from engine.allocation.settings import AllocationSettings
from engine.allocation.stepping import Services
from engine.allocation.tunnel import FromActor, HttpRequest, HttpResponse, Tunnel
from engine.layout import RunKey
from engine.memory import MemoryBlobs, MemoryJournal
from engine.messages import decode_message
from engine.ports import Platform
from engine.simulation.world.loop import VirtualLoop
from tests.engine.allocation.yard import Holders, Wires
from tests.scenarios.world import CountingEntropy, FixedSecrets

Answering = Callable[["Host", frames.RequestStart], Awaitable[None]]
Socket = frames.SocketOpen | frames.SocketMessage | frames.SocketClose
Hearing = Callable[["Host", Socket], Awaitable[None]]


FOREVER = 1_900_000_000_000


class LoopClock:
    """Milliseconds of the running loop."""

    def now(self) -> int:
        return 1_700_000_000_000 + int(asyncio.get_running_loop().time() * 1000)


class Runner(Wires):
    """A runner in one object: it does what it is told, and hands requests to `answer`."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._heard = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def post(self, connection: str, text: str) -> None:
        await super().post(connection, text)
        frame = frames.to_runner(text)
        if isinstance(frame, frames.Commands):
            for command in frame.commands:
                if command.index > self._heard:
                    self._heard = command.index
                    self._spawn(self._host.obey(command))
        elif isinstance(frame, frames.RequestStart):
            self._spawn(self._host.answer(self._host, frame))
        elif isinstance(frame, frames.SocketOpen | frames.SocketMessage | frames.SocketClose):
            self._spawn(self._host.hear(self._host, frame))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Host:
    """The platform with one runner on it, everything at work by itself."""

    def __init__(self, answer: Answering, **settings: int) -> None:
        self.answer = answer
        self.hear: Hearing = parrot
        self.clock = LoopClock()
        self.journal = MemoryJournal(self.clock)
        self.wires = Runner(self)
        self.replies = LocalReplies()
        self.platform = Platform(
            self.journal,
            MemoryBlobs(),
            self.clock,
            CountingEntropy(),
            FixedSecrets({}),
            allocation=Allocation(
                self.wires, Holders(), LocalNews(), AllocationSettings(**settings)
            ),
        )
        self.mailer = Mailer(self.journal, self.clock, self.platform.entropy)
        self.directory = Directory(self.platform)
        self.tunnel = Tunnel(self.platform, self.replies)
        self.reaching = Reaching(self.platform)
        self.relaying = Relaying(self.platform, self.replies)
        self.runner: RunKey | None = None
        self.events = 0

    async def work(self) -> None:
        services = Services(self.platform)
        while True:
            for delivery in await self.journal.source.receive(50, 0):
                await services.handle(decode_message(delivery.body), delivery)
            await asyncio.sleep(0.01)

    async def ping(self) -> None:
        while True:
            if self.runner is not None:
                await self.directory.ping("default", "default", self.runner.run)
            await asyncio.sleep(3)

    async def connect(self, key: str = "r1", connection: str = "c1") -> None:
        registered = await self.directory.register(
            "default",
            key,
            slots=5,
            session="s",
            version=0,
            connection=connection,
            request="",
            tenant="default",
        )
        self.runner = registered.key
        if not registered.created:
            connected = signals.Connected(connection, registered.epoch)
            await self.mailer.signal(registered.key, connected, f"connected:{registered.epoch}")

    async def obey(self, command: frames.Command) -> None:
        order = command.order
        if isinstance(order, frames.StopActor):
            await self.report(order.actor, order.generation, frames.Stopped())
        else:
            await self.report(order.actor, order.generation, frames.Running())

    async def report(self, id: str, generation: int, report: frames.Report) -> None:
        assert self.runner is not None
        self.events += 1
        happened = signals.Happened(self.events, id, generation, report, 1_000)
        await self.mailer.signal(
            self.runner, happened, f"event:{self.events}", "connection", self.events
        )

    async def say(self, frame: FromActor) -> None:
        await self.replies.arrived("default", frame)

    async def actor(self, **options: Any) -> RunKey:
        return (await self.directory.create("counter", ["main"], **options)).key

    async def get(self, key: RunKey, body: bytes = b"") -> HttpResponse:
        request = HttpRequest("req", "GET", "/", [("x-tidestep-request", "forged")], body)
        return await self.tunnel.request(key, request)


def play(host: Host, script: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        tasks = [asyncio.ensure_future(host.work()), asyncio.ensure_future(host.ping())]
        try:
            await script()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())


async def hello(host: Host, request: frames.RequestStart) -> None:
    await host.say(frames.ResponseStart(request.request, 200, [("a", "b")], b"hello"))


async def nothing(host: Host, request: frames.RequestStart) -> None:
    """It never answers."""


async def parrot(host: Host, frame: Socket) -> None:
    """It takes every WebSocket, and says again what it hears."""
    if isinstance(frame, frames.SocketOpen):
        await host.say(frames.SocketOpened(frame.socket))
    elif isinstance(frame, frames.SocketMessage):
        await host.say(frame)
