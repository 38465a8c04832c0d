"""Carry a user's HTTP request to an actor and its answer back; a WebSocket likewise.

What must stay true
- One absolute deadline for all of it: waking, waiting, sending, answering.
- A request is sent again where its actor has stopped before it answered, up to a bound: an actor
  may see a request more than once, each time with the same `x-tidestep-request`. An answer that
  the actor has given is given to the user, whatever becomes of the actor after that.
- What comes back is held against what was asked: an answer to another request is nobody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

import msgspec

from engine.allocation import frames
from engine.allocation.errors import ActorFailed, ActorKeepsStopping, ActorTooSlow
from engine.allocation.frames import CHUNK_BYTES, Headers
from engine.allocation.holding import report_gone
from engine.allocation.mailing import Mailer
from engine.allocation.ports import ConnectionGone
from engine.allocation.reaching import Place, Reaching
from engine.errors import PayloadTooLarge
from engine.layout import RunKey
from engine.ports import Platform

REQUEST_HEADER = "x-tidestep-request"
BODY_BYTES = 6 << 20
"""Of a request and of an answer; Lambda takes no larger ones."""
LOOK_S = 0.5
"""How often it is looked whether the actor is still where the request was sent."""


class HttpRequest(msgspec.Struct, frozen=True):
    """`path` begins with '/', is below the actor's own address, and holds the query. `id` is the
    same however often the request is sent."""

    id: str
    method: str
    path: str
    headers: Headers
    body: bytes


class HttpResponse(msgspec.Struct, frozen=True):
    status: int
    headers: Headers
    body: bytes


Answer = frames.ResponseStart | frames.ResponseChunk | frames.Refused
FromActor = Answer | frames.SocketOpened | frames.SocketMessage | frames.SocketClose


class Reply(Protocol):
    """What has come for one request or WebSocket, in the order in which it was sent."""

    async def next(self, timeout_s: float) -> FromActor | None:
        """The next frame; None where none has come in time."""
        ...


class Replies(Protocol):
    """Where answers arrive, for whoever waits for them."""

    def expect(self, tenant: str, request: str) -> AbstractAsyncContextManager[Reply]:
        """Wait for what comes for this request or WebSocket from now on."""
        ...


class Tunnel:
    """Carries requests to the actors of one platform."""

    def __init__(self, platform: Platform, replies: Replies) -> None:
        self._allocation = platform.allocation_to("reach actors")
        self._platform = platform
        self._replies = replies
        self._reaching = Reaching(platform)
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)

    async def request(
        self, key: RunKey, request: HttpRequest, began: int | None = None
    ) -> HttpResponse:
        """The actor's answer. `began` is when the user's request came (ms since 1970), by default
        now. Raises GatewayError, ActorNotFound or PayloadTooLarge.
        """
        if len(request.body) > BODY_BYTES:
            raise PayloadTooLarge(f"a request may have a body of {BODY_BYTES:,} bytes")
        settings = self._allocation.settings
        began = self._platform.clock.now() if began is None else began
        ready_by, deadline = began + settings.ready_ms, began + settings.request_ms
        left: Place | None = None
        for attempt in range(settings.tries):
            place = await self._reaching.place(key, ready_by, left=left)
            response = await self._try(key, place, request, f"{request.id}.{attempt}", deadline)
            if response is not None:
                return response
            left = place
            await self._reaching.settle(key, place, attempt, deadline)
        raise ActorKeepsStopping(
            f"actor '{key.run}' has stopped {settings.tries} times before it had answered"
        )

    async def _try(
        self, key: RunKey, place: Place, request: HttpRequest, name: str, deadline: int
    ) -> HttpResponse | None:
        """The answer; None where the actor has stopped, or is about to, and has not answered."""
        async with self._replies.expect(key.tenant, name) as reply:
            try:
                await self._send(key, place, request, name, deadline)
            except ConnectionGone:
                # API Gateway need not have said so
                await report_gone(self._mailer, place.runner, place.connection)
                return None
            first = await self._first(key, place, request, reply, name, deadline)
            if first is None:
                return None
            if isinstance(first, frames.Refused):
                if first.code in ("not_here", "stopping"):
                    return None
                raise ActorFailed(f"actor '{key.run}': {first.message or first.code}", 0)
            return await self._whole(key, first, reply, deadline)

    async def _send(
        self, key: RunKey, place: Place, request: HttpRequest, name: str, deadline: int
    ) -> None:
        """Raises ConnectionGone."""
        parts = chunks(request.body)
        headers = [(n, v) for n, v in request.headers if n != REQUEST_HEADER]
        await self._post(
            place,
            frames.RequestStart(
                name,
                key.run,
                place.generation,
                request.method,
                request.path,
                [*headers, (REQUEST_HEADER, request.id)],
                parts[0],
                len(parts) > 1,
                deadline,
            ),
        )
        for index, part in enumerate(parts[1:], 1):
            more = index < len(parts) - 1
            await self._post(place, frames.RequestChunk(name, index, part, more))

    async def _first(
        self,
        key: RunKey,
        place: Place,
        request: HttpRequest,
        reply: Reply,
        name: str,
        deadline: int,
    ) -> frames.ResponseStart | frames.Refused | None:
        """How the answer begins; None where the actor has left without one.

        Where the runner has another connection meanwhile, the request may have been lost on the old
        one: it goes out again under the same name, which a runner that has it already ignores.
        """
        while True:
            left_ms = deadline - self._platform.clock.now()
            if left_ms <= 0:
                await self._abort(place, name)
                raise ActorTooSlow(f"actor '{key.run}' has not answered in time; it may do so yet")
            frame = await reply.next(min(LOOK_S, left_ms / 1000))
            if isinstance(frame, frames.ResponseStart | frames.Refused):
                return frame
            if frame is not None:
                continue
            if await self._reaching.has_left(key, place):
                frame = await reply.next(0)  # what it had sent before it left
                return frame if isinstance(frame, frames.ResponseStart | frames.Refused) else None
            now_at = await self._reaching.reconnected(place)
            if now_at != place:
                place = now_at
                with suppress(ConnectionGone):
                    await self._send(key, place, request, name, deadline)

    async def _whole(
        self, key: RunKey, first: frames.ResponseStart, reply: Reply, deadline: int
    ) -> HttpResponse:
        body, more, expected = bytearray(first.body), first.more, 1
        waiting: dict[int, frames.ResponseChunk] = {}
        while more:
            left_ms = deadline - self._platform.clock.now()
            frame = await reply.next(max(0, left_ms) / 1000)
            if frame is None:
                raise ActorTooSlow(f"actor '{key.run}' has not answered to the end in time")
            if isinstance(frame, frames.Refused):
                raise ActorFailed(f"actor '{key.run}' broke its answer off: {frame.message}", 0)
            if isinstance(frame, frames.ResponseChunk):
                waiting[frame.index] = frame
            while expected in waiting:
                chunk = waiting.pop(expected)
                body += chunk.body
                more, expected = chunk.more, expected + 1
            if len(body) > BODY_BYTES:
                raise ActorFailed(
                    f"actor '{key.run}' has answered with more than {BODY_BYTES:,} bytes", 0
                )
        return HttpResponse(first.status, first.headers, bytes(body))

    async def _abort(self, place: Place, name: str) -> None:
        with suppress(ConnectionGone):
            await self._post(place, frames.RequestAbort(name))

    async def _post(self, place: Place, frame: frames.Frame) -> None:
        await self._allocation.sockets.post(place.connection, frames.encode(frame))


def chunks(body: bytes) -> Sequence[bytes]:
    """The body in pieces that fit into a frame; one at least."""
    starts = range(0, max(1, len(body)), CHUNK_BYTES)
    return [body[start : start + CHUNK_BYTES] for start in starts]
