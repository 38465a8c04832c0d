"""Alarms: durable when they are set, rung at least once, taken off once the state is saved."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from engine.allocation.frames import (
    Alarm,
    Events,
    Refused,
    ResponseStart,
    Running,
    Save,
    Sleep,
    Stopped,
)
from engine.errors import InvalidValue
from engine.stateful import Request, Runner, StatefulActor, stateful_actor
from engine.stateful.alarms import alarm_time
from tests.engine.stateful.peer import START, Peer, play


class Rings(msgspec.Struct):
    rings: int = 0


@stateful_actor(idle=None)
class Bell(StatefulActor[Rings]):
    async def on_request(self, request: Request) -> Any:
        match request.path:
            case "/set":
                await self.set_alarm(float(request.query["in"]))
            case "/off":
                await self.set_alarm(None)
        return self.state.rings

    async def on_alarm(self) -> None:
        self.state.rings += 1


def test_an_alarm_is_stored_when_setting_it_returns() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell")
        await peer.reported(Running)
        await peer.settled()
        peer.silent.add(Events)
        request = peer.ask("/set?in=50")
        await peer.reported(Alarm(START + 50_000))
        await asyncio.sleep(5)
        assert not peer.of(ResponseStart)
        peer.answer(peer.of(Events)[-1])
        await peer.reply(request)

    play(scenario, Bell)


def test_it_rings_in_time_and_is_taken_off_after_the_state_is_saved() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell")
        await peer.answered("/set?in=50")
        await asyncio.sleep(49)
        assert await peer.answered() == 0
        await asyncio.sleep(2)
        assert await peer.answered() == 1
        assert peer.reports() == [Running(), Alarm(START + 50_000), Alarm(0)]

    peer = play(scenario, Bell)
    assert peer.states["a"] == {"rings": 1}
    assert peer.frames.index(peer.of(Save)[-1]) < peer.frames.index(peer.of(Events)[-1])


def test_while_its_state_is_not_saved_an_alarm_stays_on() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Save)
        peer.start(name="bell", alarm_at=START - 5)
        save = await peer.sent(Save)
        await asyncio.sleep(10)
        assert peer.reports() == [Running()]
        peer.answer(save)
        await peer.reported(Alarm(0))

    play(scenario, Bell)


def test_an_alarm_that_was_due_rings_right_after_the_start() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell", alarm_at=START - 5)
        assert await peer.answered() == 1

    play(scenario, Bell)


def test_an_alarm_that_was_set_before_rings_in_its_time() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell", alarm_at=START + 3_600_000)
        await asyncio.sleep(3599)
        assert await peer.answered() == 0
        await asyncio.sleep(2)
        assert await peer.answered() == 1

    play(scenario, Bell)


def test_an_alarm_can_be_moved_and_taken_off() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell")
        await peer.answered("/set?in=5")
        await peer.answered("/set?in=50")
        await asyncio.sleep(20)
        assert await peer.answered("/off") == 0
        await asyncio.sleep(100)
        assert await peer.answered() == 0
        assert peer.reports()[-1] == Alarm(0)

    play(scenario, Bell)


def test_an_alarm_that_sets_another_is_not_taken_off() -> None:
    @stateful_actor(idle=None)
    class Ticker(Bell):
        async def on_alarm(self) -> None:
            self.state.rings += 1
            if self.state.rings < 3:
                await self.set_alarm(timedelta(hours=1))

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="ticker", alarm_at=START)
        await asyncio.sleep(10_000)
        assert await peer.answered() == 3
        hour = 3_600_000
        assert peer.reports() == [
            Running(),
            Alarm(START + hour),
            Alarm(START + 2 * hour),
            Alarm(0),
        ]

    play(scenario, Ticker)


def test_an_alarm_takes_its_turn_and_keeps_the_actor_awake() -> None:
    @stateful_actor(idle=1)
    class Thorough(Bell):
        async def on_alarm(self) -> None:
            await asyncio.sleep(10)
            await super().on_alarm()

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="thorough", alarm_at=START)
        assert await peer.answered() == 1
        assert Sleep() not in peer.reports()

    play(scenario, Thorough)


@pytest.mark.parametrize("how", ["raises", "cancels itself"])
def test_an_alarm_that_fails_is_a_crash_and_stays_on(how: str) -> None:
    @stateful_actor(idle=None)
    class Cracked(Bell):
        async def on_alarm(self) -> None:
            await super().on_alarm()
            await asyncio.sleep(1)
            if how == "raises":
                raise OSError("no sound")
            raise asyncio.CancelledError

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="cracked", alarm_at=START)
        reply = await peer.reply(peer.ask())
        assert isinstance(reply, Refused)
        assert reply.code == "not_here"
        error = "OSError: no sound" if how == "raises" else "CancelledError"
        await peer.reported(Stopped(error))
        assert peer.reports() == [Running(), Stopped(error)]
        assert not peer.of(Save)

    play(scenario, Cracked)


def test_a_stop_waits_for_an_alarm_that_rings() -> None:
    @stateful_actor
    class Long(Bell):
        async def on_alarm(self) -> None:
            await asyncio.sleep(5)
            await super().on_alarm()

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="long", alarm_at=START)
        await peer.settled()
        peer.stop()
        await peer.reported(Stopped())
        assert peer.reports() == [Running(), Alarm(0), Stopped()]
        assert peer.states["a"] == {"rings": 1}

    play(scenario, Long)


def test_an_actor_that_is_stopped_does_not_ring() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="bell")
        await peer.answered("/set?in=5")
        peer.stop()
        await peer.reported(Stopped())
        await asyncio.sleep(100)
        assert peer.states["a"] == {"rings": 0}
        assert peer.reports()[-1] == Stopped()

    play(scenario, Bell)


@pytest.mark.parametrize(
    ("when", "at"),
    [
        (None, 0),
        (5, 6_000),
        (0.0001, 1_001),
        (timedelta(seconds=2), 3_000),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 60_000),
        (datetime(1970, 1, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 60_000),
        (-1_000_000, 1),
    ],
)
def test_when_an_alarm_is_due(when: Any, at: int) -> None:
    assert alarm_time(when, 1_000) == at


@pytest.mark.parametrize(
    "when",
    [datetime(2030, 1, 1), True, "tomorrow", float("nan"), float("inf"), 1e18],
)
def test_what_no_alarm_can_be_set_to(when: Any) -> None:
    with pytest.raises(InvalidValue, match="alarm at"):
        alarm_time(when, 1_000)
