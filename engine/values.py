"""Values that do not fit into a head: stored beside it, and loaded by reference.

Up to `INLINE_BYTES` a value lies in its entry; above, in an item of its own, named by token and
execution; above `ITEM_BYTES`, in a blob. Neither actors nor expressions see the difference
(DESIGN §5). What nothing asks for is not loaded.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from engine.definition import Definition
from engine.errors import Corrupt
from engine.json_values import decode_json
from engine.layout import RunKey, page_item
from engine.paging import read_page
from engine.ports import Blobs, Item, Reader
from engine.settle import failure_value
from engine.snapshot import (
    RUN_INPUT,
    Entry,
    Head,
    Payload,
    Value,
    page_first,
    settled_at,
)

INLINE_BYTES = 96
ITEM_BYTES = 300 << 10
"""DynamoDB refuses items above 400 KB, names and keys included."""
COMPRESS_BYTES = 1 << 10
"""A write is billed by the KB: below one, compressing buys nothing."""


async def store_value(
    text: bytes, partition: str, name: str, blobs: Blobs
) -> tuple[Value, Item | None]:
    """Where `text` goes: the value to refer to it by, and the item to write before the commit.

    A blob is written here and now; nothing refers to it until the commit does.
    """
    if len(text) <= INLINE_BYTES:
        return text, None
    body, codec = text, ""
    if len(text) > COMPRESS_BYTES:
        packed = zlib.compress(text, 6)
        if len(packed) < len(text):
            body, codec = packed, "z"
    digest = hashlib.blake2b(body, digest_size=8).digest()
    if len(body) <= ITEM_BYTES:
        return Payload(name, len(text), digest, codec), Item(partition, name, body)
    blob = f"{partition}/{name}"
    await blobs.put(blob, body)
    return Payload(blob, len(text), digest, codec, blob=True), None


class Values:
    """The values that one snapshot refers to, loaded when asked for and kept for the step."""

    def __init__(
        self,
        reader: Reader,
        blobs: Blobs,
        key: RunKey,
        head: Head,
        definition: Definition,
        unsaved: Iterable[Item] = (),
    ) -> None:
        """`unsaved` are items that the head refers to and that its commit is yet to write."""
        self._reader = reader
        self._blobs = blobs
        self._key = key
        self._head = head
        self._definition = definition
        self._entries: dict[int, Entry] = {}
        self._times: dict[int, int] = {}
        self._unsaved = {item.name: item.body for item in unsaved}

    async def entries(self, numbers: Iterable[int]) -> dict[int, Entry]:
        """Results by number, from the tail or from the pages that hold them."""
        found: dict[int, Entry] = {}
        missing: list[int] = []
        for number in numbers:
            entry = self._head.entry(number) or self._entries.get(number)
            if entry is None:
                missing.append(number)
            else:
                found[number] = entry
        if missing:
            await self._load_pages({page_first(number) for number in missing})
            for number in missing:
                if number not in self._entries:
                    raise Corrupt(f"run {self._key.run}: result {number} is missing")
                found[number] = self._entries[number]
        return found

    def settled_at(self, number: int) -> int:
        """When a result that `entries` has found was settled (ms since 1970)."""
        head = self._head
        if number not in self._times:
            self._times.update(enumerate(settled_at(head.tail, head.last_at), head.first))
        return head.created_at + self._times[number]

    async def load(self, references: Iterable[int]) -> dict[int, Any]:
        """Decoded values by reference: results by number, and RUN_INPUT."""
        wanted = set(references)
        entries = await self.entries(number for number in wanted if number != RUN_INPUT)
        stored = {number: self._value_of(entry) for number, entry in entries.items()}
        if RUN_INPUT in wanted:
            stored[RUN_INPUT] = self._head.input
        return await self.decode(stored)

    async def decode(self, stored: Mapping[int, Value]) -> dict[int, Any]:
        """Decoded values; those that lie in items are fetched together."""
        texts = await self.texts(stored)
        return {number: decode_json(text) for number, text in texts.items()}

    async def texts(self, stored: Mapping[int, Value]) -> dict[int, bytes]:
        """Values as JSON text. Raises Corrupt for what is missing or damaged."""
        payloads = {n: v for n, v in stored.items() if isinstance(v, Payload)}
        names = {payload.ref for payload in payloads.values() if not payload.blob}
        items = await self._items(names)
        texts: dict[int, bytes] = {}
        for number, value in stored.items():
            if isinstance(value, bytes):
                texts[number] = value
                continue
            body = await self._blobs.get(value.ref) if value.blob else items.get(value.ref)
            texts[number] = self._unpack(value, body)
        return texts

    def _value_of(self, entry: Entry) -> Value:
        if entry.failure is not None:
            return failure_value(self._definition.nodes[entry.node].id, entry)
        return entry.value

    def _unpack(self, payload: Payload, body: bytes | None) -> bytes:
        where = f"run {self._key.run}: the value stored as {payload.ref!r}"
        if body is None:
            raise Corrupt(f"{where} is missing")
        if hashlib.blake2b(body, digest_size=8).digest() != payload.digest:
            raise Corrupt(f"{where} has another content than when it was written")
        if payload.codec == "z":
            return zlib.decompress(body)
        if payload.codec:
            raise Corrupt(f"{where} has the unknown codec {payload.codec!r}")
        return body

    async def _items(self, names: Collection[str]) -> dict[str, bytes]:
        found = {name: self._unsaved[name] for name in names if name in self._unsaved}
        missing = [name for name in names if name not in found]
        if missing:
            found.update(await self._reader.items(self._key.partition, missing))
        return found

    async def _load_pages(self, firsts: set[int]) -> None:
        names = {page_item(first): first for first in firsts}
        for name, body in (await self._items(names)).items():
            page = read_page(self._key, body)
            if page.first != names[name]:
                raise Corrupt(f"run {self._key.run}: page {name!r} holds other results")
            self._entries.update(enumerate(page.entries, page.first))
            self._times.update(enumerate(settled_at(page.entries, page.last_at), page.first))
