"""Actors that must not run twice: claimed first, and interrupted by their first death."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import StoreUnusable
from engine.layout import run_key
from engine.ports import Delivery
from tests.scenarios.poison import (
    ONE,
    RETRIED,
    VISIBILITY_S,
    Failing,
    Poison,
    charged_once,
    suffer,
)
from tests.scenarios.processes import Between, Counting
from tests.scenarios.world import STEP_MS, World
from tidestep import Context, actor


def test_at_most_once_the_first_death_is_the_last(world: World) -> None:
    poison = Poison(99, at_most_once=True)
    world.start(RETRIED, {}, poison.actor)
    counting = Counting(world)
    (handled,) = suffer(world, poison, 1)
    assert handled.what == "stepped"
    assert poison.calls == 1
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == "Interrupted"
    assert [r.outcome for r in world.history()] == ["failed"]
    assert counting.requests["swap"] == 0


def test_at_most_once_claims_on_the_first_delivery_too(world: World) -> None:
    poison = Poison(0, at_most_once=True)
    world.start(ONE, {}, poison.actor)
    counting = Counting(world)
    for delivery in world.receive():
        world.handle(delivery, counting)
    assert counting.requests["swap"] == 1
    assert world.view().output == {"only": "survived"}


def test_at_most_once_two_copies_at_once_run_it_once(world: World) -> None:
    poison = Poison(0, at_most_once=True)
    world.start(ONE, {}, poison.actor)
    (delivery,) = world.receive()
    world.handle_together([delivery, Delivery(delivery.body, None, 1)])
    world.work()
    assert poison.calls == 1
    assert world.view().output == {"only": "survived"}


def test_at_most_once_a_copy_that_saw_the_head_before_the_result_does_not_run_it(
    world: World,
) -> None:
    """It has read the head; before it claims, another runs the actor and is done with it."""
    poison = Poison(0, at_most_once=True)
    world.start(ONE, {}, poison.actor)
    (delivery,) = world.receive()

    class Slow(Between):
        async def swap(self, item: Any, expected: Any, also: Any = (), drops: Any = ()) -> None:
            if not done:
                done.append(True)
                await world.dispatcher().handle(delivery, world.clock.now() + STEP_MS)
            await world.journal.swap(item, expected, also, drops)

    done: list[bool] = []
    world.handle(Delivery(delivery.body, None, 1), Slow(world))
    world.work()
    assert poison.calls == 1
    assert world.view().output == {"only": "survived"}


def test_at_most_once_an_attempt_that_raised_is_retried_by_its_policy(world: World) -> None:
    calls: list[int] = []

    @actor("poison", at_most_once=True)
    async def raises(message: Any, context: Context) -> str:
        calls.append(context.attempt)
        if context.attempt == 1:
            raise OSError("refused")
        return "accepted"

    world.start(RETRIED, {}, raises)
    world.work()
    assert calls == [1, 2]
    assert world.view().output == {"only": "accepted"}


def test_at_most_once_a_retry_while_the_actor_runs_does_not_run_it_again(world: World) -> None:
    poison = Poison(0, at_most_once=True)

    @actor("poison", at_most_once=True)
    async def overtaken(message: Any, context: Context) -> str:
        await world.operator.cancel(run_key("run"))
        await world.operator.retry(run_key("run"))
        return await poison.actor.function(message, context)

    world.start(ONE, {}, overtaken)
    assert [handled.what for handled in world.step()] == ["lost"]
    charged_once(world, poison)


def test_at_most_once_a_retry_after_the_process_died_does_not_run_it_again(world: World) -> None:
    poison = Poison(1, at_most_once=True)
    world.start(ONE, {}, poison.actor)
    poison.deliver(world, world.receive())
    world.cancel()
    world.retry()
    charged_once(world, poison)
    world.retry()
    world.work()
    assert world.view().output == {"only": "survived"}, "that is an attempt of its own"


def test_at_most_once_loading_that_fails_does_not_interrupt(world: World) -> None:
    poison = Poison(0, at_most_once=True)
    world.start(ONE, {"large": "x" * 5000}, poison.actor)
    (delivery,) = world.receive()
    with pytest.raises(StoreUnusable):
        world.handle(delivery, Failing(world, "items"))
    assert poison.calls == 0
    (again,) = world.redelivered(delivery)
    assert world.handle(again).what == "stepped"
    assert world.view().output == {"only": "survived"}


def test_at_most_once_a_result_that_could_not_be_saved_interrupts(world: World) -> None:
    poison = Poison(0, at_most_once=True)
    world.start(RETRIED, {}, poison.actor)
    (delivery,) = world.receive()
    with pytest.raises(StoreUnusable):
        world.handle(delivery, Failing(world, "commit"))
    world.clock.advance(VISIBILITY_S)
    (again,) = world.redelivered(delivery)
    world.handle(again)
    assert poison.calls == 1
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == "Interrupted"
