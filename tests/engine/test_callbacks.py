"""Callback tokens: nobody makes one, changes one or respells one without the key."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.callbacks import MAX_CHARS, REFUSAL, SigningKey, named_key, sign, verify
from engine.errors import InvalidCallback
from engine.layout import WaitAddress, run_key

KEY = SigningKey("1", b"k" * 32)
OTHER = SigningKey("2", b"o" * 32)
SINCE = 1_700_000_000
ADDRESS = WaitAddress(run_key("order-7"), 3, 2, 1, SINCE)
TOKEN = sign(ADDRESS, KEY)
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def refused(text: str, *keys: SigningKey) -> None:
    with pytest.raises(InvalidCallback) as caught:
        verify(text, keys or (KEY, OTHER))
    assert str(caught.value) == REFUSAL  # the same whatever was wrong


@given(
    tenant=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True),
    run=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,99}", fullmatch=True),
    numbers=st.tuples(*[st.integers(0, 2**63 - 1)] * 3),
)
def test_a_token_names_the_wait_that_it_was_signed_for(
    tenant: str, run: str, numbers: tuple[int, int, int]
) -> None:
    address = WaitAddress(run_key(run, tenant), *numbers, SINCE)
    token = sign(address, KEY)
    assert verify(token, [OTHER, KEY]) == address
    assert set(token) <= URL_SAFE
    assert len(token) <= MAX_CHARS


def test_the_longest_names_make_a_token_that_is_not_too_long() -> None:
    most = 2**63 - 1
    address = WaitAddress(run_key("r" * 100, "t" * 40), most, most, most, SINCE)
    key = SigningKey("k" * 16, KEY.secret)
    assert verify(sign(address, key), [key]) == address


def test_a_token_is_short_enough_for_an_email() -> None:
    assert len(sign(WaitAddress(run_key("rAbCdEfGhIjK"), 4, 1, 1, SINCE), KEY)) <= 60


def test_every_changed_character_is_refused() -> None:
    for place, old in enumerate(TOKEN):
        for new in URL_SAFE - {old}:
            refused(TOKEN[:place] + new + TOKEN[place + 1 :])


def test_every_cut_and_every_addition_is_refused() -> None:
    for length in range(len(TOKEN)):
        refused(TOKEN[:length])
    for more in ("A", "=", "==", "\n", " ", ".", "AAAA"):
        refused(TOKEN + more)
        refused(more + TOKEN)


def test_what_decodes_to_the_same_bytes_but_is_spelt_otherwise_is_refused() -> None:
    raw = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    padded = base64.urlsafe_b64encode(raw).decode()
    spellings = {padded, base64.b64encode(raw).decode(), TOKEN[:9] + "\n" + TOKEN[9:]} - {TOKEN}
    assert len(spellings) >= 2
    for spelling in spellings:
        refused(spelling)


def test_a_key_signs_only_under_its_own_id() -> None:
    refused(TOKEN, OTHER)
    refused(TOKEN, SigningKey("1", OTHER.secret))
    refused(TOKEN, SigningKey("2", KEY.secret))


def test_no_key_at_all_refuses_everything() -> None:
    with pytest.raises(InvalidCallback):
        verify(TOKEN, [])


@pytest.mark.parametrize(
    "text",
    ["", "é" * 10, "\ud800", "A" * MAX_CHARS, "A" * (MAX_CHARS + 1), "A" * 1_000_000, "\0"],
    ids=["empty", "not-ascii", "surrogate", "long", "too-long", "huge", "nul"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    refused(text)


def test_an_enormous_token_is_refused_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(text: str) -> bytes:
        raise AssertionError("it was looked at")

    monkeypatch.setattr("engine.callbacks.urlsafe_b64decode", decode)
    refused("A" * (MAX_CHARS + 1))


def test_a_signed_statement_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.callbacks.FORMAT", 2)
    newer = sign(ADDRESS, KEY)
    assert verify(newer, [KEY]) == ADDRESS
    monkeypatch.undo()
    refused(newer)


def test_a_code_made_for_another_purpose_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.callbacks._PURPOSE", b"tidestep session\0")
    foreign = sign(ADDRESS, KEY)
    monkeypatch.undo()
    refused(foreign)


def test_a_token_is_its_statement_and_128_bits_of_its_hmac() -> None:
    statement = msgspec.msgpack.encode([1, "1", "", "order-7", 3, 2, 1, SINCE])
    code = hmac.new(b"k" * 32, b"tidestep callback\0" + statement, hashlib.sha256).digest()[:16]
    assert base64.urlsafe_b64encode(statement + code).decode().rstrip("=") == TOKEN


def test_the_key_that_a_token_names_is_read_without_proof() -> None:
    assert named_key(sign(ADDRESS, OTHER)) == "2"
    with pytest.raises(InvalidCallback):
        named_key("nothing")


def test_a_secret_is_not_shown() -> None:
    assert "kkk" not in repr(KEY)
    assert "kkk" not in f"{[KEY]}"
