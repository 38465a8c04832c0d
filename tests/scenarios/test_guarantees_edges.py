"""The edges of the guarantee, as docs/guarantees.md states them: what holds there, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Type
from engine.ports import Commit, Delivery, Limits
from engine.records import head_record
from engine.snapshot import Head, Status
from tests.scenarios.processes import Between, Died, DiesBefore
from tests.scenarios.world import STEP_MS, World
from tidestep import Context, actor

CHAIN = """
name: chain
nodes:
  - {id: a, actor: note}
  - {id: b, actor: note}
  - {id: c, actor: note}
edges: [{from: a, to: b}, {from: b, to: c}]
"""
ONE = "name: one\nnodes: [{id: only, actor: note}]"


class Notes:
    """An actor that notes the idempotency key of each execution."""

    def __init__(self, *, at_most_once: bool = False) -> None:
        self.keys: list[str] = []

        @actor("note", at_most_once=at_most_once)
        async def note(number: int, context: Context) -> int:
            self.keys.append(context.idempotency_key)
            return number + 1

        self.actor = note


# -- processes that stand still --------------------------------------------------------------------


class Frozen(Between):
    """Its process stands still before its first save, for longer than its claim is good.

    Meanwhile the message comes to somebody else, as a redelivery.
    """

    def __init__(self, world: World, delivery: Delivery) -> None:
        super().__init__(world)
        self._again: Delivery | None = Delivery(delivery.body, None, 3)

    async def commit(self, commit: Commit) -> None:
        again, self._again = self._again, None
        if again is not None:
            self.world.clock.advance(2 * STEP_MS / 1000)
            deadline = self.world.clock.now() + STEP_MS
            await self.world.dispatcher().handle(again, deadline)
        await self.world.journal.commit(commit)


def test_a_frozen_process_counts_as_dead_and_one_of_two_results_is_recorded(world: World) -> None:
    notes = Notes()
    world.start(ONE, 0, notes.actor)
    (delivery,) = world.receive()
    thawed = Delivery(delivery.body, delivery.receipt, 2)
    assert world.handle(thawed, Frozen(world, delivery)).what == "lost"
    assert notes.keys == ["run/only/1"] * 2
    assert world.done() == ["only"]
    assert world.view().output == {"only": 1}


def test_at_most_once_a_frozen_process_is_not_joined_and_its_result_is_lost(world: World) -> None:
    notes = Notes(at_most_once=True)
    world.start(ONE, 0, notes.actor)
    (delivery,) = world.receive()
    assert world.handle(delivery, Frozen(world, delivery)).what == "lost"
    assert len(notes.keys) == 1
    view = world.view()
    assert view.status is Status.FAILED
    assert view.error is not None
    assert view.error["type"] == "Interrupted"


@pytest.mark.parametrize(
    ("retry", "status"),
    [("", Status.FAILED), (", retry: {max_attempts: 2, interval: 1}", Status.PAUSED)],
)
@pytest.mark.parametrize(
    "node", ["flow.sleep, config: {seconds: 9999999}", "flow.wait, config: {signal: go}"]
)
def test_a_node_of_the_library_needs_a_retry_to_outlive_three_deaths(
    world: World, node: str, retry: str, status: Status
) -> None:
    world.start(f"name: w\nnodes: [{{id: only, actor: {node}{retry}}}]")
    (delivery,) = world.receive()
    for _ in range(1 + Limits().deaths):
        with pytest.raises(Died):
            world.handle(delivery, DiesBefore(world, "commit"))
        world.clock.advance(STEP_MS / 1000)
        (delivery,) = world.redelivered(delivery)
    world.handle(delivery)
    for _ in range(3):
        world.clock.advance(1)
        world.step()
    assert world.view().status is status


# -- forks, restored tables ------------------------------------------------------------------------


def test_a_forks_steps_have_idempotency_keys_of_their_own(world: World) -> None:
    notes = Notes()
    world.start(CHAIN, 0, notes.actor)
    world.work()
    world.fork(2)
    world.work()
    assert notes.keys == ["run/a/1", "run/b/1", "run/c/1", "fork/b/1", "fork/c/1"]


def restored(world: World, head: Head, since: Head) -> None:
    """The table is as it was when it held `head`; messages are of no help."""
    world.lose()
    key = world.do(world.journal.runs("default", limit=1))[0].key
    world.do(world.journal.commit(Commit(head_record(key, head), since.rev)))


def test_a_run_of_a_restored_table_goes_on_from_where_it_stood(world: World) -> None:
    """Its later steps happen again, under the same idempotency keys."""
    notes = Notes()
    world.start(CHAIN, 0, notes.actor)
    world.step()
    before = world.head()
    world.work()
    restored(world, before, world.head())
    assert world.view().status is Status.ACTIVE
    world.work()
    assert world.view().output == {"c": 3}
    assert world.done() == ["a", "b", "c"]
    assert notes.keys == ["run/a/1", "run/b/1", "run/c/1", "run/b/1", "run/c/1"]


# -- retries ---------------------------------------------------------------------------------------


class Failing:
    """An actor that always fails, and notes when it was called: seconds since the start, in tens,
    because queues round their delays up."""

    def __init__(self, world: World) -> None:
        self.at: list[int] = []
        began = world.clock.now()

        @actor("fails")
        async def fails(message: Any) -> None:
            self.at.append((world.clock.now() - began) // 10_000 * 10)
            raise OSError("refused")

        self.actor = fails

    def document(self, interval: int) -> str:
        policy = (
            f"{{max_attempts: 3, interval: {interval}, max_interval: {interval}, "
            "backoff: fixed, jitter: false}"
        )
        return f"name: w\nnodes: [{{id: only, actor: fails, retry: {policy}}}]"


def test_a_retry_beyond_the_queues_reach_comes_when_it_is_due(world: World) -> None:
    failing = Failing(world)
    world.start(failing.document(3600), {}, failing.actor)
    world.work()
    assert failing.at == [0, 3600, 7200]
    assert [r.outcome for r in world.history()] == ["retried", "retried", "failed"]


def test_stray_messages_neither_hurry_a_retry_nor_burn_one(world: World) -> None:
    failing = Failing(world)
    world.start(failing.document(60), {}, failing.actor)
    (first,) = world.receive()
    world.handle(first)
    world.clock.advance(3)
    assert world.handle(Delivery(first.body)).what == "relayed"
    assert world.receive() == [], "what is relayed is delayed as the first message was"
    world.clock.advance(57)
    retries = world.receive()
    assert len(retries) == 2, "the message of the retry, and its relayed copy"
    world.clock.advance(-30)
    assert [world.handle(early).what for early in retries] == ["deferred", "deferred"]
    world.clock.advance(30)
    retries = world.receive()
    world.handle_together(retries)
    world.work()
    assert [r.outcome for r in world.history()] == ["retried", "retried", "failed"]
    assert len(failing.at) <= 4, "of two copies that come at once, each may run the actor"
    assert set(failing.at) == {0, 60, 120}


# -- sweeps and queues -----------------------------------------------------------------------------


@pytest.mark.parametrize(("backlog", "sent"), [(2, 0), (3, 3)])
def test_a_sweep_leaves_alone_what_could_run_while_the_queue_is_behind(
    world: World, backlog: int, sent: int
) -> None:
    notes = Notes()
    for number in range(3):
        world.start(CHAIN, number, notes.actor, run=f"r{number}")
        world.actors.clear()
    world.limits = Limits(backlog=backlog)
    world.clock.advance(61)
    assert world.sweep() == sent


def test_a_sweep_looks_after_timers_while_the_queue_is_behind(world: World) -> None:
    notes = Notes()
    world.start("name: t\nnodes: [{id: a, actor: flow.sleep, config: {seconds: 3600}}]", {})
    world.step()
    for number in range(3):
        world.start(CHAIN, number, notes.actor, run=f"r{number}")
        world.actors.clear()
    world.limits = Limits(backlog=2)
    world.clock.advance(3600 - 599)
    assert world.sweep() == 1


@pytest.mark.parametrize(("tenant", "group"), [("default", "chain"), ("acme", "acme")])
def test_messages_are_grouped_by_tenant_and_the_default_ones_by_workflow(
    world: World, monkeypatch: pytest.MonkeyPatch, tenant: str, group: str
) -> None:
    groups: list[str] = []
    commit = world.journal.commit

    async def noted(each: Commit) -> None:
        groups.extend(send.group for send in each.sends)
        await commit(each)

    monkeypatch.setattr(world.journal, "commit", noted)
    world.start(CHAIN, 0, Notes().actor, tenant=tenant)
    world.work()
    assert groups == [group] * 3


# -- what is told ----------------------------------------------------------------------------------


def test_events_tell_how_a_run_went_and_durations_leave_the_queue_out(world: World) -> None:
    @actor("note")
    async def slow(message: Any) -> Any:
        world.clock.advance(5)
        return message

    world.start(ONE, 0, slow)
    world.clock.advance(100)
    world.work()
    told = [event.type for event in world.recorder.events]
    assert told == [Type.STARTED, Type.NODE_EXECUTING, Type.ACTOR_COMPLETED, Type.COMPLETED]
    assert world.history()[0].took_ms == 5_000
    assert [event.took_ms for event in world.recorder.events] == [0, 0, 5_000, 105_000]
