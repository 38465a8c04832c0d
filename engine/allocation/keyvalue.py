"""What an actor stores: its state and its keys, items of its own partition, fenced by its owner.

What must stay true
- A write changes nothing unless the runner and generation that ask for it own the actor at that
  moment: the owner's item is the condition of the transaction that writes (`actor_moves`). So a
  runner that has been given up, and does not know, cannot overwrite what its successor has saved.
- A write is all or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from engine.allocation.actor_moves import OWNER_ITEM, Owner, decode_owner, encode_owner
from engine.errors import CallerError
from engine.layout import RunKey
from engine.ports import MAX_ALSO, Item, ItemConflict, Journal

STATE_ITEM = "state"
INPUT_ITEM = "input"
KEY_PREFIX = "kv/"
STATE_BYTES = 96 << 10
VALUE_BYTES = 64 << 10
KEY_BYTES = 512
WRITE_BYTES = 100 << 10
"""Of one write: it travels in one frame."""
CLEARED = 100


class NotOwner(CallerError):
    """The actor has been given to another runner; what it asked for was not done."""

    http_status = 409


class TooMuch(CallerError):
    """A state, key or value is larger than it may be, or too many are written at once."""

    http_status = 413


class KeyValue:
    """The stored data of the actors of one platform, as their runners use it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def load(self, key: RunKey, owner: Owner) -> tuple[bytes | None, bytes | None]:
        """The actor's state and its input as JSON text, None where there is none.

        Raises NotOwner.
        """
        names = [OWNER_ITEM, STATE_ITEM, INPUT_ITEM]
        found = await self._journal.items(key.partition, names)
        _check_owner(key, owner, found)
        return found.get(STATE_ITEM), found.get(INPUT_ITEM)

    async def fetch(self, key: RunKey, owner: Owner, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of these keys that exist, in the order asked for. Raises NotOwner."""
        names = [OWNER_ITEM, *(KEY_PREFIX + each for each in keys)]
        found = await self._journal.items(key.partition, names)
        _check_owner(key, owner, found)
        return {each: found[KEY_PREFIX + each] for each in keys if KEY_PREFIX + each in found}

    async def list(
        self, key: RunKey, owner: Owner, prefix: str, after: str, limit: int, most_bytes: int
    ) -> tuple[dict[str, bytes], bool]:
        """Keys that begin with `prefix` and come after `after`, in order; whether there are more.

        Raises NotOwner.
        """
        found = await self._journal.items(key.partition, [OWNER_ITEM])
        _check_owner(key, owner, found)
        entries: dict[str, bytes] = {}
        size = 0
        async for name, body in self._journal.scan(key.partition, KEY_PREFIX + prefix):
            each = name.removeprefix(KEY_PREFIX)
            if each <= after:
                continue
            size += len(body) + len(each.encode()) + 8
            if len(entries) == limit or (entries and size > most_bytes):
                return entries, True
            entries[each] = body
        return entries, False

    async def save(
        self,
        key: RunKey,
        owner: Owner,
        state: bytes | None,
        puts: Mapping[str, bytes],
        deletes: Sequence[str],
        sequence: int = 0,
    ) -> None:
        """Write all of it or nothing; what is put is not deleted.

        A write whose `sequence` is not above that of the owner's last one changes nothing: it has
        been done, or a later one has. Raises NotOwner or TooMuch.
        """
        _check_bounds(state, puts, deletes)
        items = [Item(key.partition, KEY_PREFIX + each, body) for each, body in puts.items()]
        if state is not None:
            items.append(Item(key.partition, STATE_ITEM, state))
        drops = [KEY_PREFIX + each for each in dict.fromkeys(deletes) if each not in puts]
        stored = (await self._journal.items(key.partition, [OWNER_ITEM])).get(OWNER_ITEM)
        while True:
            before = None if stored is None else decode_owner(stored)
            if before is None or not before.is_same(owner):
                raise _moved(key, stored)
            if 0 < sequence <= before.saves:
                return
            after = encode_owner(replace(before, saves=max(sequence, before.saves)))
            try:
                await self._journal.swap(
                    Item(key.partition, OWNER_ITEM, after), stored, items, drops
                )
                return
            except ItemConflict as conflict:  # another write, the end of the stay, or our own write
                stored = conflict.current


async def clear(journal: Journal, key: RunKey) -> None:
    """Delete everything that the actor has stored; once more is harmless."""
    names = [STATE_ITEM, INPUT_ITEM]
    async for name, _ in journal.scan(key.partition, KEY_PREFIX):
        names.append(name)
        if len(names) >= CLEARED:
            await journal.remove(key.partition, names)
            names = []
    await journal.remove(key.partition, names)


def _check_owner(key: RunKey, owner: Owner, found: Mapping[str, bytes]) -> None:
    stored = found.get(OWNER_ITEM)
    if stored is None or not decode_owner(stored).is_same(owner):
        raise _moved(key, stored)


def _moved(key: RunKey, stored: bytes | None) -> NotOwner:
    if stored is None:
        return NotOwner(f"actor '{key.run}' is on no runner any more")
    now = decode_owner(stored)
    return NotOwner(f"actor '{key.run}' is generation {now.generation} now, on another runner")


def _check_bounds(state: Any, puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
    if len(puts) + len(deletes) + 1 > MAX_ALSO:
        raise TooMuch(f"at most {MAX_ALSO - 1} keys can be written at once")
    for each in (*puts, *deletes):
        if not 0 < len(each.encode()) <= KEY_BYTES:
            raise TooMuch(f"a key has 1 to {KEY_BYTES} bytes: {each[:40]!r}")
    for each, body in puts.items():
        if len(body) > VALUE_BYTES:
            raise TooMuch(
                f"the value of {each[:40]!r} has {len(body):,} bytes of JSON; at most "
                f"{VALUE_BYTES:,} can be stored"
            )
    if state is not None and len(state) > STATE_BYTES:
        raise TooMuch(f"the state has {len(state):,} bytes of JSON; at most {STATE_BYTES:,}")
    if (len(state) if state else 0) + sum(map(len, puts.values())) > WRITE_BYTES:
        raise TooMuch(f"at most {WRITE_BYTES:,} bytes can be written at once")
