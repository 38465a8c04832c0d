"""What surrounds the functions on AWS and moto does not have: WebSockets, and runners that are on
the other end of them.

`Sockets` is API Gateway: it answers 410 for what is not connected, and calls the runners function
with the events of a connection. Nothing here runs by itself: what was sent lies in a connection's
`inbox` until `World.turn` has its owner look at it, so that a test says what happens when.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import pytest
from moto.apigatewaymanagementapi.models import ApiGatewayManagementApiBackend
from moto.core.exceptions import JsonRESTError

from engine.allocation import frames
from engine.allocation.config import PoolConfig
from engine.allocation.head import ServiceHead
from engine.allocation.parties import actor, pool
from engine.allocation.pool_state import PoolState
from tests.functions.conftest import LambdaContext, Stack, sample

SHARED_METRICS = pytest.mark.filterwarnings("ignore:No application metrics to publish")
"""Functions that run at the same time share a process here, and the metrics of it."""

Around = Callable[[str], AbstractContextManager[object]]
"""What happens around each invocation of a function, by the name that the template gives it."""
Answer = Callable[[frames.RequestStart], frames.Frame | None]


class _Gone(JsonRESTError):
    code = 410

    def __init__(self) -> None:
        super().__init__("GoneException", "the connection is gone")


@dataclass
class Connection:
    id: str
    inbox: deque[str] = field(default_factory=deque)
    accepted: bool = False
    closed: bool = False


class Sockets:
    """API Gateway's WebSocket API."""

    def __init__(self, stack: Stack) -> None:
        self.connections: dict[str, Connection] = {}
        self.posts = 0
        self.around: Around = nullcontext
        self._stack = stack
        self._numbers = count(1)

    @contextmanager
    def serving(self) -> Iterator[None]:
        def post(backend: Any, data: bytes, connection_id: str) -> None:
            connection = self._open(connection_id)
            self.posts += 1
            connection.inbox.append(data.decode())

        def delete(backend: Any, connection_id: str) -> None:
            self._open(connection_id).closed = True

        with (
            patch.object(ApiGatewayManagementApiBackend, "post_to_connection", post),
            patch.object(ApiGatewayManagementApiBackend, "delete_connection", delete),
        ):
            yield

    def connect(self, **parameters: str) -> tuple[int, Connection]:
        """What a client is answered, and its connection."""
        connection = Connection(f"conn-{next(self._numbers)}=")
        self.connections[connection.id] = connection
        event = self._event("websocket_connect", connection)
        event["multiValueQueryStringParameters"] = {
            name: [value] for name, value in parameters.items()
        } or None
        status = self._call(event)
        connection.accepted = status == 200
        return status, connection

    def say(self, connection: Connection, text: str) -> int:
        """A message of the client."""
        event = self._event("websocket_hello", connection)
        return self._call(event | {"body": text})

    def disconnect(self, connection: Connection, *, told: bool = True) -> None:
        """The client is gone; API Gateway says so, or not."""
        connection.closed = True
        if told:
            self.tell_disconnected(connection)

    def tell_disconnected(self, connection: Connection) -> None:
        event = self._event("websocket_hello", connection)
        context = event["requestContext"]
        context |= {"routeKey": "$disconnect", "eventType": "DISCONNECT"}
        context |= {"disconnectStatusCode": 1001, "disconnectReason": "Going away"}
        self._call(event)

    def _open(self, id: str) -> Connection:
        connection = self.connections.get(unquote(id))
        if connection is None or connection.closed or not connection.accepted:
            raise _Gone
        return connection

    def _event(self, name: str, connection: Connection) -> dict[str, Any]:
        event = sample(name)
        event["requestContext"]["connectionId"] = connection.id
        return event

    def _call(self, event: dict[str, Any]) -> int:
        from functions.runners import handler

        with self.around("RunnersFunction"):
            return int(handler(event, self._stack.context)["statusCode"])


class ScriptedRunner:
    """A runner that does what it is told; `answer` is what its actors do."""

    def __init__(self, sockets: Sockets, key: str, *, slots: int = 1, request: str = "") -> None:
        self.sockets = sockets
        self.key = key
        self.id = ""
        self.actors: dict[str, int] = {}
        self.requests: list[frames.RequestStart] = []
        self.frames: list[frames.ToRunner] = []
        self.evicted = ""
        self.answer: Answer = lambda start: frames.ResponseStart(
            start.request, 200, [("content-type", "text/plain")], self.key.encode()
        )
        self.on_chunk: Callable[[frames.RequestChunk], None] = lambda chunk: None
        self.opens: Callable[[frames.SocketOpen], frames.Frame] = lambda frame: frames.SocketOpened(
            frame.socket
        )
        self.on_open: Callable[[frames.SocketOpen], object] = lambda frame: None
        self.obeys = True
        self._hello = frames.Hello("default", key, slots, connection=request, token="secret")
        self._unstored: list[frames.Event] = []
        self._numbers = count(1)
        self._commands = 0
        self.connection = self.connect()

    def connect(self) -> Connection:
        """Again with the same key, as after a break."""
        status, connection = self.sockets.connect()
        assert status == 200
        assert not connection.inbox, "nothing is sent before the first frame"
        self.connection = connection
        self.say(self._hello)
        return connection

    def say(self, frame: frames.Frame) -> int:
        return self.sockets.say(self.connection, frames.encode(frame))

    def report(self, actor: str, report: frames.Report) -> None:
        event = frames.Event(next(self._numbers), actor, self.actors[actor], report)
        self._unstored.append(event)
        self.say(frames.Events((event,), self._commands))

    def look(self) -> bool:
        """Take what has come; whether anything has."""
        inbox, came = self.connection.inbox, False
        while inbox:
            came = True
            self._take(frames.to_runner(inbox.popleft()))
        return came

    def _take(self, frame: frames.ToRunner) -> None:
        self.frames.append(frame)
        match frame:
            case frames.Welcome():
                self.id = frame.runner
                left = [event for event in self._unstored if event.index > frame.events]
                if left:
                    self.say(frames.Events(tuple(left), self._commands))
            case frames.EventsStored():
                self._unstored = [e for e in self._unstored if e.index > frame.index]
            case frames.Commands():
                for command in frame.commands:
                    if command.index > self._commands:
                        self._commands = command.index
                        if self.obeys:
                            self._obey(command.order)
            case frames.RequestStart():
                self.requests.append(frame)
                answer = self.answer(frame)
                if answer is not None:
                    self.say(answer)
            case frames.RequestChunk():
                self.on_chunk(frame)
            case frames.SocketOpen():
                self.say(self.opens(frame))
                self.on_open(frame)
            case frames.Evicted():
                self.evicted = frame.reason

    def _obey(self, order: frames.StartActor | frames.StopActor) -> None:
        if isinstance(order, frames.StartActor):
            self.actors[order.actor] = order.generation
            self.report(order.actor, frames.Running())
        elif order.actor in self.actors:
            self.report(order.actor, frames.Stopped())
            del self.actors[order.actor]


@dataclass
class HttpAnswer:
    status: int
    headers: dict[str, str]
    body: str
    cookies: list[str]


class World:
    """The deployed system with its WebSockets and runners."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.sockets = Sockets(stack)
        self.runners: list[ScriptedRunner] = []
        self.around: Around = nullcontext
        self.soon: deque[Callable[[], object]] = deque()
        """What happens at the next turn."""
        self.between: Callable[[], None] = nothing
        """Called between two turns, while something else goes on."""

    def runner(self, key: str, *, slots: int = 1, request: str = "") -> ScriptedRunner:
        runner = ScriptedRunner(self.sockets, key, slots=slots, request=request)
        self.runners.append(runner)
        return runner

    def turn(self) -> bool:
        """Deliver what lies on the queue, and let every runner look; whether anything happened."""
        while self.soon:
            self.soon.popleft()()
        records = self.stack.receive()
        if records:
            with self.around("DispatcherFunction"):
                assert self.stack.dispatch(records) == []
        looked = [runner.look() for runner in self.runners]
        return bool(records) or any(looked)

    def settle(self) -> None:
        """Until nothing happens any more, delayed messages apart."""
        while self.turn():
            pass

    def get(self, path: str, **changes: Any) -> HttpAnswer:
        """A request to an actor, while everything else goes on."""
        from functions.gateway import handler

        event = sample("gateway")
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event.update(changes)

        def call() -> Any:
            with self.around("GatewayFunction"):
                return handler(event, self.stack.context)

        answer = self.meanwhile(call)
        return HttpAnswer(
            answer["statusCode"], answer["headers"], answer["body"], answer.get("cookies", [])
        )

    def get_while(self, path: str, then: Callable[[], object]) -> HttpAnswer:
        """The same; `then` happens once the request has been waiting for some time."""
        timer = time.monotonic() + 0.5
        pending = [then]

        def late() -> None:
            if pending and time.monotonic() > timer:
                pending.pop()()

        self.between = late
        try:
            return self.get(path)
        finally:
            self.between = nothing

    def until(self, happened: Callable[[], bool]) -> None:
        """Let everything go on until it has happened."""
        late = time.monotonic() + 20
        while not happened():
            assert time.monotonic() < late
            if not self.turn():
                time.sleep(0.01)

    def actors(self) -> set[str]:
        """Their ids."""
        items = self.stack.dynamodb.scan(TableName="table")["Items"]
        places = [item["p"]["S"].split("/") for item in items]
        return {place[2] for place in places if place[1] == "actor"}

    def names(self, partition: str) -> list[str]:
        """Of the items in partitions that begin so."""
        items = self.stack.dynamodb.scan(TableName="table")["Items"]
        return [item["s"]["S"] for item in items if item["p"]["S"].startswith(partition)]

    def restart(self) -> None:
        """Every function begins anew, in the environment as it is now."""
        forget_everything()

    def meanwhile(self, call: Callable[[], Any]) -> Any:
        """What the call returns; it runs beside the queue and the runners."""
        results: list[Any] = []

        def run() -> None:
            try:
                results.append(call())
            except BaseException as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            self.between()
            if not self.turn():
                thread.join(0.02)
        thread.join()
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]


class Invocations:
    """Asynchronous invocations of the pool function, each in a thread of its own."""

    def __init__(self, world: World) -> None:
        self.events: list[dict[str, str]] = []
        self.done: list[str] = []
        self.remaining_ms = 900_000
        self.begins: Callable[[str], object] = lambda request: None
        """What becomes of a new request: as a rule, a runner."""
        self._world = world
        self._threads: list[threading.Thread] = []

    def take(self, parameters: dict[str, Any]) -> dict[str, Any]:
        assert parameters["InvocationType"] == "Event"
        assert parameters["FunctionName"] == "pool-function"
        event: dict[str, str] = json.loads(parameters["Payload"])
        self.events.append(event)
        thread = threading.Thread(target=self._run, args=(event,))
        self._threads.append(thread)
        thread.start()
        self._world.soon.append(lambda: self.begins(event["request"]))
        return {"StatusCode": 202}

    def _run(self, event: dict[str, str]) -> None:
        from functions.pool import handler

        context = LambdaContext()
        context.remaining_ms = self.remaining_ms
        self.done.append(handler(event, context)["done"])

    def join(self) -> None:
        for thread in list(self._threads):
            thread.join()


def nothing() -> None:
    """Happens."""


def forget_everything() -> None:
    """What the processes of the functions remember."""
    from functions import application, dead_letters, runners, serving
    from functions import pool as pool_function

    for cached in (
        application.platform,
        application.dispatcher,
        dead_letters.dead_letters,
        pool_function.holder,
        runners.detached,
        serving.gateway,
        serving.replies,
    ):
        cached.cache_clear()


def pool_state() -> PoolState:
    from engine.allocation.directory import Directory
    from functions.application import platform

    head = asyncio.run(Directory(platform()).head(pool("default").key("default")))
    assert head is not None
    assert isinstance(head.state, PoolState)
    return head.state


def configure(config: PoolConfig) -> None:
    """The pool `default`."""
    from engine.allocation.directory import Directory
    from functions.application import platform

    asyncio.run(Directory(platform()).configure("default", config))


def actor_of(id: str) -> ServiceHead:
    """The actor's head."""
    from engine.allocation.directory import Directory
    from functions.application import platform

    return asyncio.run(Directory(platform()).actor(actor(id).key("default")))


def error_of(answer: HttpAnswer) -> str:
    code: str = json.loads(answer.body)["error"]["type"]
    assert answer.headers["x-tidestep-error"] == code
    return code
