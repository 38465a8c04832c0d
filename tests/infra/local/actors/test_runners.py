"""Runners at the door of a real server: who is let in, in which order frames count, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine.allocation import frames
from engine.allocation.directory import Directory
from engine.allocation.ports import ConnectionGone
from infra.local.actors import runners
from tests.infra.local.actors.world import Scripted, World, open_world


def play(directory: Path, script: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with open_world(directory) as world:
            await script(world)

    asyncio.run(whole())


def test_a_runner_that_says_hello_is_welcome_and_known(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            welcome = await runner.hello()
            step = await world.step("runner", "Timer")
            assert (step.key.run, step.after) == (welcome.runner, "Connected")
            await runner.say(frames.Ping())
            await runner.hears(frames.Pong)
        gone = await world.step("runner", "Disconnected")
        assert gone.after == "Away"

    play(tmp_path, script)


def test_a_runner_without_the_token_is_sent_away_with_the_reason(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            await runner.say(frames.Hello("default", "r1", 1, token="wrong"))
            assert "TIDESTEP_RUNNER_TOKEN" in (await runner.hears(frames.Evicted)).reason
            assert await runner.ended() == runners.SENT_AWAY

    play(tmp_path, script)


def test_who_says_something_else_first_is_sent_away(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            await runner.socket.send(b"\x00\xff")
            await runner.hears(frames.Evicted)
            assert await runner.ended() == runners.SENT_AWAY

    play(tmp_path, script)


def test_who_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "HELLO_S", 0.05)

    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            assert await runner.ended() == runners.SENT_AWAY

    play(tmp_path, script)


def test_a_frame_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            await runner.hello()
            await runner.socket.send('{"type": "OfTomorrow"}')
            await runner.say(frames.Ping())
            await runner.hears(frames.Pong)

    play(tmp_path, script)


def test_events_that_come_at_once_are_stored_in_their_order(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            await runner.hello()
            made = await Directory(world.platform).create("pad", ["a"])
            command = (await runner.hears(frames.Commands)).commands[0]
            order = command.order
            assert (order.actor, order.generation) == (made.key.run, 1)
            reports: list[frames.Report] = [
                frames.Running(),
                frames.Alarm(5),
                frames.Alarm(6),
                frames.Sleep(),
            ]
            for index, report in enumerate(reports, 1):
                event = frames.Event(index, order.actor, order.generation, report)
                await runner.say(frames.Events((event,), command.index))
            while (await runner.hears(frames.EventsStored)).index < len(reports):
                pass
            await world.step("actor", "Sleep", "SleepIntent")
            told = [step.signal for step in world.steps if step.key.kind == "actor"]
            assert [name for name in told if name in ("Running", "Alarm", "Sleep")] == [
                "Running",
                "Alarm",
                "Alarm",
                "Sleep",
            ]

    play(tmp_path, script)


def test_what_is_none_of_a_runners_business_is_refused(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as runner:
            await runner.hello()
            await runner.say(frames.Load("q1", "a-of-somebody-else", 1))
            assert "NotOwner" in (await runner.hears(frames.Loaded)).error

    play(tmp_path, script)


def test_a_runner_that_comes_back_takes_the_place_of_its_old_connection(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        async with Scripted.connected(world) as old, Scripted.connected(world) as new:
            before = await old.hello()
            after = await new.hello()
            assert after.runner == before.runner
            assert "taken its place" in (await old.hears(frames.Evicted)).reason
            assert await old.ended() == 1000
            await new.say(frames.Ping())
            await new.hears(frames.Pong)

    play(tmp_path, script)


def test_a_server_that_stops_says_that_its_runners_are_away(tmp_path: Path) -> None:
    async def whole() -> None:
        async with open_world(tmp_path) as world:
            connected = Scripted.connected(world)
            runner = await connected.__aenter__()
            await runner.hello()
            await world.step("runner", "Timer")
        with pytest.raises(ConnectionGone):
            await world.hosting.sockets.post("nobody", "text")
        assert await runner.ended() == 1012
        await connected.__aexit__(None, None, None)
        async with open_world(tmp_path) as again:
            assert (await again.step("runner", "Disconnected")).after == "Away"

    asyncio.run(whole())
