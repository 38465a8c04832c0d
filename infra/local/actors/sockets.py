"""The WebSockets of runners, as the port `engine.allocation.ports.Sockets`.

What must stay true
- Frames leave in the order of `post`, and what was posted before `close` leaves before the close.
- A runner that does not read stalls nobody for long: who posts to it waits `ROOM_S` for room, once;
  then its connection is given up, and everybody else is told at once that it is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from engine.allocation.ports import ConnectionGone
from engine.stateful.tasks import first_of

QUEUED_BYTES = 4 << 20
"""Frames of one connection that have not left yet; one alone may be larger."""
ROOM_S = 5.0
FLUSH_S = 5.0
"""How long what was posted before a close may take to leave."""

Send = Callable[[str], Awaitable[None]]


class LocalSockets:
    """Implements `Sockets` for the connections of this process."""

    def __init__(self) -> None:
        self._open: dict[str, Outgoing] = {}

    def opened(self, name: str, send: Send) -> Outgoing:
        """Enter a connection; run what is returned, and take it off again with `closed`."""
        outgoing = self._open[name] = Outgoing(send)
        return outgoing

    def closed(self, name: str) -> None:
        outgoing = self._open.pop(name, None)
        if outgoing is not None:
            outgoing.give_up()

    async def post(self, connection: str, text: str) -> None:
        outgoing = self._open.get(connection)
        if outgoing is None:
            raise ConnectionGone(connection)
        await outgoing.post(text)

    async def close(self, connection: str) -> None:
        outgoing = self._open.get(connection)
        if outgoing is not None:
            outgoing.close()

    def __len__(self) -> int:
        return len(self._open)


class Outgoing:
    """What one connection has to send."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._texts: deque[str] = deque()
        self._size = 0
        self._closing = False
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def post(self, text: str) -> None:
        """Raises ConnectionGone."""
        if self._size >= QUEUED_BYTES and not self._over:
            await self._wait_for_room()
        if self._over:
            raise ConnectionGone("the connection is closed")
        self._texts.append(text)
        self._size += len(text)
        self._news.set()

    def close(self) -> None:
        """Once what was posted has left."""
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_later(FLUSH_S, self.give_up)
            self._wake()

    def give_up(self) -> None:
        """The connection is closed, or as good as closed."""
        self._gone.set()
        self._wake()

    async def run(self) -> None:
        """Send until the connection is to be closed. Raises whatever sending raises."""
        await first_of(self._write(), self._given_up())

    async def _write(self) -> None:
        while True:
            while self._texts:
                text = self._texts.popleft()
                await self._send(text)
                self._size -= len(text)
                self._room.set()
            if self._over:
                return
            self._news.clear()
            await self._news.wait()

    async def _given_up(self) -> None:
        await self._gone.wait()

    @property
    def _over(self) -> bool:
        return self._closing or self._gone.is_set()

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(ROOM_S):
                while self._size >= QUEUED_BYTES and not self._over:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            self.give_up()

    def _wake(self) -> None:
        self._news.set()
        self._room.set()
