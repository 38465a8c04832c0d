"""The address at which runners connect: one WebSocket each, driving the door's one room.

What must stay true
- The first frame is Hello, within `HELLO_S`; who does not say it is sent away.
- Whatever ends the connection, its end is reported once all that came before is handled, also
  where the server stops.
- A frame that cannot be handled closes the connection: its runner connects again, and sends again
  what was not confirmed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.allocation import frames
from engine.allocation.door import Known, RunnerDoor
from engine.errors import PlatformError
from engine.ports import Entropy
from engine.stateful.tasks import first_of
from infra.local.actors.closing import close
from infra.local.actors.lanes import Lanes
from infra.local.actors.sockets import LocalSockets, Outgoing

PATH = "/runners/connect"
HELLO_S = 5.0
SENT_AWAY, TRY_AGAIN = 1008, 1013

log = logging.getLogger("tidestep")


class RunnerEndpoint:
    """An ASGI application for the WebSockets of runners."""

    def __init__(self, door: RunnerDoor, sockets: LocalSockets, entropy: Entropy) -> None:
        self._door = door
        self._sockets = sockets
        self._entropy = entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        name = f"c{self._entropy.new_id()}"
        code = 1011
        await socket.accept()
        outgoing = self._sockets.opened(name, socket.send_text)
        try:
            code = await self._converse(name, socket, outgoing)
        finally:
            self._sockets.closed(name)
            await close(socket, code)

    async def _converse(self, name: str, socket: WebSocket, outgoing: Outgoing) -> int:
        """The code with which to close it, unless it is closed already."""
        writing = asyncio.create_task(_quietly(outgoing))
        try:
            known = await self._greeted(name, socket)
            if known is None:
                outgoing.close()
                await writing
                return SENT_AWAY
            return await self._listen(name, known, socket, outgoing, writing)
        finally:
            writing.cancel()
            await asyncio.wait([writing])

    async def _greeted(self, name: str, socket: WebSocket) -> Known | None:
        try:
            async with asyncio.timeout(HELLO_S):
                text = await _next(socket)
        except TimeoutError:
            log.warning("a runner was sent away: it has not said Hello within %g s", HELLO_S)
            return None
        if text is None:
            return None
        try:
            return await self._door.hello(name, text)
        except PlatformError as error:
            log.error("a runner could not be welcomed, and will try again: %s", error)
            return None

    async def _listen(
        self,
        name: str,
        known: Known,
        socket: WebSocket,
        outgoing: Outgoing,
        writing: asyncio.Task[None],
    ) -> int:
        async def handle(frame: frames.FromRunner) -> None:
            await self._door.take(name, known, frame)

        code = 1000

        def broken() -> None:
            nonlocal code
            code = TRY_AGAIN
            outgoing.close()

        lanes = Lanes(handle, broken)
        try:
            await first_of(_read(known, socket, lanes), _until(writing))
            await lanes.finish()
        finally:
            self._sockets.closed(name)  # nobody posts there from now on
            try:
                await self._door.closed(name, known)
            except PlatformError as error:
                log.error("runner '%s': its end could not be written: %s", known.runner, error)
        return code


async def _read(known: Known, socket: WebSocket, lanes: Lanes) -> None:
    while (text := await _next(socket)) is not None:
        try:
            frame = frames.from_runner(text)
        except frames.UnknownFrame as error:
            log.warning("runner '%s': %s", known.runner, error)
            continue
        await lanes.put(frame)


async def _next(socket: WebSocket) -> str | bytes | None:
    """The next message; None once the connection is closed."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    text: str | None = message.get("text")
    data: bytes | None = message.get("bytes")
    return text if text is not None else data or b""


async def _quietly(outgoing: Outgoing) -> None:
    """That the other side is gone is no news: whoever reads notices it too."""
    with suppress(WebSocketDisconnect, RuntimeError):
        await outgoing.run()


async def _until(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
