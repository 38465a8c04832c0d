"""Connections over API Gateway's management API: what is sent, and what its refusals mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.allocation.ports import ConnectionGone
from engine.errors import Misconfigured, StoreUnusable, TooLarge
from infra.aws.client import ThreadedClients, client_options
from infra.aws.failures import Gone
from infra.aws.websockets import SERVICE, AwsSockets
from tests.infra.aws.answers import answer, convert
from tests.infra.aws.stubs import Scripted


def sockets(*answers: Any) -> tuple[AwsSockets, Scripted]:
    client = Scripted(*answers)

    async def opened() -> Scripted:
        return client

    return AwsSockets(opened), client


def test_a_frame_is_posted_to_its_connection(runner: asyncio.Runner) -> None:
    adapter, client = sockets({})
    runner.run(adapter.post("L0SM=", '{"type":"Pong"}'))
    expected = {"ConnectionId": "L0SM=", "Data": b'{"type":"Pong"}'}
    assert client.calls == [("post_to_connection", expected)]


def test_a_connection_that_is_closed_is_gone_when_something_is_sent(
    runner: asyncio.Runner,
) -> None:
    adapter, _ = sockets(Gone("410"))
    with pytest.raises(ConnectionGone):
        runner.run(adapter.post("L0SM=", "x"))


def test_closing_what_is_closed_is_no_error(runner: asyncio.Runner) -> None:
    adapter, client = sockets({}, Gone("410"))
    runner.run(adapter.close("L0SM="))
    runner.run(adapter.close("L0SM="))
    assert [operation for operation, _ in client.calls] == ["delete_connection"] * 2


def test_other_errors_are_raised(runner: asyncio.Runner) -> None:
    adapter, _ = sockets(StoreUnusable("network"), StoreUnusable("network"))
    with pytest.raises(StoreUnusable):
        runner.run(adapter.post("a", "x"))
    with pytest.raises(StoreUnusable):
        runner.run(adapter.close("a"))


@pytest.mark.parametrize(
    ("code", "message", "becomes"),
    [
        ("GoneException", "", Gone),
        ("410", "", Gone),
        ("ForbiddenException", "Forbidden", Gone),
        ("403", "Forbidden", Gone),
        ("BadRequestException", "Invalid connectionId: x", Gone),
        ("BadRequestException", "something else", StoreUnusable),
        (
            "ForbiddenException",
            "User: arn:aws:sts::1:role is not authorized to perform: execute-api:ManageConnections",
            Misconfigured,
        ),
        ("PayloadTooLargeException", "", TooLarge),
        ("LimitExceededException", "", StoreUnusable),
    ],
)
def test_what_api_gateway_answers_is_told_apart(
    code: str, message: str, becomes: type[Exception]
) -> None:
    error = convert(answer(code, message), SERVICE)
    assert type(error) is becomes, error


def test_a_missing_permission_names_the_action() -> None:
    error = convert(answer("AccessDeniedException"), SERVICE)
    assert isinstance(error, Misconfigured)
    assert "execute-api:ManageConnections" in str(error)


@pytest.mark.parametrize(
    "url", ["wss://id.execute-api.eu-west-1.amazonaws.com/live", "https://id.execute-api.x/live"]
)
def test_the_endpoint_is_the_stage_that_clients_connect_to(url: str) -> None:
    environment = {"TIDESTEP_WEBSOCKET_URL": url, "AWS_REGION": "eu-west-1"}
    options = client_options(SERVICE, environment)
    assert options == {
        "endpoint_url": url.replace("wss:", "https:"),
        "region_name": "eu-west-1",
    }
    assert "endpoint_url" not in client_options("dynamodb", environment)


def test_a_local_stand_in_is_reached_without_tls() -> None:
    environment = {"TIDESTEP_WEBSOCKET_URL": "ws://localhost:4566/live"}
    assert client_options(SERVICE, environment) == {"endpoint_url": "http://localhost:4566/live"}


def test_frames_go_through_the_real_client(
    runner: asyncio.Runner, clients: ThreadedClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.apigatewaymanagementapi.models import ApiGatewayManagementApiBackend

    monkeypatch.setenv(
        "TIDESTEP_WEBSOCKET_URL", "wss://id.execute-api.eu-west-1.amazonaws.com/live"
    )
    posted: list[bytes] = []

    def post(backend: object, data: bytes, connection_id: str) -> None:
        posted.append(data)

    monkeypatch.setattr(ApiGatewayManagementApiBackend, "post_to_connection", post)
    adapter = AwsSockets(lambda: clients.later(SERVICE))
    runner.run(adapter.post("L0SM9cOFvHcCIhw=", "é"))
    assert posted == ["é".encode()]
