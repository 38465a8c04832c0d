"""Who there is: keys that belong to one actor at a time, runners that come back, pools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.allocation import frames, signals
from engine.allocation.config import CrashPolicy, InvalidPool, PoolConfig, checked_pool
from engine.allocation.directory import (
    ActorExists,
    ActorNotFound,
    Directory,
    Made,
    reservation,
)
from engine.allocation.pool_state import PoolState
from engine.errors import InvalidInput, InvalidName
from engine.layout import RunKey
from engine.memory import MemoryJournal
from engine.ports import Commit, RevisionConflict
from tests.engine.allocation.scenes import SERVERLESS
from tests.engine.allocation.yard import Yard, pool_key


def destroy(yard: Yard, key: RunKey) -> None:
    yard.signal(key, signals.Destroy())
    yard.work()
    assert yard.phase(key) == "Destroyed"


# -- actors ---------------------------------------------------------------------------------------


def test_an_actor_is_made_with_all_that_was_said_of_it(yard: Yard) -> None:
    key = yard.create("main", input={"start": 7}, crash=CrashPolicy.RESTART, pool="big")
    state = yard.actor(key)
    assert (state.name, state.key, state.pool, state.crash) == (
        "counter",
        ("main",),
        "big",
        CrashPolicy.RESTART,
    )
    assert yard.items(key.partition, "input") == {"input": b'{"start":7}'}


def test_a_key_belongs_to_one_actor(yard: Yard) -> None:
    key = yard.create("eu", "main")
    with pytest.raises(ActorExists, match=rf"belongs to actor '{key.run}'"):
        yard.create("eu", "main")
    again = yard.directory.get_or_create("counter", ["eu", "main"])
    assert yard.do(again) == Made(key, False)
    assert yard.do(yard.directory.find("counter", ["eu", "main"])) == key


def test_keys_are_apart_by_name_by_tenant_and_by_their_parts(yard: Yard) -> None:
    made = {
        yard.create("a", "b"),
        yard.create("a,b"),
        yard.create("ab"),
        yard.create("a", "b", name="other"),
        yard.create("a", "b", tenant="acme"),
    }
    assert len(made) == 5


def test_without_a_key_every_actor_is_a_new_one(yard: Yard) -> None:
    assert yard.create() != yard.create()


def test_many_who_want_the_same_actor_at_once_get_one(yard: Yard) -> None:
    async def all_at_once() -> list[Made]:
        wanted = [
            Directory(yard.platform(Slow(yard))).get_or_create("counter", ["x"], input=number)
            for number in range(8)
        ]
        return list(await asyncio.gather(*wanted))

    made = yard.do(all_at_once())
    assert len({each.key for each in made}) == 1
    assert [each.created for each in made].count(True) == 1
    rows = yard.do(yard.journal.runs("default", limit=99, kind="actor"))
    assert len(rows) == 1
    inputs = [p for p in yard.journal.store._items if yard.items(p, "input")]
    assert inputs == [made[0].key.partition]  # those who were too late have left nothing behind


class Slow(MemoryJournal):
    """Lets all others look before it writes."""

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard.clock)
        self._store = self.store = yard.journal.store
        self._queue = self.source = yard.journal.source

    async def commit(self, commit: Commit) -> None:
        await asyncio.sleep(0)
        await super().commit(commit)


def test_a_key_is_free_when_its_actor_has_ended(yard: Yard) -> None:
    first = yard.create("main")
    destroy(yard, first)
    with pytest.raises(ActorNotFound, match=r"no actor 'counter' has the key \['main'\]"):
        yard.do(yard.directory.find("counter", ["main"]))
    second = yard.create("main")
    assert second != first
    assert yard.do(yard.directory.find("counter", ["main"])) == second
    assert yard.actor(first).destroyed_at > 0  # its row stays


def test_a_write_that_seemed_to_have_failed_has_made_the_actor(yard: Yard) -> None:
    directory = Directory(yard.platform(Doubting(yard)))
    made = yard.do(directory.get_or_create("counter", ["x"]))
    assert made.created
    assert yard.do(yard.directory.find("counter", ["x"])) == made.key


class Doubting(Slow):
    """Its writes of heads happen, and are repeated by the client library."""

    async def commit(self, commit: Commit) -> None:
        await super().commit(commit)
        if commit.expected is None:
            raise RevisionConflict(commit.head.body)


@pytest.mark.parametrize("key", [[], [""], ["a", ""], ["x" * 1100]])
def test_a_key_that_cannot_be_is_refused(key: list[str]) -> None:
    with pytest.raises(InvalidInput, match="an actor's key"):
        reservation("default", "counter", key)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 101])
def test_a_name_that_keys_cannot_carry_is_refused(yard: Yard, name: str) -> None:
    with pytest.raises(InvalidName):
        yard.create("main", name=name)


def test_an_input_that_is_too_large_is_refused_and_nothing_is_made(yard: Yard) -> None:
    with pytest.raises(InvalidInput, match="the actor's input has 98,307 bytes"):
        yard.create("main", input="x" * ((96 << 10) + 1))
    assert yard.do(yard.journal.runs("default", limit=9, kind="actor")) == []


def test_an_unknown_actor_is_not_found(yard: Yard) -> None:
    with pytest.raises(ActorNotFound, match="there is no actor 'a7'"):
        yard.do(yard.directory.actor(RunKey("default", "a7", "actor")))


# -- runners --------------------------------------------------------------------------------------


def test_a_runner_is_in_the_index_with_its_row(yard: Yard) -> None:
    registered = yard.connect(slots=3, version=2)
    assert (registered.epoch, registered.events, registered.created) == (1, 0, True)
    entry = yard.board().entries[registered.key.run]
    assert (entry.total, entry.taken, entry.version, entry.open) == (3, 0, 2, True)
    assert yard.phase(registered.key) == "Connected"


def test_a_runner_that_comes_back_is_the_same_with_a_higher_epoch(yard: Yard) -> None:
    first = yard.connect(connection="c1")
    yard.work()
    second = yard.connect(connection="c2")
    assert (second.key, second.epoch, second.created) == (first.key, 2, False)
    connection = yard.do(yard.directory.connection(first.key))
    assert connection is not None
    assert connection.id == "c2"


def test_a_runner_that_comes_back_is_told_which_events_are_stored(yard: Yard) -> None:
    actor, runner = yard.create("main"), yard.connect().key
    yard.work()
    yard.run(actor, runner)
    yard.report(runner, actor, frames.Alarm(5))
    assert yard.connect(connection="c2").events == 2


def test_saying_hello_twice_on_one_connection_is_one_epoch(yard: Yard) -> None:
    yard.connect(connection="c1")
    yard.work()
    assert yard.connect(connection="c1").epoch == 1


def test_a_runner_that_is_gone_gets_a_new_id(yard: Yard) -> None:
    first = yard.connect()
    yard.clock.advance(20)
    yard.work()
    assert yard.phase(first.key) == "Gone"
    second = yard.connect(connection="c2")
    assert second.created
    assert second.key != first.key
    assert list(yard.board().entries) == [second.key.run]


def test_another_process_with_the_same_key_takes_the_place_of_the_first(yard: Yard) -> None:
    first = yard.connect(session="s1")
    yard.work()
    second = yard.connect(session="s2", connection="c2")
    assert second.key != first.key
    yard.work()
    assert yard.phase(first.key) == "Draining"


def test_a_runner_whose_write_seemed_to_have_failed_is_there(yard: Yard) -> None:
    yard.directory = Directory(yard.platform(Doubting(yard)))
    registered = yard.connect()
    assert registered.created
    assert yard.phase(registered.key) == "Connected"


@pytest.mark.parametrize("slots", [0, -1, 1001])
def test_a_runner_with_no_slots_or_too_many_is_refused(yard: Yard, slots: int) -> None:
    with pytest.raises(InvalidInput, match="a runner has 1 to 1,000 slots"):
        yard.connect(slots=slots)


# -- pools ----------------------------------------------------------------------------------------


def config_of(yard: Yard, name: str = "default") -> PoolConfig:
    state = yard.head(pool_key(name)).state
    assert isinstance(state, PoolState)
    assert yard.board(pool=name).config == state.config  # whoever allocates reads the same
    return state.config


def test_a_pool_is_there_unmanaged_as_soon_as_somebody_uses_it(yard: Yard) -> None:
    yard.create("main")
    assert yard.phase(pool_key()) == "Unmanaged"
    assert config_of(yard) == PoolConfig()


def test_a_pool_is_made_as_configured_and_looks_at_once(yard: Yard) -> None:
    config = PoolConfig(url="https://example.com", min_runners=2)
    yard.do(yard.directory.configure("default", config))
    yard.work()
    assert config_of(yard) == config
    assert len(yard.holders.begun) == 2


def test_a_pool_that_is_there_is_configured_by_a_signal(yard: Yard) -> None:
    yard.create("main")
    yard.do(yard.directory.configure("default", SERVERLESS))
    yard.work()
    assert config_of(yard) == SERVERLESS


def test_the_same_configuration_again_sends_nothing(yard: Yard) -> None:
    for _ in range(2):
        yard.do(yard.directory.configure("default", SERVERLESS))
        yard.work()
    yard.do(yard.directory.configure("default", SERVERLESS))
    assert yard.waiting() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "https://x", "command": ("run",)}, "give either url or command"),
        ({"url": "ftp://x"}, "it must begin with http"),
        ({"slots_per_runner": 0}, "slots_per_runner: at least 1"),
        ({"min_runners": 3, "max_runners": 2}, "min_runners: from 0 to max_runners"),
        ({"min_runners": -1}, "min_runners: from 0"),
        ({"max_runners": 0}, "max_runners: at least 1"),
        ({"margin": -1}, "margin: at least 0"),
        ({"lifespan_ms": 10_000}, "lifespan: more than 10 seconds, twice the drain"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidPool, match=message):
        checked_pool(PoolConfig(**wrong), drain_ms=5_000)


def test_all_that_is_wrong_with_a_configuration_is_said_at_once() -> None:
    with pytest.raises(InvalidPool, match=r"slots_per_runner.*; margin"):
        checked_pool(PoolConfig(slots_per_runner=0, margin=-1), drain_ms=5_000)
