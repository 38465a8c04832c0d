"""One of each stored thing, as it must be read from the golden bytes that lie beside this file.

What must stay true
- A file is never changed: some table holds bytes like these. What `SAMPLES` says of an older one is
  what today's code must make of it, upgraded.
- The last file of a kind holds what today's code writes for its value. `head.1.hex` is of format 1;
  so is `head.1b.hex`, of a version that had another field to write.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine import claims, inbox, keys, remembering
from engine.allocation import board, signals
from engine.allocation import head as service
from engine.callbacks import sign, verify
from engine.definition import Definition, decode_definition, encode_definition
from engine.layout import WaitAddress, run_key
from engine.messages import Message, decode_message, encode_message
from engine.snapshot import Page, decode_head, decode_page, encode_head, encode_page
from tests.engine.formats.values import (
    ADDRESS,
    DEFINITION,
    ENTRIES,
    HEAD,
    NOW,
    POOL,
    RING,
    RUNNER,
    SERVICE,
    SIGNAL,
)

KEY = run_key("run")


class Sample(NamedTuple):
    """A value, the file that holds its bytes, and how today's code reads and writes its kind."""

    file: str
    value: Any
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]

    @property
    def kind(self) -> str:
        return self.file.partition(".")[0]

    @property
    def body(self) -> bytes:
        """What is stored. A definition's golden bytes are those before their compression, which
        another zlib may do otherwise."""
        text = (Path(__file__).parent / self.file).read_text()
        return bytes.fromhex(text) if self.file.endswith(".hex") else text.strip().encode()


def _read_definition(body: bytes) -> Definition:
    return decode_definition(zlib.compress(body))


def _write_definition(value: Definition) -> bytes:
    return zlib.decompress(encode_definition(value)[0])


def _read_message(body: bytes) -> Message:
    return decode_message(body.decode())


def _write_message(value: Message) -> bytes:
    return encode_message(value).encode()


def _read_memory(body: bytes) -> remembering.Remembered:
    return remembering.recalled(KEY, body)


def _write_memory(value: remembering.Remembered) -> bytes:
    return remembering.remembered_item(KEY, "id:x", value).body


def _write_any(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def _read_address(body: bytes) -> WaitAddress:
    return verify(body.decode(), RING)


def _write_address(value: WaitAddress) -> bytes:
    return sign(value, RING[0]).encode()


SAMPLES = (
    Sample("head.1.hex", HEAD, decode_head, encode_head),
    Sample("page.1.hex", Page(1, 7, ENTRIES, 54_321), decode_page, encode_page),
    Sample("definition.1.hex", DEFINITION, _read_definition, _write_definition),
    Sample("signal.1.hex", SIGNAL, inbox.decode_signal, inbox.encode_signal),
    Sample(
        "remembered.1.hex",
        remembering.Remembered(1, b"0123456789abcdef", NOW, "inbox/1", True),
        _read_memory,
        _write_memory,
    ),
    Sample(
        "claim.1.hex",
        claims.Claim(1, "execution1", NOW, 2),
        claims.decode_claim,
        claims.encode_claim,
    ),
    Sample("keys.1.hex", keys.Ring(1, RING), keys.decode_ring, keys.encode_ring),
    Sample("service.1.hex", SERVICE, service.decode_service, service.encode_service),
    Sample(
        "service-runner.1.hex",
        service.ServiceHead(1, 5, NOW, RUNNER),
        service.decode_service,
        service.encode_service,
    ),
    Sample(
        "service-pool.1.hex",
        service.ServiceHead(1, 5, NOW, POOL),
        service.decode_service,
        service.encode_service,
    ),
    Sample(
        "envelope.1.hex",
        signals.Envelope(1, "id1", NOW, "actor:a1", 9, signals.Lost("n1", 2, "gone")),
        signals.decode,
        signals.encode,
    ),
    Sample(
        "message.1.txt",
        Message(1, "acme", "run", (4, 2, 3, 4), "sid00000002", True, 2),
        _read_message,
        _write_message,
    ),
    Sample(
        "message-to-service.2.txt",
        Message(2, "acme", "n1", (0, 0, 0, 7), "sid00000003", kind="runner"),
        _read_message,
        _write_message,
    ),
    Sample("callback.1.txt", ADDRESS, _read_address, _write_address),
)

COMPARED = (
    Sample(
        "board-entry.0.hex", board.Entry(4, 3, 2, True, 9, True), board.decode_entry, _write_any
    ),
    Sample("board-pending.0.hex", board.Pending("a1", 2, NOW), board.decode_pending, _write_any),
    Sample("board-seat.0.hex", board.Seat(2), board.decode_seat, _write_any),
)
"""Items that a commit expects to find as today's code would encode them: other bytes conflict for
ever. They have no format, and can only be replaced by items of other names."""
