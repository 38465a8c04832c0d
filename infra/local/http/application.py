"""What `tidestep serve` serves, as an ASGI application: callbacks, /health, and, where it serves
them, stateful actors and their runners.

Everything else is refused, in the same JSON as every other refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from engine.callback_http import (
    CallbackApi,
    HttpAnswer,
    error_answer,
    json_answer,
    refusal,
    too_large,
)
from engine.callback_links import PATH
from engine.errors import PayloadTooLarge
from infra.local.http.bodies import read_body

log = logging.getLogger("tidestep")


def application(callbacks: CallbackApi, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The application; `callbacks` answers what comes to `PATH`, `more` are further addresses."""

    async def callback(request: Request) -> HttpAnswer:
        body = b""
        if request.method == "POST":
            try:
                limit = callbacks.body_bytes
                body = await read_body(request, limit, too_large(limit))
            except PayloadTooLarge as error:
                return refusal(error)
            except TimeoutError:
                return error_answer(408, "TooSlow", "the body has not come in time")
        return await callbacks.handle(request.method, request.path_params["token"], body)

    async def health(request: Request) -> HttpAnswer:
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, "MethodNotAllowed", "GET says whether this server runs")
        return json_answer(200, {"status": "ok"})

    async def nothing(request: Request, error: Exception) -> Response:
        return _response(error_answer(404, "NotFound", "nothing is served at this address"))

    app = Starlette(
        routes=[
            Route(f"{PATH}/{{token}}", _Endpoint(callback)),
            Route("/health", _Endpoint(health)),
            *more,
        ],
        exception_handlers={404: nothing},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """An address that decides about methods itself: Starlette would let HEAD do what GET does."""

    def __init__(self, handle: Callable[[Request], Awaitable[HttpAnswer]]) -> None:
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._handle(Request(scope, receive))
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception:
            log.exception("a request could not be served")
            answer = error_answer(500, "Internal", "this is a bug in tidestep; its log says more")
        await _response(answer)(scope, receive, send)


def _response(answer: HttpAnswer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))
