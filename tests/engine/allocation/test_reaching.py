"""Reaching an actor and carrying a request to it, with a runner that the test plays."""

from __future__ import annotations

import asyncio

import pytest

from engine.allocation import errors, frames, signals
from engine.allocation.config import CrashPolicy
from engine.allocation.directory import ActorNotFound
from engine.allocation.parties import actor as actor_party
from engine.allocation.reaching import Place
from engine.allocation.tunnel import BODY_BYTES
from engine.errors import PayloadTooLarge
from tests.engine.allocation.host import FOREVER, Host, hello, nothing, play

# -- reaching -------------------------------------------------------------------------------------


def test_a_sleeping_actor_is_woken_and_answers() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        response = await host.get(await host.actor())
        assert (response.status, response.body) == (200, b"hello")
        (request,) = host.wires.to("c1", frames.RequestStart)
        assert [v for n, v in request.headers if n == "x-tidestep-request"] == ["req"]

    play(host, script)


def test_many_requests_at_once_wake_an_actor_once() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        await host.get(key)
        await host.report(key.run, 1, frames.Sleep())
        await asyncio.sleep(1)
        woken = await asyncio.gather(*(host.reaching.place(key, FOREVER) for _ in range(20)))
        assert {place.generation for place in woken} == {2}
        assert len(host.wires.to("c1", frames.Commands)) == 3  # start, stop, start

    play(host, script)


def test_without_a_runner_a_request_is_told_in_time_what_it_waits_for() -> None:
    host = Host(hello)

    async def script() -> None:
        key = await host.actor()
        began = host.clock.now()
        with pytest.raises(errors.ActorNotReady, match="it waits for a free slot"):
            await host.get(key)
        assert host.clock.now() - began == 25_000

    play(host, script)


def test_a_wake_stands_although_whoever_sent_it_has_gone() -> None:
    host = Host(hello)

    async def script() -> None:
        key = await host.actor()
        with pytest.raises(errors.ActorNotReady):
            await host.get(key)
        await host.connect()
        began = host.clock.now()
        assert (await host.get(key)).status == 200
        assert host.clock.now() - began < 1_000

    play(host, script)


def test_an_actor_that_is_destroyed_meanwhile_is_gone() -> None:
    host = Host(hello)

    async def script() -> None:
        key = await host.actor()
        request = asyncio.ensure_future(host.get(key))
        await asyncio.sleep(1)
        await host.mailer.signal(key, signals.Destroy(), "d")
        with pytest.raises(errors.ActorGone):
            await request
        with pytest.raises(ActorNotFound):
            await host.get(actor_party("a404").key("default"))

    play(host, script)


def test_an_actor_that_backs_off_for_longer_than_the_request_is_said_to() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor(crash=CrashPolicy.RESTART)
        for generation in range(1, 6):
            await host.reaching.place(key, FOREVER)
            await host.report(key.run, generation, frames.Stopped("boom"))
            await asyncio.sleep(0.1)
        await host.reaching.place(key, FOREVER)
        await host.report(key.run, 6, frames.Stopped("boom"))
        await asyncio.sleep(0.1)
        with pytest.raises(errors.ActorBackingOff, match="failed 6 times in a row") as caught:
            await host.get(key)
        assert 30 <= caught.value.retry_after_s <= 33

    play(host, script)


def test_an_actor_that_stops_whenever_it_is_woken_is_given_up() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()

        async def sleep_at_once(command: frames.Command) -> None:
            order = command.order
            starts = isinstance(order, frames.StartActor)
            report = frames.Sleep() if starts else frames.Stopped()
            await host.report(order.actor, order.generation, report)

        host.obey = sleep_at_once  # type: ignore[method-assign]
        with pytest.raises(errors.ActorKeepsStopping, match="has stopped 8 times"):
            await host.get(key)

    play(host, script)


# -- the tunnel -----------------------------------------------------------------------------------


def test_a_request_whose_actor_stops_before_it_has_answered_is_sent_again() -> None:
    async def second_time(host: Host, request: frames.RequestStart) -> None:
        if request.generation == 1:
            await host.report(request.actor, 1, frames.Stopped())
        else:
            await hello(host, request)

    host = Host(second_time)

    async def script() -> None:
        await host.connect()
        assert (await host.get(await host.actor())).body == b"hello"
        sent = host.wires.to("c1", frames.RequestStart)
        assert [(each.generation, each.request) for each in sent] == [(1, "req.0"), (2, "req.1")]
        assert {dict(each.headers)["x-tidestep-request"] for each in sent} == {"req"}

    play(host, script)


@pytest.mark.parametrize("code", ["not_here", "stopping"])
def test_a_request_that_came_too_late_is_sent_again_where_the_actor_is_next(code: str) -> None:
    async def refuse_first(host: Host, request: frames.RequestStart) -> None:
        if request.generation == 1:
            await host.say(frames.Refused(request.request, code))
            await asyncio.sleep(0.3)
            await host.report(request.actor, 1, frames.Stopped())
        else:
            await hello(host, request)

    host = Host(refuse_first)

    async def script() -> None:
        await host.connect()
        assert (await host.get(await host.actor())).body == b"hello"

    play(host, script)


def test_a_request_that_the_actor_refuses_has_failed() -> None:
    async def refuse(host: Host, request: frames.RequestStart) -> None:
        await host.say(frames.Refused(request.request, "failed", "no such thing"))

    host = Host(refuse)

    async def script() -> None:
        await host.connect()
        with pytest.raises(errors.ActorFailed, match="no such thing"):
            await host.get(await host.actor())

    play(host, script)


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_the_deadline() -> None:
    host = Host(nothing)

    async def script() -> None:
        await host.connect()
        began = host.clock.now()
        with pytest.raises(errors.ActorTooSlow, match="it may do so yet"):
            await host.get(await host.actor())
        assert host.clock.now() - began == 28_000
        assert len(host.wires.to("c1", frames.RequestAbort)) == 1

    play(host, script)


def test_an_answer_in_pieces_is_put_together_in_their_order() -> None:
    async def pieces(host: Host, request: frames.RequestStart) -> None:
        name = request.request
        await host.say(frames.ResponseStart(name, 201, [], b"a", True))
        await host.say(frames.ResponseChunk(name, 2, b"c"))
        await host.say(frames.ResponseChunk(name, 1, b"b", True))

    host = Host(pieces)

    async def script() -> None:
        await host.connect()
        assert (await host.get(await host.actor())).body == b"abc"

    play(host, script)


def test_an_answer_that_breaks_off_has_failed_and_is_not_asked_for_again() -> None:
    async def break_off(host: Host, request: frames.RequestStart) -> None:
        await host.say(frames.ResponseStart(request.request, 200, [], b"a", True))
        await host.say(frames.Refused(request.request, "failed", "boom"))

    host = Host(break_off)

    async def script() -> None:
        await host.connect()
        with pytest.raises(errors.ActorFailed, match="broke its answer off: boom"):
            await host.get(await host.actor())
        assert len(host.wires.to("c1", frames.RequestStart)) == 1

    play(host, script)


def test_a_request_survives_that_its_runner_opens_another_connection() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        await host.get(key)
        host.wires.closed.add("c1")
        request = asyncio.ensure_future(host.get(key))
        await asyncio.sleep(1)
        await host.connect(connection="c2")
        assert (await request).status == 200
        assert [each.generation for each in host.wires.to("c2", frames.RequestStart)] == [1]

    play(host, script)


def test_a_request_that_was_lost_with_its_connection_goes_out_again_on_the_next() -> None:
    async def deaf_at_first(host: Host, request: frames.RequestStart) -> None:
        if host.wires.to("c2", frames.RequestStart):
            await hello(host, request)

    host = Host(deaf_at_first)

    async def script() -> None:
        await host.connect()
        request = asyncio.ensure_future(host.get(await host.actor()))
        await asyncio.sleep(2)
        await host.connect(connection="c2")
        assert (await request).status == 200
        names = [each.request for each in host.wires.to("c1", frames.RequestStart)]
        assert [each.request for each in host.wires.to("c2", frames.RequestStart)] == names

    play(host, script)


def test_a_large_body_travels_in_pieces_and_a_larger_one_is_refused() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        await host.get(key, b"x" * 150_000)
        (start,) = host.wires.to("c1", frames.RequestStart)
        chunks = host.wires.to("c1", frames.RequestChunk)
        assert (start.more, [each.more for each in chunks]) == (True, [True, False])
        assert len(start.body) + sum(len(each.body) for each in chunks) == 150_000
        with pytest.raises(PayloadTooLarge):
            await host.get(key, b"x" * (BODY_BYTES + 1))

    play(host, script)


def test_where_an_actor_was_left_it_is_not_looked_for_again() -> None:
    host = Host(hello)

    async def script() -> None:
        await host.connect()
        key = await host.actor()
        place = await host.reaching.place(key, FOREVER)
        assert isinstance(place, Place)
        assert await host.reaching.place(key, FOREVER) == place
        with pytest.raises(errors.ActorNotReady, match="cannot be reached"):
            await host.reaching.place(key, host.clock.now() + 1_000, left=place)
        assert not await host.reaching.has_left(key, place)
        await host.report(key.run, 1, frames.Stopped())
        await asyncio.sleep(0.1)
        assert await host.reaching.has_left(key, place)

    play(host, script)
