"""What actors answer, on its way from the function that receives it to the one that waits for it.

Each frame is an item of the partition `<tenant>/reply/<request>`:

    start                how the answer begins, or that a WebSocket was opened
    refused              that there is none, or that a WebSocket was closed
    chunk/000001         the rest of a long one, in pieces

What must stay true
- Whoever waits is given the beginning first, then the pieces by their number, each once; that there
  will be no more comes when nothing else has.
- The same frame twice is one item. What nobody waits for any more is deleted by the table's TTL.
- Reads are strongly consistent, and double their distance from `poll_ms` to `poll_most_ms`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import takewhile
from typing import Any

import msgspec

from engine.allocation import frames
from engine.allocation.settings import AllocationSettings
from engine.allocation.tunnel import FromActor
from engine.errors import PlatformError
from engine.ports import Clock, Item, Journal

log = logging.getLogger("tidestep")

START, REFUSED = "start", "refused"
LASTS_MS = 300_000
NAME_LENGTH = 200
"""Of a request's name: those that we give are much shorter, a runner's may be anything."""
PIECES = 4
"""Chunks that one read asks for; each that is not there yet costs as much as a small one."""

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromActor)


class StoredReplies:
    """Implements `engine.allocation.tunnel.Replies` and `engine.allocation.door.Answers`."""

    def __init__(self, journal: Journal, clock: Clock, settings: AllocationSettings) -> None:
        self._journal = journal
        self._clock = clock
        self._settings = settings

    async def arrived(self, tenant: str, frame: FromActor) -> None:
        """Raises PlatformError. A name that we have not given is nobody's."""
        if isinstance(frame, frames.SocketMessage):
            return
        request = _request_of(frame)
        if not 0 < len(request.encode()) <= NAME_LENGTH:
            return
        item = Item(
            _partition(tenant, request),
            _name_of(frame),
            _encode(frame),
            self._clock.now() + LASTS_MS,
        )
        await self._journal.put([item])

    @asynccontextmanager
    async def expect(self, tenant: str, request: str) -> AsyncIterator[StoredReply]:
        reply = StoredReply(self._journal, self._settings, _partition(tenant, request))
        try:
            yield reply
        finally:
            await reply.forget()


class StoredReply:
    """Implements `engine.allocation.tunnel.Reply`."""

    def __init__(self, journal: Journal, settings: AllocationSettings, partition: str) -> None:
        self._journal = journal
        self._settings = settings
        self._partition = partition
        self._handed_out: list[str] = []
        self._ready: list[tuple[str, FromActor]] = []
        self._next_chunk = 0
        """0 while the beginning has not come."""
        self._pause_ms = settings.poll_ms

    async def next(self, timeout_s: float) -> FromActor | None:
        """Raises PlatformError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not self._ready:
            self._ready = await self._look()
            if self._ready:
                break
            left_s = until - loop.time()
            if left_s <= 0:
                return None
            await asyncio.sleep(min(self._pause_ms / 1000, left_s))
            self._pause_ms = min(2 * self._pause_ms, self._settings.poll_most_ms)
        self._pause_ms = self._settings.poll_ms
        name, frame = self._ready.pop(0)
        self._handed_out.append(name)
        return frame

    async def forget(self) -> None:
        """Delete what was handed out; what remains, or cannot be deleted now, expires."""
        if self._handed_out:
            try:
                await self._journal.remove(self._partition, self._handed_out)
            except PlatformError as error:
                log.warning("an answer is left to expire: %s", error)

    async def _look(self) -> list[tuple[str, FromActor]]:
        """What is there and may be handed out now."""
        if self._next_chunk == 0:
            wanted = [START]
        else:
            wanted = [_chunk(self._next_chunk + place) for place in range(PIECES)]
        asked = wanted if REFUSED in self._handed_out else [*wanted, REFUSED]
        found = await self._journal.items(self._partition, asked)
        ready = []
        for name in takewhile(found.__contains__, wanted):
            ready.append((name, _decoder.decode(found[name])))
            self._next_chunk += 1
        if not ready and REFUSED in found:
            ready = [(REFUSED, _decoder.decode(found[REFUSED]))]
        return ready


def _request_of(frame: FromActor) -> str:
    if isinstance(frame, frames.ResponseStart | frames.ResponseChunk | frames.Refused):
        return frame.request
    return frame.socket


def _name_of(frame: FromActor) -> str:
    if isinstance(frame, frames.ResponseStart | frames.SocketOpened):
        return START
    if isinstance(frame, frames.ResponseChunk):
        return _chunk(frame.index)
    return REFUSED


def _chunk(index: int) -> str:
    return f"chunk/{index:06d}"


def _partition(tenant: str, request: str) -> str:
    return f"{tenant}/reply/{request}"
