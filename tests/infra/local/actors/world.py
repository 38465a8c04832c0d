"""A server of stateful actors in this process: a file, its worker, and a socket on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect

from engine.actors import Registry
from engine.allocation import frames
from engine.allocation.config import PoolConfig
from engine.allocation.directory import Directory
from engine.allocation.gateway import Served
from engine.allocation.ports import Stepped
from engine.allocation.settings import AllocationSettings
from engine.callback_http import CallbackApi
from engine.keys import KeyRing
from engine.ports import Platform
from infra.local.actors.hosting import Hosting
from infra.local.actors.starters import Reach
from infra.local.embedded import working
from infra.local.http.application import application
from infra.local.http.server import listen, serve, url_of
from infra.runner.process import run_runner
from tests.infra.local.actors.cast import Deaf, Pad

TOKEN = "token"
PATIENCE_S = 20.0
QUICK = AllocationSettings(drain_ms=300, scale_down_ms=100)
IMPATIENT = replace(QUICK, ready_ms=300, request_ms=600)
SERVED = {"pad": Served(), "deaf": Served()}

F = TypeVar("F", bound=frames.Frame)


@dataclass
class World:
    """`steps` are those of all parties, in order."""

    platform: Platform
    hosting: Hosting
    url: str
    client: httpx.AsyncClient
    steps: list[Stepped] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def stepped(self, step: Stepped) -> None:
        self.steps.append(step)
        self.changed.set()

    async def step(self, kind: str, signal: str, after: str = "", count: int = 1) -> Stepped:
        """The `count`-th step of this kind, once it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [
                    step
                    for step in self.steps
                    if (step.key.kind, step.signal) == (kind, signal) and after in ("", step.after)
                ]
                if len(found) >= count:
                    return found[count - 1]
                self.changed.clear()
                await self.changed.wait()

    async def begun(self, actors: int = 1) -> None:
        """Until so many actors have been wanted: by a wake, or because they were made."""
        async with asyncio.timeout(PATIENCE_S):
            while len({step.key for step in self.steps if step.before == "Created"}) < actors:
                self.changed.clear()
                await self.changed.wait()

    def hear(self, line: str) -> None:
        self.said.append(line)
        self.changed.set()

    async def hears(self, line: str, count: int) -> None:
        """Until runners have printed this line so often."""
        async with asyncio.timeout(PATIENCE_S):
            while self.said.count(line) < count:
                self.changed.clear()
                await self.changed.wait()

    async def configure(self, config: PoolConfig, pool: str = "default") -> None:
        await Directory(self.platform).configure(pool, config)

    @asynccontextmanager
    async def runner(self, slots: int = 10) -> AsyncIterator[None]:
        """A real runner of the cast's actors."""
        stop = asyncio.Event()
        running = asyncio.create_task(
            run_runner([Pad, Deaf], self.url, "default", slots=slots, stop=stop, token=TOKEN)
        )
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await running

    def socket(self, path: str, **options: Any) -> connect:
        """A user's WebSocket, to be entered."""
        return connect(f"{self.url.replace('http', 'ws', 1)}{path}", proxy=None, **options)


@asynccontextmanager
async def open_world(directory: Path, settings: AllocationSettings = QUICK) -> AsyncIterator[World]:
    with listen("127.0.0.1", 0) as listening:
        url, stop = url_of(listening), asyncio.Event()
        seen: list[World] = []
        hosting = Hosting(
            Reach(url, TOKEN),
            {},
            settings,
            lambda line: seen[0].hear(line),
            lambda step: seen[0].stepped(step),
        )
        with working(directory / "world.db", {}, allocate=hosting.allocation) as embedded:
            platform = embedded.platform
            keys = KeyRing(platform.journal, platform.clock, platform.entropy)
            app = application(CallbackApi(platform, keys), hosting.routes(platform, SERVED))
            async with httpx.AsyncClient(
                base_url=url, timeout=PATIENCE_S, trust_env=False
            ) as client:
                world = World(platform, hosting, url, client)
                seen.append(world)
                await hosting.begin(platform)
                tasks = [
                    asyncio.create_task(embedded.worker(Registry()).run(stop)),
                    asyncio.create_task(serve(app, listening, stop, websockets=True)),
                ]
                try:
                    yield world
                finally:
                    await hosting.stop()
                    stop.set()
                    async with asyncio.timeout(PATIENCE_S):
                        await asyncio.gather(*tasks)


class Scripted:
    """A runner that says what the test has it say."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @classmethod
    @asynccontextmanager
    async def connected(cls, world: World) -> AsyncIterator[Self]:
        async with world.socket("/runners/connect") as socket:
            yield cls(socket)

    async def say(self, frame: frames.Frame) -> None:
        await self.socket.send(frames.encode(frame))

    async def hello(self, key: str = "r1", slots: int = 10) -> frames.Welcome:
        await self.say(frames.Hello("default", key, slots, token=TOKEN))
        return await self.hears(frames.Welcome)

    async def hears(self, kind: type[F]) -> F:
        """The next frame of this kind; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = frames.to_runner(await self.socket.recv())
                if isinstance(frame, kind):
                    return frame

    async def ended(self) -> int:
        """The close code."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code
