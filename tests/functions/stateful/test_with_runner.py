"""The functions with the runner that users have, and an actor of theirs: nothing is scripted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from engine.stateful import (
    Connection,
    ConnectionLost,
    Request,
    Runner,
    StatefulActor,
    WebSocket,
    stateful_actor,
)
from infra.system import SystemClock, SystemEntropy
from tests.functions.stateful.parts import SHARED_METRICS, Sockets, World, actor_of

pytestmark = SHARED_METRICS


@dataclass
class Count:
    count: int = 0


@stateful_actor(name="counter", idle=None)
class Counter(StatefulActor[Count]):
    async def on_request(self, request: Request) -> dict[str, int]:
        if request.path == "/sleep":
            self.sleep()
        if request.path == "/slow":
            await asyncio.sleep(0.5)
        self.state.count += 1
        return {"count": self.state.count}

    async def on_websocket(self, socket: WebSocket) -> None:
        await socket.send(f"count is {self.state.count}")
        async for message in socket:
            await socket.send(f"{message!s}?" if isinstance(message, str) else message)
            if message == "bye":
                break


class Wire:
    """Implements `Connection`: messages through API Gateway, as the test plays it."""

    def __init__(self, sockets: Sockets) -> None:
        status, self.connection = sockets.connect()
        assert status == 200
        self._sockets = sockets

    async def send(self, text: str) -> None:
        if self.connection.closed:
            raise ConnectionLost("closed")
        await asyncio.to_thread(self._sockets.say, self.connection, text)

    async def receive(self) -> str | None:
        while not self.connection.inbox:
            if self.connection.closed:
                return None
            await asyncio.sleep(0.005)
        return self.connection.inbox.popleft()


class Hosting:
    """A runner in a thread of its own."""

    def __init__(self, sockets: Sockets) -> None:
        self.wires: list[Wire] = []
        self._sockets = sockets

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        wire = await asyncio.to_thread(Wire, self._sockets)
        self.wires.append(wire)
        yield wire

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()

        async def run() -> None:
            runner = Runner(
                [Counter],
                pool="default",
                key="one",
                slots=5,
                connect=self.connect,
                clock=SystemClock(),
                entropy=SystemEntropy(),
                token="secret",
            )
            task = asyncio.create_task(runner.run())
            await asyncio.to_thread(stop.wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def hosting(world: World) -> Iterator[Hosting]:
    hosting = Hosting(world.sockets)
    with hosting.running():
        yield hosting


def count(world: World, path: str = "") -> str:
    answer = world.get(f"/actors/counter/main/{path}", rawQueryString="")
    assert answer.status == 200, answer
    return answer.body


def test_an_actor_counts_across_its_sleep(world: World, hosting: Hosting) -> None:
    assert count(world) == '{"count":1}'
    assert count(world, "sleep") == '{"count":2}'
    for number in range(3, 6):
        assert count(world, "sleep") == f'{{"count":{number}}}'


def test_api_gateway_closes_a_connection_and_nothing_is_lost(
    world: World, hosting: Hosting
) -> None:
    """It does so after two hours, or when nothing was said for ten minutes."""
    assert count(world) == '{"count":1}'

    def close() -> None:
        world.sockets.disconnect(hosting.wires[-1].connection)

    late = threading.Timer(0.3, close)  # while the actor works
    late.start()
    assert count(world, "slow") == '{"count":2}'
    late.join()
    assert count(world) == '{"count":3}'
    assert len(hosting.wires) == 2
    (id,) = world.actors()
    assert actor_of(id).state.generation == 1, "it has stayed where it was"  # type: ignore[union-attr]


def test_a_user_talks_with_an_actor(world: World, hosting: Hosting) -> None:
    count(world)
    status, user = world.meanwhile(lambda: world.sockets.connect(actor="counter/main"))
    assert status == 200
    world.until(lambda: len(user.inbox) == 1)
    world.sockets.say(user, "hello")
    world.until(lambda: len(user.inbox) == 2)
    world.sockets.say(user, "bye")
    world.until(lambda: user.closed)
    assert list(user.inbox) == ["count is 1", "hello?", "bye?"]
