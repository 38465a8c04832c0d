"""The socket and the server on it: on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest

from infra.local.http.server import CannotListen, listen, serve, url_of
from tests.infra.local.http.desk import open_desk, stopped_within


def test_callbacks_are_served_until_the_server_is_stopped() -> None:
    async def play() -> None:
        desk = await open_desk()
        listening = listen("127.0.0.1", 0)
        url, stop = url_of(listening), asyncio.Event()
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        serving = asyncio.create_task(serve(desk.app, listening, stop))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            first = await client.post(desk.path, json="yes")
            assert first.status_code == 200
            assert "server" not in first.headers
            assert (await client.post(desk.path, json="yes")).text == first.text
            assert (await client.post(desk.path, json="no")).status_code == 409
            assert (await client.get(desk.path)).json()["open"] is False
            assert (await client.head(desk.path)).status_code == 405
            assert (await client.post("/callbacks/forged")).status_code == 404
            assert (await client.post(desk.path, content=b" " * 2000)).status_code == 413
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
            stop.set()  # with a connection that is still open
            await stopped_within(serving, 30)
        with socket.socket() as other:
            assert other.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0

    asyncio.run(play())


def test_a_server_that_is_cancelled_closes_its_socket() -> None:
    async def play() -> None:
        desk = await open_desk()
        listening = listen("127.0.0.1", 0)
        serving = asyncio.create_task(serve(desk.app, listening, asyncio.Event()))
        await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert listening.fileno() == -1

    asyncio.run(play())


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1, port {port}: .*use.* --port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1", "a" * 300])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(CannotListen, match="cannot listen on"):
        listen(host, 0)


@pytest.mark.parametrize(
    ("host", "begins"), [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:")]
)
def test_the_servers_own_address_is_one_that_this_machine_reaches(host: str, begins: str) -> None:
    with listen(host, 0) as listening:
        assert url_of(listening) == f"{begins}{listening.getsockname()[1]}"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        listening = listen("::1", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6 loopback")
    with listening:
        assert url_of(listening) == f"http://[::1]:{listening.getsockname()[1]}"
