"""Dead letters: brought to an end by what a delivery would do, and never thrown away unread."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from engine.dead_letters import DeadLetters
from engine.errors import NewerFormat, StoreUnusable
from engine.messages import decode_message
from engine.ports import Delivery, Limits
from engine.snapshot import Status
from engine.worker import Worker, WorkerSettings
from tests.scenarios.processes import Between, Died, DiesBefore
from tests.scenarios.world import STEP_MS, World
from tidestep import Context, actor

CHAIN = """
name: chain
nodes:
  - {id: a, actor: count}
  - {id: b, actor: count}
edges: [{from: a, to: b}]
"""

ASK = "name: ask\nnodes: [{id: ask, actor: flow.wait, config: {signal: go, timeout: 60}}]"


class Counted:
    def __init__(self) -> None:
        self.calls = 0

        @actor("count")
        async def count(number: int) -> int:
            self.calls += 1
            return number + 1

        self.actor = count


def buried(world: World) -> list[str]:
    return [world.bury(delivery).what for delivery in world.receive()]


def test_a_dead_letter_is_sent_again_three_times_then_its_attempt_fails(world: World) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    for minutes in (1, 2, 4):
        assert buried(world) == ["sent again"]
        world.clock.advance(60 * minutes - 1)
        assert world.receive() == []
        world.clock.advance(1)
    assert world.history() == []
    (last,) = world.receive()
    assert decode_message(last.body).again
    world.bury(last)
    view = world.view()
    assert (view.status, view.error) == (
        Status.FAILED,
        {
            "type": "Undeliverable",
            "message": "the queue gave its message up 4 times: see the dispatcher's logs",
            "node": "a",
        },
    )
    assert counted.calls == 0


def test_a_dead_letter_that_is_sent_again_is_carried_out(world: World) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    assert buried(world) == ["sent again"]
    world.work()
    assert world.view().output == {"b": 2}
    assert world.view().failures == 0


def test_the_retry_policy_decides_about_an_attempt_that_cannot_be_delivered(world: World) -> None:
    counted = Counted()
    world.limits = Limits(injections=1)
    document = CHAIN.replace(
        "{id: a, actor: count}", "{id: a, actor: count, retry: {max_attempts: 2}}"
    )
    world.start(document, 0, counted.actor)
    assert buried(world) == ["sent again"]
    world.clock.advance(60)
    buried(world)
    assert [r.outcome for r in world.history()] == ["retried"]
    world.work()
    assert world.view().output == {"b": 2}


def test_a_dead_letter_whose_work_is_done_sends_what_it_owns(world: World) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    (first,) = world.receive()
    world.handle(first)
    world.lose()
    assert world.bury(Delivery(first.body)).what == "relayed"
    world.work()
    assert world.view().output == {"b": 2}
    assert world.bury(Delivery(first.body)).what == "ended"
    assert counted.calls == 2


def test_a_dead_letter_of_a_wait_looks_into_the_inbox(world: World) -> None:
    world.start(ASK, {})
    world.step()
    with pytest.raises(Died):
        world.signal("go", 1, journal=DiesBefore(world, "commit"))
    world.clock.advance(61)
    (look,) = world.receive()
    assert world.bury(look).what == "resumed"
    world.work()
    assert world.view().output == {"ask": 1}


def test_a_dead_letter_of_a_time_out_times_out(world: World) -> None:
    world.start(ASK, {})
    world.step()
    world.clock.advance(61)
    (look,) = world.receive()
    assert world.bury(look).what == "resumed"
    world.work()
    assert world.view().output == {"ask": {}}


def test_a_dead_letter_of_a_run_that_is_gone_is_acknowledged(world: World) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    (delivery,) = world.receive()
    stranger = delivery.body.replace('"run":"run"', '"run":"nobody"')
    assert world.bury(Delivery(stranger, delivery.receipt)).what == "unknown run"
    assert world.redelivered(delivery) == []


def test_a_dead_letter_pays_what_its_run_owes(world: World) -> None:
    @actor
    async def tell(message: Any, context: Context) -> str:
        context.send("asked", "go", 7)
        return "told"

    class Throttled(Between):
        async def swap(self, item: Any, expected: Any, also: Any = (), drops: Any = ()) -> None:
            raise StoreUnusable("throttled")

    world.start(ASK.replace("60", "86400"), {}, run="asked")
    world.step()
    world.step()
    world.start("name: w\nnodes: [{id: only, actor: tell}]", {}, tell)
    (delivery,) = world.receive()
    with pytest.raises(StoreUnusable):
        world.handle(delivery, Throttled(world))
    assert len(world.head().owed) == 1
    assert world.bury(delivery).what == "ended"
    assert world.head().owed == ()
    world.step()
    world.step()
    assert world.view("asked").output == {"ask": 7}


@pytest.mark.parametrize("text", ["not json", "{}", '{"format": 1, "run": 3}', "[]", ""])
def test_what_never_was_a_message_is_kept_as_a_blob(world: World, text: str) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    (delivery,) = world.receive()
    assert world.bury(Delivery(text, delivery.receipt)).what == "kept"
    name = f"dead-letters/{hashlib.sha256(text.encode()).hexdigest()}"
    assert world.do(world.blobs.get(name)) == text.encode()
    assert world.redelivered(delivery) == []


def test_a_dead_letter_of_a_newer_version_stays_one(world: World) -> None:
    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    (delivery,) = world.receive()
    newer = delivery.body.replace('"format":1', '"format":3')
    with pytest.raises(NewerFormat):
        world.bury(Delivery(newer, delivery.receipt))
    assert len(world.redelivered(delivery)) == 1


def test_a_dead_letter_stays_one_while_the_store_does_not_answer(world: World) -> None:
    class Down(Between):
        async def head(self, key: Any) -> bytes | None:
            raise StoreUnusable("down")

    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    (delivery,) = world.receive()
    dead_letters = DeadLetters(world.platform(Down(world)), world.registry)
    with pytest.raises(StoreUnusable):
        world.do(dead_letters.handle(delivery, world.clock.now() + STEP_MS))
    assert len(world.redelivered(delivery)) == 1


def test_what_must_not_run_twice_is_not_tried_again_after_it_may_have_run(world: World) -> None:
    """Its actor ran, its result could not be saved, and then nothing could be delivered."""
    calls: list[int] = []

    @actor("count", at_most_once=True)
    async def charge(number: int, context: Context) -> int:
        calls.append(context.attempt)
        return number

    class Throttled(Between):
        async def commit(self, commit: Any) -> None:
            raise StoreUnusable("throttled")

    world.limits = Limits(injections=1)
    document = CHAIN.replace(
        "{id: a, actor: count}", "{id: a, actor: count, retry: {max_attempts: 5}}"
    )
    world.start(document, 0, charge)
    (delivery,) = world.receive()
    with pytest.raises(StoreUnusable):
        world.handle(delivery, Throttled(world))
    world.clock.advance(STEP_MS / 1000)
    for again in world.redelivered(delivery):
        world.bury(again)
    world.clock.advance(60)
    buried(world)
    world.work()
    assert calls == [1]
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == "Interrupted"


def test_a_dead_letter_of_what_its_own_process_runs_is_put_off(world: World) -> None:
    buried_meanwhile: list[str] = []

    @actor("count")
    async def slow(number: int, context: Context) -> int:
        if context.node == "a":
            deadline = world.clock.now() + STEP_MS
            handled = await dead_letters.handle(Delivery(delivery.body), deadline)
            buried_meanwhile.append(handled.what)
        return number + 1

    world.limits = Limits(injections=0)
    world.start(CHAIN, 0, slow)
    (delivery,) = world.receive()
    dispatcher = world.dispatcher()
    dead_letters = DeadLetters(world.platform(), world.registry, dispatcher.running)
    world.do(dispatcher.handle(delivery, world.clock.now() + STEP_MS))
    assert buried_meanwhile == ["deferred"]
    world.work()
    assert world.view().output == {"b": 2}
    assert world.view().failures == 0


def test_a_worker_hands_over_what_it_has_received_too_often(world: World) -> None:
    class Refusing(Between):
        """Every head that the dispatcher asks for is out of reach."""

        async def head(self, key: Any) -> bytes | None:
            raise StoreUnusable("throttled")

    class Source:
        def __init__(self) -> None:
            self.released: list[int] = []

        async def receive(self, limit: int, wait_s: float) -> Any:
            await asyncio.sleep(0)
            return await world.source.receive(limit, 0)

        async def release(self, delivery: Delivery, delay_s: int) -> None:
            self.released.append(delivery.receives)
            await world.source.release(delivery, 0)

    counted = Counted()
    world.start(CHAIN, 0, counted.actor)
    source = Source()
    told: list[str] = []
    refusing = world.platform(Refusing(world))

    async def work() -> None:
        stop = asyncio.Event()

        class Consumer(DeadLetters):
            async def handle(self, delivery: Delivery, deadline: int) -> Any:
                handled = await super().handle(delivery, deadline)
                told.append(handled.what)
                stop.set()
                return handled

        worker = Worker(
            refusing,
            world.dispatcher(Refusing(world)),
            source,
            WorkerSettings(max_receives=3, sweep_every=0, poll=0),
            Consumer(world.platform(), world.registry),
        )
        await worker.run(stop)

    world.do(work())
    assert source.released == [1, 2, 3]
    assert told == ["sent again"]
