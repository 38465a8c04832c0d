"""A user's WebSocket, as its actor sees it.

    async def on_websocket(self, socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

What must stay true
- Messages come in the order in which they were sent, each once, by their number; those without one
  (from API Gateway) as they come.
- What an actor sends leaves only after the state that it follows from is saved (`Way.deliver`).
- When the iteration has ended, the socket is closed; sending then is SocketClosed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

from engine.errors import CallerError, InvalidValue, TooLarge
from engine.stateful.exchange import path_of, query_of
from engine.stateful.fields import Fields
from engine.stateful.ordering import InOrder

MESSAGE_BYTES = 64 << 10
REASON_BYTES = 123
"""What a WebSocket's close frame has room for."""
MOST_WAITING = 1000
"""Messages that an actor has not taken yet; beyond them the socket is closed."""

GOING_AWAY, UNSUPPORTED, CRASHED, RESTARTING, TOO_FAST = 1001, 1003, 1011, 1012, 1013


class SocketClosed(CallerError):
    """The WebSocket is closed: nothing can be sent any more."""


class Way(Protocol):
    """How a socket's messages leave; both return when they have left."""

    async def deliver(self, socket: WebSocket, message: str | bytes) -> None: ...

    async def hang_up(self, socket: WebSocket, code: int, reason: str) -> None: ...


class WebSocket:
    """Iterate over it for messages, text as str and binary ones as bytes."""

    def __init__(
        self, way: Way, id: str = "", target: str = "/", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.id = id
        self.target = target
        self.headers = Fields(headers, fold=True)
        self.close_code: int | None = None
        """Why it was closed, None while it is open."""
        self.close_reason = ""
        self._way = way
        self._order: InOrder[str | bytes] = InOrder(MOST_WAITING)
        self._messages: deque[str | bytes] = deque()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<WebSocket {self.target}>"

    @property
    def path(self) -> str:
        """Below the actor's own address; begins with '/'."""
        return path_of(self.target)

    @cached_property
    def query(self) -> Fields:
        return query_of(self.target)

    @property
    def closed(self) -> bool:
        return self.close_code is not None

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def receive(self) -> str | bytes | None:
        """The next message; None once the socket is closed and all that came before is taken."""
        while not self._messages:
            if self.closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._messages.popleft()

    async def send(self, message: str | bytes) -> None:
        """Returns when the message is on its way. Raises SocketClosed or TooLarge."""
        if not isinstance(message, str | bytes):
            raise InvalidValue(f"a message is str or bytes, not {type(message).__name__}")
        if self.closed:
            raise SocketClosed(f"the WebSocket was closed with code {self.close_code}")
        length = len(message if isinstance(message, bytes) else message.encode(errors="replace"))
        if length > MESSAGE_BYTES:
            raise TooLarge(f"a message of {length:,} bytes; at most {MESSAGE_BYTES:,} are sent")
        await self._way.deliver(self, message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closing what is closed does nothing. Raises InvalidValue for what cannot be sent."""
        if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in (1004, 1005, 1006):
            raise InvalidValue(f"close code {code}: use 1000, or one from 4000 to 4999")
        if len(reason.encode(errors="replace")) > REASON_BYTES:
            raise InvalidValue(f"a reason to close is at most {REASON_BYTES} bytes long")
        if not self.closed:
            await self._way.hang_up(self, code, reason)

    # -- from the runner --------------------------------------------------------------------------

    def arrive(self, index: int, message: str | bytes) -> bool:
        """A message has come, 0 for one whose place nobody knows. False where too many wait."""
        if self.closed:
            return True
        self._messages.extend(self._order.take(index, message) if index else [message])
        self._changed.set()
        return len(self._messages) + self._order.held <= MOST_WAITING

    def end(self, code: int, reason: str = "") -> None:
        """It is closed."""
        if not self.closed:
            self.close_code, self.close_reason = code, reason
            self._changed.set()
