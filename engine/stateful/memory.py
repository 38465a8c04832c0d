"""What one actor keeps, and the gate that its outputs wait at.

What must stay true
- `keep` returns when the state as it is now is stored: nothing that follows from it may leave
  before. A state that is stored already costs nothing.
- One write of an actor is under way at a time, and is seen to its end even where nobody waits for
  it any more: two could change places on their way, and the older one would stay.
- A refusal says that the actor is somebody else's now. From then on this one gets nowhere: whoever
  waits here is cancelled, and what it would have sent is never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

import msgspec

from engine.allocation.frames import Fetch, Fetched, Load, Loaded, Save, Saved
from engine.errors import TooLarge
from engine.json_values import decode_json, encode_json
from engine.stateful.line import Line

STATE_BYTES = 96 << 10
"""Of a state as JSON: it travels in one frame."""


_TOO_MUCH = "TooMuch:"
"""How a refusal begins that is about the write, not about who owns the actor."""


class Memory:
    """`encode` gives the state as JSON, None for none; `moved` is told of the first refusal."""

    def __init__(
        self,
        line: Line,
        actor: str,
        generation: int,
        encode: Callable[[], bytes | None],
        moved: Callable[[str], None],
    ) -> None:
        self._line = line
        self._actor = actor
        self._generation = generation
        self._encode = encode
        self._moved = moved
        self._saved: bytes | None = None
        self._sequence = 0
        self._gone = False
        self._turn = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()

    async def load(self) -> Loaded:
        frame = Load(self._line.new_id(), self._actor, self._generation)
        loaded = await self._line.call(frame, Loaded)
        self._check(loaded.error)
        if isinstance(loaded.state, msgspec.Raw):
            self._saved = encode_json(decode_json(loaded.state))
        return loaded

    async def keep(self) -> None:
        """Raises TooLarge or InvalidValue where the state cannot be saved."""
        self._check()
        state = self._encode()
        if state is None or (state == self._saved and not self._writes):
            return
        if len(state) > STATE_BYTES:
            raise TooLarge(f"the state: {len(state):,} bytes; at most {STATE_BYTES:,} are saved")
        await self._write(state, {}, ())

    async def write(self, puts: dict[str, msgspec.Raw], deletes: tuple[str, ...]) -> None:
        """Raises TooLarge where it does not fit into one frame."""
        self._check()
        await self._write(None, puts, deletes)

    async def fetch(
        self,
        *,
        keys: tuple[str, ...] = (),
        prefix: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Fetched:
        self._check()
        frame = Fetch(
            self._line.new_id(), self._actor, self._generation, keys, prefix, after, limit
        )
        fetched = await self._line.call(frame, Fetched)
        self._check(fetched.error)
        return fetched

    def shut(self) -> None:
        """The actor is gone from here: whoever comes now, or still waits, is cancelled."""
        self._gone = True
        for write in self._writes:
            write.cancel()

    async def _write(
        self, state: bytes | None, puts: dict[str, msgspec.Raw], deletes: tuple[str, ...]
    ) -> None:
        write = asyncio.create_task(self._write_in_turn(state, puts, deletes))
        self._writes.add(write)
        write.add_done_callback(self._written)
        await asyncio.shield(write)

    async def _write_in_turn(
        self, state: bytes | None, puts: dict[str, msgspec.Raw], deletes: tuple[str, ...]
    ) -> None:
        async with self._turn:
            if state is not None and state == self._saved:
                return
            new = msgspec.UNSET if state is None else msgspec.Raw(state)
            self._sequence += 1
            frame = Save(
                self._line.new_id(),
                self._actor,
                self._generation,
                new,
                puts,
                deletes,
                self._sequence,
            )
            self._check((await self._line.call(frame, Saved)).error)
            if state is not None:
                self._saved = state

    def _written(self, write: asyncio.Task[None]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # whoever waits has it too, and there may be nobody

    def _check(self, refusal: str = "") -> None:
        if refusal.startswith(_TOO_MUCH) and not self._gone:
            raise TooLarge(refusal)
        if refusal and not self._gone:
            self._gone = True
            self._moved(refusal)
        if self._gone:
            self._stop()

    def _stop(self) -> NoReturn:
        raise asyncio.CancelledError("the actor is not here any more")
