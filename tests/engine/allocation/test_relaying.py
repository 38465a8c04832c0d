"""A user's WebSocket on its way to an actor, and what becomes of it when the actor leaves."""

from __future__ import annotations

import asyncio

import pytest

from engine.allocation import errors, frames
from engine.allocation.ports import ConnectionGone
from engine.allocation.relaying import LOST
from engine.errors import PayloadTooLarge
from tests.engine.allocation.host import Host, Socket, hello, parrot, play


def test_messages_go_there_and_back_in_order() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        async with host.relaying.open(key, "s", "/x?y=1", [("a", "b")]) as relay:
            for text in ("one", "two"):
                await relay.send(text)
            await relay.send(data=b"three")
            found = [await relay.next() for _ in range(3)]
            assert found == [
                frames.SocketMessage("s.0", 1, "one"),
                frames.SocketMessage("s.0", 2, "two"),
                frames.SocketMessage("s.0", 3, data=b"three"),
            ]
            await relay.close(1000, "bye")
        (opened,) = host.wires.to("c1", frames.SocketOpen)
        assert (opened.generation, opened.path, opened.headers) == (1, "/x?y=1", [("a", "b")])
        assert host.wires.to("c1", frames.SocketClose) == [frames.SocketClose("s.0", 1000, "bye")]

    play(host, script)


def test_a_websocket_ends_with_its_runners_connection_for_something_may_be_lost() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        async with host.relaying.open(await host.actor(), "s", "/", []) as relay:
            host.wires.closed.add("c1")
            await host.connect(connection="c2")
            with pytest.raises(ConnectionGone):
                await relay.send("still here?")
            assert await relay.next() == LOST
            await relay.close(1001)
        (closed,) = host.wires.to("c2", frames.SocketClose)  # or the actor would stay awake for it
        assert closed.socket == "s.0"

    play(host, script)


def test_a_gap_in_the_actors_messages_ends_the_websocket_and_a_second_one_is_dropped() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        async with host.relaying.open(await host.actor(), "s", "/", []) as relay:
            first = frames.SocketMessage("s.0", 1, "one")
            for frame in (first, first, frames.SocketMessage("s.0", 3, "three")):
                await host.say(frame)
            assert [await relay.next(), await relay.next()] == [first, LOST]

    play(host, script)


def test_a_message_that_does_not_fit_into_a_frame_is_refused_before_it_breaks_the_connection() -> (
    None
):
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        async with host.relaying.open(await host.actor(), "s", "/", []) as relay:
            with pytest.raises(PayloadTooLarge):
                await relay.send("\x01" * 40_000)
            await relay.send("short")
            assert await relay.next() == frames.SocketMessage("s.0", 1, "short")

    play(host, script)


def test_what_the_actor_closes_is_closed() -> None:
    async def close(host: Host, frame: Socket) -> None:
        await parrot(host, frame)
        if isinstance(frame, frames.SocketOpen):
            await host.say(frames.SocketClose(frame.socket, 4000, "enough"))

    host = Host(hello)
    host.hear = close

    async def script() -> None:
        await host.connect()
        async with host.relaying.open(await host.actor(), "s", "/", []) as relay:
            assert await relay.next() == frames.SocketClose("s.0", 4000, "enough")

    play(host, script)


def test_when_the_actor_leaves_without_a_word_the_user_is_told_that_its_runner_was_lost() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        async with host.relaying.open(key, "s", "/", []) as relay:
            await host.report(key.run, 1, frames.Stopped("boom"))
            end = await relay.next()
            assert isinstance(end, frames.SocketClose)
            assert end.code == 1012

    play(host, script)


@pytest.mark.parametrize("code", ["not_here", "stopping"])
def test_a_socket_that_comes_too_late_is_opened_where_the_actor_is_next(code: str) -> None:
    async def refuse_first(host: Host, frame: Socket) -> None:
        if isinstance(frame, frames.SocketOpen) and frame.generation == 1:
            await host.say(frames.SocketClose(frame.socket, 1012, code))
            await host.report(frame.actor, 1, frames.Stopped())
        else:
            await parrot(host, frame)

    host = Host(hello)
    host.hear = refuse_first

    async def script() -> None:
        await host.connect()
        async with host.relaying.open(await host.actor(), "s", "/", []) as relay:
            assert relay.place.generation == 2
            await relay.send("hello")
            assert await relay.next() == frames.SocketMessage("s.1", 1, "hello")

    play(host, script)


def test_an_actor_that_takes_no_sockets_says_so() -> None:
    async def refuse(host: Host, frame: Socket) -> None:
        if isinstance(frame, frames.SocketOpen):
            await host.say(frames.Refused(frame.socket, "failed", "it has no on_websocket"))

    host = Host(hello)
    host.hear = refuse

    async def script() -> None:
        await host.connect()
        with pytest.raises(errors.ActorFailed, match="it has no on_websocket"):
            async with host.relaying.open(await host.actor(), "s", "/", []):
                raise AssertionError("it was opened")

    play(host, script)


def test_a_socket_that_nobody_takes_is_given_up_in_time_and_the_runner_is_told() -> None:
    async def nobody(host: Host, frame: Socket) -> None:
        """It does not answer."""

    host = Host(hello)
    host.hear = nobody

    async def script() -> None:
        await host.connect()
        began = host.clock.now()
        with pytest.raises(errors.ActorNotReady, match="has not taken the WebSocket in time"):
            async with host.relaying.open(await host.actor(), "s", "/", []):
                raise AssertionError("it was opened")
        assert 25_000 <= host.clock.now() - began <= 26_000
        await asyncio.sleep(0)
        assert [each.code for each in host.wires.to("c1", frames.SocketClose)] == [1001]

    play(host, script)
