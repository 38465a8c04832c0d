"""The pool function: it holds the request that brings forth a runner, once, and reports its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from msgspec.structs import replace

from engine.allocation.config import PoolConfig
from infra.aws.holders import RESERVE_S
from tests.functions.conftest import sample
from tests.functions.stateful.parts import SHARED_METRICS, Invocations, World, configure, pool_state

pytestmark = SHARED_METRICS


class Endpoint:
    """`GET /start`: a runner for each request, whose stream ends when the test says so."""

    def __init__(self, world: World) -> None:
        self.asked: list[httpx.Headers] = []
        self.status = 200
        self.over = False
        self.refuse = False
        self._world = world

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url == "https://runners.example/start"
        self.asked.append(request.headers)
        if self.status != 200:
            return httpx.Response(self.status, text="no such thing")
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, content=self._stream())

    async def _stream(self) -> AsyncIterator[bytes]:
        while not self.over:
            yield b": ping\n\n"
            await asyncio.sleep(0.02)


@pytest.fixture
def endpoint(world: World, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    from infra.aws import holders

    endpoint = Endpoint(world)
    transport = httpx.MockTransport(endpoint.answer)
    monkeypatch.setattr(
        holders, "holding_client", lambda: httpx.AsyncClient(transport=transport, timeout=5)
    )
    return endpoint


@pytest.fixture
def invocations(
    world: World, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Invocations]:
    invocations = Invocations(world)
    call = BaseClient._make_api_call

    def invoked(self: BaseClient, operation: str, parameters: Any) -> Any:
        if operation == "Invoke":
            return invocations.take(parameters)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", invoked)
    yield invocations
    endpoint.over = True
    invocations.join()


CONFIG = PoolConfig(
    url="https://runners.example", headers={"authorization": "Bearer 123"}, slots_per_runner=5
)


def test_a_pool_without_runners_has_one_started_and_the_request_is_answered(
    world: World, endpoint: Endpoint, invocations: Invocations
) -> None:
    configure(CONFIG)
    invocations.begins = lambda request: world.runner("one", slots=5, request=request)
    answer = world.get("/actors/counter/main/")
    assert (answer.status, answer.body) == (200, "one")
    (asked,) = endpoint.asked
    assert asked["authorization"] == "Bearer 123"
    assert asked["x-tidestep-slots"] == "5"
    assert asked["x-tidestep-pool"] == "default"
    assert asked["x-tidestep-endpoint"].startswith("wss://")
    assert asked["x-tidestep-token"] == "secret"
    (held,) = pool_state().requests
    assert held.id == asked["x-tidestep-connection"]
    assert held.runner == world.runners[0].id
    assert "Bearer" not in repr(invocations.events), "secrets are not in the event"


def test_the_end_of_the_request_ends_its_runner_and_is_told_to_the_pool(
    world: World, endpoint: Endpoint, invocations: Invocations
) -> None:
    configure(CONFIG)
    invocations.begins = lambda request: world.runner("one", slots=5, request=request)
    world.get("/actors/counter/main/")
    first = pool_state().requests[0].id
    invocations.begins = lambda request: None
    endpoint.over = True
    invocations.join()
    world.settle()
    assert invocations.done == ["held"]
    assert first not in [held.id for held in pool_state().requests]
    assert world.runners[0].actors == {}


def test_a_second_invocation_of_the_same_request_ends_at_once(
    world: World, endpoint: Endpoint, invocations: Invocations
) -> None:
    from functions.pool import handler

    configure(CONFIG)
    invocations.begins = lambda request: world.runner("one", slots=5, request=request)
    world.get("/actors/counter/main/")
    assert handler(invocations.events[0], world.stack.context) == {"done": "claimed before"}
    assert len(endpoint.asked) == 1


def test_a_request_that_nobody_wants_is_not_made(world: World, endpoint: Endpoint) -> None:
    from functions.pool import handler

    assert handler(sample("pool"), world.stack.context) == {"done": "not wanted"}
    configure(CONFIG)
    assert handler(sample("pool"), world.stack.context) == {"done": "not wanted"}
    assert endpoint.asked == []


def test_what_is_wrong_with_the_endpoint_is_seen_at_the_pool(
    world: World, endpoint: Endpoint, invocations: Invocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_ALLOCATION_READY_SECONDS", "1")
    world.restart()
    configure(CONFIG)
    endpoint.status = 404
    answer = world.get("/actors/counter/main/")
    assert answer.status == 503
    invocations.join()
    world.settle()
    assert pool_state().error == "the endpoint answered 404: no such thing"
    told = world.get("/actors/counter/main/").body
    assert "it waits for a free slot" in told
    assert "404" not in told  # that is for operators, not for whoever asks


def test_the_invocations_time_is_over_before_lambda_ends_it(
    world: World, endpoint: Endpoint, invocations: Invocations
) -> None:
    configure(replace(CONFIG, min_runners=1))
    invocations.remaining_ms = round(RESERVE_S * 1000) + 300
    world.settle()
    invocations.join()
    assert invocations.done[0] == "held"
    assert endpoint.over is False
