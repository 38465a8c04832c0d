"""What stays of a signal: its id is remembered, with a digest of its content and what became of it.

It is written in one transaction with the signal, and read by whoever is asked to send the same
again (DESIGN §4 rule 14). One that came too late is remembered as refused: its sender is told the
same however often he asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from engine.errors import Corrupt, NewerFormat
from engine.formats import OtherFormats, read
from engine.inbox import Signal
from engine.json_values import decode_json
from engine.layout import RunKey, signal_item
from engine.ports import Item, ItemConflict, Journal

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """`at` is when the signal came (ms since 1970), `item` where it lay in the inbox."""

    format: int
    digest: bytes
    at: int
    item: str
    refused: bool = False
    """Whether nobody can take it any more, and nobody did."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode
_sorted = msgspec.json.Encoder(order="sorted")


def content_digest(signal: Signal, text: bytes) -> bytes:
    """The same for payloads that differ in nothing but the order of their keys."""
    content = _sorted.encode(decode_json(text))
    return hashlib.blake2b(signal.name.encode() + b"\0" + content, digest_size=16).digest()


def remembered_item(key: RunKey, id: str, remembered: Remembered) -> Item:
    return Item(key.partition, signal_item(id), _encode(remembered))


def recalled(key: RunKey, body: bytes) -> Remembered:
    """Raises NewerFormat or Corrupt, which name the run."""
    try:
        return read("memory of a signal", body, _decode, FORMAT, OTHER_FORMATS)
    except (NewerFormat, Corrupt) as error:
        raise type(error)(f"run '{key.run}': {error}") from error


async def recall(journal: Journal, key: RunKey, id: str) -> Remembered | None:
    """What is remembered of the signal of this id. Raises NewerFormat or Corrupt."""
    name = signal_item(id)
    found = await journal.items(key.partition, [name])
    return recalled(key, found[name]) if name in found else None


async def refuse(journal: Journal, key: RunKey, id: str, remembered: Remembered) -> None:
    """Remember that nobody took this signal, and clear it away."""
    name = signal_item(id)
    # as it is stored: another version may have written it, in other bytes
    before = (await journal.items(key.partition, [name])).get(name)
    if before is not None:
        refused = replace(recalled(key, before), refused=True)
        with suppress(ItemConflict):  # somebody else has refused it
            await journal.swap(remembered_item(key, id, refused), before)
    await journal.remove(key.partition, [remembered.item])


async def forget(journal: Journal, key: RunKey, id: str, remembered: Remembered) -> None:
    """Take a signal back that nobody has taken: a retry may open its wait again, for any answer."""
    await journal.remove(key.partition, [remembered.item, signal_item(id)])


async def clear_away(journal: Journal, key: RunKey, dead: Iterable[Signal]) -> None:
    """Refuse signals that no wait can take any more, so that they do not fill the inbox."""
    for signal in dead:
        remembered = await recall(journal, key, signal.id)
        if remembered is not None:
            await refuse(journal, key, signal.id, remembered)
