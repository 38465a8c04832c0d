"""What the server serves and what it refuses, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message

from infra.local.http import bodies as module
from tests.infra.local.http.desk import LIMIT, Desk, open_desk


def ask(method: str, path: str | None = None, **options: Any) -> httpx.Response:
    """One request; `path` None is the callback of the run that waits."""
    return asyncio.run(_ask(await_nothing, method, path, **options))


def await_nothing(desk: Desk) -> None:
    pass


async def _ask(
    prepare: Callable[[Desk], None], method: str, path: str | None, **options: Any
) -> httpx.Response:
    desk = await open_desk()
    prepare(desk)
    transport = httpx.ASGITransport(app=desk.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, desk.path if path is None else path, **options)


def test_a_callback_is_answered_over_http() -> None:
    answer = ask("POST", json={"approved": True})
    assert (answer.status_code, answer.json()["accepted"]) == (200, True)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_a_callback_is_looked_at_over_http() -> None:
    assert ask("GET").json()["open"] is True


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_callback_takes_no_other_method(method: str) -> None:
    answer = ask(method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "path",
    ["/", "/callbacks", "/callbacks/", "/runs/order-7", "/health/", "/callbacks/a/b", "/docs"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_is_served(method: str, path: str) -> None:
    answer = ask(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NotFound")


def test_health_says_that_the_server_runs() -> None:
    assert (ask("GET", "/health").status_code, ask("GET", "/health").json()) == (
        200,
        {"status": "ok"},
    )
    assert ask("HEAD", "/health").status_code == 200
    assert ask("POST", "/health").status_code == 405


def test_an_announced_body_that_is_too_large_is_refused_unread() -> None:
    async def play() -> list[Message]:
        desk = await open_desk()
        return await raw(desk, [], {"content-length": str(LIMIT + 1)})

    assert asyncio.run(play())[0]["status"] == 413


def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    async def play() -> tuple[list[Message], list[Message]]:
        desk = await open_desk()
        parts: list[Message] = [
            {"type": "http.request", "body": b" " * 300, "more_body": True} for _ in range(100)
        ]
        return await raw(desk, parts, {}), parts

    sent, left = asyncio.run(play())
    assert sent[0]["status"] == 413
    assert len(left) == 96


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT_S", 0.0)

    async def play() -> list[Message]:
        return await raw(await open_desk(), [], {})

    assert asyncio.run(play())[0]["status"] == 408


def test_who_hangs_up_is_not_answered() -> None:
    async def play() -> list[Message]:
        return await raw(await open_desk(), [{"type": "http.disconnect"}], {})

    assert asyncio.run(play()) == []


def test_a_bug_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def break_it(desk: Desk) -> None:
        async def fail(*_: object) -> None:
            raise RuntimeError("secret detail")

        desk.api.handle = fail  # type: ignore[method-assign, assignment]

    answer = asyncio.run(_ask(break_it, "POST", None))
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "Internal")
    assert "secret detail" not in answer.text
    assert "secret detail" in caplog.text


async def raw(desk: Desk, parts: list[Message], headers: dict[str, str]) -> list[Message]:
    """POST to the callback as a server would; when `parts` are used up, nothing more comes."""
    sent: list[Message] = []

    async def receive() -> Message:
        if parts:
            return parts.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": desk.path,
        "raw_path": desk.path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await desk.app(scope, receive, send)
    return sent
