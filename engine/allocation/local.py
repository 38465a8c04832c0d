"""The ports of allocation within one process: news, and answers, by word of mouth.

For the embedded backend, where gateway, dispatcher and sockets live in one process, and for the
simulator.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from engine.allocation.frames import SocketClose
from engine.allocation.tunnel import FromActor
from engine.layout import RunKey

UNREAD = 1000
TOO_SLOW = SocketClose("", 1013, "too many messages wait to be read")


class LocalNews:
    """Implements `engine.allocation.ports.News`."""

    def __init__(self) -> None:
        self._watches: defaultdict[RunKey, set[LocalWatch]] = defaultdict(set)

    def changed(self, key: RunKey) -> None:
        for watch in self._watches.get(key, ()):
            watch.set()

    @contextmanager
    def watching(self, key: RunKey) -> Iterator[LocalWatch]:
        watch = LocalWatch()
        self._watches[key].add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[key]
            watches.discard(watch)
            if not watches:
                del self._watches[key]


class LocalWatch:
    """Implements `engine.allocation.ports.Watch`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout_s)


class LocalReplies:
    """Implements `Replies` and the door's `Answers`."""

    def __init__(self) -> None:
        self._expected: dict[tuple[str, str], LocalReply] = {}

    @asynccontextmanager
    async def expect(self, tenant: str, request: str) -> AsyncIterator[LocalReply]:
        reply = self._expected[tenant, request] = LocalReply()
        try:
            yield reply
        finally:
            del self._expected[tenant, request]

    async def arrived(self, tenant: str, frame: FromActor) -> None:
        name = frame.request if hasattr(frame, "request") else frame.socket
        reply = self._expected.get((tenant, name))
        if reply is not None:
            reply.put(frame)


class LocalReply:
    """Implements `Reply`."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[FromActor] = asyncio.Queue()

    def put(self, frame: FromActor) -> None:
        """Of somebody who does not read, no more than `UNREAD` is kept: then it is closed."""
        unread = self._frames.qsize()
        if unread < UNREAD:
            self._frames.put_nowait(frame)
        elif unread == UNREAD:
            self._frames.put_nowait(TOO_SLOW)

    async def next(self, timeout_s: float) -> FromActor | None:
        with suppress(asyncio.QueueEmpty):
            return self._frames.get_nowait()
        if timeout_s <= 0:
            return None
        try:
            return await asyncio.wait_for(self._frames.get(), timeout_s)
        except TimeoutError:
            return None
