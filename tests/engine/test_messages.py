"""Messages: which formats are read, which are written, and whom they are for."""

from __future__ import annotations

import msgspec
import pytest

from engine.errors import Corrupt, NewerFormat
from engine.layout import RunKey
from engine.messages import (
    FORMAT,
    SERVICE_FORMAT,
    Message,
    decode_message,
    encode_message,
    marked_again,
)

ORDINARY = Message(FORMAT, "acme", "r", (0, 1, 1, 1), "sid")
SERVICE = Message(SERVICE_FORMAT, "acme", "r", (0, 1, 1, 1), "sid", kind="pool")


def test_an_ordinary_message_is_written_as_older_versions_write_it() -> None:
    text = encode_message(ORDINARY)
    assert text == '{"format":1,"tenant":"acme","run":"r","token":[0,1,1,1],"sid":"sid"}'
    assert decode_message(text) == ORDINARY
    assert ORDINARY.key == RunKey("acme", "r")


def test_a_message_to_a_service_run_names_its_kind_in_a_format_that_older_versions_put_off() -> (
    None
):
    text = encode_message(SERVICE)
    assert msgspec.json.decode(text)["format"] == SERVICE_FORMAT > FORMAT
    assert msgspec.json.decode(text)["kind"] == "pool"
    assert decode_message(text) == SERVICE
    assert SERVICE.key == RunKey("acme", "r", "pool")


@pytest.mark.parametrize("message", [ORDINARY, SERVICE])
def test_marking_a_message_keeps_its_format_and_all_else(message: Message) -> None:
    marked = decode_message(marked_again(encode_message(message)))
    assert marked == msgspec.structs.replace(message, again=True)


def test_a_newer_format_is_not_read_whatever_it_says() -> None:
    with pytest.raises(NewerFormat, match="message format 3; this version reads up to 2"):
        decode_message('{"format":3,"unheard":"of"}')


@pytest.mark.parametrize("text", ["", "{}", '{"format":2}', '{"format":1,"kind":"pool"}'])
def test_what_lacks_something_is_no_message_of_ours(text: str) -> None:
    with pytest.raises(Corrupt):
        decode_message(text)
