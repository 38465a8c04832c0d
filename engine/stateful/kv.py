"""An actor's keys and values, outside its state: many of them, each read and written alone.

What must stay true: what has returned is stored; `put_many` and `delete` write all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.actors.shapes import AnyShape
from engine.errors import InvalidValue, TooLarge
from engine.json_values import decode_json, encode_json
from engine.stateful.memory import Memory

KEY_BYTES = 512
VALUE_BYTES = 64 << 10
KEYS_AT_ONCE = 19
"""In one write: what a transaction has room for."""
WRITE_BYTES = 100 << 10
"""Of the values in one write."""
KEYS_A_FRAME = 50
"""In one frame of a read."""

_ANY = AnyShape()


class KeyValues:
    """Keys are text; values are JSON."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def get(self, key: str, default: Any = None) -> Any:
        return (await self.get_many((key,))).get(key, default)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the keys that are there."""
        wanted = [_key(key) for key in dict.fromkeys(keys)]
        found: dict[str, Any] = {}
        while wanted:
            asked, wanted = wanted[:KEYS_A_FRAME], wanted[KEYS_A_FRAME:]
            answer = await self._memory.fetch(keys=tuple(asked))
            found.update(_values(answer.entries))
            if answer.more and answer.entries:  # they do not fit into one frame
                wanted = [key for key in asked if key not in answer.entries] + wanted
        return found

    async def list(self, prefix: str = "", *, after: str = "", limit: int = 100) -> dict[str, Any]:
        """Up to `limit` entries whose keys begin with `prefix`, in the order of their keys.

        To go on, pass the last key as `after`.
        """
        found: dict[str, Any] = {}
        while len(found) < limit:
            answer = await self._memory.fetch(
                prefix=prefix, after=after, limit=min(limit - len(found), KEYS_A_FRAME)
            )
            found.update(_values(answer.entries))
            if not answer.more or not answer.entries:
                break
            after = max(answer.entries)
        return found

    async def put(self, key: str, value: Any) -> None:
        """Raises NotJson or TooLarge."""
        await self.put_many({key: value})

    async def put_many(self, values: Mapping[str, Any]) -> None:
        """Raises NotJson or TooLarge, and nothing is written then."""
        puts = {_key(key): _value(key, value) for key, value in values.items()}
        await self._write(puts, ())

    async def delete(self, *keys: str) -> None:
        """Deleting what is not there does nothing."""
        await self._write({}, tuple(_key(key) for key in dict.fromkeys(keys)))

    async def _write(self, puts: dict[str, msgspec.Raw], deletes: tuple[str, ...]) -> None:
        count = len(puts) + len(deletes)
        if count > KEYS_AT_ONCE:
            raise TooLarge(f"{count} keys; at most {KEYS_AT_ONCE} are written at once")
        size = sum(len(bytes(value)) for value in puts.values())
        if size > WRITE_BYTES:
            raise TooLarge(f"{size:,} bytes; at most {WRITE_BYTES:,} are written at once")
        if count:
            await self._memory.write(puts, deletes)


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise InvalidValue(f"key {key!r}: a key is text, and not empty")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidValue(f"key {key!r}: {error}") from error
    if length > KEY_BYTES:
        raise TooLarge(f"key {key[:40]!r}...: {length:,} bytes; at most {KEY_BYTES} are allowed")
    return key


def _value(key: str, value: Any) -> msgspec.Raw:
    what = f"the value of key {key!r}"
    encoded = encode_json(_ANY.dump(value, what), what)
    if len(encoded) > VALUE_BYTES:
        raise TooLarge(f"{what}: {len(encoded):,} bytes; at most {VALUE_BYTES:,} are allowed")
    return msgspec.Raw(encoded)


def _values(entries: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    return {key: decode_json(raw) for key, raw in entries.items()}
