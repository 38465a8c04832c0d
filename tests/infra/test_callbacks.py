"""Callbacks as the environment sets them up; and that keys are agreed on, on every backend."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from engine.callback_links import Callbacks
from engine.callbacks import SigningKey
from engine.errors import Misconfigured
from engine.ports import Journal
from infra.callbacks import callbacks_from, given_keys
from infra.system import SystemClock, SystemEntropy
from tests.engine.waiting import ADDRESS

SECRET = b64encode(b"k" * 32).decode()


def test_two_processes_on_one_backend_agree_on_keys(
    journal: Journal, runner: asyncio.Runner
) -> None:
    environment = {"TIDESTEP_CALLBACK_URL": "https://flows.example.com"}
    one, two = (
        callbacks_from(environment, journal, SystemClock(), SystemEntropy()) for _ in range(2)
    )

    async def play() -> None:
        assert await one.keys.keys() == await two.keys.keys() == ()
        first, second = await asyncio.gather(address_of(one), address_of(two))
        assert first == second
        assert [key.id for key in await two.keys.rotate()] == ["2", "1"]
        assert await one.keys.verify(first.rpartition("/")[2]) == ADDRESS

    async def address_of(process: Callbacks) -> str:
        return (await process.urls())(ADDRESS)

    runner.run(play())


def test_keys_of_the_operators_own_are_read_in_their_order() -> None:
    other = b64encode(b"\xff" * 16).decode()
    assert given_keys({"TIDESTEP_CALLBACK_KEYS": f"new:{SECRET}, old_1:{other}\n"}) == (
        SigningKey("new", b"k" * 32),
        SigningKey("old_1", b"\xff" * 16),
    )


@pytest.mark.parametrize("environment", [{}, {"TIDESTEP_CALLBACK_KEYS": "  "}])
def test_by_default_there_are_none(environment: dict[str, str]) -> None:
    assert given_keys(environment) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SECRET, "key 1 must be written as id:base64"),
        (f"a:{SECRET},:{SECRET}", "key 2 must be written as id:base64"),
        (f"a.b:{SECRET}", "key 1 must be written as id:base64"),
        (f"{'a' * 17}:{SECRET}", "key 1 must be written as id:base64"),
        ("a:not-base64!", "the key 'a' is not valid base64"),
        (f"a:{SECRET[:-2]}", "the key 'a' is not valid base64"),
        (f"a:{b64encode(b'k' * 15).decode()}", "the key 'a' has 15 bytes"),
        ("a:", "the key 'a' has 0 bytes"),
        (f"a:{SECRET},a:{SECRET}", "two keys have the same id"),
    ],
)
def test_keys_that_make_no_sense_are_refused_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(Misconfigured, match="TIDESTEP_CALLBACK_KEYS") as caught:
        given_keys({"TIDESTEP_CALLBACK_KEYS": text})
    assert words in str(caught.value)
    assert SECRET[:-2] not in str(caught.value)


def test_every_key_of_the_system_is_new_and_has_32_bytes() -> None:
    keys = {SystemEntropy().new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}
