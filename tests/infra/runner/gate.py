"""The other side of runners' WebSockets: a real server on a free port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from websockets.asyncio.server import ServerConnection, serve

from engine.allocation import frames
from engine.allocation.frames import (
    Command,
    Commands,
    Events,
    EventsStored,
    Evicted,
    FromRunner,
    Hello,
    Load,
    Loaded,
    Ping,
    Pong,
    RequestStart,
    ResponseChunk,
    ResponseStart,
    Save,
    Saved,
    StartActor,
    StopActor,
    Stopping,
    Welcome,
)

F = TypeVar("F", bound=frames.Frame)


class Gate:
    """Welcomes every runner, starts actor `a` on it, and takes that away when it is stopping."""

    def __init__(self) -> None:
        self.url = ""
        self.frames: list[FromRunner] = []
        self.paths: list[str] = []
        self.states: dict[str, Any] = {}
        self.sockets: list[ServerConnection] = []
        """Those that are open."""
        self.refuses = ""
        """Why no runner is welcome."""
        self._changed = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.sockets.append(socket)
        self._changed.set()
        try:
            async for text in socket:
                frame = frames.from_runner(text)
                self.frames.append(frame)
                self._changed.set()
                for answer in self._answers(frame):
                    await socket.send(frames.encode(answer))
        finally:
            self.sockets.remove(socket)
            self._changed.set()

    def _answers(self, frame: FromRunner) -> list[frames.Frame]:
        match frame:
            case Hello() if self.refuses:
                return [Evicted(self.refuses)]
            case Hello():
                start = StartActor("a", 1, "counter")
                welcome = Welcome(f"runner-{len(self.of(Hello))}", 0, 1000, 5000, 5000)
                return [welcome, Commands((Command(1, start),))]
            case Events():
                return [EventsStored(frame.events[-1].index)]
            case Ping():
                return [Pong()]
            case Load():
                state = self.states.get(frame.actor)
                raw = msgspec.UNSET if state is None else msgspec.Raw(state)
                return [Loaded(frame.id, raw)]
            case Save():
                if isinstance(frame.state, msgspec.Raw):
                    self.states[frame.actor] = bytes(frame.state)
                return [Saved(frame.id)]
            case Stopping():
                return [Commands((Command(2, StopActor("a", 1)),))]
            case _:
                return []

    async def ask(self, id: str, path: str = "/", body: bytes = b"") -> tuple[int, bytes]:
        request = RequestStart(id, "a", 1, "POST", path, body=body)
        await self.sockets[-1].send(frames.encode(request))
        start = await self.until(
            lambda: next((each for each in self.of(ResponseStart) if each.request == id), None)
        )
        if start.more:
            await self.until(lambda: any(not chunk.more for chunk in self.of(ResponseChunk)))
        chunks = self.of(ResponseChunk) if start.more else []
        return start.status, start.body + b"".join(chunk.body for chunk in chunks)

    def of(self, kind: type[F]) -> list[F]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, find: Callable[[], Any]) -> Any:
        async with asyncio.timeout(20):
            while not (found := find()):
                self._changed.clear()
                await self._changed.wait()
        return found


@asynccontextmanager
async def open_gate() -> AsyncIterator[Gate]:
    gate = Gate()
    async with serve(gate.serve, "127.0.0.1", 0, max_size=frames.FRAME_BYTES) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        gate.url = f"http://{host}:{port}"
        yield gate
