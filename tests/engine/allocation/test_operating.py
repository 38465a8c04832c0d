"""What an operator does: one signal each, however often, and refused where it is no use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.allocation import signals
from engine.allocation.config import PoolConfig
from engine.allocation.directory import ActorNotFound, Directory
from engine.allocation.operating import ActorDestroyed, Operator, parse_actor
from engine.allocation.parties import Kind, party_key
from engine.allocation.signals import decode
from engine.errors import InvalidName, RunNotFound
from engine.layout import INBOX_PREFIX, RunKey
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Platform
from infra.system import EnvironmentSecrets, SystemEntropy
from tests.clock import ManualClock


class Yard:
    """A platform on which nobody steps anything."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.journal = MemoryJournal(clock)
        entropy = SystemEntropy()
        self.platform = Platform(
            self.journal, MemoryBlobs(), clock, entropy, EnvironmentSecrets({})
        )
        self.operator = Operator(self.platform)
        self.directory = Directory(self.platform)

    async def inbox(self, key: RunKey) -> list[object]:
        rows = self.journal.scan(key.partition, INBOX_PREFIX)
        return [decode(body).signal async for _, body in rows]


def play(script: Callable[[Yard], Awaitable[None]]) -> None:
    asyncio.run(_whole(script))


async def _whole(script: Callable[[Yard], Awaitable[None]]) -> None:
    await script(Yard())


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        ("counter/main", "counter", ("main",)),
        ("room/eu,lobby", "room", ("eu", "lobby")),
        ("room/a/b", "room", ("a/b",)),
        ("aB1", "aB1", ()),
    ],
)
def test_an_actor_is_named_by_its_address_or_its_id(
    text: str, name: str, key: tuple[str, ...]
) -> None:
    assert parse_actor(text) == (name, key)


@pytest.mark.parametrize("text", ["/", "counter/", "/main"])
def test_half_an_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="NAME/KEY"):
        parse_actor(text)


def test_an_actor_is_found_by_either() -> None:
    async def script(yard: Yard) -> None:
        made = (await yard.directory.create("counter", ["main"])).key
        assert await yard.operator.find("counter/main") == made
        assert await yard.operator.find(made.run) == made
        for unknown in ("counter/other", "nobody"):
            with pytest.raises(ActorNotFound):
                await yard.operator.find(unknown)

    play(script)


def test_whoever_finds_an_actor_in_the_same_state_sends_the_same_signal() -> None:
    async def script(yard: Yard) -> None:
        made = (await yard.directory.create("counter", ["main"])).key
        for _ in range(2):
            await yard.operator.wake(made)
            await yard.operator.sleep(made)
            await yard.operator.destroy(made)
        assert await yard.inbox(made) == [signals.Wake(), signals.Sleep(), signals.Destroy()]

    play(script)


def test_why_an_actor_does_not_run_yet_is_said() -> None:
    async def script(yard: Yard) -> None:
        made = (await yard.directory.create("counter", ["main"])).key
        ready = await yard.operator.readiness(made)
        assert not ready.ready
        assert "no runner of pool 'default' has a free slot" in ready.why

    play(script)


def test_what_is_not_there_cannot_be_acted_on() -> None:
    async def script(yard: Yard) -> None:
        nobody = party_key(Kind.ACTOR, "a1", "default")
        for act in (yard.operator.wake, yard.operator.sleep, yard.operator.destroy):
            with pytest.raises(ActorNotFound):
                await act(nobody)
        with pytest.raises(RunNotFound):
            await yard.operator.stop_runner("n1")
        assert issubclass(ActorDestroyed, ActorNotFound)

    play(script)


def test_a_runner_is_stopped_once() -> None:
    async def script(yard: Yard) -> None:
        runner = await yard.directory.register(
            "default",
            "r1",
            slots=1,
            version=0,
            connection="c1",
            request="",
            session="s1",
            tenant="default",
        )
        assert await yard.operator.stop_runner(runner.key.run)
        assert await yard.operator.stop_runner(runner.key.run)
        assert await yard.inbox(runner.key) == [signals.StopRunner()]

    play(script)


def test_who_begins_anew_says_that_every_connection_is_closed() -> None:
    async def script(yard: Yard) -> None:
        await yard.directory.configure("default", PoolConfig(url="http://x"))
        runner = await yard.directory.register(
            "default",
            "r1",
            slots=1,
            version=0,
            connection="c1",
            request="",
            session="s1",
            tenant="default",
        )
        await yard.operator.begin_anew()
        assert await yard.inbox(runner.key) == [signals.Disconnected("c1")]
        assert await yard.inbox(party_key(Kind.POOL, "default", "default")) == []

    play(script)
