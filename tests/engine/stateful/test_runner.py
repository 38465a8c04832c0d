"""A runner and its connection: it comes back, sends again, gives up, is evicted, ends in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from engine.allocation.frames import (
    Events,
    EventsStored,
    Evicted,
    Fetch,
    Hello,
    Load,
    Ping,
    Refused,
    ResponseStart,
    Running,
    Save,
    Sleep,
    Stopped,
    Stopping,
)
from engine.errors import InvalidActor
from engine.stateful import Request, Runner, StatefulActor, stateful_actor
from tests.engine.stateful.peer import LOST_MS, STOP_MS, Chance, LoopClock, Peer, play


class Count(msgspec.Struct):
    count: int = 0


@stateful_actor(idle=None)
class Counter(StatefulActor[Count]):
    async def on_request(self, request: Request) -> int:
        if request.path == "/slow":
            await asyncio.sleep(5)
        self.state.count += 1
        if request.path == "/sleep":
            self.sleep()
        return self.state.count


def now() -> float:
    return asyncio.get_running_loop().time()


def test_it_says_hello_and_knows_its_name_when_it_is_welcome() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        assert runner.runner_id == "r1"
        assert peer.frames[0] == Hello("main", "k1", 10, "id1", version=7)

    play(scenario, Counter)


def test_events_are_numbered_from_one_and_sent_one_frame_after_the_other() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Events)
        peer.start("a")
        await peer.sent(Events)
        peer.start("b")
        peer.start("c")
        await asyncio.sleep(5)
        (first,) = peer.of(Events)
        assert [event.index for event in first.events] == [1]
        assert first.commands == 1
        peer.send(EventsStored(1))
        second = await peer.sent(Events, 2)
        assert [event.index for event in second.events] == [2, 3]
        assert second.commands == 3
        peer.send(EventsStored(2))
        third = await peer.sent(Events, 3)
        assert [event.index for event in third.events] == [3]

    play(scenario, Counter)


def test_what_is_not_stored_is_sent_again_after_a_reconnect_in_order() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Events)
        peer.start("a")
        await peer.sent(Events)
        peer.start("b")
        await peer.answered("/sleep")
        peer.cut()
        await peer.sent(Events, 2)
        again = peer.of(Events)[-1].events
        assert [(event.index, event.report) for event in again] == [
            (1, Running()),
            (2, Running()),
            (3, Sleep()),
        ]
        peer.stored = 2  # the answer to an earlier frame was lost with the connection
        peer.cut()
        await peer.sent(Events, 3)
        assert [event.index for event in peer.of(Events)[-1].events] == [3]

    play(scenario, Counter)


def test_actors_and_their_requests_live_through_a_reconnect() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        assert await peer.answered() == 1
        slow = peer.ask("/slow")
        await peer.settled()
        peer.reachable = False
        peer.cut()
        await asyncio.sleep(6)
        peer.reachable = True
        assert isinstance(await peer.reply(slow), ResponseStart)
        assert await peer.answered() == 3
        assert peer.reports() == [Running()]

    play(scenario, Counter)


@pytest.mark.parametrize("question", [Load, Save, Fetch])
def test_a_question_is_asked_again_until_it_is_answered(question: type[Any]) -> None:
    @stateful_actor
    class Asker(Counter):
        async def on_request(self, request: Request) -> int:
            await self.kv.get("x")
            return await super().on_request(request)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(question)
        peer.start(name="asker")
        request = peer.ask()
        asked = await peer.sent(question)
        peer.cut()
        assert await peer.sent(question, 2) == asked
        peer.silent.clear()
        peer.answer(asked)
        assert isinstance(await peer.reply(request), ResponseStart)

    play(scenario, Asker)


def test_a_frame_that_is_never_answered_costs_the_connection() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Load)
        peer.start()
        request = peer.ask()
        await peer.sent(Load)
        peer.silent.clear()
        assert isinstance(await peer.reply(request), ResponseStart)
        assert len(peer.of(Hello)) == 2
        assert peer.reports() == [Running()]

    play(scenario, Counter)


def test_it_pings_and_tells_how_long_the_last_answer_lies_back() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        await asyncio.sleep(3.5)
        assert [ping.silent_ms for ping in peer.of(Ping)] == [3000]
        peer.silent.add(Ping)
        await asyncio.sleep(6)
        assert [ping.silent_ms for ping in peer.of(Ping)] == [3000, 3000, 6000]

    play(scenario, Counter)


def test_without_an_answer_it_drops_its_actors_and_connects_again() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        assert await peer.answered() == 1
        peer.silent.add(Ping)
        saves = len(peer.of(Save))
        await peer.sent(Hello, 2)
        assert now() == pytest.approx(LOST_MS / 1000)
        # the same runner after all: it says what has become of its actor
        await peer.reported(Stopped("the runner was cut off for too long"))
        assert len(peer.of(Save)) == saves
        reply = await peer.reply(peer.ask())
        assert isinstance(reply, Refused)
        assert reply.code == "not_here"

    play(scenario, Counter)


def test_it_tries_again_at_once_and_then_with_growing_pauses() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        await asyncio.sleep(2)
        peer.reachable = False
        peer.cut()
        await asyncio.sleep(300)
        attempts = [at - 2 for at in peer.attempts[1:]]
        pauses = [later - at for at, later in pairwise(attempts)]
        assert attempts[0] == 0
        for pause, least in zip(pauses, [1, 2, 4, 8, 16, 30, 30, 30], strict=False):
            assert least <= pause <= least * 1.25
        assert len(set(pauses)) == len(pauses)

    play(scenario, Counter)


def test_a_connection_that_breaks_at_once_is_not_made_again_without_a_pause() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        for _ in range(5):
            await runner.connected.wait()
            peer.cut()
            await peer.until(lambda: not runner.connected.is_set())
        assert now() > 7

    play(scenario, Counter)


def test_one_that_was_lost_drops_everything_and_begins_with_event_one() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        slow = peer.ask("/slow")
        await peer.reported(Running)
        await peer.settled()
        peer.runner, peer.stored = "r2", 0
        peer.cut()
        await peer.sent(Hello, 2)
        await peer.until(lambda: runner.runner_id == "r2")
        peer.start("b", index=1)
        events = await peer.sent(Events, 2)
        assert [(event.index, event.actor) for event in events.events] == [(1, "b")]
        await asyncio.sleep(20)
        assert not [frame for frame in peer.of(ResponseStart) if frame.request == slow]

    play(scenario, Counter)


def test_an_evicted_runner_ends_and_does_not_come_back() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        await peer.answered()
        peer.send(Evicted("replaced"))
        await peer.until(lambda: peer.wire is None)
        await runner.stop()
        await asyncio.sleep(100)
        assert runner.evicted == "replaced"
        assert len(peer.attempts) == 1

    play(scenario, Counter)


def test_a_runner_that_is_never_welcome_keeps_trying_and_can_be_stopped() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Hello)
        await asyncio.sleep(100)
        assert len(peer.attempts) > 3
        assert not runner.connected.is_set()
        await runner.stop()
        assert now() == 100

    play(scenario, Counter, connected=False)


def test_frames_that_cannot_be_read_are_passed_over() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        assert peer.wire is not None
        peer.wire.inbox.put_nowait("{")
        peer.wire.inbox.put_nowait('{"type":"Novelty"}')
        peer.start()
        assert await peer.answered() == 1

    play(scenario, Counter)


# -- the end --------------------------------------------------------------------------------------


def test_stopping_serves_on_until_its_actors_are_taken_away() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start("a")
        peer.start("b")
        await peer.answered()
        stopping = asyncio.create_task(runner.stop())
        await peer.sent(Stopping)
        assert await peer.answered() == 2
        peer.stop("a")
        await peer.reported(Stopped(), "a")
        await asyncio.sleep(5)
        assert not stopping.done()
        peer.stop("b")
        await stopping
        assert peer.reports("b") == [Running(), Stopped()]
        assert peer.stored == 4
        assert peer.wire is None
        assert now() == 5

    play(scenario, Counter)


def test_stopping_says_so_again_on_a_new_connection() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        await peer.reported(Running)
        stopping = asyncio.create_task(runner.stop())
        await peer.sent(Stopping)
        peer.cut()
        await peer.sent(Stopping, 2)
        peer.stop()
        await stopping

    play(scenario, Counter)


def test_stopping_ends_after_its_time_whatever_is_left() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start()
        await peer.reported(Running)
        await runner.stop()
        assert now() == STOP_MS / 1000

    play(scenario, Counter)


def test_stopping_without_actors_ends_at_once() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        await runner.stop()
        assert peer.frames[-1] == Stopping()
        assert now() == 0

    play(scenario, Counter)


def test_a_cancelled_run_leaves_nothing_behind() -> None:
    cancelled = []

    @stateful_actor
    class Long(Counter):
        async def on_request(self, request: Request) -> int:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled.append(self.id)
                raise
            return 0

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="long")
        peer.ask()
        await peer.settled()

    play(scenario, Long)  # which cancels it, and looks for tasks that are left
    assert cancelled == ["a"]


def test_a_handler_that_will_not_be_cancelled_writes_and_sends_nothing_more() -> None:
    @stateful_actor
    class Stubborn(Counter):
        async def on_request(self, request: Request) -> int:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(100)
            self.state.count = 99
            await self.kv.put("x", 1)
            return 99

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="stubborn")
        request = peer.ask()
        await peer.settled()
        peer.start(name="stubborn", generation=2)
        reply = await peer.reply(request)
        assert isinstance(reply, Refused)
        await asyncio.sleep(200)
        assert not peer.of(Save)

    play(scenario, Stubborn)


# -- what it takes --------------------------------------------------------------------------------


def test_two_actors_of_one_name_are_refused() -> None:
    @stateful_actor(name="counter")
    class Other(StatefulActor[None]):
        pass

    class Plain(StatefulActor[None]):
        pass

    def make(*actors: type[StatefulActor[Any]]) -> Runner:
        return Runner(
            actors,
            pool="main",
            key="k",
            slots=1,
            connect=Peer().connect,
            clock=LoopClock(),
            entropy=Chance(),
        )

    with pytest.raises(InvalidActor, match="two stateful actors are called 'counter'"):
        make(Counter, Other)
    with pytest.raises(InvalidActor, match="decorate it"):
        make(Plain)
    with pytest.raises(InvalidActor, match="at least one"):
        make()
    make(Counter, Counter)
