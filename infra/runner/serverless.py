"""A runner in answer to a request: an ASGI application that a pool starts runners with.

    app = runner_app(Counter, ChatRoom, token=os.environ["RUNNER_TOKEN"])

`GET /start` holds its answer open as long as the runner lives, as server-sent events: `runner` once
it is connected, a comment every few seconds, `error` where it was never let in. Whoever closes the
request shuts the runner down: its actors are saved and taken away first, where the other side lets
it.

What must stay true
- A stranger starts nothing: whoever asks needs the token, or can only have runners connect to the
  endpoints that are listed. Without either there is no application.
- Tokens are compared in constant time, and are never shown.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.errors import CallerError, Misconfigured
from engine.stateful.declaring import AnyActor
from engine.stateful.runner import Runner, definitions
from infra.runner.websocket import connector
from infra.system import SystemClock, SystemEntropy

log = logging.getLogger("tidestep")

COMMENT_S = 5.0
MOST_RUNNERS = 100
"""In one process; more requests are answered with 503."""
MOST_SLOTS = 10_000

_PREFIX = "x-tidestep-"


class _Unauthorized(CallerError):
    http_status = 401


class _Forbidden(CallerError):
    http_status = 403


class _Full(CallerError):
    http_status = 503


def runner_app(
    *actors: type[AnyActor],
    token: str | None = None,
    endpoints: Collection[str] = (),
    version: int = 0,
) -> Starlette:
    """The application. `version` of a pool's runners: the newest ones are given the actors.

    With a `token`, every request needs it, as `x-tidestep-token`. With `endpoints`, runners connect
    to these alone. Raises Misconfigured without either, and InvalidActor.
    """
    if isinstance(endpoints, str):
        raise Misconfigured("endpoints is a list of addresses, not one")
    if token is not None and not token:
        raise Misconfigured("the runner's token is empty: is its environment variable set?")
    if token is None and not endpoints:
        raise Misconfigured(
            "anybody could start runners here: give runner_app a token, or the endpoints that "
            "runners may connect to"
        )
    for endpoint in endpoints:
        connector(endpoint)
    names = list(definitions(actors))
    door = _Door(actors, token, {_normal(endpoint) for endpoint in endpoints}, version)

    async def metadata(request: Request) -> Response:
        door.check_token(request.headers)
        return JSONResponse({"runtime": "tidestep", "version": version, "actors": names})

    return Starlette(
        routes=[
            Route("/start", door, methods=["GET"]),
            Route("/metadata", _guarded(metadata), methods=["GET"]),
        ]
    )


class _Door:
    """`GET /start`. An ASGI application, for it must see when its request is closed."""

    def __init__(
        self,
        actors: tuple[type[AnyActor], ...],
        token: str | None,
        endpoints: Collection[str],
        version: int,
    ) -> None:
        self._actors = actors
        self._token = token
        self._endpoints = endpoints
        self._version = version
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            runner = self._runner(Headers(scope=scope))
        except (CallerError, Misconfigured) as error:
            await _refusal(error)(scope, receive, send)
            return
        self._running += 1
        try:
            await _hold(runner, self._version, receive, send)
        finally:
            self._running -= 1

    def check_token(self, headers: Headers) -> None:
        given = headers.get(_PREFIX + "token", "")
        if self._token is not None and not hmac.compare_digest(
            given.encode(), self._token.encode()
        ):
            raise _Unauthorized(f"{_PREFIX}token is missing, or is another one")

    def _runner(self, headers: Headers) -> Runner:
        """Raises CallerError or Misconfigured."""
        self.check_token(headers)
        endpoint = _needed(headers, "endpoint")
        if self._endpoints and _normal(endpoint) not in self._endpoints:
            raise _Forbidden(f"runners do not connect to {endpoint!r} from here")
        slots = _needed(headers, "slots")
        if not (slots.isascii() and slots.isdecimal() and 1 <= int(slots) <= MOST_SLOTS):
            raise CallerError(f"{_PREFIX}slots: {slots!r} is not from 1 to {MOST_SLOTS}")
        if self._running >= MOST_RUNNERS:
            raise _Full(f"{MOST_RUNNERS} runners live in this process already")
        entropy = SystemEntropy()
        return Runner(
            self._actors,
            pool=_needed(headers, "pool"),
            key=f"k{entropy.new_id()}",
            slots=int(slots),
            connect=connector(endpoint),
            clock=SystemClock(),
            entropy=entropy,
            version=self._version,
            connection=headers.get(_PREFIX + "connection", ""),
            token=headers.get(_PREFIX + "token", ""),
        )


async def _hold(runner: Runner, version: int, receive: Receive, send: Send) -> None:
    """Run the runner as long as the request is open, and tell how it is."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),  # proxies would hold the events back
            ],
        }
    )
    running = asyncio.create_task(runner.run())
    telling = asyncio.create_task(_tell(runner, version, send))
    closed = asyncio.create_task(_closed(receive))
    try:
        await asyncio.wait({running, telling, closed}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            running.result()
            last = b""
            if runner.evicted and not runner.runner_id:  # it was sent away before it was known
                last = f"event: error\ndata: {' '.join(runner.evicted.split())}\n\n".encode()
            await send({"type": "http.response.body", "body": last})
        else:
            await runner.stop()
    finally:
        for task in (running, telling, closed):
            task.cancel()
        await asyncio.gather(running, telling, closed, return_exceptions=True)


async def _tell(runner: Runner, version: int, send: Send) -> None:
    """Events, until nobody takes them any more."""

    async def write(text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    await write(": the runner connects\n\n")
    told = ""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(COMMENT_S):
                await (asyncio.sleep(COMMENT_S) if told else runner.connected.wait())
        if runner.runner_id != told:  # it may be lost, and be another one then
            told = runner.runner_id
            data = json.dumps({"runner": told, "version": version})
            await write(f"event: runner\ndata: {data}\n\n")
        else:
            await write(": it lives\n\n")


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _needed(headers: Headers, name: str) -> str:
    value = headers.get(_PREFIX + name, "")
    if not value:
        raise CallerError(f"{_PREFIX}{name} is missing")
    return value


def _normal(endpoint: str) -> str:
    return endpoint.rstrip("/")


def _guarded(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await handle(request)
        except CallerError as error:
            return _refusal(error)

    return guarded


def _refusal(error: CallerError | Misconfigured) -> Response:
    status = error.http_status if isinstance(error, CallerError) else 400
    content: dict[str, Any] = {
        "error": {"type": type(error).__name__.lstrip("_"), "message": str(error)}
    }
    return JSONResponse(content, status)
