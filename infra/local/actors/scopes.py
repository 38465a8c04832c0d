"""What a server hands over and is handed back, in the engine's words."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from engine.allocation.frames import Headers
from engine.allocation.tunnel import HttpResponse
from engine.callback_http import HttpAnswer


def path_of(scope: Scope) -> str:
    """As it came, percent-encoded."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("latin-1")


def query_of(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode("latin-1")


def headers_of(connection: HTTPConnection[Any]) -> Headers:
    return [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in connection.headers.raw]


def response_of(answer: HttpResponse) -> Response:
    response = Response(answer.body, answer.status)
    length = [(n, v) for n, v in response.raw_headers if n == b"content-length"]
    headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in answer.headers]
    response.raw_headers = [*headers, *length]
    return response


def answer_of(answer: HttpAnswer) -> HttpResponse:
    """A refusal in the words of the other addresses."""
    return HttpResponse(answer.status, list(answer.headers.items()), answer.body)
