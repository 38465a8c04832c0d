"""The server's side of runners' WebSockets: frames in, frames and signals out.

`infra/local/http`, `functions/runners.py` and the simulator are three doors to this one room. It
keeps nothing between two frames but what it is given: on AWS each may come to another process.

What must stay true
- An event is answered with `EventsStored` once its signal is stored, never before.
- A frame of a connection that another has replaced is still worth what it says: events are fenced
  by their numbers, writes by the owner, pings say that the runner lives.
- What a runner asks for concerns its own actors alone: `NotOwner` refuses everything else.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from engine.allocation import frames
from engine.allocation.actor_moves import Owner
from engine.allocation.directory import Directory
from engine.allocation.holding import report_gone
from engine.allocation.keyvalue import WRITE_BYTES, KeyValue
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, party_key, pool, runner
from engine.allocation.ports import ConnectionGone
from engine.allocation.signals import (
    CheckQueue,
    Connected,
    Happened,
    RequestBegan,
    StopRunner,
)
from engine.errors import CallerError
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Platform

log = logging.getLogger("tidestep")


class Known(msgspec.Struct, frozen=True):
    """What is known of a connection once its `Hello` has come."""

    tenant: str
    pool: str
    runner: str


class Answers(Protocol):
    """Where the answers of actors go: to whoever holds the request, or the user's WebSocket."""

    async def arrived(
        self,
        tenant: str,
        frame: frames.ResponseStart
        | frames.ResponseChunk
        | frames.Refused
        | frames.SocketOpened
        | frames.SocketMessage
        | frames.SocketClose,
    ) -> None:
        """Hand the frame over. What nobody waits for any more is dropped."""
        ...


class WrongToken(CallerError):
    """A runner has connected without the token that it needs."""

    http_status = 403


class RunnerDoor:
    """Handles what comes on the connections of runners."""

    def __init__(self, platform: Platform, answers: Answers, token: str = "") -> None:
        """With a `token`, runners that do not know it are sent away."""
        self._allocation = platform.allocation_to("serve runners")
        self._platform = platform
        self._answers = answers
        self._token = token
        self._directory = Directory(platform)
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)
        self._values = KeyValue(platform.journal)

    async def hello(
        self,
        connection: str,
        text: str | bytes,
        tenant: str = DEFAULT_TENANT,
        remember: Callable[[Known], Awaitable[None]] | None = None,
    ) -> Known | None:
        """The first frame of a connection; None where it was refused, and is to be closed.

        `remember` is done before the runner hears that it is known: its next frame may come to
        another process.
        """
        try:
            hello = frames.from_runner(text)
            if not isinstance(hello, frames.Hello):
                raise frames.UnknownFrame("the first frame must be Hello")
            if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
                raise WrongToken("the runner's token is wrong: set TIDESTEP_RUNNER_TOKEN")
            return await self._hello(connection, hello, tenant, remember)
        except CallerError as error:
            log.warning("a runner was sent away: %s", error)
            await self._post(connection, frames.Evicted(str(error)))
            return None

    async def _hello(
        self,
        connection: str,
        hello: frames.Hello,
        tenant: str,
        remember: Callable[[Known], Awaitable[None]] | None,
    ) -> Known:
        settings = self._allocation.settings
        registered = await self._directory.register(
            hello.pool,
            hello.key,
            slots=hello.slots,
            session=hello.session,
            version=hello.version,
            connection=connection,
            request=hello.connection,
            tenant=tenant,
        )
        key, epoch = registered.key, registered.epoch
        known = Known(tenant, hello.pool, key.run)
        if remember is not None:
            await remember(known)
        if not registered.created:
            await self._mailer.signal(key, Connected(connection, epoch), f"connected:{epoch}")
        if hello.connection:
            began = RequestBegan(hello.connection, key.run)
            id = f"began:{hello.connection}:{key.run}"
            await self._mailer.signal(pool(hello.pool).key(tenant), began, id)
        # last: a runner that was not welcomed says hello again
        welcome = frames.Welcome(
            key.run,
            registered.events,
            settings.ping_ms,
            settings.lost_ms,
            settings.stop_ms,
        )
        await self._post(connection, welcome)
        return known

    async def frame(self, connection: str, known: Known, text: str | bytes) -> None:
        """Any later frame. Raises PlatformError; then the runner sends it again."""
        try:
            frame = frames.from_runner(text)
        except frames.UnknownFrame as error:
            log.warning("runner '%s': %s", known.runner, error)
            return
        await self.take(connection, known, frame)

    async def take(self, connection: str, known: Known, frame: frames.FromRunner) -> None:
        """The same, of a frame that was decoded before. Raises PlatformError."""
        if isinstance(frame, frames.Events):
            await self._events(connection, known, frame)
        elif isinstance(frame, frames.Ping):
            await self._ping(connection, known, frame)
        elif isinstance(frame, frames.Load | frames.Save | frames.Fetch):
            await self._post(connection, await self._stored(known, frame))
        elif isinstance(frame, frames.Stopping):
            await self._mailer.signal(_key(known), StopRunner(), "stopping")
        elif isinstance(frame, frames.Hello):
            log.warning("runner '%s' says hello twice", known.runner)
        else:
            await self._answers.arrived(known.tenant, frame)

    async def closed(self, connection: str, known: Known) -> None:
        """The connection is closed: its runner may come back on another."""
        await report_gone(self._mailer, _key(known), connection)

    async def _events(self, connection: str, known: Known, frame: frames.Events) -> None:
        key = _key(known)
        for event in frame.events:
            happened = Happened(
                event.index, event.actor, event.generation, event.report, frame.commands
            )
            await self._mailer.signal(
                key, happened, f"event:{event.index}", "connection", event.index
            )
        if frame.events:
            await self._post(connection, frames.EventsStored(frame.events[-1].index))

    async def _ping(self, connection: str, known: Known, frame: frames.Ping) -> None:
        await self._directory.ping(known.tenant, known.pool, known.runner)
        await self._post(connection, frames.Pong())
        if frame.silent_ms > self._allocation.settings.eligible_ms:
            # it was given no actors meanwhile, and may be given some now
            id = f"check:{self._platform.entropy.new_id()}"
            await self._mailer.signal(_key(known), CheckQueue(), id)

    async def _stored(
        self, known: Known, frame: frames.Load | frames.Save | frames.Fetch
    ) -> frames.Loaded | frames.Saved | frames.Fetched:
        owner = Owner(frame.generation, known.runner)
        try:
            key = party_key(Kind.ACTOR, frame.actor, known.tenant)
            if isinstance(frame, frames.Load):
                state, input = await self._values.load(key, owner)
                return frames.Loaded(frame.id, _raw(state), _raw(input))
            if isinstance(frame, frames.Save):
                state = None if frame.state is msgspec.UNSET else bytes(frame.state)
                puts = {name: bytes(value) for name, value in frame.puts.items()}
                await self._values.save(key, owner, state, puts, frame.deletes, frame.sequence)
                return frames.Saved(frame.id)
            return await self._fetched(key, owner, frame)
        except CallerError as error:
            return _refusal(frame, f"{type(error).__name__}: {error}")

    async def _fetched(self, key: RunKey, owner: Owner, frame: frames.Fetch) -> frames.Fetched:
        if frame.prefix is None:
            found, more = await self._values.fetch(key, owner, frame.keys), False
        else:
            limit = max(1, min(frame.limit, 1000))
            found, more = await self._values.list(
                key, owner, frame.prefix, frame.after, limit, WRITE_BYTES
            )
        entries = {name: msgspec.Raw(body) for name, body in found.items()}
        return frames.Fetched(frame.id, entries, more)

    async def _post(self, connection: str, frame: frames.Frame) -> None:
        try:
            await self._allocation.sockets.post(connection, frames.encode(frame))
        except ConnectionGone:
            log.info("connection %s is closed", connection)


def _key(known: Known) -> RunKey:
    return runner(known.runner).key(known.tenant)


def _refusal(
    frame: frames.Load | frames.Save | frames.Fetch, error: str
) -> frames.Loaded | frames.Saved | frames.Fetched:
    if isinstance(frame, frames.Load):
        return frames.Loaded(frame.id, error=error)
    if isinstance(frame, frames.Save):
        return frames.Saved(frame.id, error=error)
    return frames.Fetched(frame.id, error=error)


def _raw(body: bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if body is None else msgspec.Raw(body)
