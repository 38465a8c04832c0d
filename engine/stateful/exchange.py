"""What a handler is asked, and what it may answer.

    async def on_request(self, request: Request) -> Response | dict[str, int]:
        if request.method == "PUT":
            self.state.count = request.json()["count"]
        return {"count": self.state.count}

What must stay true
- A request is plain data, made from nothing else: a handler is tested with one that the test made.
- An answer that HTTP cannot carry is the handler's error before a byte of it has left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

from engine.actors.shapes import AnyShape
from engine.errors import InvalidValue, NotJson
from engine.json_values import decode_json, encode_json
from engine.stateful.fields import Fields

Pairs = Iterable[tuple[str, str]] | Mapping[str, str]

MESSAGE_CHARACTERS = 1000
"""Of an exception's own message, where it is shown to others."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_ANY = AnyShape()


class Request:
    """An HTTP request to an actor, whole.

    `id` is the same for all retries of one request, which may come more than once: pass it on to
    whatever must not happen twice. `deadline` is when nobody waits for the answer any more.
    """

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Pairs = (),
        body: bytes = b"",
        *,
        id: str = "",
        deadline: datetime | None = None,
    ) -> None:
        self.method = method.upper()
        self.target = target
        self.headers = Fields(headers, fold=True)
        self.body = body
        self.id = id
        self.deadline = deadline

    def __repr__(self) -> str:
        return f"<{self.method} {self.target}>"

    @property
    def path(self) -> str:
        """Below the actor's own address; begins with '/'."""
        return path_of(self.target)

    @cached_property
    def query(self) -> Fields:
        return query_of(self.target)

    def text(self) -> str:
        """Raises InvalidValue where the body is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise InvalidValue(f"the request's body is not text: {error}") from error

    def json(self) -> Any:
        """Raises NotJson."""
        try:
            return decode_json(self.body)
        except (ValueError, RecursionError) as error:
            raise NotJson(f"the request's body is not JSON: {error}") from error


class Response:
    """An answer. `body` is bytes, text, any JSON value, or None for no body.

    A content type goes with the body, unless `headers` has one. Raises InvalidValue.
    """

    def __init__(self, body: Any = None, status: int = 200, headers: Pairs | None = None) -> None:
        if not 200 <= status <= 599:
            raise InvalidValue(f"status {status!r}: a response's is from 200 to 599")
        self.status = status
        self.body, kind = _body_of(body)
        self.headers = Fields(headers or (), fold=True)
        if kind and "content-type" not in self.headers:
            self.headers = Fields((*self.headers.pairs(), ("content-type", kind)), fold=True)
        for name, value in self.headers.pairs():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise InvalidValue(f"header {name!r}: {value!r} cannot be sent")

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"

    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return decode_json(self.body)


def response_of(answer: Any) -> Response:
    """What a handler returned, as a response. Raises InvalidValue."""
    if isinstance(answer, Response):
        return answer
    return Response(answer, 204 if answer is None else 200)


def failure(error: Exception, status: int = 500) -> Response:
    """The answer where a handler raised `error`: its type and message, and nothing else."""
    return Response({"error": {"type": type(error).__name__, "message": message_of(error)}}, status)


def message_of(error: BaseException) -> str:
    """Its message, as text that can be sent."""
    return str(error)[:MESSAGE_CHARACTERS].encode(errors="replace").decode()


def path_of(target: str) -> str:
    return unquote(target.partition("?")[0])


def query_of(target: str) -> Fields:
    return Fields(parse_qsl(target.partition("?")[2], keep_blank_values=True))


def time_of(milliseconds: int) -> datetime | None:
    """A time of the protocol, of which 0 is none."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _body_of(body: Any) -> tuple[bytes, str]:
    if body is None:
        return b"", ""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        try:
            return body.encode(), "text/plain; charset=utf-8"
        except UnicodeEncodeError as error:
            raise InvalidValue(f"the response's body is not text: {error}") from error
    what = "the response's body"
    return encode_json(_ANY.dump(body, what), what), "application/json"
