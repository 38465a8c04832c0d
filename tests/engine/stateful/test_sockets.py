"""WebSockets to an actor: in order, saved before they speak, closed once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from engine.allocation.frames import (
    Save,
    Sleep,
    SocketClose,
    SocketMessage,
    SocketOpen,
    SocketOpened,
    Stopped,
)
from engine.errors import InvalidValue, TooLarge
from engine.stateful import Runner, SocketClosed, StatefulActor, WebSocket, stateful_actor
from engine.stateful.sockets import MESSAGE_BYTES, MOST_WAITING
from tests.engine.stateful.peer import Peer, play


class Heard(msgspec.Struct):
    heard: int = 0


@stateful_actor(idle=30)
class Parrot(StatefulActor[Heard]):
    async def on_websocket(self, socket: WebSocket) -> None:
        if socket.path == "/deaf":
            await asyncio.sleep(1000)
        async for message in socket:
            if message == "leave":
                return
            if message == "close":
                await socket.close(4000, "enough")
            if message == "raise":
                raise KeyError("secret")
            self.state.heard += 1
            await socket.send(message)


def opened(peer: Peer, path: str = "/", id: str = "s") -> None:
    peer.send(SocketOpen(id, "a", 1, path, [("x-from", "here")]))


def said(peer: Peer) -> list[str | bytes | None]:
    return [frame.data if frame.text is None else frame.text for frame in peer.of(SocketMessage)]


def test_messages_come_and_go_in_order_as_text_and_as_bytes() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        await peer.sent(SocketOpened)
        peer.send(SocketMessage("s", 3, text=""))
        peer.send(SocketMessage("s", 2, data=b"\x00\xff"))
        peer.send(SocketMessage("s", 1, text="hello"))
        peer.send(SocketMessage("s", 1, text="hello"))
        await peer.sent(SocketMessage, 3)
        assert said(peer) == ["hello", b"\x00\xff", ""]
        assert [frame.index for frame in peer.of(SocketMessage)] == [1, 2, 3]

    play(scenario, Parrot)


def test_messages_without_a_number_are_taken_as_they_come() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        for text in "aab":
            peer.send(SocketMessage("s", 0, text=text))
        await peer.sent(SocketMessage, 3)
        assert said(peer) == ["a", "a", "b"]

    play(scenario, Parrot)


def test_the_state_is_saved_before_a_message_leaves() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Save)
        peer.start(name="parrot")
        opened(peer)
        peer.send(SocketMessage("s", 1, text="hello"))
        save = await peer.sent(Save)
        await asyncio.sleep(5)
        assert not said(peer)
        peer.answer(save)
        await peer.sent(SocketMessage)
        assert peer.states["a"] == {"heard": 1}

    play(scenario, Parrot)


def test_a_refused_save_closes_the_sockets_of_an_actor_that_was_moved() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        await peer.sent(SocketOpened)
        peer.refusal = "moved"
        peer.send(SocketMessage("s", 1, text="hello"))
        assert await peer.sent(SocketClose) == SocketClose("s", 1012, "not_here")
        assert not said(peer)

    play(scenario, Parrot)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [("leave", 1000, ""), ("close", 4000, "enough"), ("raise", 1011, "KeyError")],
)
def test_a_socket_is_closed_when_its_handler_ends(message: str, code: int, reason: str) -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        peer.send(SocketMessage("s", 1, text=message))
        assert await peer.sent(SocketClose) == SocketClose("s", code, reason)
        opened(peer, id="t")
        await peer.sent(SocketOpened, 2)  # the actor lives on
        assert len(peer.of(SocketClose)) == 1

    play(scenario, Parrot)


def test_what_the_other_side_closes_is_not_closed_again_and_takes_nothing_more() -> None:
    ended: list[Any] = []

    @stateful_actor
    class Careful(StatefulActor[None]):
        async def on_websocket(self, socket: WebSocket) -> None:
            ended.extend([message async for message in socket])
            ended.append((socket.closed, socket.close_code, socket.close_reason))
            await socket.close()
            await socket.send("too late")

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="careful")
        opened(peer)
        await peer.sent(SocketOpened)
        peer.send(SocketMessage("s", 1, text="last words"))
        peer.send(SocketClose("s", 1001, "bye"))
        peer.send(SocketMessage("s", 2, text="nobody hears"))
        await peer.settled()
        assert ended == ["last words", (True, 1001, "bye")]
        assert not peer.of(SocketClose)

    play(scenario, Careful)


def test_an_open_socket_keeps_the_actor_awake() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        await asyncio.sleep(1000)
        assert Sleep() not in peer.reports()
        peer.send(SocketClose("s"))
        await asyncio.sleep(31)
        assert peer.reports()[-1] == Sleep()

    play(scenario, Parrot)


def test_a_stop_closes_the_open_ones_and_refuses_the_new() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer)
        await peer.sent(SocketOpened)
        opened(peer, "/deaf", "d")
        await peer.sent(SocketOpened, 2)
        peer.stop()
        opened(peer, id="t")
        await peer.reported(Stopped())
        assert peer.of(SocketClose) == [
            SocketClose("s", 1001, "the actor goes to sleep"),
            SocketClose("d", 1001, "the actor goes to sleep"),
            SocketClose("t", 1012, "stopping"),
        ]

    play(scenario, Parrot)


def test_an_actor_that_has_asked_to_sleep_has_new_ones_opened_after_its_sleep() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        await asyncio.sleep(31)
        assert peer.reports()[-1] == Sleep()  # and the other side has not answered yet
        opened(peer)
        await peer.sent(SocketClose)
        assert peer.of(SocketClose) == [SocketClose("s", 1012, "stopping")]
        assert not peer.of(SocketOpened)

    play(scenario, Parrot)


def test_one_that_waits_for_a_start_is_to_be_opened_elsewhere() -> None:
    @stateful_actor
    class Slow(Parrot):
        async def on_start(self) -> None:
            await asyncio.sleep(5)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="slow")
        opened(peer)
        peer.stop()
        await peer.reported(Stopped())
        assert peer.of(SocketClose) == [SocketClose("s", 1012, "stopping")]
        assert not peer.of(SocketOpened)

    play(scenario, Slow)


def test_sockets_to_what_is_not_here_or_takes_none_are_refused() -> None:
    @stateful_actor
    class Mute(StatefulActor[None]):
        pass

    async def scenario(peer: Peer, runner: Runner) -> None:
        opened(peer)
        peer.start(name="mute")
        opened(peer, id="t")
        await peer.sent(SocketClose, 2)
        assert peer.of(SocketClose) == [
            SocketClose("s", 1012, "not_here"),
            SocketClose("t", 1003, "this actor takes no WebSockets"),
        ]

    play(scenario, Mute)


def test_messages_that_come_faster_than_they_are_taken_close_the_socket() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="parrot")
        opened(peer, "/deaf")
        for index in range(1, MOST_WAITING + 2):
            peer.send(SocketMessage("s", index, text="x"))
        assert (await peer.sent(SocketClose)).code == 1013

    play(scenario, Parrot)


def test_what_cannot_be_sent_is_the_senders_error_and_leaves_no_gap() -> None:
    errors: list[type[Exception]] = []

    @stateful_actor
    class Clumsy(StatefulActor[None]):
        async def on_websocket(self, socket: WebSocket) -> None:
            assert socket.headers["X-From"] == "here"
            for message in ("x" * (MESSAGE_BYTES + 1), "\x00" * 30_000, "\ud800", 7):
                try:
                    await socket.send(message)  # type: ignore[arg-type]
                except InvalidValue as error:
                    errors.append(type(error))
            for code, reason in ((999, ""), (1006, ""), (1000, "x" * 124)):
                with pytest.raises(InvalidValue):
                    await socket.close(code, reason)
            await socket.send("fine")
            await socket.close()
            with pytest.raises(SocketClosed):
                await socket.send("late")

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="clumsy")
        opened(peer)
        assert (await peer.sent(SocketMessage)).index == 1
        assert await peer.sent(SocketClose) == SocketClose("s", 1000)
        assert errors == [TooLarge, TooLarge, InvalidValue, InvalidValue]

    play(scenario, Clumsy)
