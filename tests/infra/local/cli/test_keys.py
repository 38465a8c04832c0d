"""`tidestep keys`: what signs callbacks, and a new key."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from pathlib import Path

import pytest

from infra.callbacks import callbacks_from
from infra.local.embedded import visiting
from tests.engine.waiting import ADDRESS
from tests.infra.local.cli.conftest import ACTORS, Tidestep


@pytest.fixture
def database(tidestep: Tidestep) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS)


def test_before_the_first_callback_there_is_no_key(database: None, tidestep: Tidestep) -> None:
    ran = tidestep("keys", "list")
    assert (ran.code, ran.out) == (0, "")
    assert "no key yet" in ran.err
    assert tidestep("keys", "list", "--json").out == "[]\n"


def test_a_new_key_signs_and_the_older_ones_verify(database: None, tidestep: Tidestep) -> None:
    assert (tidestep("keys", "rotate").out, tidestep("keys", "rotate").out) == ("1\n", "2\n")
    lines = tidestep("keys", "list").out.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [
        ("key", "use"),
        ("2", "signs"),
        ("1", "verifies"),
    ]
    listed = json.loads(tidestep("keys", "list", "--json").out)
    assert [(row["key"], row["signs"]) for row in listed] == [("2", True), ("1", False)]
    assert all(row["created_at"] > 1_700_000_000_000 for row in listed)


def test_what_a_key_has_signed_stays_good_until_it_is_gone(
    database: None, tidestep: Tidestep, directory: Path
) -> None:
    async def address() -> str:
        with visiting(directory / "tidestep.db", {}) as embedded:
            ports = embedded.platform
            environment = {"TIDESTEP_CALLBACK_URL": "http://test"}
            made = callbacks_from(environment, ports.journal, ports.clock, ports.entropy)
            return (await made.urls())(ADDRESS)

    asyncio.run(address())
    said = [tidestep("keys", "rotate").err for _ in range(5)]
    assert said[:4] == [""] * 4
    assert said[4] == "key 1 is gone: what it has signed is refused from now on\n"


def test_no_secret_is_printed(database: None, tidestep: Tidestep, directory: Path) -> None:
    tidestep("keys", "rotate")

    async def secret() -> bytes:
        with visiting(directory / "tidestep.db", {}) as embedded:
            ports = embedded.platform
            made = callbacks_from({}, ports.journal, ports.clock, ports.entropy)
            return (await made.keys.signing()).secret

    kept = asyncio.run(secret())
    for words in (("keys", "list"), ("keys", "list", "--json"), ("keys", "rotate", "--json")):
        ran = tidestep(*words)
        for shape in (kept.hex(), b64encode(kept).decode(), str(kept)):
            assert shape not in ran.out + ran.err


def test_keys_of_the_environment_are_shown_and_not_rotated(
    database: None, tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_CALLBACK_KEYS", "mine:" + b64encode(os.urandom(32)).decode())
    assert "by the environment" in tidestep("keys", "list").out
    ran = tidestep("keys", "rotate")
    assert (ran.code, "TIDESTEP_CALLBACK_KEYS" in ran.err) == (6, True)


@pytest.mark.parametrize("command", ["list", "rotate"])
def test_a_database_that_is_not_there_is_not_created(
    tidestep: Tidestep, directory: Path, command: str
) -> None:
    assert tidestep("keys", command).code == 4
    assert not (directory / "tidestep.db").exists()
