"""Heads, items and messages for tests that do not care what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from engine.layout import run_key
from engine.messages import FORMAT, Message, encode_message
from engine.ports import Commit, Delivery, HeadRecord, Item, Send
from engine.snapshot import Status

HEAD = HeadRecord(run_key("r"), 1, Status.ACTIVE, "flow", 1000, 0, b"first")
PARTITION = HEAD.key.partition


def create(run: str, **changes: object) -> Commit:
    """The commit that creates a run."""
    return Commit(replace(HEAD, key=run_key(run), **changes), None)


def step(rev: int, **changes: object) -> Commit:
    """The commit that replaces `HEAD`'s revision `rev` by the next."""
    head = replace(HEAD, rev=rev + 1, body=f"rev {rev + 1}".encode())
    return replace(Commit(head, rev), **changes)


def message(sid: str, delay_s: int = 0) -> Send:
    body = encode_message(Message(FORMAT, HEAD.key.tenant, HEAD.key.run, (0, 0, 1, 1), sid))
    return Send(body, "flow", delay_s * 1000)


def bodies(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.body for delivery in deliveries]


def item(name: str, body: bytes = b"value") -> Item:
    return Item(PARTITION, name, body)


async def collect(pairs: AsyncIterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [pair async for pair in pairs]
