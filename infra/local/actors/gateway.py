"""The addresses of actors, over HTTP and as WebSockets: the engine's gateway behind a server.

What must stay true
- What the actor answers is passed on as it is; a refusal of ours says so (`x-tidestep-error`).
- Whoever hangs up is not waited for; and when the server stops, nobody is kept waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from engine.allocation.gateway import PREFIX, Gateway, refusal
from engine.allocation.relaying import Relaying
from engine.allocation.tunnel import BODY_BYTES, HttpResponse
from engine.callback_http import error_answer
from engine.errors import PayloadTooLarge
from engine.ports import Entropy
from infra.local.actors.ending import BrokenOff, server_stops, unless
from infra.local.actors.scopes import answer_of, headers_of, path_of, query_of, response_of
from infra.local.actors.users import SocketEndpoint
from infra.local.http.bodies import read_body

log = logging.getLogger("tidestep")


def routes(
    gateway: Gateway, relaying: Relaying, entropy: Entropy, stopped: asyncio.Event
) -> Sequence[BaseRoute]:
    """The addresses of actors; once `stopped` is set, nobody waits there any more."""
    path = f"{PREFIX}{{path:path}}"
    return (
        Route(path, HttpEndpoint(gateway, stopped)),
        WebSocketRoute(path, SocketEndpoint(gateway, relaying, entropy, stopped)),
    )


class HttpEndpoint:
    """An ASGI application: every method is the actor's to judge."""

    def __init__(self, gateway: Gateway, stopped: asyncio.Event) -> None:
        self._gateway = gateway
        self._stopped = stopped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await unless(self._stopped.wait(), self._answer(request, receive))
        except BrokenOff:
            answer = server_stops()
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception:
            log.exception("a request to an actor could not be served")
            bug = error_answer(500, "Internal", "this is a bug in tidestep; its log says more")
            answer = answer_of(bug)
        await response_of(answer)(scope, receive, send)

    async def _answer(self, request: Request, receive: Receive) -> HttpResponse:
        """Raises ClientDisconnect."""
        most = PayloadTooLarge(f"a request may have a body of {BODY_BYTES:,} bytes")
        try:
            body = await read_body(request, BODY_BYTES, most)
        except PayloadTooLarge as error:
            return refusal(error)
        except TimeoutError:
            return answer_of(error_answer(408, "TooSlow", "the body has not come in time"))
        scope, headers = request.scope, headers_of(request)
        path, query = path_of(scope), query_of(scope)
        handling = self._gateway.handle(request.method, path, query, headers, body)
        try:
            return await unless(_hung_up(receive), handling)
        except BrokenOff:
            raise ClientDisconnect from None


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
