"""Signals: stored once, remembered by their id, taken in order, and refused in words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.actors import Wait
from engine.errors import (
    InboxFull,
    InvalidInput,
    InvalidName,
    PayloadTooLarge,
    RunEnded,
    RunNotFound,
    SignalConflict,
    WaitClosed,
)
from engine.layout import INBOX_PREFIX, run_key
from engine.ports import Limits
from engine.signalling import Signaller
from engine.snapshot import Status
from tests.scenarios.processes import Died, DiesBefore, Meanwhile
from tests.scenarios.world import World
from tidestep import Context, actor

APPROVAL = """
name: approval
nodes:
  - {id: ask, actor: flow.wait, config: {signal: approval}}
  - {id: publish, actor: transform.map, config: {said: "{{ message }}"}}
edges:
  - {from: ask, to: publish}
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


def test_a_signal_of_another_name_is_left_in_the_inbox(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("other", 1)
    world.work()
    assert world.view().status is Status.PAUSED
    assert len(inbox(world)) == 1


def test_two_signals_of_one_name_are_taken_in_the_order_in_which_they_came(world: World) -> None:
    world.start(TWICE, {}, twice)
    world.signal("item", "one")
    world.clock.advance(0.001)
    world.signal("item", "two")
    world.work()
    assert world.view().output == {"only": ["one", "two"]}
    assert outcomes(world, "only") == ["waited", "signalled", "waited", "signalled", "done"]


def test_many_signals_by_one_process_in_one_millisecond_keep_their_order(world: World) -> None:
    world.start(TWICE, {}, twice)
    signaller = Signaller(world.platform())
    for payload, id in (("one", "z"), ("two", "a")):
        world.do(signaller.signal(run_key("run"), "item", payload, id))
    world.work()
    assert world.view().output == {"only": ["one", "two"]}


def test_the_signals_of_one_sender_are_taken_in_its_order_whatever_the_clocks_said(
    world: World,
) -> None:
    world.start(TWICE, {}, twice)
    signaller = Signaller(world.platform())
    key = run_key("run")
    world.do(signaller.forward(key, "item", b'"second"', "sender", 2, "from:sender:b"))
    world.clock.advance(5)
    world.do(signaller.forward(key, "item", b'"first"', "sender", 1, "from:sender:a"))
    world.work()
    assert world.view().output == {"only": ["first", "second"]}


def test_the_same_id_with_the_same_content_is_one_signal(world: World) -> None:
    world.start(TWICE, {}, twice)
    world.work()
    first = world.signal("item", {"a": 1, "b": 2}, id="x")
    world.clock.advance(60)
    again = world.signal("item", {"a": 1, "b": 2}, id="x")
    assert (first.created, again.created) == (True, False)
    assert again.at == first.at
    world.work()
    assert outcomes(world, "only") == ["waited", "signalled", "waited"]


def test_the_same_payload_with_its_keys_in_another_order_is_the_same_content(world: World) -> None:
    world.start(TWICE, {}, twice)
    world.signal("item", {"a": 1, "b": {"c": 2, "d": 3}}, id="x")
    assert not world.signal("item", {"b": {"d": 3, "c": 2}, "a": 1}, id="x").created


@pytest.mark.parametrize("other", [("item", 2), ("thing", 1)])
def test_the_same_id_with_other_content_is_a_conflict(world: World, other: tuple[str, int]) -> None:
    world.start(TWICE, {}, twice)
    world.signal("item", 1, id="x")
    before = inbox(world)
    with pytest.raises(SignalConflict, match="sent before, with another content"):
        world.signal(*other, id="x")
    assert inbox(world) == before


def test_a_repeated_signal_gets_the_first_answer_after_the_run_has_ended(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    first = world.signal("approval", "yes", id="x")
    world.work()
    assert world.view().status is Status.COMPLETED
    again = world.signal("approval", "yes", id="x")
    assert (again.at, again.created) == (first.at, False)


def test_of_two_who_send_the_same_signal_at_once_one_is_told_that_it_was_the_first(
    world: World,
) -> None:
    world.start(TWICE, {}, twice)

    async def other() -> None:
        world.clock.advance(0.001)
        await Signaller(world.platform()).signal(run_key("run"), "item", 1, "x")

    later = world.signal("item", 1, id="x", journal=Meanwhile(world, "swap", other))
    assert not later.created
    assert len(inbox(world)) == 1


def test_a_signal_to_a_run_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(RunNotFound, match="there is no run 'nobody'"):
        world.signal("approval", run="nobody")


@pytest.mark.parametrize("end", ["completed", "cancelled", "closing"])
def test_a_run_that_has_ended_or_is_closing_takes_no_signals(world: World, end: str) -> None:
    world.start(APPROVAL)
    if end == "closing":
        world.receive()
        assert world.do(world.operator.close(run_key("run"))).status is Status.CLOSING
    elif end == "cancelled":
        world.cancel()
    else:
        world.signal("approval", 1)
        world.work()
    before = world.head()
    with pytest.raises(RunEnded, match=rf"(has ended \({end}\)|is being cancelled): it takes no"):
        world.signal("approval", 2)
    assert world.head() == before
    assert len(inbox(world)) <= 1


def test_a_payload_beyond_the_limit_is_refused_and_one_at_the_limit_is_taken(world: World) -> None:
    world.limits = Limits(signal_bytes=20)
    world.start(APPROVAL)
    world.work()
    with pytest.raises(PayloadTooLarge, match="has 21 bytes of JSON; the limit is 20"):
        world.signal("approval", "x" * 19)
    assert inbox(world) == []
    world.signal("approval", "x" * 18)
    world.work()
    assert world.view().output == {"publish": {"said": "x" * 18}}


def test_a_large_payload_is_stored_beside_the_inbox(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "x" * 10_000)
    world.work()
    assert world.view().output == {"publish": {"said": "x" * 10_000}}


def test_a_payload_that_is_not_json_is_refused(world: World) -> None:
    world.start(APPROVAL)
    with pytest.raises(InvalidInput, match="the signal's payload"):
        world.signal("approval", {"at": object()})
    assert inbox(world) == []


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 101])
def test_a_name_that_keys_cannot_carry_is_refused(world: World, name: str) -> None:
    world.start(APPROVAL)
    with pytest.raises(InvalidName):
        world.signal(name)
    with pytest.raises(InvalidName):
        world.signal("approval", id=name)


def test_a_full_inbox_refuses_more_and_takes_more_once_there_is_room(world: World) -> None:
    world.limits = Limits(signals=2)
    world.start(TWICE, {}, twice)
    world.signal("item", "one", id="1")
    world.clock.advance(1)
    world.signal("item", "two", id="2")
    with pytest.raises(InboxFull, match="2 signals wait for it"):
        world.signal("item", "three", id="3")
    assert not world.signal("item", "one", id="1").created, "a repeated one is no more"
    world.step()
    assert world.view().pending[0].state == "ready"
    world.step()
    world.signal("item", "three", id="3")
    world.work()
    assert world.view().output == {"only": ["one", "two"]}


def test_a_full_inbox_does_not_refuse_what_an_open_wait_takes(world: World) -> None:
    world.limits = Limits(signals=2)
    world.start(APPROVAL)
    world.work()
    for number in range(2):
        world.signal("noise", number)
    with pytest.raises(InboxFull):
        world.signal("noise", 2)
    world.signal("approval", "yes")
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_full_inbox_does_not_refuse_the_answer_to_an_open_wait(world: World) -> None:
    world.limits = Limits(signals=2)
    world.start(APPROVAL)
    world.work()
    for number in range(2):
        world.signal("noise", number)
    world.answer("ask", "yes")
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_answers_that_nobody_can_take_any_more_make_room(world: World) -> None:
    """Their visits have ended without waiting."""
    world.limits = Limits(signals=2)
    document = """
    name: hasty
    nodes:
      - {id: a, actor: transform.map, config: {}}
      - {id: b, actor: transform.map, config: {}}
      - {id: ask, actor: flow.wait, config: {signal: go}}
    """
    world.start(document)
    for node in "ab":
        world.answer(node, "for nobody")
    world.step()
    assert sorted(world.done()) == ["a", "b"]
    with pytest.raises(InboxFull):
        world.signal("later", 1)
    world.clock.advance(61)
    world.signal("later", 1)
    assert len(inbox(world)) == 1
    for node in "ab":
        with pytest.raises(WaitClosed):
            world.answer(node, "for nobody")


def test_a_lost_wake_is_found_by_the_sweep_a_minute_later(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "yes")
    world.lose()
    world.clock.advance(59)
    assert world.sweep() == 0
    world.clock.advance(1)
    assert world.sweep() == 1
    world.step()
    world.step()
    world.step()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_caller_that_dies_before_it_wakes_the_run_repeats_the_signal(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    with pytest.raises(Died):
        world.signal("approval", "yes", id="x", journal=DiesBefore(world, "commit"))
    assert world.receive() == []
    assert not world.signal("approval", "yes", id="x").created
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_caller_that_dies_between_the_save_and_the_wake_is_made_up_for_by_the_sweep(
    world: World,
) -> None:
    world.start(APPROVAL)
    world.work()
    with pytest.raises(Died):
        world.signal("approval", "yes", journal=DiesBefore(world, "acknowledge"))
    assert world.receive() == []
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_two_senders_at_once_end_both_branches(world: World) -> None:
    world.start(BRANCHES)
    world.work()

    async def other() -> None:
        world.clock.advance(0.001)
        await Signaller(world.platform()).signal(run_key("run"), "item", 2)

    world.signal("item", 1, journal=Meanwhile(world, "commit", other))
    world.work()
    assert sorted(world.view().output.values()) == [1, 2]


def test_a_signal_is_kept_over_a_cancel_for_the_retry(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    world.signal("approval", "yes")
    world.cancel()
    world.work()
    assert world.done() == []
    world.retry()
    world.work()
    assert world.view().output == {"publish": {"said": "yes"}}


def test_a_signal_that_conflicts_with_a_busy_branch_still_wakes(world: World) -> None:
    world.start(APPROVAL)
    world.work()
    key = run_key("run")

    async def busy() -> None:
        await asyncio.sleep(0)
        await Signaller(world.platform()).signal(key, "other", 1)
        await Signaller(world.platform()).signal(key, "approval", "first")

    world.signal("approval", "second", journal=Meanwhile(world, "commit", busy))
    world.work()
    assert world.view().status is Status.COMPLETED
