"""WebSockets of users: opened to an actor that is woken for it, and closed with its stay."""

from __future__ import annotations

from typing import Any

from engine.allocation import frames
from tests.functions.stateful.parts import SHARED_METRICS, Connection, World, actor_of

pytestmark = SHARED_METRICS


def open_to(world: World, actor: str = "room/lobby", **more: str) -> tuple[int, Connection]:
    status, connection = world.meanwhile(lambda: world.sockets.connect(actor=actor, **more))
    return int(status), connection


def of(kind: type[Any], sent: list[frames.ToRunner]) -> list[Any]:
    return [frame for frame in sent if isinstance(frame, kind)]


def test_a_user_who_connects_wakes_the_actor_and_is_accepted_by_it(world: World) -> None:
    runner = world.runner("one")
    status, user = open_to(world, "room/eu,lobby/chat", name="Ada L")
    assert status == 200
    assert not user.inbox
    (opened,) = of(frames.SocketOpen, runner.frames)
    assert opened.path == "/chat?name=Ada+L"
    head = actor_of(opened.actor)
    assert (head.state.name, head.state.key) == ("room", ("eu", "lobby"))  # type: ignore[union-attr]


def test_messages_go_both_ways(world: World) -> None:
    runner = world.runner("one")
    _, user = open_to(world)
    (opened,) = of(frames.SocketOpen, runner.frames)
    world.sockets.say(user, "hello")
    world.settle()
    assert runner.frames[-1] == frames.SocketMessage(opened.socket, 0, "hello")
    runner.say(frames.SocketMessage(opened.socket, 1, "welcome"))
    runner.say(frames.SocketMessage(opened.socket, 2, data=b"\x00\xff"))
    assert list(user.inbox) == ["welcome", "AP8="]


def test_what_the_actor_says_before_the_user_is_accepted_is_not_lost(world: World) -> None:
    runner = world.runner("one")
    runner.on_open = lambda frame: runner.say(frames.SocketMessage(frame.socket, 1, "greeting"))
    status, user = open_to(world)
    assert status == 200
    assert list(user.inbox) == ["greeting"]


def test_an_actor_that_takes_no_websockets_refuses_the_connection(world: World) -> None:
    runner = world.runner("one")
    runner.opens = lambda frame: frames.SocketClose(frame.socket, 1003, "takes none")
    assert open_to(world)[0] == 502


def test_a_user_of_an_actor_that_is_not_served_is_refused(world: World) -> None:
    assert world.sockets.connect(actor="secret/main")[0] == 404
    assert world.sockets.connect(actor="room")[0] == 400


def test_an_actor_closes_the_users_connection(world: World) -> None:
    runner = world.runner("one")
    _, user = open_to(world)
    (opened,) = of(frames.SocketOpen, runner.frames)
    runner.say(frames.SocketClose(opened.socket, 1001, "asleep"))
    assert user.closed


def test_the_actor_hears_that_the_user_has_left(world: World) -> None:
    runner = world.runner("one")
    _, user = open_to(world)
    (opened,) = of(frames.SocketOpen, runner.frames)
    world.sockets.disconnect(user)
    world.settle()
    assert runner.frames[-1] == frames.SocketClose(opened.socket, 1001, "Going away")


def test_an_actor_that_speaks_to_a_user_who_has_left_is_told(world: World) -> None:
    from engine.allocation import detached

    runner = world.runner("one")
    _, user = open_to(world)
    (opened,) = of(frames.SocketOpen, runner.frames)
    world.sockets.disconnect(user, told=False)
    before, detached.ACCEPT_MS = detached.ACCEPT_MS, 0
    try:
        runner.say(frames.SocketMessage(opened.socket, 1, "still there?"))
    finally:
        detached.ACCEPT_MS = before
    world.settle()
    assert runner.frames[-1] == frames.SocketClose(opened.socket, 1001)


def test_when_the_actor_has_left_the_connection_is_closed_at_the_next_message(
    world: World,
) -> None:
    runner = world.runner("one")
    _, user = open_to(world)
    actor = next(iter(runner.actors))
    runner.report(actor, frames.Stopped())  # and says nothing of its WebSockets
    world.settle()
    world.sockets.say(user, "hello?")
    assert user.closed
    world.sockets.say(user, "anybody?")
    assert not user.inbox, "no frame of ours is for users"


def test_messages_follow_a_runner_to_its_new_connection(world: World) -> None:
    runner = world.runner("one")
    _, user = open_to(world)
    world.sockets.disconnect(runner.connection)
    runner.connect()
    world.settle()
    world.sockets.say(user, "hello")
    world.settle()
    assert of(frames.SocketMessage, runner.frames)[-1].text == "hello"


def test_a_user_without_a_runner_is_refused_and_may_come_again(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setenv("TIDESTEP_ALLOCATION_READY_SECONDS", "0.3")
    world.restart()
    assert open_to(world)[0] == 503
