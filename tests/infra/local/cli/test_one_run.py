"""The filter that leaves the messages of other runs alone, and one run's own sweep."""

from __future__ import annotations

import asyncio

import pytest

from engine.definition import FORMAT, Definition, Node
from engine.layout import RUN_KIND, RunKey, run_key
from engine.memory import MemoryBlobs, MemoryJournal
from engine.messages import Message, encode_message
from engine.ports import Platform, Send
from engine.starting import Starter
from engine.sweeper import sweep_run
from infra.local.cli.one_run import OneRun
from infra.system import EnvironmentSecrets, SystemEntropy
from tests.clock import ManualClock

DEFINITION = Definition(
    format=FORMAT,
    name="flow",
    nodes=(Node("a", "x", {}, (), {}),),
    start=(0,),
    ends=(0,),
    max_steps=10,
    on_failure="fail",
)


def message(run: str, tenant: str = "default", kind: str = RUN_KIND) -> Send:
    return Send(encode_message(Message(1, tenant, run, (0, 0, 1, 1), "sid", kind=kind)), "flow")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(clock: ManualClock) -> MemoryJournal:
    return MemoryJournal(clock)


def test_only_the_messages_of_one_run_come_through(journal: MemoryJournal) -> None:
    async def script() -> None:
        sends = [message("other"), message("mine"), message("mine", "else"), Send("junk", "flow")]
        sends.append(message("mine", kind="actor"))
        await journal.send(sends)
        source = OneRun(journal.source, RunKey("default", "mine"))
        (delivery,) = await source.receive(10, 0)
        assert '"mine"' in delivery.body
        assert await source.receive(10, 0) == []
        await source.release(delivery, 0)
        assert [each.receives for each in await source.receive(10, 0)] == [2]

    asyncio.run(script())


def test_waiting_goes_on_while_others_arrive(journal: MemoryJournal) -> None:
    async def script() -> None:
        source = OneRun(journal.source, RunKey("default", "mine"))
        receiving = asyncio.create_task(source.receive(10, 30))
        for number in range(5):
            await journal.send([message(f"other-{number}")])
            await asyncio.sleep(0)
        assert not receiving.done()
        await journal.send([message("mine")])
        assert len(await receiving) == 1

    asyncio.run(script())


def test_a_sweep_sends_again_what_was_lost_of_this_run_alone(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    async def script() -> None:
        platform = Platform(journal, MemoryBlobs(), clock, SystemEntropy(), EnvironmentSecrets({}))
        for run in ("mine", "other"):
            await Starter(platform).start(DEFINITION, {}, run)
        for delivery in await journal.source.receive(10, 0):
            await journal.send((), delivery)  # lost
        key = run_key("mine")
        await sweep_run(platform, key)
        assert await journal.source.receive(10, 0) == []
        clock.advance(3600)
        await sweep_run(platform, key)
        await sweep_run(platform, key)  # has been looked at just now
        (delivery,) = await journal.source.receive(10, 0)
        assert '"mine"' in delivery.body

    asyncio.run(script())
