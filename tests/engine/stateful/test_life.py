"""An actor's life on a runner: it starts, goes to sleep, is stopped, crashes, is replaced."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.allocation.frames import (
    Event,
    Events,
    Load,
    Refused,
    ResponseStart,
    Running,
    Save,
    Sleep,
    Stop,
    Stopped,
)
from engine.stateful import Request, Runner, StatefulActor, stateful_actor
from tests.engine.stateful.peer import STOP_MS, Peer, play


@dataclass
class Diary:
    lines: list[str] = field(default_factory=list)


@stateful_actor(idle=30)
class Writer(StatefulActor[Diary]):
    async def on_start(self) -> None:
        self.state.lines.append(f"start {self.generation}")

    async def on_request(self, request: Request) -> Any:
        seconds = request.query.get("for")
        if seconds:
            await asyncio.sleep(float(seconds))
        match request.path:
            case "/sleep":
                self.sleep()
            case "/destroy":
                self.destroy()
            case "/who":
                return [self.id, self.name, self.key, self.generation, self.input]
        self.state.lines.append(request.path)
        return None

    async def on_sleep(self) -> None:
        self.state.lines.append("sleep")


def code(reply: ResponseStart | Refused) -> str:
    assert isinstance(reply, Refused), reply
    return reply.code


def test_running_is_reported_before_anything_is_loaded() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        await peer.answered()
        (running,) = [at for at, each in enumerate(peer.frames) if isinstance(each, Events)]
        (load,) = [at for at, each in enumerate(peer.frames) if isinstance(each, Load)]
        assert running < load

    play(scenario, Writer)


def test_an_actor_knows_who_it_is() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.inputs["a"] = {"room": 7}
        peer.start(name="writer", generation=3, key=("red", "blue"))
        assert await peer.answered("/who", generation=3) == [
            "a",
            "writer",
            ["red", "blue"],
            3,
            {"room": 7},
        ]

    play(scenario, Writer)


def test_it_asks_for_sleep_when_nothing_has_happened_for_the_idle_time() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        await asyncio.sleep(20)
        await peer.reply(peer.ask("/?for=100"))
        assert peer.reports() == [Running()]
        await asyncio.sleep(29.9)
        assert peer.reports() == [Running()]
        await asyncio.sleep(0.2)
        assert peer.reports() == [Running(), Sleep()]

    play(scenario, Writer)


def test_without_an_idle_time_it_stays_awake() -> None:
    @stateful_actor(idle=None)
    class Sleepless(StatefulActor[None]):
        pass

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="sleepless")
        await asyncio.sleep(10_000)
        assert peer.reports() == [Running()]

    play(scenario, Sleepless)


def test_a_handler_can_ask_for_sleep_and_for_the_end_and_is_answered_all_the_same() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        await peer.answered("/sleep")
        await peer.answered("/sleep")
        await peer.answered("/destroy")
        await peer.reported(Stop)
        assert peer.reports() == [Running(), Sleep(), Sleep(), Stop()]

    play(scenario, Writer)


def test_a_stop_lets_requests_end_then_sleeps_saves_and_reports() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        running, waiting = peer.ask("/run?for=5"), peer.ask("/wait")
        await peer.settled()
        peer.stop()
        assert code(await peer.reply(waiting)) == "stopping"
        assert code(await peer.reply(peer.ask("/late"))) == "stopping"
        assert isinstance(await peer.reply(running), ResponseStart)
        await peer.reported(Stopped())
        assert peer.states["a"] == {"lines": ["start 1", "/run", "sleep"]}
        assert code(await peer.reply(peer.ask())) == "not_here"
        assert isinstance(peer.of(Events)[-1].events[-1], Event)

    peer = play(scenario, Writer)
    assert peer.frames.index(peer.of(Save)[-1]) < peer.frames.index(peer.of(Events)[-1])


def test_a_request_that_does_not_end_in_time_is_refused_and_the_actor_still_saves() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        request = peer.ask("/?for=1000")
        await peer.settled()
        peer.stop()
        assert code(await peer.reply(request)) == "stopping"
        await peer.reported(Stopped())
        assert asyncio.get_running_loop().time() < STOP_MS / 1000
        assert peer.states["a"] == {"lines": ["start 1", "sleep"]}

    play(scenario, Writer)


def test_a_stop_while_it_starts_waits_for_the_start() -> None:
    @stateful_actor
    class Slow(Writer):
        async def on_start(self) -> None:
            await asyncio.sleep(5)
            self.state.lines.append("started")

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="slow")
        request = peer.ask()
        await peer.settled()
        peer.stop()
        assert code(await peer.reply(request)) == "stopping"
        await peer.reported(Stopped())
        assert peer.states["a"] == {"lines": ["started", "sleep"]}

    play(scenario, Slow)


def test_a_start_that_never_ends_is_given_up_by_a_stop() -> None:
    @stateful_actor
    class Stuck(Writer):
        async def on_start(self) -> None:
            await asyncio.sleep(100_000)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="stuck")
        peer.stop()
        await peer.reported(Stopped())
        assert asyncio.get_running_loop().time() < STOP_MS / 1000
        assert "a" not in peer.states

    play(scenario, Stuck)


@pytest.mark.parametrize("how", ["raises", "hangs", "cancels itself"])
def test_an_on_sleep_that_goes_wrong_does_not_cost_the_state(how: str) -> None:
    @stateful_actor
    class Restless(Writer):
        async def on_sleep(self) -> None:
            match how:
                case "raises":
                    raise ValueError("not tired")
                case "hangs":
                    await asyncio.sleep(100_000)
            raise asyncio.CancelledError

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="restless")
        await peer.answered("/one")
        peer.stop()
        await peer.reported(Stopped())
        assert asyncio.get_running_loop().time() < STOP_MS / 1000
        assert peer.states["a"] == {"lines": ["start 1", "/one"]}

    play(scenario, Restless)


def test_a_last_state_that_cannot_be_saved_is_a_crash() -> None:
    @stateful_actor
    class Greedy(Writer):
        async def on_sleep(self) -> None:
            self.state.lines.append("x" * 100_000)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="greedy")
        peer.stop()
        await peer.reported(Stopped)
        assert "TooLarge: the state" in str(peer.reports()[-1])

    play(scenario, Greedy)


def test_an_actor_that_ends_for_good_saves_nothing_more() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        await peer.settled()
        peer.stop(forever=True)
        await peer.reported(Stopped())
        assert not peer.of(Save)

    play(scenario, Writer)


@pytest.mark.parametrize("how", ["raises", "cancels itself", "reads a stored state that is wrong"])
def test_a_start_that_fails_is_a_crash_and_tells_those_who_wait(how: str) -> None:
    @stateful_actor
    class Broken(Writer):
        async def on_start(self) -> None:
            await asyncio.sleep(1)
            if how == "raises":
                raise KeyError("lost")
            raise asyncio.CancelledError

    async def scenario(peer: Peer, runner: Runner) -> None:
        if how.startswith("reads"):
            peer.states["a"] = {"lines": 7}
        peer.start(name="broken")
        reply = await peer.reply(peer.ask())
        assert isinstance(reply, Refused)
        assert reply.code == "failed"
        wanted = {"r": "KeyError: 'lost'", "c": "CancelledError"}.get(how[0], "")
        if how.startswith("reads"):
            wanted = "InvalidValue: the stored state"
        assert reply.message.startswith(wanted)
        await peer.reported(Stopped(reply.message))
        assert code(await peer.reply(peer.ask())) == "not_here"

    play(scenario, Broken)


def test_a_refused_load_ends_the_start() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.refusal = "moved"
        peer.start(name="writer")
        assert code(await peer.reply(peer.ask())) == "not_here"
        await peer.reported(Stopped("refused: moved"))

    play(scenario, Writer)


def test_an_actor_of_an_unknown_name_is_stopped_with_the_reason() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="reader")
        await peer.reported(Stopped)
        assert peer.reports() == [
            Stopped("UnknownActor: this runner has no actor 'reader'; it has writer")
        ]

    play(scenario, Writer)


def test_a_newer_generation_takes_the_place_of_what_is_here_unsaved() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer")
        await peer.answered("/one")
        request = peer.ask("/?for=1000")
        await peer.settled()
        peer.start(name="writer", generation=2)
        assert code(await peer.reply(request)) == "not_here"
        await peer.answered("/two", generation=2)
        assert peer.states["a"] == {"lines": ["start 1", "/one", "start 2", "/two"]}
        assert peer.reports() == [Running(), Running()]

    play(scenario, Writer)


def test_what_is_ordered_for_another_generation_changes_nothing() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer", generation=2)
        peer.start(name="writer", generation=1)
        peer.stop(generation=1)
        peer.stop(generation=3)
        await peer.answered(generation=2)
        assert peer.reports() == [Running()]

    play(scenario, Writer)


def test_a_command_is_carried_out_once_and_its_number_goes_out_with_the_next_events() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="writer", index=5)
        peer.start("b", name="writer", index=5)
        peer.start("c", name="writer", index=4)
        await peer.answered()
        assert peer.reports("b") == peer.reports("c") == []
        assert peer.of(Events)[-1].commands == 5

    play(scenario, Writer)
