"""Actors at their addresses, over HTTP and as WebSockets, on a real server with a real runner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from starlette.types import Message
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.allocation.directory import Directory
from engine.allocation.operating import Operator
from engine.allocation.tunnel import BODY_BYTES
from engine.stateful.sockets import MESSAGE_BYTES
from infra.local.actors.closing import sendable
from infra.local.actors.gateway import HttpEndpoint
from infra.local.actors.users import SocketEndpoint
from tests.infra.local.actors.world import IMPATIENT, QUICK, SERVED, World, open_world

E = TypeVar("E", HttpEndpoint, SocketEndpoint)


def play(
    directory: Path, script: Callable[[World], Awaitable[None]], *, with_runner: bool = True
) -> None:
    async def whole() -> None:
        async with open_world(directory, QUICK if with_runner else IMPATIENT) as world:
            if not with_runner:
                await script(world)
                return
            async with world.runner():
                await script(world)

    asyncio.run(whole())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_any_request_reaches_the_actor_as_it_is(tmp_path: Path, method: str) -> None:
    async def script(world: World) -> None:
        answer = await world.client.request(
            method,
            "/actors/pad/a%2Fb,c/echo?x=%20y",
            headers={"x-mine": "1", "x-tidestep-request": "forged", "connection": "close"},
            content="body",
        )
        assert answer.status_code == 200, answer.text
        seen = answer.json()
        assert (seen["method"], seen["target"], seen["body"]) == (method, "/echo?x=%20y", "body")
        assert seen["headers"]["x-mine"] == "1"
        assert seen["headers"]["x-tidestep-request"] != "forged"
        assert "connection" not in seen["headers"]
        actor = await Directory(world.platform).find("pad", ["a/b", "c"])
        by_id = await world.client.get(f"/actors/@{actor.run}/echo")
        assert by_id.status_code == 200

    play(tmp_path, script)


def test_the_actors_answer_is_passed_on_as_it_is(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        answer = await world.client.get("/actors/pad/a/status")
        assert (answer.status_code, answer.text) == (418, "odd")
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert "x-tidestep-error" not in answer.headers
        head = await world.client.head("/actors/pad/a/status")
        assert (head.status_code, head.content) == (418, b"")

    play(tmp_path, script)


def test_bodies_that_need_many_frames_go_both_ways(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        sent = "ä" * 200_000
        answer = await world.client.post("/actors/pad/a/echo", content=sent.encode())
        assert answer.json()["body"] == sent
        large = await world.client.get("/actors/pad/a/large?bytes=1000000")
        assert large.content == b"x" * 1_000_000

    play(tmp_path, script)


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        answer = await world.client.post("/actors/pad/a", content=b"x" * (BODY_BYTES + 1))
        assert answer.status_code == 413
        assert answer.headers["x-tidestep-error"] == "PayloadTooLarge"

    play(tmp_path, script, with_runner=False)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/actors/nobody/a/", 404, "ActorNotFound"),
        ("/actors/@a-nobody", 404, "ActorNotFound"),
        ("/actors/pad", 400, "InvalidName"),
        ("/actors/", 400, "InvalidName"),
        ("/actors/pad/,", 400, "InvalidInput"),
    ],
)
def test_an_address_of_nobody_is_refused(tmp_path: Path, path: str, status: int, code: str) -> None:
    async def script(world: World) -> None:
        answer = await world.client.get(path)
        assert answer.headers.get("x-tidestep-error") == code, answer.text
        assert answer.json()["error"]["type"] == code
        assert answer.status_code in (status, 422)
        with pytest.raises(InvalidStatus) as refused:
            async with world.socket(path):
                pass
        assert refused.value.response.status_code == answer.status_code
        assert refused.value.response.body == answer.content

    play(tmp_path, script, with_runner=False)


def test_without_a_runner_a_request_is_told_what_the_actor_waits_for(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        answer = await world.client.get("/actors/pad/a")
        assert answer.status_code == 503
        assert answer.headers["x-tidestep-error"] == "actor.ready_timeout"
        assert int(answer.headers["retry-after"]) > 0
        assert "it waits for a free slot" in answer.json()["error"]["message"]

    play(tmp_path, script, with_runner=False)


def test_messages_go_both_ways_in_order(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with world.socket("/actors/pad/a/socket") as socket:
            for number in range(20):
                await socket.send(f"text {number}")
                await socket.send(b"\x00%d" % number)
            for number in range(20):
                assert await socket.recv() == f"text {number}"
                assert await socket.recv() == b"\x00%d" % number
            await socket.close(4001, "enough")
        async with world.socket("/actors/pad/a/") as socket:
            await socket.send("next")  # it is answered after the actor has heard of that close
            await socket.recv()
        assert "closed with 4001" in (await world.client.get("/actors/pad/a")).json()

    play(tmp_path, script)


def test_how_the_actor_ends_a_websocket_is_passed_on(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with world.socket("/actors/pad/a/bye") as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "bye")

    play(tmp_path, script)


def test_an_actor_that_takes_no_websockets_refuses_it_before_it_is_open(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with world.socket("/actors/deaf/a/"):
                pass
        assert refused.value.response.status_code == 502
        assert refused.value.response.headers["x-tidestep-error"] == "actor.failed"

    play(tmp_path, script)


def test_a_message_that_is_too_large_closes_the_websocket(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with world.socket("/actors/pad/a/") as socket:
            await socket.send("x" * (MESSAGE_BYTES + 1))
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009

    play(tmp_path, script)


def test_a_websocket_ends_with_the_actors_stay_and_the_next_wakes_it(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with world.socket("/actors/pad/a/") as socket:
            await socket.send("one")
            await socket.recv()
            actor = await Directory(world.platform).find("pad", ["a"])
            await Operator(world.platform).sleep(actor)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in (1001, 1012)
        async with world.socket("/actors/pad/a/") as socket:
            await socket.send("two")
            assert await socket.recv() == "two"

    play(tmp_path, script)


def test_when_the_server_stops_nobody_is_kept_waiting(tmp_path: Path) -> None:
    async def whole() -> None:
        async with open_world(tmp_path) as world:
            asking = asyncio.create_task(world.client.get("/actors/pad/a"))
            opening = asyncio.create_task(world.socket("/actors/pad/b").__aenter__())
            await world.begun(actors=2)
            await world.hosting.stop()
            answer = await asking
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["error"]["message"] == "the server is being stopped"
            with pytest.raises(InvalidStatus) as refused:
                await opening
            assert refused.value.response.body == answer.content

    asyncio.run(whole())


def test_who_hangs_up_is_not_waited_for(tmp_path: Path) -> None:
    async def whole() -> None:
        async with open_world(tmp_path) as world:
            messages: list[Message] = [{"type": "http.request", "body": b""}]
            sent: list[Message] = []

            async def receive() -> Message:
                if messages:
                    return messages.pop()
                await world.begun()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                sent.append(message)

            (endpoint,) = endpoints(world, HttpEndpoint)
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/actors/pad/a",
                "headers": [],
                "query_string": b"",
            }
            async with asyncio.timeout(10):
                await endpoint(scope, receive, send)
            assert sent == []

    asyncio.run(whole())


def endpoints(world: World, kind: type[E]) -> list[E]:
    routes = world.hosting.routes(world.platform, SERVED)
    found = [getattr(route, "endpoint", None) for route in routes]
    return [each for each in found if isinstance(each, kind)]


def test_where_the_server_cannot_refuse_the_websocket_is_closed_with_the_code(
    tmp_path: Path,
) -> None:
    async def script(world: World) -> None:
        sent: list[Message] = []
        scope = {
            "type": "websocket",
            "path": "/actors/nobody/a",
            "headers": [],
            "query_string": b"",
        }

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        (endpoint,) = endpoints(world, SocketEndpoint)
        await endpoint(scope, receive, send)
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
        assert (sent[1]["code"], sent[1]["reason"]) == (1013, "ActorNotFound")

    play(tmp_path, script, with_runner=False)


@pytest.mark.parametrize(
    ("code", "sent"),
    [(1000, 1000), (1005, 1000), (1006, 1011), (1015, 1011), (4999, 4999), (7, 1011)],
)
def test_only_codes_that_may_be_sent_are_sent(code: int, sent: int) -> None:
    assert sendable(code) == sent
