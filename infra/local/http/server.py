"""The HTTP server itself: a socket that is ours before anything else is opened, and uvicorn on it.

What must stay true
- The socket is bound first: so the server's own address is known to what is built on it, and a
  port that is taken is an error before a database is touched.
- Signals are the command's: uvicorn's own handlers are kept out, and `stop` alone ends the server.
- WebSockets are spoken only where they are asked for; a message of more than `MESSAGE_BYTES` ends
  its connection.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import WS_PROTOCOLS

from engine.errors import PlatformError

MOST_CONNECTIONS = 1000
STOP_GRACE_S = 5
MESSAGE_BYTES = 1 << 20


class CannotListen(PlatformError):
    """The address that the server should listen on is taken, forbidden or unknown."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises CannotListen."""
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server((host, port), family=family)
        # Accepted sockets inherit it; asyncio sets it itself only on sockets that name their
        # protocol. Without it every small answer waits 40 ms for the other side's delayed ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError, UnicodeError) as error:
        raise CannotListen(
            f"cannot listen on {host}, port {port}: {_reason(error)}; choose another with --port "
            "(0 picks a free one) or --host"
        ) from error


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error)  # without what socket adds to it


def url_of(listening: socket.socket) -> str:
    """The address by which this machine reaches the server."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: ASGIApp, listening: socket.socket, stop: asyncio.Event, *, websockets: bool = False
) -> None:
    """Serve until `stop` is set; requests that are being served then may end. Closes the socket."""
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws=_websockets() if websockets else "none",
            ws_max_size=MESSAGE_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=STOP_GRACE_S,
        )
    )
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_is_news)
    serving = asyncio.create_task(server.serve([listening]))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopped.cancel()
        serving.cancel()
        await asyncio.gather(serving, stopped, return_exceptions=True)
        log.removeFilter(_is_news)
        listening.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Uvicorn takes a WebSocket that was refused with an HTTP answer for a mistake of ours."""
    return "without completing handshake" not in record.msg


def _websockets() -> Literal["websockets-sansio", "websockets"]:
    """The newer of uvicorn's two ways, where this one has it: the older is deprecated."""
    return "websockets-sansio" if "websockets-sansio" in WS_PROTOCOLS else "websockets"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
