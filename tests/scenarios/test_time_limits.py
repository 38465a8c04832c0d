"""Deadlines of runs, and how fast they may step."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ports import Limits
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import actor


@actor
async def increment(number: int) -> int:
    return number + 1


CHAIN = """
name: chain
nodes:
  - {id: a, actor: increment}
  - {id: b, actor: increment}
  - {id: c, actor: increment}
edges:
  - {from: a, to: b}
  - {from: b, to: c}
"""


PATIENT = """
name: patient
deadline: SECONDS
nodes:
  - {id: first, actor: transform.map, config: {}}
  - {id: ask, actor: flow.wait, config: {signal: never}}
edges: [{from: first, to: ask}]
"""


@pytest.mark.parametrize("seconds", [30, 899, 901, 3600, 30 * 86_400])
def test_a_run_that_has_not_ended_by_its_deadline_fails(world: World, seconds: int) -> None:
    world.start(PATIENT.replace("SECONDS", str(seconds)))
    began = world.clock.now()
    handled = world.work()
    view = world.view()
    assert view.status is Status.FAILED
    assert view.error == {
        "type": "DeadlineExceeded",
        "message": f"the run has not ended within its deadline of {seconds:,} s",
    }
    assert view.ended_at - began == pytest.approx(seconds * 1000, abs=1000)
    assert len(handled) <= 8
    assert world.head().wake_at == 0


def test_a_run_that_ends_before_its_deadline_has_nothing_to_do_with_it(world: World) -> None:
    world.start("name: w\ndeadline: 60\nnodes: [{id: only, actor: transform.map, config: {}}]")
    world.work()
    assert world.view().status is Status.COMPLETED
    world.clock.advance(61)
    assert [each.what for each in world.step()] in ([], ["ended"])
    assert world.view().status is Status.COMPLETED


def test_a_result_that_comes_after_the_deadline_is_not_recorded(world: World) -> None:
    @actor
    async def slow(message: Any) -> Any:
        world.clock.advance(31)
        for delivery in await world.source.receive(10, 0):
            await world.dispatcher().handle(delivery, world.clock.now() + 60_000)
        return message

    world.start("name: w\ndeadline: 30\nnodes: [{id: only, actor: slow}]", 0, slow)
    (handled,) = [each for each in world.step() if each.what != "deferred"]
    assert handled.what == "lost"
    assert world.history() == []
    assert world.view().status is Status.FAILED


def test_a_lost_deadline_is_found_by_the_sweep(world: World) -> None:
    world.start(PATIENT.replace("SECONDS", "30"))
    deliveries = world.receive()
    for delivery in deliveries:
        if ",-1," not in delivery.body:
            world.handle(delivery)
        else:
            world.do(world.journal.send((), delivery))
    world.work()
    assert world.view().status is Status.FAILED


def test_a_retry_gives_the_run_its_whole_deadline_again(world: World) -> None:
    world.start(PATIENT.replace("SECONDS", "600"))
    world.work()
    world.clock.advance(86_400)
    began = world.clock.now()
    world.retry()
    assert world.view().ends_by == began + 600_000
    world.work()
    view = world.view()
    assert view.error is not None
    assert view.error["message"] == "the run has not ended within its deadline of 600 s"


def test_a_run_that_steps_too_fast_rests(world: World) -> None:
    world.limits = Limits(steps_per_minute=2)
    world.start(CHAIN, 0, increment)
    handled = [*world.step(), *world.step(), *world.step()]
    assert [each.what for each in handled] == ["stepped", "stepped", "deferred"]
    world.clock.advance(29)
    assert world.step() == []
    world.clock.advance(2)
    assert [each.what for each in world.step()] == ["stepped"]
    assert world.view().output == {"c": 3}


def test_a_run_that_steps_at_its_rate_is_spread_over_the_minutes(world: World) -> None:
    edges = "".join(f"  - {{from: n{i}, to: n{i + 1}}}\n" for i in range(8))
    nodes = "".join(f"  - {{id: n{i}, actor: increment}}\n" for i in range(9))
    world.limits = Limits(steps_per_minute=3)
    began = world.clock.now()
    world.start(f"name: w\nnodes:\n{nodes}edges:\n{edges}", 0, increment)
    world.work()
    assert world.view().output == {"n8": 9}
    assert world.view().ended_at - began >= 100_000
    assert [r.attempt for r in world.history()] == [1] * 9, "resting burns no attempt"
