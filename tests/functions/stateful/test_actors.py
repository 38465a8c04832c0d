"""Requests to actors that sleep: woken, given to a runner, tunnelled, answered."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest

from engine.allocation import frames
from tests.functions.stateful.parts import SHARED_METRICS, World, error_of

pytestmark = SHARED_METRICS


def test_a_request_wakes_its_actor_and_is_answered_by_it(world: World) -> None:
    runner = world.runner("one")
    answer = world.get("/actors/counter/main/add")
    assert (answer.status, answer.body) == (200, "one")
    (request,) = runner.requests
    assert (request.method, request.path) == ("GET", "/add?by=2")
    assert ("cookie", "session=1; theme=dark") in request.headers


def test_the_second_request_finds_the_actor_where_it_is(world: World) -> None:
    runner = world.runner("one")
    world.get("/actors/counter/main/")
    posts = world.sockets.posts
    assert world.get("/actors/counter/main/").status == 200
    assert world.sockets.posts == posts + 1, "the request, and nothing else"
    assert len(runner.requests) == 2


def test_bodies_are_bytes_both_ways(world: World) -> None:
    runner = world.runner("one")
    runner.answer = lambda start: frames.ResponseStart(
        start.request,
        200,
        [("content-type", "image/png"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
        start.body[::-1],
    )
    sent = bytes(range(256))
    answer = world.get(
        "/actors/counter/main/picture", body=b64encode(sent).decode(), isBase64Encoded=True
    )
    assert b64decode(answer.body) == sent[::-1]
    assert answer.headers == {"content-type": "image/png"}
    assert answer.cookies == ["a=1", "b=2"]


def test_bodies_longer_than_a_frame_are_put_together_again(world: World) -> None:
    runner = world.runner("one")
    whole = "0123456789" * 20_000
    received: dict[str, bytes] = {}

    def answer(start: frames.RequestStart) -> None:
        received[start.request] = start.body
        assert start.more

    def chunk(frame: frames.RequestChunk) -> None:
        received[frame.request] += frame.body
        if not frame.more:
            pieces = [received[frame.request][at : at + 50_000] for at in range(0, 200_000, 50_000)]
            for index in (1, 3, 2):  # API Gateway keeps no order
                piece = frames.ResponseChunk(frame.request, index, pieces[index], index < 3)
                runner.say(piece)
            headers = [("content-type", "text/plain")]
            runner.say(frames.ResponseStart(frame.request, 200, headers, pieces[0], True))

    runner.answer, runner.on_chunk = answer, chunk
    assert world.get("/actors/counter/main/", body=whole).body == whole


def test_an_answer_is_deleted_once_it_was_handed_on(world: World) -> None:
    world.runner("one")
    world.get("/actors/counter/main/")
    assert world.names("default/reply/") == []


def test_what_is_not_served_is_not_found(world: World) -> None:
    assert error_of(answer := world.get("/actors/secret/main/")) == "ActorNotFound"
    assert answer.status == 404
    assert error_of(answer := world.get("/actors/counter")) == "InvalidName"
    assert answer.status == 400


def test_the_path_names_the_same_actor_encoded_or_not(world: World) -> None:
    runner = world.runner("one")
    world.get("/actors/counter/M%C3%BCnchen/a%20b", rawQueryString="")
    world.get("/actors/counter/München/a b?c", rawQueryString="")
    assert [request.path for request in runner.requests] == ["/a%20b", "/a%20b%3Fc"]
    assert len({request.actor for request in runner.requests}) == 1


def test_a_stages_name_is_no_part_of_the_path(world: World) -> None:
    from tests.functions.conftest import sample

    runner = world.runner("one")
    context = sample("gateway")["requestContext"] | {"stage": "live"}
    world.get("/live/actors/counter/main/x", requestContext=context, rawQueryString="")
    assert [request.path for request in runner.requests] == ["/x"]


def test_who_waits_too_long_is_told_to_come_again_and_the_wake_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_ALLOCATION_READY_SECONDS", "0.4")
    world.restart()
    answer = world.get("/actors/counter/main/")
    assert (answer.status, error_of(answer)) == (503, "actor.ready_timeout")
    assert int(answer.headers["retry-after"]) >= 1
    assert "is not ready yet" in json.loads(answer.body)["error"]["message"]
    runner = world.runner("late")
    world.settle()
    assert len(runner.actors) == 1, "nobody has asked again, and it was woken all the same"
    monkeypatch.delenv("TIDESTEP_ALLOCATION_READY_SECONDS")
    world.restart()
    assert world.get("/actors/counter/main/").body == "late"


def test_an_actor_that_does_not_answer_in_time_is_too_slow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = world.runner("one")
    assert world.get("/actors/counter/main/").status == 200
    monkeypatch.setenv("TIDESTEP_ALLOCATION_READY_SECONDS", "0.8")
    monkeypatch.setenv("TIDESTEP_ALLOCATION_REQUEST_SECONDS", "0.9")
    world.restart()
    runner.answer = lambda start: None
    answer = world.get("/actors/counter/main/")
    assert (answer.status, error_of(answer)) == (504, "actor.response_timeout")
    world.settle()
    assert isinstance(runner.frames[-1], frames.RequestAbort)


def test_actors_wait_for_slots_and_runners_share_them(world: World) -> None:
    one, two = world.runner("one"), world.runner("two")
    answers = [world.get(f"/actors/counter/{key}/").body for key in "ab"]
    assert sorted(answers) == ["one", "two"]
    assert (len(one.actors), len(two.actors)) == (1, 1)
