"""Users' WebSockets to actors.

What must stay true
- A WebSocket is accepted once its actor has taken it. Before that a refusal is an HTTP answer where
  the server can give one; where not, it is accepted and closed with 1013 and the error's code.
- What either side sends arrives in order; who closes it first decides the code.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine.allocation import frames
from engine.allocation.errors import TooManySockets
from engine.allocation.gateway import Gateway, parse_address, passed_on, refusal
from engine.allocation.ports import ConnectionGone
from engine.allocation.relaying import LOST, Relay, Relaying
from engine.allocation.tunnel import HttpResponse
from engine.errors import PayloadTooLarge, PlatformError, TidestepError
from engine.ports import Entropy
from engine.stateful.sockets import MESSAGE_BYTES
from engine.stateful.tasks import first_of
from infra.local.actors.closing import close, sendable
from infra.local.actors.ending import BrokenOff, server_stops, unless
from infra.local.actors.scopes import headers_of, path_of, query_of, response_of

SEND_S = 30.0
"""How long a user may take to read one message."""
TOO_BIG, RESTARTING, TRY_AGAIN = 1009, 1012, 1013
EXTENSION = "websocket.http.response"

log = logging.getLogger("tidestep")


MOST_SOCKETS = 500
"""Far below the server's connections, which they count among: requests must find room."""


class SocketEndpoint:
    """An ASGI application for users' WebSockets."""

    def __init__(
        self, gateway: Gateway, relaying: Relaying, entropy: Entropy, stopped: asyncio.Event
    ) -> None:
        self._gateway = gateway
        self._relaying = relaying
        self._entropy = entropy
        self._stopped = stopped
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        if self._open >= MOST_SOCKETS:
            await _refuse(socket, refusal(TooManySockets("too many WebSockets are open")))
            return
        self._open += 1
        try:
            await self._served(scope, socket)
        finally:
            self._open -= 1

    async def _served(self, scope: Scope, socket: WebSocket) -> None:
        try:
            await unless(self._stopped.wait(), self._serve(scope, socket))
        except BrokenOff:
            if socket.application_state is WebSocketState.CONNECTING:
                await _refuse(socket, server_stops())
            else:
                await close(socket, RESTARTING, "the server is being stopped")

    async def _serve(self, scope: Scope, socket: WebSocket) -> None:
        address_path, query = path_of(scope), query_of(scope)
        try:
            address = parse_address(address_path)
            key = await self._gateway.actor(address)
            target = f"{address.path}?{query}" if query else address.path
            id, headers = self._entropy.new_id(), passed_on(headers_of(socket))
            async with self._relaying.open(key, id, target, headers) as relay:
                await _relayed(socket, relay)
        except TidestepError as error:
            await _refuse(socket, refusal(error))
        except WebSocketDisconnect:
            return  # the user is gone


class _UserClosed(Exception):
    def __init__(self, code: int, reason: str = "") -> None:
        self.close = frames.SocketClose("", code, reason)


class _ActorClosed(Exception):
    def __init__(self, close: frames.SocketClose) -> None:
        self.close = close


async def _relayed(socket: WebSocket, relay: Relay) -> None:
    """Until either side closes it, or is gone."""
    to_actor = frames.SocketClose("", 1001, "the user is gone")
    try:
        await socket.accept()
        await first_of(_to_actor(socket, relay), _to_user(socket, relay))
    except _UserClosed as closed:
        to_actor = closed.close
        await close(socket, to_actor.code, to_actor.reason)
    except _ActorClosed as closed:
        to_actor = closed.close
        await close(socket, sendable(to_actor.code), to_actor.reason)
    except PlatformError as error:
        log.error("a WebSocket to an actor broke off: %s", error)
        await close(socket, TRY_AGAIN, "try again later")
    finally:
        await relay.close(to_actor.code, to_actor.reason)


async def _to_actor(socket: WebSocket, relay: Relay) -> NoReturn:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise _UserClosed(message.get("code", 1005), message.get("reason") or "")
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        if len(data if text is None else text.encode()) > MESSAGE_BYTES:
            raise _UserClosed(TOO_BIG, f"a message may have {MESSAGE_BYTES:,} bytes")
        try:
            await (relay.send(data=data) if text is None else relay.send(text))
        except ConnectionGone:
            raise _ActorClosed(LOST) from None
        except PayloadTooLarge as error:
            raise _UserClosed(TOO_BIG, str(error)) from None


async def _to_user(socket: WebSocket, relay: Relay) -> NoReturn:
    while True:
        frame = await relay.next()
        if isinstance(frame, frames.SocketClose):
            raise _ActorClosed(frame)
        try:
            async with asyncio.timeout(SEND_S):
                if frame.text is not None:
                    await socket.send_text(frame.text)
                else:
                    await socket.send_bytes(frame.data or b"")
        except TimeoutError:
            raise _UserClosed(1001, "the user does not read") from None


async def _refuse(socket: WebSocket, answer: HttpResponse) -> None:
    if EXTENSION in socket.scope.get("extensions", {}):
        await socket.send_denial_response(response_of(answer))
        return
    await socket.accept()
    await close(socket, TRY_AGAIN, dict(answer.headers).get("x-tidestep-error", ""))
