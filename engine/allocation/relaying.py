"""Carry a user's WebSocket to an actor, for a server that holds the user's connection itself.

What must stay true
- A WebSocket belongs to one stay of its actor on a runner, and to one connection of that runner:
  when either ends, the WebSocket is closed with 1001 (or 1012 where something may be lost), and the
  user opens another, which wakes the actor.
- Messages arrive in the order in which they were sent, in both directions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from engine.allocation import frames
from engine.allocation.errors import ActorFailed, ActorKeepsStopping, ActorNotReady
from engine.allocation.ports import Allocation, ConnectionGone
from engine.allocation.reaching import Place, Reaching
from engine.allocation.tunnel import FromActor, Replies, Reply
from engine.errors import PayloadTooLarge
from engine.layout import RunKey
from engine.ports import Platform

LOOK_S = 1.0
LOST = frames.SocketClose("", 1012, "the actor's runner was lost")


class Relay:
    """One open WebSocket to an actor."""

    def __init__(
        self,
        allocation: Allocation,
        reaching: Reaching,
        reply: Reply,
        key: RunKey,
        place: Place,
        id: str,
    ) -> None:
        self.place = place
        self.id = id
        """What the WebSocket is called in its frames."""
        self._allocation = allocation
        self._reaching = reaching
        self._reply = reply
        self._key = key
        self._sent = 0
        self._got = 0

    async def send(self, text: str | None = None, data: bytes | None = None) -> None:
        """Carry a message to the actor.

        Raises ConnectionGone where its runner has gone, or has another connection: what was on the
        way may be lost. Raises PayloadTooLarge for what does not fit into a frame.
        """
        frame = frames.SocketMessage(self.id, self._sent + 1, text, data)
        encoded = frames.encode(frame)
        if len(encoded.encode()) > frames.FRAME_BYTES:
            raise PayloadTooLarge(f"a message may have {frames.FRAME_BYTES:,} bytes as JSON")
        self._sent += 1
        await self._allocation.sockets.post(self.place.connection, encoded)

    async def next(self) -> frames.SocketMessage | frames.SocketClose:
        """The next message of the actor, or the end."""
        while True:
            frame = await self._reply.next(LOOK_S)
            if frame is None and await self._has_gone():
                frame = await self._reply.next(0) or LOST
            if isinstance(frame, frames.SocketMessage):
                if frame.index and frame.index <= self._got:
                    continue  # sent again on another connection
                if frame.index > self._got + 1:
                    return LOST
                self._got = frame.index
            if isinstance(frame, frames.SocketMessage | frames.SocketClose):
                return frame

    async def _has_gone(self) -> bool:
        if await self._reaching.has_left(self._key, self.place):
            return True
        return await self._reaching.reconnected(self.place) != self.place

    async def look(self) -> FromActor | None:
        """What has come by now, if anything: for a server that does not wait for messages here."""
        return await self._reply.next(0)

    async def close(self, code: int, reason: str = "") -> None:
        """The user has closed it; told on the connection that the runner has now."""
        now_at = await self._reaching.reconnected(self.place)
        with suppress(ConnectionGone):
            closing = frames.encode(frames.SocketClose(self.id, code, reason))
            await self._allocation.sockets.post(now_at.connection, closing)


class Relaying:
    """Opens WebSockets to the actors of one platform."""

    def __init__(self, platform: Platform, replies: Replies) -> None:
        self._allocation = platform.allocation_to("reach actors")
        self._platform = platform
        self._replies = replies
        self._reaching = Reaching(platform)

    @asynccontextmanager
    async def open(
        self, key: RunKey, id: str, path: str, headers: frames.Headers
    ) -> AsyncIterator[Relay]:
        """Wake the actor and open a WebSocket to it.

        Raises GatewayError, ActorNotFound, or ActorFailed where the actor takes none.
        """
        settings = self._allocation.settings
        deadline = self._platform.clock.now() + settings.ready_ms
        left: Place | None = None
        for attempt in range(settings.tries):
            place = await self._reaching.place(key, deadline, left=left)
            name = f"{id}.{attempt}"
            async with self._replies.expect(key.tenant, name) as reply:
                opening = frames.SocketOpen(name, key.run, place.generation, path, headers)
                if await self._opened(key, place, reply, opening, deadline):
                    relay = Relay(self._allocation, self._reaching, reply, key, place, name)
                    yield relay
                    return
            left = place
            await self._reaching.settle(key, place, attempt, deadline)
        raise ActorKeepsStopping(f"actor '{key.run}' stopped each time that it was reached")

    async def _opened(
        self, key: RunKey, place: Place, reply: Reply, opening: frames.SocketOpen, deadline: int
    ) -> bool:
        """Whether the actor has taken it; False where it has left, or is about to."""
        try:
            await self._allocation.sockets.post(place.connection, frames.encode(opening))
        except ConnectionGone:
            return False
        while True:
            frame = await reply.next(LOOK_S)
            if isinstance(frame, frames.SocketOpened):
                return True
            if isinstance(frame, frames.Refused) and frame.code in ("not_here", "stopping"):
                return False
            if isinstance(frame, frames.Refused):
                raise ActorFailed(f"actor '{key.run}': {frame.message or frame.code}", 0)
            if isinstance(frame, frames.SocketClose):
                if frame.reason in ("not_here", "stopping"):
                    return False
                raise ActorFailed(f"actor '{key.run}' takes no WebSocket: {frame.reason}", 0)
            if await self._reaching.has_left(key, place):
                return False
            if self._platform.clock.now() >= deadline:
                nobody = frames.SocketClose(opening.socket, 1001)
                with suppress(ConnectionGone):
                    await self._allocation.sockets.post(place.connection, frames.encode(nobody))
                raise ActorNotReady(f"actor '{key.run}' has not taken the WebSocket in time")
