"""A runner's connection over a WebSocket.

What must stay true
- No frame of a message is longer than 30 KiB: API Gateway closes the connection at 32 KB.
- The connection goes to the endpoint that was given and nowhere else: redirects are not followed,
  for the first frame carries the token.
- Every failure is ConnectionLost; an address that cannot be one is Misconfigured, at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from engine.errors import Misconfigured
from engine.stateful.connection import Connect, Connection, ConnectionLost

PATH = "/runners/connect"
FRAGMENT_BYTES = 30 << 10
OPEN_S = 10.0
CLOSE_S = 2.0
MESSAGE_BYTES = 256 << 10
"""More than any frame of the protocol has."""


def socket_url(endpoint: str) -> str:
    """The address that runners connect to. Raises Misconfigured.

    An endpoint of `ws://` or `wss://` is that address: API Gateway's have no paths.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.fragment or parts.username is not None:
        raise Misconfigured(
            f"endpoint {endpoint!r}: give an address like https://host/path, or wss://host/path"
        )
    if parts.scheme in ("ws", "wss"):
        return endpoint
    if parts.query:
        raise Misconfigured(f"endpoint {endpoint!r}: it cannot have a query")
    scheme = "wss" if parts.scheme == "https" else "ws"
    return parts._replace(scheme=scheme, path=parts.path.rstrip("/") + PATH).geturl()


def connector(endpoint: str) -> Connect:
    """Makes connections to an endpoint. Raises Misconfigured."""
    url = socket_url(endpoint)

    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        try:
            opened = await _Connect(
                url,
                compression=None,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=None,  # the protocol has its own pings
                max_size=MESSAGE_BYTES,
            )
        except (OSError, WebSocketException, EOFError, ValueError) as error:
            raise ConnectionLost(f"{url} cannot be reached: {_told(error)}") from error
        try:
            yield WebSocketConnection(opened)
        finally:
            await opened.close()

    return connection


class WebSocketConnection:
    """Implements `engine.stateful.connection.Connection`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        data = text.encode()
        try:
            if len(data) <= FRAGMENT_BYTES:
                await self._socket.send(data, text=True)
            else:
                parts = range(0, len(data), FRAGMENT_BYTES)
                await self._socket.send([data[at : at + FRAGMENT_BYTES] for at in parts], text=True)
        except (OSError, WebSocketException) as error:
            raise ConnectionLost(_told(error)) from error

    async def receive(self) -> str | None:
        try:
            message = await self._socket.recv()
        except (OSError, WebSocketException) as error:
            raise ConnectionLost(_told(error)) from error
        return message if isinstance(message, str) else message.decode(errors="replace")


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
