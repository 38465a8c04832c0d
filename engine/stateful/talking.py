"""The WebSockets of one actor: opened, spoken through, closed.

What must stay true
- A message, and a close that the actor asks for, leaves after `Memory.keep`.
- Every socket that comes is opened or closed; of two closings only the first is sent.
- What a handler raises closes its socket with 1011, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from engine.allocation.frames import SocketClose, SocketMessage, SocketOpen, SocketOpened
from engine.stateful.actor import StatefulActor
from engine.stateful.answering import Spawn
from engine.stateful.declaring import Definition
from engine.stateful.line import Line
from engine.stateful.memory import Memory
from engine.stateful.sockets import (
    CRASHED,
    RESTARTING,
    TOO_FAST,
    UNSUPPORTED,
    SocketClosed,
    WebSocket,
)

log = logging.getLogger("tidestep")


class Talking:
    """Implements `engine.stateful.sockets.Way`. It enters its sockets in the `switchboard`."""

    def __init__(
        self,
        definition: Definition,
        started: asyncio.Future[StatefulActor[Any]],
        *,
        line: Line,
        memory: Memory,
        spawn: Spawn,
        changed: Callable[[], None],
        switchboard: dict[str, Talking],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._definition = definition
        self._started = started
        self._line = line
        self._memory = memory
        self._spawn = spawn
        self._changed = changed
        self._switchboard = switchboard
        self._sockets: dict[str, WebSocket] = {}
        """Those that are open, or wait to be."""
        self._opened: set[str] = set()
        self._sent: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        return bool(self._sockets)

    # -- from the other side ----------------------------------------------------------------------

    def open(self, frame: SocketOpen) -> None:
        if frame.socket in self._sockets:
            return
        socket = WebSocket(self, frame.socket, frame.path, frame.headers)
        self._sockets[socket.id] = socket
        self._switchboard[socket.id] = self
        task = self._spawn(self._serve(socket))
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, socket))
        self._changed()

    def message(self, frame: SocketMessage) -> None:
        socket = self._sockets.get(frame.socket)
        message = frame.text if frame.text is not None else frame.data or b""
        if socket is not None and not socket.arrive(frame.index, message):
            self._end(socket, TOO_FAST, "messages come faster than the actor takes them")

    def closed(self, frame: SocketClose) -> None:
        socket = self._sockets.get(frame.socket)
        if socket is not None:
            self._forget(socket, frame.code, frame.reason)

    def close_all(self, code: int, reason: str, unopened: str) -> None:
        """Those that are not open yet are to be opened elsewhere: `unopened` says why."""
        for socket in list(self._sockets.values()):
            if socket.id in self._opened:
                self._end(socket, code, reason)
            else:
                self._end(socket, RESTARTING, unopened)

    # -- from the actor ---------------------------------------------------------------------------

    async def deliver(self, socket: WebSocket, message: str | bytes) -> None:
        await self._memory.keep()
        if socket.closed:
            raise SocketClosed(f"the WebSocket was closed with code {socket.close_code}")
        index = self._sent.get(socket.id, 0) + 1
        if isinstance(message, str):
            frame = SocketMessage(socket.id, index, text=message)
        else:
            frame = SocketMessage(socket.id, index, data=message)
        left = self._line.put(frame)
        self._sent[socket.id] = index
        await left

    async def hang_up(self, socket: WebSocket, code: int, reason: str) -> None:
        await self._memory.keep()
        self._end(socket, code, reason)

    async def _serve(self, socket: WebSocket) -> None:
        actor = await asyncio.shield(self._started)
        if socket.closed:
            return
        if not self._definition.handles("on_websocket"):
            self._end(socket, UNSUPPORTED, "this actor takes no WebSockets")
            return
        self._opened.add(socket.id)
        self._line.put(SocketOpened(socket.id))
        try:
            await actor.on_websocket(socket)
            await socket.close()
        except SocketClosed:
            pass  # it was told while it spoke
        except Exception as error:
            log.exception("actor '%s': %r failed", self._definition.name, socket)
            self._end(socket, CRASHED, type(error).__name__[:100])

    def _end(self, socket: WebSocket, code: int, reason: str) -> None:
        if not socket.closed:
            self._line.put(SocketClose(socket.id, code, reason))
            self._forget(socket, code, reason)

    def _forget(self, socket: WebSocket, code: int, reason: str) -> None:
        socket.end(code, reason)
        self._sockets.pop(socket.id, None)
        self._switchboard.pop(socket.id, None)
        self._opened.discard(socket.id)
        self._sent.pop(socket.id, None)
        self._changed()

    def _ended(self, task: asyncio.Task[None], socket: WebSocket) -> None:
        self.tasks.discard(task)
        self._end(socket, CRASHED, "the handler was cancelled")
        self._changed()
