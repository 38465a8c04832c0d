"""A server of this process, a network of this process, and the actor as the engine calls it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore

from engine.actors import Context
from engine.library.http import http_request

PUBLIC = "93.184.215.14"
"""No packet goes there: `network` connects everything to the server of the test."""

Answer = Callable[["Handler"], None]

REAL_CONNECT = httpcore.AnyIOBackend.connect_tcp


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    body: bytes

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.server.seen.append(self)
        self.server.answers[self.path.partition("?")[0]](self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Server(ThreadingHTTPServer):
    """`answers` maps paths to what happens; `seen` holds the requests that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.seen: list[Any] = []
        self.released = threading.Event()
        self.port: int = self.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def wait(self) -> None:
        self.released.wait()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave early are what these tests are about."""


class Network:
    """A resolver with a script, and an internet in which every address is the test's server."""

    def __init__(self, port: int) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.unreachable: set[str] = set()
        self.connected: list[str] = []
        self._port = port
        self._getaddrinfo = socket.getaddrinfo

    def getaddrinfo(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        answers = self.names.get(host)
        if answers is None:
            return self._getaddrinfo(host, port, *args, **options)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    async def connect(self, backend: Any, host: str, port: int, **options: Any) -> Any:
        self.connected.append(host)
        if host in self.unreachable:
            raise httpcore.ConnectError from OSError(113, "no route")
        # As any client that is handed a name would, ask again.
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
        assert not ipaddress.ip_address(address).is_loopback, "connected to loopback"
        return await REAL_CONNECT(backend, "127.0.0.1", self._port, **options)


def reply(
    content: bytes = b"",
    status: int = 200,
    kind: str | None = "text/plain",
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        if kind is not None:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return reply(status=status, headers=(("Location", location),))


def context(attempt: int = 1) -> Context:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Context(
        tenant="acme",
        run_id="run-1",
        workflow="orders",
        node="call",
        visit=0,
        attempt=attempt,
        idempotency_key="run-1/call/0",
        now=now,
        deadline=now + timedelta(minutes=1),
        log=logging.LoggerAdapter(logging.getLogger("test")),
    )


def call(attempt: int = 1, **config: Any) -> dict[str, Any]:
    """The actor as the engine calls it: config checked, result checked."""
    assert http_request.config_problems(config) == []
    arguments = http_request.arguments({"in": {"ignored": True}}, config, context(attempt))
    result = asyncio.run(http_request.function(**arguments))
    port, value = http_request.emitted(result, config)
    assert port == "out"
    json.dumps(value, allow_nan=False)
    return dict(value)
