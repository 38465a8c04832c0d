"""Other versions of the code: the next one, which writes format 2, and the one that leads to it.

They take turns with today's in one process: what is patched is what a change of format changes, and
all of it goes back when the block ends. The next version's heads have another shape, which today's
code cannot decode, and say something that it could not keep.

    with next_version(): world.step()
    with reads_the_next(): world.step()     # reads format 2, keeps it, and makes format 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

import engine.snapshot
from engine.formats import Fields, as_it_is
from engine.layout import run_key
from engine.receiving import Handled
from engine.snapshot import Head
from tests.scenarios.world import World

KINDS = {
    "snapshot": ("engine.snapshot", ["engine.starting.FORMAT"]),
    "definition": ("engine.definition", ["engine.documents.compile.FORMAT"]),
    "signal": ("engine.inbox", ["engine.signalling.FORMAT"]),
    "remembered": ("engine.remembering", ["engine.signalling.MEMORY_FORMAT"]),
    "claim": ("engine.claims", []),
}
"""What can be in another format: its module, and who has its number by name."""
MESSAGE = "message"
EVERYTHING = (*KINDS, MESSAGE)


class NextHead(Head, frozen=True, array_like=True):
    """A head as the next version knows it."""

    colour: str = ""
    """The upgrade makes this blue: who loses it, loses what only the next version knows."""


_encode = engine.snapshot.encode_head
_decode_this = engine.snapshot._decode_head
_decode_next = msgspec.msgpack.Decoder(NextHead).decode


def _wrapped(body: bytes) -> Fields:
    return [2, {"next": body}]


def encode_next(head: Head) -> bytes:
    body = _encode(head)
    return msgspec.msgpack.encode(_wrapped(body)) if head.format == 2 else body


def decode_next(body: bytes) -> Head:
    fields = msgspec.msgpack.decode(body)
    return _decode_next(fields[1]["next"]) if fields[0] == 2 else _decode_this(body)


def upgrade_head(fields: Fields) -> Fields:
    return _wrapped(msgspec.msgpack.encode([2, *fields[1:], "blue"]))


def upgrade(fields: Fields) -> Fields:
    return [2, *fields[1:]]


def next_version(*kinds: str) -> ExitStack:
    """The process runs the version that writes the next format of these kinds, or of everything."""
    return _version(kinds or EVERYTHING, 2, {1: upgrade}, {1: upgrade_head})


def reads_the_next(*kinds: str) -> ExitStack:
    """It runs the version before that one."""
    return _version(kinds or EVERYTHING, 1, {2: as_it_is}, {2: as_it_is})


def _version(kinds: tuple[str, ...], current: int, others: Any, heads: Any) -> ExitStack:
    changes = ExitStack()

    def change(name: str, value: Any) -> None:
        changes.enter_context(patch(name, value))

    for kind in kinds:
        if kind == MESSAGE:  # which have two formats already
            change("engine.messages.SERVICE_FORMAT", 3)
            change("engine.records.FORMAT", 3 if current == 2 else 1)
            continue
        module, names = KINDS[kind]
        for name in (f"{module}.FORMAT", *names):
            change(name, current)
        change(f"{module}.OTHER_FORMATS", heads if kind == "snapshot" else others)
        if kind == "snapshot":
            change(f"{module}.OTHER_PAGE_FORMATS", others)
            change(f"{module}._decode_head", decode_next)
            change("engine.records.encode_head", encode_next)
    return changes


# -- what happens to runs meanwhile ---------------------------------------------------------------


def minutes(world: World, count: int) -> list[Handled]:
    """Let the version of now receive and sweep for so long, whatever comes of it."""
    handled = []
    for _ in range(count):
        handled += world.step()
        world.sweep()
        world.clock.advance(61)
    return handled


@contextmanager
def unchanged(world: World, *partitions: str) -> Iterator[None]:
    """Nothing is written into these partitions, nor over the head of the run `run`."""

    def stored() -> Any:
        async def found() -> Any:
            journal = world.journal
            items = [[row async for row in journal.scan(each, "")] for each in partitions]
            return items, await journal.head(run_key("run"))

        return world.do(found())

    before = stored()
    yield
    assert stored() == before
