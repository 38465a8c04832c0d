"""What one process of the API can do for actors: serve runners, carry requests, change things.

Whatever comes from outside comes through here: a frame of a runner, a request of a user, a word of
an operator. A process keeps what such a process keeps: a directory's known pools, and no more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from engine.allocation.detached import Detached
from engine.allocation.directory import Directory
from engine.allocation.frames import SocketClose, SocketMessage, SocketOpened
from engine.allocation.gateway import Gateway, Served
from engine.allocation.local import LocalReply
from engine.allocation.mailing import Mailer
from engine.allocation.tunnel import FromActor, Tunnel
from engine.ports import Platform
from engine.simulation.world.calling import Api
from engine.simulation.world.line import Line

OF_SOCKETS = (SocketOpened, SocketMessage, SocketClose)


class ReplyHub:
    """Where answers lie, whichever process they came to."""

    def __init__(self) -> None:
        self._expected: dict[str, LocalReply] = {}

    def expect(self, request: str) -> LocalReply:
        reply = self._expected[request] = LocalReply()
        return reply

    def forget(self, request: str, reply: LocalReply) -> None:
        if self._expected.get(request) is reply:
            del self._expected[request]

    def arrived(self, frame: FromActor) -> None:
        name = frame.socket if isinstance(frame, OF_SOCKETS) else frame.request
        reply = self._expected.get(name)
        if reply is not None:
            reply.put(frame)


class SimulatedReplies:
    """Implements `Replies` and the door's `Answers` for one process."""

    def __init__(self, hub: ReplyHub, line: Line) -> None:
        self._hub = hub
        self._line = line

    @asynccontextmanager
    async def expect(self, tenant: str, request: str) -> AsyncIterator[LocalReply]:
        reply = self._hub.expect(request)
        try:
            yield reply
        finally:
            self._hub.forget(request, reply)

    async def arrived(self, tenant: str, frame: FromActor) -> None:
        await self._line.write("reply", lambda: self._hub.arrived(frame))


class Gate(Api):
    """One process."""

    def __init__(
        self, platform: Platform, replies: SimulatedReplies, served: Mapping[str, Served]
    ) -> None:
        super().__init__(platform)
        self.detached = Detached(platform, replies, replies)
        self.gateway = Gateway(platform, Tunnel(platform, replies), served)
        self.directory = Directory(platform)
        self.mailer = Mailer(platform.journal, platform.clock, platform.entropy)
