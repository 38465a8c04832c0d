"""Connections of runners: they come and go, break, are replaced and evicted."""

from __future__ import annotations

import time

import pytest

from engine.allocation import frames
from tests.functions.stateful.parts import SHARED_METRICS, World, actor_of

pytestmark = SHARED_METRICS


def test_a_runner_without_the_token_is_sent_away(world: World) -> None:
    status, connection = world.sockets.connect()
    assert status == 200
    hello = frames.Hello("default", "stranger", 1, token="guessed")
    world.sockets.say(connection, frames.encode(hello))
    (text,) = connection.inbox
    assert isinstance(frames.to_runner(text), frames.Evicted)
    assert connection.closed


def test_what_is_no_frame_is_sent_away(world: World) -> None:
    _, connection = world.sockets.connect()
    world.sockets.say(connection, "hello?")
    assert connection.closed


def test_a_ping_is_answered_and_keeps_the_runner_in_the_index(world: World) -> None:
    runner = world.runner("one")
    world.settle()
    runner.say(frames.Ping())
    world.settle()
    assert isinstance(runner.frames[-1], frames.Pong)


def test_actors_of_a_runner_that_is_stopped_move_to_another(world: World) -> None:
    one = world.runner("one")
    assert world.get("/actors/counter/main/").body == "one"
    two = world.runner("two")
    one.say(frames.Stopping())
    world.settle()
    assert (one.actors, len(two.actors)) == ({}, 0), "it sleeps, as nobody wants it"
    assert world.get("/actors/counter/main/").body == "two"


def test_who_does_not_let_go_is_evicted_after_the_grace_and_loses_its_actors(world: World) -> None:
    one = world.runner("one")
    world.get("/actors/counter/main/")
    actor = next(iter(one.actors))
    two = world.runner("two")
    one.obeys = False
    one.say(frames.Stopping())
    world.settle()
    assert actor_of(actor).phase == "GoingAway"
    assert world.get("/actors/counter/main/").body == "two"
    assert one.evicted == "the runner has been stopped"
    assert one.connection.closed
    assert two.actors == {actor: 2}


def test_a_closed_connection_is_found_by_whoever_sends_there(world: World) -> None:
    one = world.runner("one")
    world.get("/actors/counter/main/")
    world.sockets.disconnect(one.connection, told=False)
    two = world.runner("two")  # in vain: the actor is on the first one, which may come back
    assert world.get_while("/actors/counter/main/", lambda: one.connect()).body == "one"
    assert two.requests == []


def test_a_runner_that_comes_back_has_another_connection_and_keeps_its_actors(
    world: World,
) -> None:
    one = world.runner("one")
    world.get("/actors/counter/main/")
    before, id = one.connection, one.id
    world.sockets.disconnect(before)
    world.settle()
    assert one.connect().id != before.id
    world.settle()
    assert one.id == id
    assert world.get("/actors/counter/main/").body == "one"
    assert list(one.actors.values()) == [1]


def test_a_late_disconnect_of_a_replaced_connection_changes_nothing(world: World) -> None:
    one = world.runner("one", slots=2)
    world.get("/actors/counter/main/")
    before = one.connection
    world.sockets.disconnect(before, told=False)
    one.connect()
    world.settle()
    world.sockets.tell_disconnected(before)
    world.settle()
    assert world.get("/actors/counter/main/").body == "one"
    assert world.get("/actors/counter/other/").body == "one", "its slots are still given away"


def test_a_connection_that_another_replaces_is_evicted(world: World) -> None:
    one = world.runner("one")
    before = one.connection
    one.connect()
    world.settle()
    assert isinstance(frames.to_runner(before.inbox[-1]), frames.Evicted)
    assert before.closed


def test_an_event_that_comes_twice_counts_once(world: World) -> None:
    one = world.runner("one")
    world.get("/actors/counter/main/")
    actor = next(iter(one.actors))
    event = frames.Event(2, actor, 1, frames.Sleep())
    one.obeys = False
    for _ in range(2):
        one.say(frames.Events((event,), 1))
    world.settle()
    assert actor_of(actor).phase == "SleepIntent"
    stops = [
        command.order
        for frame in one.frames
        if isinstance(frame, frames.Commands)
        for command in frame.commands
        if isinstance(command.order, frames.StopActor)
    ]
    assert len(stops) == 1


def test_a_frame_that_cannot_be_handled_closes_its_connection_and_is_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does API Gateway after two hours: what was not answered is sent on the next connection."""
    from engine.errors import StoreUnusable
    from functions.application import platform

    one = world.runner("one")
    world.get("/actors/counter/main/")
    actor = next(iter(one.actors))

    async def refuse(*arguments: object, **options: object) -> None:
        raise StoreUnusable("dynamodb: throttled")

    with monkeypatch.context() as broken:
        broken.setattr(platform().journal, "swap", refuse)
        one.report(actor, frames.Sleep())
    assert one.connection.closed
    assert actor_of(actor).phase == "Running"
    one.connect()
    world.settle()
    assert actor_of(actor).phase == "Sleeping"


def test_commands_that_a_broken_connection_has_swallowed_are_sent_again(world: World) -> None:
    one = world.runner("one")
    world.settle()
    world.sockets.disconnect(one.connection, told=False)  # StartActor is posted there: 410
    assert world.get_while("/actors/counter/main/", lambda: one.connect()).body == "one"


def test_state_is_saved_and_loaded_over_the_connection_and_fenced(world: World) -> None:
    import msgspec

    one = world.runner("one")
    world.get("/actors/counter/main/")
    actor = next(iter(one.actors))
    one.say(frames.Save("1", actor, 1, state=msgspec.Raw(b'{"count":1}')))
    one.say(frames.Load("2", actor, 1))
    one.say(frames.Save("3", actor, 7, state=msgspec.Raw(b"{}")))
    world.settle()
    saved, loaded, refused = one.frames[-3:]
    assert isinstance(saved, frames.Saved)
    assert saved.error == ""
    assert isinstance(loaded, frames.Loaded)
    assert bytes(loaded.state) == b'{"count":1}'  # type: ignore[arg-type]
    assert isinstance(refused, frames.Saved)
    assert refused.error.startswith("NotOwner")


def test_a_frame_is_known_by_its_type_and_not_by_the_route_that_it_chose(world: World) -> None:
    one = world.runner("one")
    world.settle()
    before = time.time()
    world.sockets.say(one.connection, '{"type":"Ping","route":"$disconnect"}')
    world.settle()
    assert isinstance(one.frames[-1], frames.Pong), before
