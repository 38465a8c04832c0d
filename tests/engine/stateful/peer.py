"""The other side of a runner's connection, in memory: it answers by itself what a test leaves it.

`play` runs a scenario on virtual time. What the runner sends is in `peer.frames`, in order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar

import msgspec

from engine.allocation import frames
from engine.allocation.frames import (
    Command,
    Commands,
    Events,
    EventsStored,
    Fetch,
    Fetched,
    FromRunner,
    Hello,
    Load,
    Loaded,
    Ping,
    Pong,
    Refused,
    Report,
    RequestStart,
    ResponseChunk,
    ResponseStart,
    Save,
    Saved,
    StartActor,
    StopActor,
    Welcome,
)
from engine.simulation.world.loop import VirtualLoop
from engine.stateful import ConnectionLost, Runner, StatefulActor

F = TypeVar("F", bound=frames.Frame)

START = 1_700_000_000_000
PING_MS, LOST_MS, STOP_MS = 3_000, 15_000, 30_000


class LoopClock:
    """Implements `engine.ports.Clock`, on the loop's time."""

    def now(self) -> int:
        return START + round(asyncio.get_running_loop().time() * 1000)


class Chance:
    """Implements `engine.ports.Entropy`."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        self._numbers = count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"

    def chance(self) -> float:
        return self._random.random()

    def new_key(self) -> bytes:
        return bytes(32)


class Wire:
    """One connection, as the runner sees it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self.open = True

    async def send(self, text: str) -> None:
        if not self.open:
            raise ConnectionLost("cut")
        await asyncio.sleep(0)
        self._peer.receive(frames.from_runner(text))

    async def receive(self) -> str | None:
        return await self.inbox.get()


class Peer:
    def __init__(self) -> None:
        self.frames: list[FromRunner] = []
        self.silent: set[type[frames.Frame]] = set()
        """Kinds of frames that are not answered."""
        self.runner = "r1"
        self.stored = 0
        """The number of the last event that is stored."""
        self.states: dict[str, Any] = {}
        self.values: dict[str, dict[str, msgspec.Raw]] = {}
        self.inputs: dict[str, Any] = {}
        self.refusal = ""
        """What saves, loads and fetches are refused with."""
        self.fetch_most = 100
        self.reachable = True
        self.attempts: list[float] = []
        """When the runner tried to connect."""
        self.wire: Wire | None = None
        self._changed = asyncio.Event()
        self._commands = count(1)
        self._requests = count(1)

    # -- the connection ---------------------------------------------------------------------------

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Wire]:
        self.attempts.append(asyncio.get_running_loop().time())
        if not self.reachable:
            raise ConnectionLost("nobody is there")
        wire = self.wire = Wire(self)
        try:
            yield wire
        finally:
            wire.open = False
            if self.wire is wire:
                self.wire = None
            self._changed.set()

    def cut(self) -> None:
        assert self.wire is not None
        self.wire.open = False
        self.wire.inbox.put_nowait(None)

    def send(self, frame: frames.Frame) -> None:
        assert self.wire is not None, "the runner is not connected"
        self.wire.inbox.put_nowait(frames.encode(frame))

    def receive(self, frame: FromRunner) -> None:
        self.frames.append(frame)
        self._changed.set()
        if type(frame) not in self.silent:
            self.answer(frame)

    def answer(self, frame: FromRunner) -> None:
        match frame:
            case Hello():
                self.send(Welcome(self.runner, self.stored, PING_MS, LOST_MS, STOP_MS))
            case Events():
                self.stored = max(self.stored, frame.events[-1].index)
                self.send(EventsStored(self.stored))
            case Ping():
                self.send(Pong())
            case Load() if self.refusal:
                self.send(Loaded(frame.id, error=self.refusal))
            case Load():
                state, given = self.states.get(frame.actor), self.inputs.get(frame.actor)
                self.send(Loaded(frame.id, _raw(state), _raw(given)))
            case Save() if self.refusal:
                self.send(Saved(frame.id, self.refusal))
            case Save():
                self._save(frame)
                self.send(Saved(frame.id))
            case Fetch() if self.refusal:
                self.send(Fetched(frame.id, error=self.refusal))
            case Fetch():
                self.send(self._fetched(frame))
            case _:
                pass

    def _save(self, frame: Save) -> None:
        if isinstance(frame.state, msgspec.Raw):
            self.states[frame.actor] = msgspec.json.decode(frame.state)
        values = self.values.setdefault(frame.actor, {})
        values.update(frame.puts)
        for key in frame.deletes:
            values.pop(key, None)

    def _fetched(self, frame: Fetch) -> Fetched:
        values = self.values.get(frame.actor, {})
        if frame.prefix is None:
            keys = [key for key in frame.keys if key in values]
            most = self.fetch_most
        else:
            keys = sorted(
                key for key in values if key.startswith(frame.prefix) and key > frame.after
            )
            most = min(frame.limit, self.fetch_most)
        entries = {key: values[key] for key in keys[:most]}
        return Fetched(frame.id, entries, more=len(keys) > most)

    # -- what a test does -------------------------------------------------------------------------

    def start(
        self,
        actor: str = "a",
        generation: int = 1,
        name: str = "counter",
        *,
        key: tuple[str, ...] = (),
        alarm_at: int = 0,
        index: int | None = None,
    ) -> None:
        order = StartActor(actor, generation, name, key, START, alarm_at)
        number = next(self._commands) if index is None else index
        self.send(Commands((Command(number, order),)))

    def stop(self, actor: str = "a", generation: int = 1, *, forever: bool = False) -> None:
        order = StopActor(actor, generation, forever)
        self.send(Commands((Command(next(self._commands), order),)))

    def ask(
        self,
        path: str = "/",
        actor: str = "a",
        generation: int = 1,
        *,
        method: str = "GET",
        body: bytes = b"",
        deadline: int = 0,
        id: str = "",
    ) -> str:
        """Send a request; its id."""
        id = id or f"q{next(self._requests)}"
        self.send(RequestStart(id, actor, generation, method, path, body=body, deadline=deadline))
        return id

    async def reply(self, request: str) -> ResponseStart | Refused:
        def find() -> ResponseStart | Refused | None:
            for frame in self.frames:
                if isinstance(frame, ResponseStart | Refused) and frame.request == request:
                    return frame
            return None

        found: ResponseStart | Refused = await self.until(find)
        return found

    async def answered(self, path: str = "/", actor: str = "a", generation: int = 1) -> Any:
        """Ask; the answer's JSON."""
        reply = await self.reply(self.ask(path, actor, generation))
        assert isinstance(reply, ResponseStart), reply
        assert reply.status in (200, 204), reply
        return msgspec.json.decode(reply.body) if reply.body else None

    async def whole(self, request: str) -> bytes:
        """A reply's body, chunks and all."""
        start = await self.reply(request)
        assert isinstance(start, ResponseStart), start
        body, more, number = start.body, start.more, 0
        while more:
            number += 1
            await self.sent(ResponseChunk, number)
            chunk = self.of(ResponseChunk)[number - 1]
            assert (chunk.request, chunk.index) == (request, number)
            body, more = body + chunk.body, chunk.more
        return body

    def of(self, kind: type[F]) -> list[F]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def reports(self, actor: str = "a") -> list[Report]:
        """What has been reported of an actor, each event once."""
        events = {event.index: event for frame in self.of(Events) for event in frame.events}
        return [events[index].report for index in sorted(events) if events[index].actor == actor]

    async def reported(self, report: Report | type[Report], actor: str = "a") -> None:
        def find() -> bool:
            found = self.reports(actor)
            return any(each == report or type(each) is report for each in found)

        await self.until(find)

    async def sent(self, kind: type[F], times: int = 1) -> F:
        """The newest frame of a kind, once there are so many."""
        await self.until(lambda: len(self.of(kind)) >= times)
        return self.of(kind)[-1]

    async def until(self, find: Callable[[], Any]) -> Any:
        async with asyncio.timeout(1000):
            while not (found := find()):
                self._changed.clear()
                await self._changed.wait()
        return found

    async def settled(self) -> None:
        """All that happens without time passing has happened."""
        for _ in range(100):
            await asyncio.sleep(0)


Scenario = Callable[[Peer, Runner], Awaitable[None]]


def play(scenario: Scenario, *actors: type[StatefulActor[Any]], connected: bool = True) -> Peer:
    """Run a scenario with a runner of these actors."""

    async def main() -> Peer:
        peer = Peer()
        runner = Runner(
            actors,
            pool="main",
            key="k1",
            slots=10,
            connect=peer.connect,
            clock=LoopClock(),
            entropy=Chance(),
            version=7,
        )
        running = asyncio.create_task(runner.run())
        try:
            if connected:
                await runner.connected.wait()
            await scenario(peer, runner)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled():
            running.result()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert not loop.complaints, loop.complaints
        return peer

    with asyncio.Runner(loop_factory=VirtualLoop) as loop:
        return loop.run(main())


def _raw(value: Any) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if value is None else msgspec.Raw(msgspec.json.encode(value))
