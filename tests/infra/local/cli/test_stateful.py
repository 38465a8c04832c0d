"""`actors`, `runners` and `pools`, on a database that nobody works on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from engine.allocation.directory import Directory
from infra.local.embedded import visiting
from tests.infra.local.cli.conftest import Tidestep


@pytest.fixture
def counter(tidestep: Tidestep) -> str:
    """The id of the actor counter/main."""
    return tidestep("actors", "create", "counter/main", "--input", '{"a": 1}').out.strip()


@pytest.fixture
def runner(counter: str, directory: Path) -> str:
    """The id of a runner that says nothing."""

    async def register() -> str:
        with visiting(directory / "tidestep.db", {}) as embedded:
            registered = await Directory(embedded.platform).register(
                "default",
                "r1",
                slots=3,
                version=0,
                connection="c1",
                request="",
                session="s1",
                tenant="default",
            )
            return registered.key.run

    return asyncio.run(register())


def test_an_actor_is_created_listed_and_shown(tidestep: Tidestep, counter: str) -> None:
    lines = tidestep("actors", "list").out.splitlines()
    assert lines[0].split()[:3] == ["id", "actor", "state"]
    assert lines[1].split()[:3] == [counter, "counter/main", "created"]
    shown = tidestep("actors", "show", "counter/main").out
    assert f"actor       {counter}\n" in shown
    assert "address     counter/main\n" in shown
    assert "no runner of pool 'default' has a free slot" in shown
    assert tidestep("actors", "show", counter).out.splitlines()[0] == shown.splitlines()[0]
    assert json.loads(tidestep("actors", "show", counter, "--json").out)["key"] == ["main"]
    listed = json.loads(tidestep("actors", "list", "--json").out)
    assert [(each["id"], each["state"]) for each in listed] == [(counter, "created")]


def test_a_key_belongs_to_one_actor(tidestep: Tidestep, counter: str) -> None:
    ran = tidestep("actors", "create", "counter/main")
    assert (ran.code, ran.out) == (5, "")
    assert f"belongs to actor '{counter}'" in ran.err
    first, second = (tidestep("actors", "create", "counter").out for _ in range(2))
    assert first != second


def test_what_is_done_to_an_actor_is_said_in_a_line(tidestep: Tidestep, counter: str) -> None:
    woken = tidestep("actors", "wake", "counter/main", "--no-wait")
    assert woken.out == "actor counter/main is told to wake\n"
    assert "tidestep actors show counter/main" in woken.err
    assert tidestep("actors", "sleep", counter).out.startswith(f"actor {counter} is told to sleep")
    assert json.loads(tidestep("actors", "sleep", counter, "--json").out) == {
        "actor": counter,
        "changed": True,
    }
    assert "is told to end for good" in tidestep("actors", "destroy", "counter/main").out


def test_who_waits_for_an_actor_is_told_why_it_does_not_run(
    tidestep: Tidestep, counter: str
) -> None:
    ran = tidestep("actors", "wake", "counter/main", "--timeout", "0.1")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("error: actor counter/main does not run after 0.1 s: no runner of")
    found = json.loads(tidestep("actors", "wake", "counter/main", "--no-wait", "--json").out)
    assert (found["woken"], found["ready"]) == (True, False)
    assert "no runner of pool" in found["why"]


def test_runners_are_listed_shown_and_stopped(tidestep: Tidestep, runner: str) -> None:
    line = tidestep("runners", "list").out.splitlines()[1]
    assert line.split()[:5] == [runner, "connected", "default", "3", "0"]
    assert "slots    3, 0 taken\n" in tidestep("runners", "show", runner).out
    assert tidestep("runners", "list", "--pool", "other", "--json").out == "[]\n"
    assert "is told to stop" in tidestep("runners", "stop", runner).out


def test_a_pool_is_set_step_by_step(tidestep: Tidestep) -> None:
    ran = tidestep("pools", "set", "cloud", "--url", "https://x.example.com", "--margin", "1")
    assert (ran.code, ran.out) == (0, "pool cloud is set\n")
    again = tidestep("pools", "set", "cloud", "--margin", "1")
    assert again.out == "pool cloud is set so already: nothing has changed\n"
    shown = tidestep("pools", "show", "cloud").out
    assert "source   https://x.example.com\n" in shown
    assert "1 wanted" in shown
    line = tidestep("pools", "list").out.splitlines()[1]
    assert line.split()[:4] == ["cloud", "steady", "0", "1"]
    assert json.loads(tidestep("pools", "show", "cloud", "--json").out)["wanted"] == 1


def test_a_header_is_set_and_never_shown(tidestep: Tidestep) -> None:
    words = ("--url", "https://x.example.com", "--header", "authorization: Bearer abc")
    tidestep("pools", "set", "cloud", *words)
    for command in (("show", "cloud"), ("show", "cloud", "--json"), ("list",), ("list", "--json")):
        assert "abc" not in tidestep("pools", *command).out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("actors", "show", "counter/none"), 4, "no actor 'counter' has the key ['none']"),
        (("actors", "wake", "nobody"), 4, "see tidestep actors list"),
        (("actors", "sleep", "counter/"), 2, "write NAME/KEY, or its id"),
        (("actors", "create", "a b"), 2, "'a b'"),
        (("actors", "create", "c/d", "--crash", "explode"), 2, "'explode' is not one of"),
        (("runners", "show", "none"), 4, "there is no runner 'none'"),
        (("runners", "stop", "none"), 4, "see tidestep runners list"),
        (("pools", "show", "none"), 4, "there is no pool 'none'"),
        (("pools", "set", "p"), 2, "say what to set"),
        (("pools", "set", "p", "--url", "ftp://x"), 2, "it must begin with http"),
        (("pools", "set", "p", "--header", "x"), 2, "NAME: VALUE"),
        (("pools", "set", "p", "--lifespan", "5"), 2, "lifespan: more than 10 seconds"),
        (("runner",), 2, "say where your actors are"),
        (("runner", "--stateful", "nowhere"), 6, "there is no module 'nowhere'"),
        (("serve", "--stateful", "nowhere"), 6, "there is no module 'nowhere'"),
        (("serve", "--stateful", "json"), 6, "nothing there is decorated with @stateful_actor"),
        (("serve", "--no-runners"), 2, "it needs --stateful"),
        (("serve", "--pool-url", "https://x"), 2, "it needs --stateful"),
        (("serve", "--stateful", "json", "--no-runners"), 2, "TIDESTEP_RUNNER_TOKEN"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_explained(
    tidestep: Tidestep, counter: str, words: tuple[str, ...], code: int, message: str
) -> None:
    if words[0] == "serve":
        words = (*words, "--port", "0")
    ran = tidestep(*words)
    assert message in ran.err, ran.err
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_settings_that_make_no_sense_stop_the_server(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_ALLOCATION_PING_SECONDS", "60")
    ran = tidestep("serve", "--port", "0", "--stateful", "tests.infra.local.actors.cast")
    assert ran.code == 6
    assert "TIDESTEP_ALLOCATION_PING_SECONDS (60) must be less than" in ran.err


@pytest.mark.parametrize("group", ["actors", "runners", "pools"])
def test_without_a_database_there_is_nothing_to_see(tidestep: Tidestep, group: str) -> None:
    assert tidestep(group, "list").code == 4
