"""The counter and the chat room, tested as their author would: without a server, and with one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from engine.allocation.frames import (
    Alarm,
    Sleep,
    SocketClose,
    SocketMessage,
    SocketOpen,
    SocketOpened,
    Stopped,
)
from engine.stateful import Runner
from examples.rooms.actors import CLOSED, KEPT, QUIET_S, Count, Counter, Room
from tests.engine.stateful.peer import START, Peer, play
from tidestep import Request


async def enter(peer: Peer, name: str) -> None:
    """Come into the room; what is said comes on a socket of that name."""
    before = len(peer.of(SocketOpened))
    peer.send(SocketOpen(name, "a", 1, f"/?name={name}"))
    await peer.sent(SocketOpened, before + 1)
    await peer.settled()


def heard(peer: Peer, name: str) -> list[str | None]:
    return [frame.text for frame in peer.of(SocketMessage) if frame.socket == name]


def say(peer: Peer, name: str, index: int, text: str) -> None:
    peer.send(SocketMessage(name, index, text=text))


def test_a_post_counts_and_a_get_only_looks() -> None:
    counter = Counter()
    counter.state = Count(7)
    answers = [asyncio.run(counter.on_request(Request(method))) for method in ("POST", "GET")]
    assert answers == [{"count": 8}, {"count": 8}]


def test_everybody_in_the_room_hears_what_one_of_them_says() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="room")
        await enter(peer, "Ada")
        await enter(peer, "Grace")
        say(peer, "Ada", 1, "hello")
        await peer.sent(SocketMessage, 2)
        assert heard(peer, "Ada") == heard(peer, "Grace") == ["Ada: hello"]
        assert await peer.answered() == {"there": ["Ada", "Grace"], "lines": ["Ada: hello"]}

    play(scenario, Room)


def test_whoever_comes_later_is_shown_the_last_lines_once() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="room")
        await enter(peer, "Ada")
        for number in range(1, KEPT + 6):
            say(peer, "Ada", number, str(number))
        await peer.sent(SocketMessage, KEPT + 5)
        await enter(peer, "Grace")
        await peer.sent(SocketMessage, 2 * KEPT + 5)
        assert heard(peer, "Grace") == [f"Ada: {number}" for number in range(6, KEPT + 6)]

    play(scenario, Room)


def test_what_was_said_outlives_the_runner() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="room")
        await enter(peer, "Ada")
        say(peer, "Ada", 1, "remember me")
        await peer.sent(SocketMessage)
        peer.stop()
        await peer.reported(Stopped)
        peer.start(generation=2, name="room")
        seen = await peer.answered(generation=2)
        assert seen == {"there": [], "lines": ["Ada: remember me"]}

    play(scenario, Room)


def test_every_line_puts_the_alarm_off() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="room")
        await enter(peer, "Ada")
        await asyncio.sleep(5)
        say(peer, "Ada", 1, "hello")
        await peer.sent(SocketMessage)
        alarms = [each.at for each in peer.reports() if isinstance(each, Alarm)]
        assert alarms == [START + int(QUIET_S * 1000), START + int(QUIET_S * 1000) + 5_000]

    play(scenario, Room)


def test_a_room_in_which_nobody_says_anything_closes_forgets_and_sleeps() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="room")
        await enter(peer, "Ada")
        say(peer, "Ada", 1, "hello")
        await peer.sent(SocketMessage)
        began = asyncio.get_running_loop().time()
        closed = await peer.sent(SocketClose)
        assert (closed.socket, closed.code) == ("Ada", CLOSED)
        assert asyncio.get_running_loop().time() - began >= QUIET_S - 1
        await peer.reported(Sleep)
        assert peer.states["a"] == {"lines": []}

    play(scenario, Room)


def test_the_example_survives_that_its_server_is_killed() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.rooms"], capture_output=True, text=True, timeout=110
    )
    assert ran.returncode == 0, ran.stderr
    lines = ["Ada: Is anybody there?", "Grace: I am."]
    assert json.loads(ran.stdout) == {"count": 4, "heard": lines, "shown": lines, "closed": CLOSED}
