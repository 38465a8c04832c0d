"""Requests and answers on the wire: bodies that are longer than a frame go in several.

What must stay true: a request is handed on whole or not at all; of an answer's frames the first is
the only one that can be refused for its size, so that none of a refused answer has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.allocation.frames import (
    CHUNK_BYTES,
    RequestChunk,
    RequestStart,
    ResponseChunk,
    ResponseStart,
)
from engine.stateful.exchange import Request, Response, time_of
from engine.stateful.ordering import InOrder

REQUEST_HEADER = "x-tidestep-request"
"""A request's id for its user: a frame's is another one each time that the request is sent."""
MOST_CHUNKS = 1000
"""Of one request that come early."""


def answer_frames(request: str, response: Response) -> Iterator[ResponseStart | ResponseChunk]:
    body = response.body
    parts = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)] or [b""]
    last = len(parts) - 1
    headers = list(response.headers.pairs())
    yield ResponseStart(request, response.status, headers, parts[0], more=last > 0)
    for index, part in enumerate(parts[1:], 1):
        yield ResponseChunk(request, index, part, more=index < last)


@dataclass(slots=True)
class _Upload:
    start: RequestStart
    parts: list[bytes]
    order: InOrder[RequestChunk] = field(default_factory=lambda: InOrder(MOST_CHUNKS))


class Uploads:
    """Requests whose bodies have not come in full."""

    def __init__(self) -> None:
        self._uploads: dict[str, _Upload] = {}

    def begin(self, start: RequestStart) -> tuple[RequestStart, Request] | None:
        """The request, where this is all of it."""
        if not start.more:
            return start, _request(start, start.body)
        self._uploads[start.request] = _Upload(start, [start.body])
        return None

    def go_on(self, chunk: RequestChunk) -> tuple[RequestStart, Request] | None:
        """The request, where this completes it."""
        upload = self._uploads.get(chunk.request)
        if upload is None:
            return None
        for each in upload.order.take(chunk.index, chunk):
            upload.parts.append(each.body)
            if not each.more:
                del self._uploads[chunk.request]
                return upload.start, _request(upload.start, b"".join(upload.parts))
        return None

    def abort(self, request: str) -> None:
        self._uploads.pop(request, None)

    def clear(self) -> None:
        """What has not come by now will not: the connection has broken."""
        self._uploads.clear()


def _request(start: RequestStart, body: bytes) -> Request:
    return Request(
        start.method,
        start.path,
        start.headers,
        body,
        id=dict(start.headers).get(REQUEST_HEADER, start.request),
        deadline=time_of(start.deadline),
    )
