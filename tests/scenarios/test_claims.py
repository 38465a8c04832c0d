"""Claims: what a delivery that is not the first pays, and what processes that die lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec
import pytest

from engine.claims import Claim
from engine.errors import OutOfTime, StoreUnusable, TooLarge
from engine.layout import CLAIM_PREFIX, run_key
from engine.ports import Delivery, Item, Limits
from engine.snapshot import Status
from tests.scenarios.poison import (
    ONE,
    RETRIED,
    VISIBILITY_S,
    Failing,
    Poison,
    claims,
    suffer,
)
from tests.scenarios.processes import Between, Counting, Process
from tests.scenarios.world import STEP_MS, World
from tidestep import Context, actor


def test_a_first_delivery_writes_no_claim(world: World) -> None:
    poison = Poison(0)
    world.start(ONE, {}, poison.actor)
    counting = Counting(world)
    for delivery in world.receive():
        world.handle(delivery, counting)
    assert world.view().output == {"only": "survived"}
    assert counting.requests["swap"] == 0


def test_a_redelivery_claims_and_its_claim_goes_with_its_result(world: World) -> None:
    poison = Poison(1)
    world.start(ONE, {}, poison.actor)
    deliveries = world.receive()
    poison.deliver(world, deliveries)
    counting = Counting(world)
    for delivery in world.redelivered(*deliveries):
        world.handle(delivery, counting)
    assert counting.requests["swap"] == 1
    assert world.view().output == {"only": "survived"}
    assert claims(world) == []


@pytest.mark.parametrize("way", ["swept", "relayed", "deferred"])
def test_a_copy_that_may_not_be_the_first_claims(world: World, way: str) -> None:
    poison = Poison(0)
    world.start(ONE, {}, poison.actor)
    (first,) = world.receive()
    if way == "swept":
        world.clock.advance(60)
        assert world.sweep() == 1
    elif way == "relayed":
        world.actors.clear()
        world.start(ONE, {}, poison.actor)
    else:
        again = Delivery(first.body, first.receipt, 2)
        no_time = world.clock.now()
        assert world.do(world.dispatcher().handle(again, no_time)).what == "deferred"
    counting = Counting(world)
    (copy,) = world.receive()
    assert copy.receives == 1
    world.handle(copy, counting)
    assert counting.requests["swap"] == 1
    assert world.view().output == {"only": "survived"}


def test_anothers_live_claim_puts_a_delivery_off_until_its_deadline(world: World) -> None:
    poison = Poison(1)
    world.start(ONE, {}, poison.actor)
    (first,) = world.receive()
    poison.deliver(world, [Delivery(first.body, None, 2)])
    world.clock.advance(10)
    (handled,) = [world.handle(each) for each in world.redelivered(first)]
    assert handled.what == "deferred"
    assert poison.calls == 1
    world.clock.advance(VISIBILITY_S - 11)
    assert world.receive() == []
    world.clock.advance(2)
    (copy,) = world.receive()
    assert '"again":true' in copy.body
    assert world.handle(copy).what == "stepped"
    assert world.view().output == {"only": "survived"}


def test_a_live_claim_puts_off_no_further_than_the_queue_reaches(world: World) -> None:
    poison = Poison(1)
    world.start(ONE, {}, poison.actor)
    (first,) = world.receive()
    poison.process = Process(world)
    two_hours = world.clock.now() + 7_200_000

    async def die() -> None:
        assert poison.process is not None
        with pytest.raises(BaseException):  # noqa: B017 - the process dies
            await poison.process.dispatcher.handle(Delivery(first.body, None, 2), two_hours)

    world.do(die())
    (handled,) = [world.handle(each) for each in world.redelivered(first)]
    assert handled.what == "deferred"
    world.clock.advance(901)
    assert len(world.receive()) == 1


def test_a_step_that_kills_its_process_crashes_after_three_visibility_time_outs(
    world: World,
) -> None:
    poison = Poison(99)
    world.start(ONE, {}, poison.actor)
    (handled,) = suffer(world, poison, 3)
    assert handled.what == "stepped"
    assert poison.calls == 3, "a first delivery claims nothing: its death is not counted"
    view = world.view()
    assert (view.status, view.error) == (
        Status.FAILED,
        {
            "type": "StepCrashed",
            "message": "the process died 2 times while running this attempt",
            "node": "only",
        },
    )


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_step_that_kills_its_process_less_often_gets_through(world: World, deaths: int) -> None:
    poison = Poison(deaths)
    world.start(ONE, {}, poison.actor)
    suffer(world, poison, deaths)
    assert world.view().output == {"only": "survived"}
    assert world.view().failures == 0


def test_how_many_deaths_there_may_be_is_a_setting(world: World) -> None:
    world.limits = Limits(deaths=1)
    poison = Poison(99)
    world.start(ONE, {}, poison.actor)
    suffer(world, poison, 2)
    assert poison.calls == 2
    assert world.view().status is Status.FAILED


def test_the_retry_policy_decides_about_a_crashed_step(world: World) -> None:
    poison = Poison(3)
    world.start(RETRIED, {}, poison.actor)
    suffer(world, poison, 3)
    assert [r.outcome for r in world.history()] == ["retried"]
    world.work()
    assert world.view().output == {"only": "survived"}
    assert poison.calls == 4


@pytest.mark.parametrize("verb", ["commit", "items"])
def test_trouble_of_the_platform_gives_the_claim_back_and_is_no_death(
    world: World, verb: str
) -> None:
    poison = Poison(0)
    world.start(ONE, {"large": "x" * 5000}, poison.actor)
    deliveries = world.receive()
    for _ in range(5):
        deliveries = world.redelivered(*deliveries)
        for delivery in deliveries:
            with pytest.raises(StoreUnusable):
                world.handle(delivery, Failing(world, verb))
    for delivery in world.redelivered(*deliveries):
        assert world.handle(delivery).what == "stepped"
    assert world.view().output == {"only": "survived"}
    assert world.view().failures == 0


def test_a_head_that_the_store_does_not_take_is_no_death(world: World) -> None:
    poison = Poison(0)
    world.start(ONE, {}, poison.actor)
    deliveries = world.receive()
    for _ in range(5):
        deliveries = world.redelivered(*deliveries)
        for delivery in deliveries:
            with pytest.raises(TooLarge):
                world.handle(
                    delivery, Failing(world, "commit", TooLarge("a head of 500,000 bytes"))
                )
    for delivery in world.redelivered(*deliveries):
        assert world.handle(delivery).what == "stepped", "its claim was given back"
    assert world.view().output == {"only": "survived"}


def test_loading_that_takes_all_the_time_twice_counts_as_received(world: World) -> None:
    class Slow(Between):
        """What the step needs takes longer to load than the step may take."""

        async def items(self, partition: str, names: Collection[str]) -> Any:
            if "/run/" in partition:
                world.clock.advance(VISIBILITY_S + 1)
            return await self.world.journal.items(partition, names)

    poison = Poison(0)
    world.start(ONE, {"large": "x" * 5000}, poison.actor)
    (first,) = world.receive()
    assert world.handle(first, Slow(world)).what == "deferred"
    (copy,) = world.receive()
    for receives in (1, 2, 3):
        assert copy.receives == receives
        with pytest.raises(OutOfTime):
            world.handle(copy, Slow(world))
        (copy,) = world.redelivered(copy)
    assert poison.calls == 0
    assert world.handle(copy).what == "stepped"
    assert world.view().output == {"only": "survived"}


def test_a_worker_that_is_stopped_has_not_died(world: World) -> None:
    stopped: list[bool] = []

    @actor("poison")
    async def long(message: Any) -> str:
        if not stopped:
            stopped.append(True)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        return "survived"

    world.start(ONE, {}, long)
    (delivery,) = world.receive()
    (delivery,) = world.redelivered(delivery)

    async def cancelled() -> None:
        work = world.dispatcher().handle(delivery, world.clock.now() + STEP_MS)
        (result,) = await asyncio.gather(asyncio.create_task(work), return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError)

    world.do(cancelled())
    (again,) = world.redelivered(delivery)
    assert world.handle(again).what == "stepped", "its claim was given back"


def test_a_poisonous_record_does_not_fail_the_others_of_its_batch(world: World) -> None:
    poison = Poison(99)
    began: list[str] = []

    @actor
    async def innocent(message: Any, context: Context) -> str:
        began.append(context.run_id)
        for _ in range(200):  # still running when the process dies
            await asyncio.sleep(0)
        return "done"

    @actor("poison")
    async def slow_poison(message: Any, context: Context) -> str:
        for _ in range(50):
            await asyncio.sleep(0)
        return await poison.actor.function(message, context)

    world.actors = [slow_poison, innocent]
    for run in ("a", "b", "c"):
        world.start("name: i\nnodes: [{id: only, actor: innocent}]", {}, run=run)
    world.start(ONE, {}, run="poison")
    suffer(world, poison, 3)
    world.clock.advance(VISIBILITY_S)
    world.work()
    for run in ("a", "b", "c"):
        assert world.view(run).output == {"only": "done"}
        assert world.view(run).failures == 0
    view = world.view("poison")
    assert view.error is not None
    assert view.error["type"] == "StepCrashed"


def test_a_first_delivery_that_takes_long_claims_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.claims.LATE_MS", 0)
    found: list[str] = []

    @actor("poison")
    async def long(message: Any) -> str:
        for _ in range(2000):
            await asyncio.sleep(0.001)
            partition = run_key("run").partition
            found.extend([n async for n, _ in world.journal.scan(partition, CLAIM_PREFIX)])
            if found:
                break
        return "done"

    world.start(ONE, {}, long)
    world.work()
    assert found == ["claim/0.0.1.1"]
    assert world.view().output == {"only": "done"}
    assert claims(world) == []


def test_a_claim_that_cannot_be_read_claims_nothing(world: World) -> None:
    poison = Poison(0)
    world.start(ONE, {}, poison.actor)
    (delivery,) = world.receive()
    world.do(world.journal.put([Item(run_key("run").partition, "claim/0.0.1.1", b"\xc1")]))
    (again,) = world.redelivered(delivery)
    world.handle(again)
    assert world.view().output == {"only": "survived"}


def test_a_claim_of_a_newer_version_puts_the_delivery_off(world: World) -> None:
    poison = Poison(0)
    world.start(ONE, {}, poison.actor)
    (delivery,) = world.receive()
    body = msgspec.msgpack.encode(Claim(2, "x", 0))
    world.do(world.journal.put([Item(run_key("run").partition, "claim/0.0.1.1", body)]))
    (again,) = world.redelivered(delivery)
    assert world.handle(again).what == "newer"
    assert poison.calls == 0
