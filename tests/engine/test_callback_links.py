"""Addresses that actors hand out, and the error of a process that has none."""

from __future__ import annotations

import asyncio

import pytest

from engine.callback_links import Callbacks
from engine.errors import Misconfigured
from engine.keys import KeyRing
from engine.memory import MemoryJournal
from tests.clock import ManualClock
from tests.engine.waiting import ADDRESS
from tests.scenarios.world import CountingEntropy


@pytest.fixture
def keys() -> KeyRing:
    clock = ManualClock()
    return KeyRing(MemoryJournal(clock), clock, CountingEntropy())


@pytest.mark.parametrize(
    ("base", "begins"),
    [
        ("https://flows.example.com", "https://flows.example.com/callbacks/"),
        ("https://flows.example.com/", "https://flows.example.com/callbacks/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/callbacks/"),
        ("https://example.com/prod/", "https://example.com/prod/callbacks/"),
        ("http://[::1]:9", "http://[::1]:9/callbacks/"),
    ],
)
def test_an_address_holds_a_token_that_the_same_keys_verify(
    keys: KeyRing, base: str, begins: str
) -> None:
    async def play() -> None:
        url_of = await Callbacks(keys, base).urls()
        url = url_of(ADDRESS)
        assert url.startswith(begins)
        assert await keys.verify(url.removeprefix(begins)) == ADDRESS

    asyncio.run(play())


def test_without_a_base_address_only_who_asks_for_one_gets_the_error(keys: KeyRing) -> None:
    async def play() -> None:
        url_of = await Callbacks(keys).urls()
        with pytest.raises(Misconfigured, match="set TIDESTEP_CALLBACK_URL to where"):
            url_of(ADDRESS)
        assert await keys.keys() == ()  # and no key was made for nothing

    asyncio.run(play())


@pytest.mark.parametrize(
    "base",
    [
        "flows.example.com",
        "ftp://example.com",
        "https://",
        "https://example.com?a=b",
        "https://example.com#a",
        "https://user:word@example.com",
        "https://example.com:port",
        "http://[::1",
    ],
)
def test_what_is_not_the_beginning_of_a_web_address_is_refused(keys: KeyRing, base: str) -> None:
    with pytest.raises(Misconfigured, match="TIDESTEP_CALLBACK_URL"):
        Callbacks(keys, base)
