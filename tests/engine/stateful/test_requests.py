"""Requests to an actor: in turn, saved before they are answered, refused where they must be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from engine.allocation.frames import (
    CHUNK_BYTES,
    Load,
    Refused,
    RequestAbort,
    RequestChunk,
    RequestStart,
    ResponseStart,
    Running,
    Save,
    Stopped,
)
from engine.allocation.tunnel import REQUEST_HEADER
from engine.errors import PermanentFailure
from engine.stateful import Request, Response, Runner, StatefulActor, stateful_actor
from engine.stateful.memory import STATE_BYTES
from tests.engine.stateful.peer import START, Peer, play


@dataclass
class Count:
    count: int = 0
    text: str = ""


@stateful_actor(idle=None)
class Counter(StatefulActor[Count]):
    """Counts, and misbehaves where its path says so."""

    async def on_request(self, request: Request) -> Any:
        match request.path:
            case "/slow":
                await asyncio.sleep(10)
            case "/look":
                return {"count": self.state.count}
            case "/fail":
                self.state.count += 100
                raise PermanentFailure("no such thing")
            case "/large":
                self.state.text = "x" * STATE_BYTES
            case "/small":
                self.state.text = ""
            case "/mistyped":
                self.state.text = 7  # type: ignore[assignment]
            case "/gives-up":
                raise asyncio.CancelledError
            case "/echo":
                return request.body
        self.state.count += 1
        return {"count": self.state.count}


def refusal(reply: ResponseStart | Refused) -> str:
    assert isinstance(reply, Refused), reply
    return reply.code


def failed(reply: ResponseStart | Refused) -> tuple[int, Any]:
    assert isinstance(reply, ResponseStart), reply
    return reply.status, msgspec.json.decode(reply.body)["error"]


def test_an_actor_that_is_started_answers() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        await peer.reported(Running)
        assert await peer.answered() == {"count": 1}
        assert await peer.answered() == {"count": 2}

    peer = play(scenario, Counter)
    assert peer.states == {"a": {"count": 2, "text": ""}}


def test_it_goes_on_from_the_state_that_was_saved() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.states["a"] = {"count": 41}
        peer.start()
        assert await peer.answered() == {"count": 42}

    play(scenario, Counter)


def test_the_state_is_saved_before_the_answer_leaves() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Save)
        peer.start()
        request = peer.ask()
        save = await peer.sent(Save)
        await asyncio.sleep(20)
        assert not peer.of(ResponseStart)
        peer.answer(save)
        await peer.reply(request)

    play(scenario, Counter)


def test_an_answer_that_changed_nothing_costs_no_save() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.states["a"] = {"count": 1, "text": ""}
        peer.start()
        assert await peer.answered("/look") == {"count": 1}
        assert not peer.of(Save)

    play(scenario, Counter)


def test_a_refused_save_drops_the_actor_without_a_word_to_it() -> None:
    slept = []

    @stateful_actor
    class Moved(Counter):
        async def on_sleep(self) -> None:
            slept.append(self.id)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="moved")
        await peer.answered()
        peer.refusal = "generation 2 is current"
        running, waiting = peer.ask(), peer.ask()
        assert refusal(await peer.reply(running)) == "not_here"
        assert refusal(await peer.reply(waiting)) == "not_here"
        await peer.reported(Stopped("refused: generation 2 is current"))
        assert refusal(await peer.reply(peer.ask())) == "not_here"

    peer = play(scenario, Moved)
    assert peer.states["a"]["count"] == 1
    assert not slept


def test_requests_run_one_after_the_other() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        slow, quick = peer.ask("/slow"), peer.ask()
        await peer.reply(quick)
        answers = [frame.request for frame in peer.of(ResponseStart)]
        assert answers == [slow, quick]

    play(scenario, Counter)


def test_as_many_run_together_as_the_actor_allows() -> None:
    @stateful_actor(concurrency=2)
    class Twofold(StatefulActor[None]):
        async def on_request(self, request: Request) -> None:
            await asyncio.sleep(10)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="twofold")
        began = asyncio.get_running_loop().time()
        for request in [peer.ask(), peer.ask(), peer.ask()]:
            await peer.reply(request)
        assert asyncio.get_running_loop().time() - began == pytest.approx(20)

    play(scenario, Twofold)


def test_what_a_handler_raises_is_answered_and_the_actor_lives_on_as_it_left_it() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        status, error = failed(await peer.reply(peer.ask("/fail")))
        assert (status, error) == (500, {"type": "PermanentFailure", "message": "no such thing"})
        assert peer.states["a"]["count"] == 100
        assert await peer.answered() == {"count": 101}

    play(scenario, Counter)


@pytest.mark.parametrize(("path", "kind"), [("/large", "TooLarge"), ("/mistyped", "InvalidValue")])
def test_a_state_that_cannot_be_saved_is_the_answer(path: str, kind: str) -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        status, error = failed(await peer.reply(peer.ask(path)))
        assert (status, error["type"]) == (500, kind)
        assert "state" in error["message"]
        assert failed(await peer.reply(peer.ask("/look")))[1]["type"] == kind
        assert not peer.of(Save)
        assert await peer.answered("/small") == {"count": 2}

    play(scenario, Counter)


def test_an_answer_that_no_frame_can_carry_is_an_error() -> None:
    @stateful_actor
    class Wordy(StatefulActor[None]):
        async def on_request(self, request: Request) -> Response:
            return Response("x" * 60_000, headers={"x-long": "x" * 80_000})

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="wordy")
        assert failed(await peer.reply(peer.ask()))[1]["type"] == "TooLarge"

    play(scenario, Wordy)


def test_an_actor_without_a_handler_takes_no_requests() -> None:
    @stateful_actor
    class Mute(StatefulActor[None]):
        pass

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="mute")
        assert failed(await peer.reply(peer.ask()))[0] == 501

    play(scenario, Mute)


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_long_bodies_come_and_go_in_chunks(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        parts = [body[at : at + CHUNK_BYTES] for at in range(0, size, CHUNK_BYTES)] or [b""]
        last = len(parts) - 1
        peer.send(RequestStart("q", "a", 1, "POST", "/echo", body=parts[0], more=last > 0))
        chunks = [RequestChunk("q", at, parts[at], at < last) for at in range(1, last + 1)]
        for chunk in reversed(chunks):  # API Gateway keeps no order
            peer.send(chunk)
            peer.send(chunk)
        assert await peer.whole("q") == body

    play(scenario, Counter)


@pytest.mark.parametrize(("actor", "generation"), [("b", 1), ("a", 0), ("a", 2)])
def test_requests_for_what_is_not_here_are_refused(actor: str, generation: int) -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        reply = await peer.reply(peer.ask(actor=actor, generation=generation))
        assert refusal(reply) == "not_here"
        assert await peer.answered() == {"count": 1}
        assert peer.reports() == [Running()]

    play(scenario, Counter)


def test_requests_wait_until_the_actor_has_started() -> None:
    @stateful_actor
    class Late(Counter):
        async def on_start(self) -> None:
            await asyncio.sleep(5)
            self.state.count = 10

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="late")
        await peer.sent(Load)
        assert peer.reports() == [Running()]
        assert await peer.answered() == {"count": 11}

    play(scenario, Late)


def test_an_aborted_request_is_cancelled_and_not_answered() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        slow = peer.ask("/slow")
        await peer.settled()
        peer.send(RequestAbort(slow))
        assert await peer.answered() == {"count": 1}
        await asyncio.sleep(20)
        assert len(peer.of(ResponseStart)) == 1

    play(scenario, Counter)


def test_a_request_that_is_aborted_and_asked_again_is_answered() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        peer.ask("/slow", id="same")
        await peer.settled()
        peer.send(RequestAbort("same"))
        peer.ask("/look", id="same")
        assert isinstance(await peer.reply("same"), ResponseStart)

    play(scenario, Counter)


def test_a_request_that_comes_again_while_it_runs_runs_once() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        peer.ask("/slow", id="same")
        peer.ask("/slow", id="same")
        await peer.reply("same")
        assert await peer.answered("/look") == {"count": 1}
        assert len(peer.of(ResponseStart)) == 2

    play(scenario, Counter)


def test_a_request_that_comes_again_after_its_answer_is_answered_as_before() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        first = await peer.reply(peer.ask("/", id="same"))
        peer.frames.clear()
        assert await peer.reply(peer.ask("/", id="same")) == first
        assert await peer.answered("/look") == {"count": 1}

    play(scenario, Counter)


def test_a_request_keeps_its_id_however_often_it_is_sent() -> None:
    @stateful_actor
    class Idempotent(StatefulActor[None]):
        async def on_request(self, request: Request) -> str:
            return request.id

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="idempotent")
        for frame_id in ("q7.0", "q7.1"):
            headers = [(REQUEST_HEADER, "q7")]
            peer.send(RequestStart(frame_id, "a", 1, "GET", "/", headers))
            reply = await peer.reply(frame_id)
            assert isinstance(reply, ResponseStart)
            assert reply.body == b"q7"

    play(scenario, Idempotent)


def test_a_request_whose_time_is_over_does_not_begin() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        peer.ask("/slow")
        assert refusal(await peer.reply(peer.ask(deadline=START + 9_000))) == "failed"
        assert await peer.answered("/look") == {"count": 1}

    play(scenario, Counter)


def test_a_handler_that_cancels_itself_leaves_nobody_waiting() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        assert refusal(await peer.reply(peer.ask("/gives-up"))) == "failed"
        assert await peer.answered() == {"count": 1}

    play(scenario, Counter)


def test_a_save_is_seen_to_its_end_although_its_request_is_aborted() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Save)
        peer.start()
        first = peer.ask()
        save = await peer.sent(Save)
        peer.send(RequestAbort(first))
        second = peer.ask()
        await asyncio.sleep(5)
        assert len(peer.of(Save)) == 1  # two could change places
        peer.silent.clear()
        peer.answer(save)
        await peer.reply(second)

    peer = play(scenario, Counter)
    assert peer.states["a"]["count"] == 2
