"""A runner over a real WebSocket: addresses, fragments, failures, a whole life."""

from __future__ import annotations

import asyncio
import socket

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from engine.allocation.frames import Events, Hello, Stopped, Stopping
from engine.errors import Misconfigured
from engine.stateful import ConnectionLost
from infra.runner.process import run_runner
from infra.runner.websocket import FRAGMENT_BYTES, connector, socket_url
from tests.infra.runner.actors import Counter
from tests.infra.runner.gate import open_gate


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:8080", "ws://localhost:8080/runners/connect"),
        ("http://[::1]:8080/", "ws://[::1]:8080/runners/connect"),
        ("https://host/base/", "wss://host/base/runners/connect"),
        ("wss://abc.execute-api.eu-west-1.amazonaws.com/live", None),
        ("ws://host/x?y=1", None),
    ],
)
def test_where_runners_connect_to(endpoint: str, url: str | None) -> None:
    assert socket_url(endpoint) == (url or endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://host:x",
        "http://host:99999",
        "http://[",
        "http://user@host",
        "http://host#x",
        "http://host?x=1",
    ],
)
def test_what_is_no_address(endpoint: str) -> None:
    with pytest.raises(Misconfigured, match="endpoint"):
        connector(endpoint)


def test_long_messages_go_out_in_frames_that_api_gateway_takes(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        sizes: list[int] = []
        got: asyncio.Queue[str | bytes] = asyncio.Queue()

        async def take(connection: ServerConnection) -> None:
            async for message in connection:
                got.put_nowait(message)

        async def listen(connection: ServerConnection) -> None:
            async for fragment in connection.recv_streaming(decode=False):
                sizes.append(len(fragment))
            await take(connection)

        async with serve(listen, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connector(f"ws://127.0.0.1:{port}")() as connection:
                text = "ä€" * 20_000
                await connection.send(text)
                await connection.send(text)
                assert await got.get() == text
        assert sum(sizes) == len(text.encode())
        assert max(sizes) <= FRAGMENT_BYTES

    runner.run(scenario())


def test_what_cannot_be_reached_is_lost(runner: asyncio.Runner) -> None:
    async def reach(port: int) -> None:
        async with connector(f"http://127.0.0.1:{port}")():
            pass

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionLost, match="cannot be reached"):
        runner.run(reach(port))


def test_a_redirect_is_not_followed(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with open_gate() as gate:

            def redirect(connection: ServerConnection, request: Request) -> Response:
                response = connection.respond(302, "elsewhere")
                response.headers["location"] = gate.url.replace("http", "ws")
                return response

            async def never(connection: ServerConnection) -> None: ...

            async with serve(never, "127.0.0.1", 0, process_request=redirect) as server:
                port = next(iter(server.sockets)).getsockname()[1]
                with pytest.raises(ConnectionLost):
                    async with connector(f"http://127.0.0.1:{port}")():
                        pass
            assert not gate.paths

    runner.run(scenario())


def test_a_connection_that_the_other_side_closes_is_lost(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async def close(connection: ServerConnection) -> None:
            await connection.close(1009)

        async with serve(close, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connector(f"http://127.0.0.1:{port}")() as connection:
                with pytest.raises(ConnectionLost):
                    await connection.receive()
                with pytest.raises(ConnectionLost):
                    await connection.send("x")

    runner.run(scenario())


def test_a_process_serves_comes_back_and_hands_its_actors_back(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        stop = asyncio.Event()
        async with open_gate() as gate:
            running = asyncio.create_task(
                run_runner([Counter], gate.url, "main", "k", 5, stop, version=2, token="t")
            )
            await gate.until(lambda: gate.of(Events))
            assert gate.paths == ["/runners/connect"]
            hello = gate.of(Hello)[0]
            assert (hello.pool, hello.key, hello.slots) == ("main", "k", 5)
            assert (hello.version, hello.token) == (2, "t")
            assert await gate.ask("q1") == (200, b"1")
            body = bytes(range(256)) * 200
            assert await gate.ask("q2", "/long", body) == (200, body * 3)
            await gate.sockets[0].close(1001)
            await gate.until(lambda: len(gate.of(Hello)) == 2 and gate.sockets)
            assert len({each.session for each in gate.of(Hello)}) == 1
            assert await gate.ask("q3") == (200, b"2")
            stop.set()
            assert await running == ""
            assert gate.of(Stopping)
            assert gate.of(Events)[-1].events[-1].report == Stopped()
            await gate.until(lambda: not gate.sockets)

    runner.run(scenario())
