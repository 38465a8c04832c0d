"""What the functions of stateful actors ask of AWS is what their roles allow, and no less."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
import pytest
from botocore.client import BaseClient
from msgspec.structs import replace

from engine.allocation import frames
from engine.allocation.config import PoolConfig
from engine.allocation.parties import Kind, party_key
from infra.aws.client import ThreadedClient
from tests.functions.conftest import properties, sample
from tests.functions.stateful.parts import (
    SHARED_METRICS,
    World,
    actor_of,
    configure,
    pool_state,
)
from tests.functions.test_permissions import actions_of, allowed

pytestmark = SHARED_METRICS


class Notes:
    """What each function asks for: several run at once, each in a thread of its own."""

    def __init__(self) -> None:
        self.of: defaultdict[str, set[str]] = defaultdict(set)
        self._running = threading.local()

    @contextmanager
    def taking(self, function: str) -> Iterator[None]:
        self._running.function = function
        yield
        del self._running.function

    def take(self, client: Any, operation: str, parameters: dict[str, Any]) -> None:
        function = getattr(self._running, "function", None)
        if function is not None:
            name = client.meta.method_to_api_mapping[operation]
            service = client.meta.service_model.service_name
            self.of[function] |= actions_of(service, name, parameters)


@pytest.fixture
def notes(world: World) -> Iterator[Notes]:
    notes = Notes()
    call = ThreadedClient.call

    async def noted(self: ThreadedClient, operation: str, **parameters: Any) -> dict[str, Any]:
        notes.take(self._client, operation, parameters)
        return await call(self, operation, **parameters)

    world.around = world.sockets.around = notes.taking
    with patch.object(ThreadedClient, "call", noted):
        yield notes


@pytest.fixture(autouse=True)
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lambda takes every invocation, and nothing comes of it."""
    call = BaseClient._make_api_call

    def answered(self: BaseClient, operation: str, parameters: Any) -> Any:
        return {} if operation == "Invoke" else call(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", answered):
        yield


def may(template: dict[str, Any], function: str) -> set[str]:
    """With what is added where there are stateful actors."""
    actions = allowed(template, function)
    policy = properties(template, "ActorSteps")
    if f"{function}Role" in policy["Roles"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
    return actions


RAW = msgspec.Raw(b"1")
URL = PoolConfig(url="https://runners.example")


def test_steps_of_actors_ask_for_what_the_dispatcher_may(
    world: World, notes: Notes, template: dict[str, Any]
) -> None:
    from engine.allocation.operating import Operator
    from functions.application import platform

    configure(URL)
    one = world.runner("one")
    assert world.get("/actors/counter/main/").status == 200
    one.connect()
    world.settle()
    actor = next(iter(one.actors))
    one.say(frames.Save("1", actor, 1, puts={"a": RAW}))
    asyncio.run(Operator(platform()).destroy(party_key(Kind.ACTOR, actor, "default")))
    one.say(frames.Stopping())
    world.settle()
    assert actor_of(actor).phase == "Destroyed"
    extra = may(template, "DispatcherFunction") - allowed(template, "DispatcherFunction")
    assert extra <= notes.of["DispatcherFunction"] <= may(template, "DispatcherFunction")


def test_dead_letters_of_actors_may_do_what_their_dispatcher_may(template: dict[str, Any]) -> None:
    assert may(template, "DeadLetterFunction") == may(template, "DispatcherFunction")


def test_the_gateway_asks_for_all_that_it_may_and_nothing_else(
    world: World, notes: Notes, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_ALLOCATION_READY_SECONDS", "0.3")
    world.restart()
    assert world.get("/actors/counter/main/").status == 503, "it has looked for the reason"
    runner = world.runner("one")
    world.settle()

    def answer(start: frames.RequestStart) -> frames.Frame:
        if start.path == "/long":
            runner.say(frames.ResponseChunk(start.request, 1, b"b"))
        return frames.ResponseStart(start.request, 200, [], b"a", more=start.path == "/long")

    runner.answer = answer
    for path in ("short", "long"):
        assert world.get(f"/actors/counter/main/{path}", rawQueryString="").status == 200
    world.settle()
    assert notes.of["GatewayFunction"] == may(template, "GatewayFunction")


def test_the_runners_function_asks_for_all_that_it_may_and_nothing_else(
    world: World, notes: Notes, template: dict[str, Any]
) -> None:
    runner = world.runner("one", slots=2)
    status, user = world.meanwhile(lambda: world.sockets.connect(actor="room/lobby"))
    assert status == 200
    actor = next(iter(runner.actors))
    runner.say(frames.Save("1", actor, 1, puts={"a": RAW}, deletes=("b",)))
    runner.say(frames.Fetch("2", actor, 1, prefix=""))
    runner.say(frames.Load("3", actor, 1))
    world.sockets.say(user, "hello")
    world.sockets.disconnect(user)
    world.settle()
    runner.on_open = lambda frame: runner.say(frames.SocketClose(frame.socket, 1000))
    world.meanwhile(lambda: world.sockets.connect(actor="room/lobby"))  # more than one to delete
    assert notes.of["RunnersFunction"] == may(template, "RunnersFunction")


def test_the_pool_function_asks_for_all_that_it_may_and_nothing_else(
    world: World, notes: Notes, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.pool import handler
    from infra.aws import holders

    configure(replace(URL, min_runners=1))
    world.settle()
    (held,) = pool_state().requests
    transport = httpx.MockTransport(lambda request: httpx.Response(404))
    monkeypatch.setattr(holders, "holding_client", lambda: httpx.AsyncClient(transport=transport))
    with notes.taking("PoolFunction"):
        done = handler(sample("pool") | {"request": held.id}, world.stack.context)
    assert done == {"done": "failed"}
    assert notes.of["PoolFunction"] == may(template, "PoolFunction")


def test_a_sweep_of_actors_asks_for_what_the_sweeper_may(
    world: World, notes: Notes, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.application import platform
    from functions.sweeper import handler

    world.runner("one")
    world.settle()
    now = platform().clock.now()
    monkeypatch.setattr(type(platform().clock), "now", lambda self: now + 3_600_000)
    with notes.taking("SweeperFunction"):
        assert handler(sample("sweeper"), world.stack.context)["looked_at"] >= 1
    assert "sqs:SendMessage" in notes.of["SweeperFunction"]
    assert notes.of["SweeperFunction"] <= may(template, "SweeperFunction")
