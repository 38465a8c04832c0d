"""Retries and redrives by operators: a new epoch, from where the run ended."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import NothingToRetry
from engine.events import Type
from engine.layout import run_key
from engine.operating import Operator
from engine.ports import Commit
from engine.snapshot import Status
from tests.scenarios.processes import Between, Died, DiesBefore
from tests.scenarios.world import World
from tidestep import Context, actor

KEY = run_key("run")


@actor
async def increment(number: int) -> int:
    return number + 1


@actor
async def add(left: int, right: int) -> int:
    return left + right


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


FRAGILE = """
name: fragile
nodes:
  - {id: first, actor: transform.map, config: {}}
  - {id: work, actor: fragile}
edges: [{from: first, to: work}]
"""


class Fragile:
    """An actor that fails until it is mended, and tells what it was run with."""

    def __init__(self, kind: type[Exception] = OSError) -> None:
        self.mended = False
        self.contexts: list[Context] = []

        @actor
        async def fragile(message: Any, context: Context) -> str:
            self.contexts.append(context)
            if not self.mended:
                raise kind("broken")
            return "mended"

        self.actor = fragile


def attempts(world: World, run: str = "run") -> list[tuple[str, int, str]]:
    return [(r.node, r.attempt, r.outcome) for r in world.history(run)]


def test_a_failed_run_goes_on_from_where_it_failed_in_a_new_epoch(world: World) -> None:
    fragile = Fragile()
    world.start(FRAGILE, {}, fragile.actor)
    world.work()
    assert world.view().status is Status.FAILED
    fragile.mended = True
    head = world.retry()
    assert (head.epoch, head.status) == (1, Status.ACTIVE)
    world.work()
    view = world.view()
    assert (view.output, view.error) == ({"work": "mended"}, None)
    assert attempts(world) == [("first", 1, "done"), ("work", 1, "failed"), ("work", 2, "done")]
    assert [context.attempt for context in fragile.contexts] == [1, 2]
    assert len({context.idempotency_key for context in fragile.contexts}) == 1
    assert [event.type for event in world.recorder.events].count(Type.RETRIED) == 1


def test_an_operators_retry_tells_the_actor_that_it_is_one(world: World) -> None:
    fragile = Fragile()
    world.start(FRAGILE, {}, fragile.actor)
    world.work()
    fragile.mended = True
    world.retry()
    world.work()
    assert [context.resumed for context in fragile.contexts] == [None, "retry"]


def test_a_retried_run_has_all_of_its_nodes_attempts_again(world: World) -> None:
    fragile = Fragile()
    document = FRAGILE.replace(
        "actor: fragile", "actor: fragile, retry: {max_attempts: 3, interval: 1}"
    )
    world.start(document, {}, fragile.actor)
    world.work()
    world.retry()
    world.work()
    assert [context.attempt for context in fragile.contexts] == [1, 2, 3, 4, 5, 6]
    assert world.view().status is Status.FAILED


def test_a_straggler_of_the_epoch_before_settles_nothing(world: World) -> None:
    @actor
    async def slow(number: int, context: Context) -> int:
        if context.resumed is None and not retried:
            await world.operator.cancel(KEY)
            await world.operator.retry(KEY)
            retried.append(True)
            return -1
        return number + 1

    retried: list[bool] = []
    world.start("name: w\nnodes: [{id: only, actor: slow}]", 0, slow)
    (handled,) = world.step()
    assert handled.what == "lost"
    assert world.history() == []
    world.work()
    assert world.view().output == {"only": 1}
    assert len(world.history()) == 1


def test_a_message_of_the_epoch_before_is_stale(world: World) -> None:
    world.start(CHAIN, 0, increment)
    (old,) = world.receive()
    world.cancel()
    world.retry()
    assert world.handle(old).what == "stale"
    world.work()
    assert world.view().output == {"c": 3}


def test_a_completed_run_is_not_retried(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    before = world.head()
    with pytest.raises(NothingToRetry, match="has completed; fork it to run a part of it again"):
        world.retry()
    assert world.head() == before


def test_a_running_run_is_not_retried(world: World) -> None:
    world.start(CHAIN, 0, increment)
    before = world.head()
    with pytest.raises(NothingToRetry, match=r"has not ended \(active\): it goes on by itself"):
        world.retry()
    assert world.head() == before


def test_a_starved_run_says_that_nothing_is_left_to_retry(world: World) -> None:
    document = """
    name: starved
    nodes:
      - {id: a, actor: flow.branch, config: {condition: true}}
      - {id: sum, actor: add}
    edges:
      - {from: a.true, to: sum.left}
      - {from: a.false, to: sum.right}
    """
    world.start(document, 1, add)
    world.work()
    assert world.view().status is Status.FAILED
    with pytest.raises(NothingToRetry, match=r"failed \(Starved\) when nothing of it was left"):
        world.retry()


def test_a_run_that_was_cancelled_when_all_was_done_says_so(world: World) -> None:
    @actor
    async def closing(number: int) -> int:
        await world.operator.close(KEY)
        return number + 1

    world.start("name: w\nnodes: [{id: only, actor: closing}]", 0, closing)
    world.work()
    assert world.view().status is Status.CANCELLED
    with pytest.raises(NothingToRetry, match="run 'run' was cancelled when nothing of it was left"):
        world.retry()


def test_a_run_out_of_its_step_budget_gets_a_whole_one_by_a_retry(world: World) -> None:
    longer = CHAIN.replace("edges:", "  - {id: d, actor: increment}\nedges:\n  - {from: c, to: d}")
    world.start(longer.replace("name: chain", "name: chain\nmax_steps: 2"), 0, increment)
    world.work()
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == "StepBudgetExhausted"
    world.retry()
    world.work()
    assert world.view().output == {"d": 4}


def test_a_retry_whose_messages_were_never_sent_is_found_by_the_sweep(world: World) -> None:
    fragile = Fragile()
    world.start(FRAGILE, {}, fragile.actor)
    world.work()
    fragile.mended = True
    with pytest.raises(Died):
        world.retry(journal=DiesBefore(world, "acknowledge"))
    assert world.receive() == []
    world.clock.advance(60)
    assert world.sweep() == 1
    world.work()
    assert world.view().output == {"work": "mended"}


class SeemsToFail(Between):
    """Each save of a head is carried out twice: its first answer was lost."""

    async def commit(self, commit: Commit) -> None:
        done = Commit(commit.head, commit.expected, commit.items, drops=commit.drops)
        await self.world.journal.commit(done)
        await self.world.journal.commit(commit)


def test_a_retry_whose_save_only_seemed_to_fail_sends_its_messages(world: World) -> None:
    fragile = Fragile()
    world.start(FRAGILE, {}, fragile.actor)
    world.work()
    fragile.mended = True
    assert world.retry(journal=SeemsToFail(world)).status is Status.ACTIVE
    assert [handled.what for handled in world.step()] == ["stepped"]
    assert world.view().output == {"work": "mended"}
    assert [event.type for event in world.recorder.events].count(Type.RETRIED) == 1


def test_a_cancel_whose_save_only_seemed_to_fail_has_cancelled(world: World) -> None:
    world.start(CHAIN, 0, increment)
    operator = Operator(world.platform(SeemsToFail(world)))
    assert world.do(operator.cancel(KEY)).status is Status.CANCELLED
    assert [event.type for event in world.recorder.events].count(Type.CANCELLED) == 1


def test_a_gentle_cancel_whose_save_only_seemed_to_fail_ends_in_time(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.receive()
    operator = Operator(world.platform(SeemsToFail(world)))
    assert world.do(operator.close(KEY, 10)).status is Status.CLOSING
    world.clock.advance(11)
    assert [handled.what for handled in world.step()] == ["finished"]
    assert world.view().status is Status.CANCELLED


def failed_runs(world: World, fragile: Fragile) -> None:
    other = FRAGILE.replace("name: fragile", "name: other")
    for run, document in (("a", FRAGILE), ("b", FRAGILE), ("c", other)):
        world.clock.advance(1)
        world.actors = [fragile.actor]
        world.start(document, {}, run=run)
    world.work()


def test_a_redrive_retries_all_that_failed(world: World) -> None:
    fragile = Fragile()
    failed_runs(world, fragile)
    fragile.mended = True
    redriven = world.do(world.operator.redrive())
    assert sorted(redriven.retried) == ["a", "b", "c"]
    assert redriven.refused == {}
    world.work()
    assert all(world.view(run).status is Status.COMPLETED for run in "abc")


def test_a_redrive_keeps_to_its_filters(world: World) -> None:
    fragile = Fragile()
    failed_runs(world, fragile)
    redrive = world.operator.redrive
    assert world.do(redrive(error="ValueError")).retried == ()
    assert world.do(redrive(Status.CANCELLED)).retried == ()
    assert world.do(redrive(tenant="other")).retried == ()
    assert world.do(redrive(workflow="other", error="OSError")).retried == ("c",)
    assert world.do(redrive(limit=1)).retried == ("b",)


def test_the_limit_of_a_redrive_counts_the_runs_of_its_workflow(world: World) -> None:
    fragile = Fragile()
    failed_runs(world, fragile)
    assert world.do(world.operator.redrive(limit=1, workflow="fragile")).retried == ("b",)


def test_a_redrive_says_why_it_left_a_run_alone(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    redriven = world.do(world.operator.redrive(Status.COMPLETED))
    assert redriven.retried == ()
    assert "fork it" in redriven.refused["run"]
