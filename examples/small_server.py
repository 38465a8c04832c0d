"""A small HTTP server for the examples: a few measurements in pages, three city services.

It refuses the first request for every second page, and the first one for the air, with 503, as
servers do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

PAGES = 8
PER_PAGE = 25


class Handler(BaseHTTPRequestHandler):
    refused: ClassVar[set[str]] = set()
    lock: ClassVar[Lock] = Lock()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if self._refuses(address.path, query):
            self._answer(503, {"error": "try again"})
        elif address.path == "/measurements":
            self._answer(200, measurements(int(query.get("page", "1"))))
        elif address.path in CITY:
            self._answer(200, CITY[address.path])
        else:
            self._answer(404, {"error": "there is nothing here"})

    def _refuses(self, path: str, query: dict[str, str]) -> bool:
        moody = path == "/air" or (path == "/measurements" and int(query.get("page", "1")) % 2 == 0)
        with self.lock:
            first = self.path not in self.refused
            self.refused.add(self.path)
        return moody and first

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """The workflow's own progress is what one wants to see."""


CITY: dict[str, Any] = {
    "/weather": {"degrees": 21},
    "/air": {"quality": "good"},
    "/events": {"events": [{"title": "the harbour market"}, {"title": "a concert"}]},
}


def measurements(page: int) -> dict[str, Any]:
    first = (page - 1) * PER_PAGE
    items = [{"id": n, "value": (n * 37 % 101) / 10} for n in range(first, first + PER_PAGE)]
    return {"items": items, "next": page + 1 if page < PAGES else None}


@contextmanager
def serving() -> Iterator[str]:
    """The address of a running server."""
    Handler.refused.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
