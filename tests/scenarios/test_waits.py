"""Waits and signals: each signal is taken once, none is lost, and no wake is needed for that."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.actors import Wait
from engine.layout import INBOX_PREFIX, run_key
from engine.messages import decode_message, encode_message
from engine.ports import Delivery
from engine.signalling import Signaller
from engine.snapshot import State, Status
from tests.scenarios.processes import Counting, Died, DiesBefore, Meanwhile
from tests.scenarios.world import World
from tidestep import Context, actor

DAY = 86_400

APPROVAL = """
name: approval
nodes:
  - {id: ask, actor: flow.wait, config: {signal: approval}}
  - {id: publish, actor: transform.map, config: {said: "{{ message }}"}}
edges:
  - {from: ask, to: publish}
"""

TIMED = """
name: timed
nodes:
  - {id: ask, actor: flow.wait, config: {signal: approval, timeout: 600}}
  - {id: publish, actor: transform.map, config: {said: "{{ message }}"}}
  - {id: remind, actor: transform.map, config: {late: "{{ message }}"}}
edges:
  - {from: ask, to: publish}
  - {from: ask.timeout, to: remind}
"""


@actor
async def twice(message: Any, context: Context) -> Any:
    """Waits for two signals of one name, one after the other, in one visit."""
    if context.attempt == 1:
        return Wait("item")
    if "first" not in seen:
        seen["first"] = context.signal
        return Wait("item")
    return [seen["first"], context.signal]


seen: dict[str, Any] = {}

TWICE = "name: twice\nnodes: [{id: only, actor: twice}]"

BRANCHES = """
name: branches
nodes:
  - {id: start, actor: transform.map, config: {}}
  - {id: left, actor: flow.wait, config: {signal: item}}
  - {id: right, actor: flow.wait, config: {signal: item}}
edges:
  - {from: start, to: left}
  - {from: start, to: right}
"""


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def inbox(world: World, run: str = "run") -> list[str]:
    async def names() -> list[str]:
        partition = run_key(run).partition
        return [name async for name, _ in world.journal.scan(partition, INBOX_PREFIX)]

    return world.do(names())


def outcomes(world: World, node: str, run: str = "run") -> list[str]:
    return [result.outcome for result in world.history(run) if result.node == node]


def test_a_signal_ends_the_wait_and_its_payload_goes_out(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    assert world.view().status is Status.PAUSED
    answered = world.signal("approval", {"by": "Ada"})
    assert answered.created
    world.work()
    assert world.view().output == {"publish": {"said": {"by": "Ada"}}}
    assert outcomes(world, "ask") == ["waited", "signalled", "done"]
    assert world.head().waits == ()


def test_a_wait_without_a_time_out_is_looked_after_once_and_then_costs_nothing(
    world: World,
) -> None:
    world.start(APPROVAL)
    world.step()
    assert world.head().wake_at > 0, "its first message, which looks into the inbox, may be lost"
    world.work()
    assert world.head().wake_at == 0
    assert world.receive() == []


def test_a_signal_before_the_wait_is_kept_for_it(world: World) -> None:
    world.start(APPROVAL)
    world.signal("approval", "early")
    world.work()
    assert world.view().output == {"publish": {"said": "early"}}


def test_a_signal_before_an_earlier_node_has_run_is_kept(world: World) -> None:
    document = APPROVAL.replace(
        "edges:",
        "  - {id: draft, actor: transform.map, config: {}}\nedges:\n  - {from: draft, to: ask}",
    )
    world.start(document)
    world.signal("approval", "early")
    assert [result.node for result in world.history()] == []
    world.work()
    assert world.view().output == {"publish": {"said": "early"}}


def test_a_signal_while_the_actor_that_will_wait_is_running_is_kept(world: World) -> None:
    @actor
    async def slow(message: Any, context: Context) -> Any:
        if context.resumed == "signal":
            return context.signal
        await Signaller(world.platform()).signal(run_key("run"), "approval", "meanwhile")
        return Wait("approval")

    world.start("name: slow\nnodes: [{id: only, actor: slow}]", {}, slow)
    world.work()
    assert world.view().output == {"only": "meanwhile"}


def test_a_wait_that_begins_without_its_message_is_found_with_its_early_signal(
    world: World,
) -> None:
    world.start(APPROVAL)
    world.signal("approval", "early")
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, DiesBefore(world, "acknowledge"))
    for again in world.redelivered(delivery):
        assert world.handle(again).what == "relayed"
    world.work()
    assert world.view().output == {"publish": {"said": "early"}}


def test_a_wait_times_out_once_its_time_has_come(world: World) -> None:
    world.start(TIMED, {"n": 1})
    world.step()
    world.clock.advance(599)
    world.step()
    assert world.view().status is Status.PAUSED
    world.work()
    assert world.view().output == {"remind": {"late": {"n": 1}}}
    assert outcomes(world, "ask") == ["waited", "expired", "done"]


def test_a_signal_after_the_time_out_waits_for_the_next_wait_of_its_name(world: World) -> None:
    document = TIMED.replace(
        '  - {id: remind, actor: transform.map, config: {late: "{{ message }}"}}',
        "  - {id: remind, actor: flow.wait, config: {signal: approval}}",
    )
    world.start(document, {"n": 1})
    world.step()
    world.step()
    world.clock.advance(601)
    world.step()
    assert outcomes(world, "ask") == ["waited", "expired"]
    world.signal("approval", "late")
    world.work()
    assert world.view().output == {"remind": "late"}


def test_a_signal_that_was_stored_before_the_time_out_was_decided_beats_it(world: World) -> None:
    world.start(TIMED)
    world.step()
    world.step()
    world.clock.advance(700)
    (timeout,) = world.receive()
    world.signal("approval", "just in time")
    world.handle(timeout)
    world.work()
    assert world.view().output == {"publish": {"said": "just in time"}}


def test_a_signal_that_races_the_time_out_ends_the_wait_where_it_was_stored_first(
    world: World,
) -> None:
    """The look has seen an empty inbox; before it can save, a signal is stored and wakes."""
    world.start(TIMED)
    world.step()
    world.step()
    world.clock.advance(700)
    (timeout,) = world.receive()

    async def signalled() -> None:
        await Signaller(world.platform()).signal(run_key("run"), "approval", "yes")

    world.handle(timeout, Meanwhile(world, "scanned", signalled))
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}
    assert outcomes(world, "ask") == ["waited", "signalled", "done"]


def test_a_signal_that_loses_the_race_against_the_time_out_stays_in_the_inbox(
    world: World,
) -> None:
    """The signal is stored; before its sender has woken anybody, the wait times out."""
    world.start(TIMED)
    world.step()
    world.step()
    world.clock.advance(700)
    (timeout,) = world.receive()

    async def timed_out() -> None:
        deadline = world.clock.now() + 60_000
        await world.dispatcher().handle(timeout, deadline)

    answered = world.signal("approval", 1, journal=Meanwhile(world, "swap", timed_out))
    assert answered.created
    assert outcomes(world, "ask") == ["waited", "expired"]
    assert len(inbox(world)) == 1
    world.work()
    assert world.done() == ["ask", "remind"]


def test_a_wait_of_thirty_days_costs_no_message_in_between(world: World) -> None:
    world.start(TIMED.replace("600", str(30 * DAY)))
    world.step()
    world.step()
    began = world.clock.now()
    assert world.receive() == []
    world.clock.advance(3600)
    assert world.sweep() == 0
    assert began + 29 * DAY * 1000 < world.head().wake_at < began + 30 * DAY * 1000
    world.clock.advance(28 * DAY)
    assert world.sweep() == 0
    handled = world.work()
    assert world.view().output == {"remind": {"late": {}}}
    assert len(handled) <= 6


def test_a_retry_after_a_signal_sees_its_payload_again(world: World) -> None:
    @actor
    async def fragile(message: Any, context: Context) -> Any:
        if context.resumed != "signal":
            return Wait("go")
        tried.append((context.attempt, context.signal))
        if len(tried) < 3:
            raise OSError("not yet")
        return context.signal

    tried: list[tuple[int, Any]] = []
    document = """
    name: fragile
    nodes: [{id: only, actor: fragile, retry: {max_attempts: 5, interval: 1}}]
    """
    world.start(document, {}, fragile)
    world.work()
    world.signal("go", {"large": "x" * 500})
    world.work()
    assert world.view().output == {"only": {"large": "x" * 500}}
    assert [attempt for attempt, _ in tried] == [3, 4, 5]
    assert all(payload == {"large": "x" * 500} for _, payload in tried)


def test_two_waits_of_one_visit_are_told_apart_by_their_ordinals(world: World) -> None:
    world.start(TWICE, {}, twice)
    world.work()
    world.answer("only", "second", ordinal=2)
    assert world.view().status is Status.PAUSED
    world.answer("only", "first", ordinal=1)
    world.work()
    assert world.view().output == {"only": ["first", "second"]}


def test_one_signal_ends_one_of_two_branches_that_wait_for_its_name(world: World) -> None:
    world.start(BRANCHES)
    world.work()
    world.signal("item", 1)
    world.work()
    assert world.view().status is Status.PAUSED
    assert len(world.done()) == 2
    world.signal("item", 2)
    world.work()
    assert sorted(world.view().output.values()) == [1, 2]


def test_two_signals_in_a_row_end_both_branches_that_wait_for_their_name(world: World) -> None:
    world.start(BRANCHES)
    world.work()
    world.signal("item", 1)
    world.clock.advance(1)
    world.signal("item", 2)
    world.work()
    assert world.view().status is Status.COMPLETED
    assert sorted(world.view().output.values()) == [1, 2]


def test_two_branches_that_begin_to_wait_at_once_do_not_take_the_same_signal(
    world: World,
) -> None:
    world.start(BRANCHES)
    world.step()
    world.signal("item", 1)
    world.handle_together(world.receive())
    world.work()
    assert [r.outcome for r in world.history()].count("signalled") == 1
    assert world.view().status is Status.PAUSED


def test_a_duplicate_of_the_message_after_the_wait_changes_nothing(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "yes")
    (message,) = world.receive()
    world.handle_together([message, Delivery(message.body, None, 2)])
    world.work()
    assert outcomes(world, "ask") == ["waited", "signalled", "done"]
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_stray_message_on_a_waiting_run_never_runs_the_actor(world: World) -> None:
    calls: list[int] = []

    @actor
    async def watched(message: Any, context: Context) -> Any:
        calls.append(context.attempt)
        return context.signal if context.resumed else Wait("go", timeout=300)

    world.start("name: w\nnodes: [{id: only, actor: watched}]", {}, watched)
    (first,) = world.receive()
    world.handle(first)
    stray = replace(decode_message(first.body), token=(0, 0, 1, 2), sid="stray")
    for body in (first.body, encode_message(stray), encode_message(replace(stray, again=True))):
        assert world.handle(Delivery(body)).what in ("relayed", "deferred", "stale")
    for token in world.head().frontier:
        assert token.state is State.WAITING
    assert calls == [1]
    world.work()
    assert calls == [1, 3]


def test_a_wait_survives_an_operators_retry_of_another_branch(world: World) -> None:
    @actor
    async def fragile(message: Any) -> Any:
        if not mended:
            raise OSError("broken")
        return "mended"

    mended: list[bool] = []
    document = """
    name: two
    nodes:
      - {id: start, actor: transform.map, config: {}}
      - {id: ask, actor: flow.wait, config: {signal: go}}
      - {id: work, actor: fragile}
    edges:
      - {from: start, to: ask}
      - {from: start, to: work}
    """
    world.start(document, {}, fragile)
    world.work()
    assert world.view().status is Status.FAILED
    mended.append(True)
    world.retry()
    world.work()
    assert world.view().status is Status.PAUSED
    world.signal("go", "on")
    world.work()
    assert world.view().output == {"ask": "on", "work": "mended"}


def test_what_was_consumed_is_removed_from_the_inbox_by_the_next_save(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "yes")
    assert len(inbox(world)) == 1
    assert world.head().consumed == tuple(inbox(world))
    world.step()
    assert inbox(world) == []
    assert world.head().consumed == ()


def test_a_death_between_consumption_and_removal_consumes_nothing_twice(world: World) -> None:
    world.start(TWICE, {}, twice)
    world.work()
    world.signal("item", "one")
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, DiesBefore(world, "remove"))
    assert len(inbox(world)) == 1
    seen.clear()
    for again in world.redelivered(delivery):
        world.handle(again)
    world.work()
    assert inbox(world) == []
    assert world.view().status is Status.PAUSED, "it waits for the second, and has only the first"
    assert outcomes(world, "only") == ["waited", "signalled", "waited"]


def test_a_death_between_removal_and_save_loses_nothing(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "yes")
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, DiesBefore(world, "commit"))
    assert inbox(world) == []
    for again in world.redelivered(delivery):
        world.handle(again)
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_run_that_waits_for_nothing_removes_nothing(world: World) -> None:
    counting = Counting(world)
    world.start(APPROVAL.replace("flow.wait, config: {signal: approval}", "transform.map"))
    for delivery in world.receive():
        world.handle(delivery, counting)
    assert not counting.requests
