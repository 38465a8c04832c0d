"""WebSockets of runners and of users where each frame comes to another process (API Gateway's).

What a process must know of a connection is an item, `<tenant>/connection/<id>`, "end": a runner, by
what its `Hello` has said; a user, by the actor that the WebSocket was opened to; or nobody any
more. The socket's name in frames is `<connection>.<attempt>`: it says where answers go.

What must stay true
- A connection is known before its other end hears so: the next frame finds it.
- Nothing is sent to a user before the connection is accepted, and nothing that the actor says is
  lost meanwhile: `open` answers when the actor has taken the WebSocket, and what comes for a
  connection that is that young is tried again for `ACCEPT_MS`.
- A WebSocket belongs to one stay of its actor on a runner. Once the actor has left, it is closed:
  by the runner, as a rule, and else at the user's next message.
- A frame that could not be handled closes its connection: the runner connects again, and sends
  again what was not answered; the user learns that a message may be lost.

There is no order between messages that are under way at the same time: each has a process of its
own. From users to actors they carry no number (0), and are taken as they come. Binary messages of
actors reach users as base64 text: API Gateway sends text only.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from contextlib import suppress

import msgspec

from engine.allocation import frames
from engine.allocation.directory import Directory
from engine.allocation.door import Answers, Known, RunnerDoor
from engine.allocation.errors import ActorFailed
from engine.allocation.parties import Kind, party_key
from engine.allocation.ports import ConnectionGone
from engine.allocation.reaching import Place, Reaching
from engine.allocation.relaying import Relaying
from engine.allocation.tunnel import FromActor, Replies
from engine.errors import PlatformError
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Item, Platform

log = logging.getLogger("tidestep")

END_ITEM = "end"
LASTS_MS = 3 * 3_600_000
"""How long a connection is remembered: API Gateway closes each after two hours."""
ACCEPT_MS = 30_000
"""Within which a connection that `open` has answered for is accepted, or never was."""
AGAIN_S = 0.05
"""Before the first of `TRIES` repetitions; it doubles. All together take two to three seconds."""
TRIES = 6
LINGER_S = 0.5
"""Before the user's connection is closed for the actor: what it said last may be on its way."""


class RunnerEnd(msgspec.Struct, frozen=True, array_like=True, tag="runner"):
    """A runner that has said `Hello`."""

    pool: str
    runner: str


class UserEnd(msgspec.Struct, frozen=True, array_like=True, tag="user"):
    """A user, whose WebSocket the actor has taken."""

    actor: str
    socket: str
    runner: str
    generation: int
    stops: int
    since: int


class NobodyEnd(msgspec.Struct, frozen=True, array_like=True, tag="nobody"):
    """The user's WebSocket is closed, as far as the actor knows."""


End = RunnerEnd | UserEnd | NobodyEnd

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[End] = msgspec.msgpack.Decoder(End)


class Detached:
    """Handles what comes on the connections of one platform. Implements the door's `Answers`."""

    def __init__(
        self, platform: Platform, replies: Replies, answers: Answers, token: str = ""
    ) -> None:
        """`answers` takes what somebody waits for in `replies`, `token` is asked of runners."""
        self._allocation = platform.allocation_to("serve WebSockets")
        self._platform = platform
        self._journal = platform.journal
        self._answers = answers
        self._directory = Directory(platform)
        self._reaching = Reaching(platform)
        self._relaying = Relaying(platform, replies)
        self._door = RunnerDoor(platform, self, token)

    # -- what comes -------------------------------------------------------------------------------

    async def open(self, connection: str, key: RunKey, path: str, headers: frames.Headers) -> None:
        """Open a user's WebSocket to the actor; the connection is to be accepted after that.

        Raises GatewayError or ActorNotFound, and the connection is to be refused.
        """
        async with self._relaying.open(key, connection, path, headers) as relay:
            place, now = relay.place, self._platform.clock.now()
            end = UserEnd(key.run, relay.id, place.runner.run, place.generation, place.stops, now)
            await self._put(key.tenant, connection, end)
            # a close that came before the item was there found nobody to tell, and lies here
            if isinstance(await relay.look(), frames.SocketClose):
                raise ActorFailed(f"actor '{key.run}' has closed the WebSocket at once")

    async def frame(
        self, connection: str, message: str | bytes, tenant: str = DEFAULT_TENANT
    ) -> None:
        """A message on a connection. Raises PlatformError, having closed the connection."""
        try:
            end = await self._end(tenant, connection)
            if isinstance(end, RunnerEnd):
                await self._door.frame(connection, Known(tenant, end.pool, end.runner), message)
            elif isinstance(end, UserEnd):
                await self._from_user(tenant, connection, end, message)
            elif end is None:
                await self._hello(tenant, connection, message)
            else:
                await self._allocation.sockets.close(connection)
        except PlatformError:
            with suppress(PlatformError):
                await self._allocation.sockets.close(connection)
            raise

    async def closed(
        self, connection: str, code: int = 1000, reason: str = "", tenant: str = DEFAULT_TENANT
    ) -> None:
        """The connection was closed; its other end may have another by now."""
        end = await self._end(tenant, connection)
        if isinstance(end, RunnerEnd):
            await self._door.closed(connection, Known(tenant, end.pool, end.runner))
        elif isinstance(end, UserEnd):
            await self._put(tenant, connection, NobodyEnd())
            await self._tell_runner(tenant, end, frames.SocketClose(end.socket, code, reason))

    async def arrived(self, tenant: str, frame: FromActor) -> None:
        """An actor's answer, or what it says on a WebSocket."""
        if isinstance(frame, frames.SocketMessage):
            await self._to_user(tenant, frame)
            return
        await self._answers.arrived(tenant, frame)
        if isinstance(frame, frames.SocketClose):
            connection = _connection_of(frame.socket)
            end = await self._end(tenant, connection)
            if isinstance(end, UserEnd) and end.socket == frame.socket:
                await asyncio.sleep(LINGER_S)
                await self._hang_up(tenant, connection)

    # -- runners ----------------------------------------------------------------------------------

    async def _hello(self, tenant: str, connection: str, message: str | bytes) -> None:
        async def remember(known: Known) -> None:
            await self._put(tenant, connection, RunnerEnd(known.pool, known.runner))

        if await self._door.hello(connection, message, tenant, remember) is None:
            await self._allocation.sockets.close(connection)

    async def _tell_runner(self, tenant: str, end: UserEnd, frame: frames.Frame) -> bool:
        """Whether the frame has left for the runner, which may just have another connection."""
        runner = party_key(Kind.RUNNER, end.runner, tenant)
        text = frames.encode(frame)
        for attempt in range(TRIES // 2):
            await asyncio.sleep(AGAIN_S * 2**attempt if attempt else 0)
            socket = await self._directory.connection(runner)
            with suppress(ConnectionGone):
                if socket is not None:
                    await self._allocation.sockets.post(socket.id, text)
                    return True
        return False

    # -- users ------------------------------------------------------------------------------------

    async def _from_user(
        self, tenant: str, connection: str, end: UserEnd, message: str | bytes
    ) -> None:
        text, data = (message, None) if isinstance(message, str) else (None, message)
        frame = frames.SocketMessage(end.socket, 0, text, data)
        actor = party_key(Kind.ACTOR, end.actor, tenant)
        runner = party_key(Kind.RUNNER, end.runner, tenant)
        stay = Place(runner, "", end.generation, end.stops)
        if len(frames.encode(frame).encode()) > frames.FRAME_BYTES:
            log.warning("actor '%s': a user's message is too long", end.actor)
        elif await self._reaching.has_left(actor, stay):
            log.info("actor '%s' has left a WebSocket", end.actor)
        elif await self._tell_runner(tenant, end, frame):
            return
        await self._hang_up(tenant, connection)
        await self._tell_runner(tenant, end, frames.SocketClose(end.socket, 1001))

    async def _to_user(self, tenant: str, frame: frames.SocketMessage) -> None:
        connection = _connection_of(frame.socket)
        text = frame.text if frame.text is not None else b64encode(frame.data or b"").decode()
        for attempt in range(TRIES):
            try:
                await self._allocation.sockets.post(connection, text)
                return
            except ConnectionGone:
                if not await self._is_young(tenant, connection):
                    break
            await asyncio.sleep(AGAIN_S * 2**attempt)
        end = await self._end(tenant, connection)
        if isinstance(end, UserEnd):
            await self._put(tenant, connection, NobodyEnd())
            await self._tell_runner(tenant, end, frames.SocketClose(end.socket, 1001))

    async def _is_young(self, tenant: str, connection: str) -> bool:
        """Whether it may just be about to be accepted."""
        end = await self._end(tenant, connection)
        if isinstance(end, UserEnd):
            return self._platform.clock.now() < end.since + ACCEPT_MS
        return end is None

    async def _hang_up(self, tenant: str, connection: str) -> None:
        await self._put(tenant, connection, NobodyEnd())
        await self._allocation.sockets.close(connection)

    # -- what is known ----------------------------------------------------------------------------

    async def _end(self, tenant: str, connection: str) -> End | None:
        found = await self._journal.items(_partition(tenant, connection), [END_ITEM])
        return _decoder.decode(found[END_ITEM]) if END_ITEM in found else None

    async def _put(self, tenant: str, connection: str, end: End) -> None:
        lasts = self._platform.clock.now() + LASTS_MS
        item = Item(_partition(tenant, connection), END_ITEM, _encode(end), lasts)
        await self._journal.put([item])


def _partition(tenant: str, connection: str) -> str:
    return f"{tenant}/connection/{connection}"


def _connection_of(socket: str) -> str:
    """The user's connection, as the name of its WebSocket says."""
    return socket.rpartition(".")[0]
