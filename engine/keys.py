"""The keys that sign callbacks: made on first use, kept in the journal, rotated by an operator.

There is nothing to set up: the ring is one item in a partition of its own, the same on every
backend, which the first process that signs writes. An operator who wants the keys elsewhere gives
them through the environment; then nothing is stored, and stored ones count for nothing.

What must stay true
- All processes agree: the ring changes by compare and swap alone, and whoever loses takes the
  winner's.
- The newest key signs, all of them verify. A rotated key is kept, so that what it has signed stays
  good, until `KEPT` newer ones have taken its place.
- A forged token costs at most one read per `REREAD_MS` and process, and never a write: verifying
  makes no keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from engine.callbacks import SigningKey, named_key, verify
from engine.errors import Corrupt, Misconfigured
from engine.formats import OtherFormats, read
from engine.layout import WaitAddress
from engine.ports import Clock, Entropy, Item, ItemConflict, Journal

PARTITION = "keys"
"""Of all tenants together: a tenant's own partitions have a '/' in their names."""
ITEM = "callbacks"
KEYS_VARIABLE = "TIDESTEP_CALLBACK_KEYS"
"""Where an operator gives the keys instead."""
FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
KEPT = 5
MAX_AGE_MS = 300_000
"""How long a process signs with what it has read: as long as a rotation takes to reach them all."""
REREAD_MS = 1_000
"""How often a process looks for a key that it does not know: often, for a stranger's token may be
one that another process has just signed; not for every token, for anybody can make those up."""


class Ring(msgspec.Struct, frozen=True, array_like=True):
    """Newest first."""

    format: int
    keys: tuple[SigningKey, ...]


class KeyRing:
    """The keys as one process holds them; `given` are the operator's, the first of which signs."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        entropy: Entropy,
        given: Sequence[SigningKey] = (),
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._entropy = entropy
        self._given = tuple(given)
        self._cached: tuple[SigningKey, ...] = ()
        self._read_at: int | None = None

    async def signing(self) -> SigningKey:
        """The key that signs now; made, if it is the first."""
        keys = await self.keys()
        return keys[0] if keys else (await self._first())[0]

    async def verify(self, token: str) -> WaitAddress:
        """The wait that a token names. Raises InvalidCallback."""
        name = named_key(token)
        keys = await self.keys()
        if not self._given and all(key.id != name for key in keys) and self._older_than(REREAD_MS):
            keys = await self._read()
        return verify(token, keys)

    async def keys(self) -> tuple[SigningKey, ...]:
        """All keys, the one that signs first; none where nothing has been signed yet."""
        if self._given:
            return self._given
        return await self._read() if self._older_than(MAX_AGE_MS) else self._cached

    async def rotate(self) -> tuple[SigningKey, ...]:
        """Sign with a new key from now on, other processes within `MAX_AGE_MS`.

        Returns the keys that count from now on. Raises Misconfigured where the keys are given.
        """
        if self._given:
            raise Misconfigured(f"the keys are those of {KEYS_VARIABLE}: change them there")
        stored = await self._stored()
        while True:
            ring = Ring(FORMAT, ()) if stored is None else decode_ring(stored)
            keys = (self._next(ring.keys), *ring.keys)[:KEPT]
            body = encode_ring(replace(ring, keys=keys))
            stored = await self._swap(body, stored)
            if stored == body:
                return self._remember(keys)

    async def _first(self) -> tuple[SigningKey, ...]:
        """A ring of one key, or the one that another process has been quicker to make."""
        body = encode_ring(Ring(FORMAT, (self._next(()),)))
        stored = await self._swap(body, None)
        return self._remember(decode_ring(body if stored is None else stored).keys)

    async def _swap(self, body: bytes, expected: bytes | None) -> bytes | None:
        """Replace the ring; returns what is stored then, which is `body` unless another won."""
        try:
            await self._journal.swap(Item(PARTITION, ITEM, body), expected)
        except ItemConflict as conflict:
            return conflict.current
        return body

    def _next(self, keys: Sequence[SigningKey]) -> SigningKey:
        number = int(keys[0].id) + 1 if keys else 1
        return SigningKey(str(number), self._entropy.new_key(), self._clock.now())

    async def _read(self) -> tuple[SigningKey, ...]:
        stored = await self._stored()
        return self._remember(() if stored is None else decode_ring(stored).keys)

    async def _stored(self) -> bytes | None:
        return (await self._journal.items(PARTITION, [ITEM])).get(ITEM)

    def _remember(self, keys: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
        self._cached = keys
        self._read_at = self._clock.now()
        return keys

    def _older_than(self, age_ms: int) -> bool:
        if self._read_at is None:
            return True
        age = self._clock.now() - self._read_at
        return not 0 <= age < age_ms  # a clock that was set back must not make it last


def encode_ring(ring: Ring) -> bytes:
    return _encode(ring)


def decode_ring(body: bytes) -> Ring:
    """Raises NewerFormat or Corrupt."""
    ring = read("ring of callback keys", body, _decode, FORMAT, OTHER_FORMATS)
    if not ring.keys:
        raise Corrupt("the callback keys are stored, and there is none among them")
    return ring


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ring).decode
