"""What comes of a held request, whatever the other side answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from engine.allocation.config import PoolConfig
from infra.holding import EVENT_BYTES, Start, hold

CONFIG = PoolConfig(
    url="https://runners.example.com/base/",
    headers={"Authorization": "Bearer abc", "X-Tidestep-Token": "forged"},
    slots_per_runner=7,
)
START = Start.of(CONFIG, endpoint="http://here", pool="p", request="q1", token="secret")

Answer = Callable[[httpx.Request], httpx.Response]


class Stream(httpx.AsyncByteStream):
    """Parts of a body; None is a stream that stays open."""

    def __init__(self, *parts: bytes | Exception | None) -> None:
        self._parts = parts
        self.open = asyncio.Event()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if part is None:
                self.open.set()
                await asyncio.Event().wait()
            elif isinstance(part, Exception):
                raise part
            else:
                yield part

    async def aclose(self) -> None:
        self.closed = True


def events(*parts: bytes | Exception | None) -> httpx.Response:
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx.Response(200, headers=headers, stream=Stream(*parts))


def held(answer: Answer) -> str:
    async def whole() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await hold(client, START, 20, asyncio.Event())

    return asyncio.run(whole())


def test_the_request_says_what_the_runner_must_know() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return events()

    assert held(answer) == ""
    (request,) = seen
    assert (request.method, str(request.url)) == ("GET", "https://runners.example.com/base/start")
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["accept"] == "text/event-stream"
    own = {n.removeprefix("x-tidestep-"): v for n, v in request.headers.items() if "tidestep" in n}
    assert own == {
        "endpoint": "http://here",
        "pool": "p",
        "slots": "7",
        "connection": "q1",
        "token": "secret",
    }


def test_nothing_secret_is_shown() -> None:
    assert "secret" not in repr(START)
    assert "abc" not in repr(START)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (events(b": it lives\n\n", b"event: runner\r\ndata: {}\r\n\r\n"), ""),
        (events(b"event: run", b"ner\ndata: 1\ndata: 2\nid: 3\nretry: 4\n\n"), ""),
        (
            httpx.Response(500, content=b"<h1>no\nway</h1>" * 100),
            "the endpoint answered 500: " + ("<h1>no way</h1>" * 20)[:200],
        ),
        (httpx.Response(302, headers={"location": "http://x"}), "the endpoint answered 302"),
        (
            httpx.Response(200, json={}),
            "the endpoint answered with application/json, not text/event-stream",
        ),
        (
            httpx.Response(200),
            "the endpoint answered with no content type, not text/event-stream",
        ),
        (events(b"event: error\ndata: no room\n\n", None), "the endpoint says: no room"),
        (events(b"hello there\n", None), "the endpoint sent what is no event: hello there"),
        (
            events(b"data: " + b"x" * EVENT_BYTES, None),
            f"the endpoint sent an event of more than {EVENT_BYTES:,} bytes",
        ),
        (
            events(b": it lives\n\n", httpx.ReadError("reset by peer")),
            "the endpoint broke the answer off: reset by peer",
        ),
        (events(b"", httpx.ReadTimeout("")), "the endpoint has been silent for 60 s"),
    ],
    ids=lambda value: value[-30:] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_a_sentence(answer: httpx.Response, error: str) -> None:
    assert held(lambda request: answer) == error


def test_an_endpoint_that_is_not_there_is_said() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    assert held(answer) == "the endpoint cannot be reached: connection refused"


@pytest.mark.parametrize("stopped", [True, False])
def test_the_request_is_closed_when_somebody_says_so_or_the_time_is_over(stopped: bool) -> None:
    async def whole() -> None:
        stream, stop = Stream(b": it lives\n\n", None), asyncio.Event()
        headers = {"content-type": "text/event-stream"}
        transport = httpx.MockTransport(
            lambda request: httpx.Response(200, headers=headers, stream=stream)
        )
        async with httpx.AsyncClient(transport=transport) as client:
            holding = asyncio.create_task(hold(client, START, 20 if stopped else 0.05, stop))
            await stream.open.wait()
            assert not holding.done()
            if stopped:
                stop.set()
            assert await holding == ""
            assert stream.closed

    asyncio.run(whole())
