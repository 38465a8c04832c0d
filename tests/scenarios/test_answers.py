"""Answers to one wait: taken once, told the truth about, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.actors import Wait
from engine.errors import RunEnded, RunNotFound, SignalConflict, WaitClosed
from engine.layout import INBOX_PREFIX, run_key
from engine.signalling import Signaller
from engine.snapshot import Status
from tests.scenarios.processes import Died, DiesAfterSwap, Meanwhile, elsewhere
from tests.scenarios.world import World
from tidestep import Context, actor

TIMED = """
name: timed
nodes:
  - {id: ask, actor: flow.wait, config: {signal: approval, timeout: 600}}
  - {id: other, actor: flow.wait, config: {signal: approval}}
"""

THREE = (
    TIMED
    + """\
  - {id: last, actor: flow.wait, config: {signal: approval}}
edges: [{from: other, to: last}]
"""
)


def waiting(world: World) -> None:
    world.start(TIMED)
    world.step()
    world.step()


def left(world: World) -> int:
    async def names() -> list[str]:
        partition = run_key("run").partition
        return [name async for name, _ in world.journal.scan(partition, INBOX_PREFIX)]

    return len(world.do(names()))


def test_an_answer_ends_its_own_wait_and_no_other_of_the_same_name(world: World) -> None:
    waiting(world)
    world.answer("other", "mine")
    world.step()
    world.step()
    assert world.done() == ["other"]
    assert [token.node for token in world.view().pending] == ["ask"]


def test_an_answer_before_the_wait_is_kept_for_it(world: World) -> None:
    world.start(TIMED)
    world.answer("ask", "early")
    world.answer("other", "earlier still")
    world.work()
    assert world.view().output == {"ask": "early", "other": "earlier still"}


def test_the_same_answer_again_gets_the_first_ones_result(world: World) -> None:
    waiting(world)
    first = world.answer("ask", {"yes": True, "by": "Ada"})
    world.clock.advance(5)
    again = world.answer("ask", {"by": "Ada", "yes": True})
    assert (first.created, again.created) == (True, False)
    assert again.at == first.at
    world.answer("other", 1)
    world.work()
    assert world.view().status is Status.COMPLETED
    assert world.answer("ask", {"yes": True, "by": "Ada"}).at == first.at
    assert [r.outcome for r in world.history()].count("signalled") == 2


def test_a_second_different_answer_is_a_conflict(world: World) -> None:
    waiting(world)
    world.answer("ask", "yes")
    for _ in range(2):
        with pytest.raises(SignalConflict, match="sent before, with another content"):
            world.answer("ask", "no")
        world.answer("other", 1)
        world.work()
    assert world.view().output == {"ask": "yes", "other": 1}


def test_an_answer_after_the_time_out_is_refused(world: World) -> None:
    waiting(world)
    world.clock.advance(600)
    with pytest.raises(WaitClosed, match="nobody waits for this answer any more"):
        world.answer("ask", "late")
    world.work()
    with pytest.raises(WaitClosed):
        world.answer("ask", "later")
    assert left(world) == 0
    assert world.done() == ["ask"]


def test_an_answer_that_loses_the_race_against_the_time_out_is_told_so(world: World) -> None:
    """It is stored in time; before anybody is woken for it, the wait times out."""
    waiting(world)
    world.clock.advance(599)

    with pytest.raises(WaitClosed, match="the wait was over before this answer came"):
        world.answer("ask", "yes", journal=Meanwhile(world, "swap", elsewhere(world, 2)))
    with pytest.raises(WaitClosed):
        world.answer("ask", "yes")
    world.answer("other", 1)
    world.work()
    assert world.view().output == {"other": 1, "ask": {}}


def test_an_answer_whose_sender_died_before_he_was_told_is_refused_for_good(world: World) -> None:
    """It came too late; a minute later, another wait of the run clears the inbox."""

    world.start(THREE)
    world.step()
    world.step()
    world.clock.advance(599)
    with pytest.raises(Died):
        world.answer("ask", "yes", journal=DiesAfterSwap(world, "swap", elsewhere(world, 2)))
    assert left(world) == 1
    world.clock.advance(61)
    world.answer("other", 1)
    world.work()
    assert [token.node for token in world.view().pending] == ["last"]
    assert left(world) == 0
    for _ in range(2):
        with pytest.raises(WaitClosed, match="the wait was over before this answer came"):
            world.answer("ask", "yes")
    assert world.done() == ["ask", "other"]


@pytest.mark.parametrize("then", ["yes", "no"])
def test_an_answer_that_lost_against_a_cancel_is_forgotten(world: World, then: str) -> None:
    waiting(world)

    async def cancelled() -> None:
        await world.operator.cancel(run_key("run"))

    with pytest.raises(RunEnded, match="run 'run' ended before this answer came"):
        world.answer("ask", "yes", journal=Meanwhile(world, "swap", cancelled))
    assert left(world) == 0
    world.retry()
    assert world.answer("ask", then).created
    world.answer("other", 1)
    world.work()
    assert world.view().output == {"ask": then, "other": 1}


def test_an_answer_that_ended_the_wait_is_told_so_whoever_was_quicker(world: World) -> None:
    """A look finds the answer before its sender has come to wake the run."""
    waiting(world)

    class AfterSwap(Meanwhile):
        async def swap(self, item: Any, expected: Any, also: Any = (), drops: Any = ()) -> None:
            await self.world.journal.swap(item, expected, also, drops)
            await self._happen("swap")

    answered = world.answer("ask", "yes", journal=AfterSwap(world, "swap", elsewhere(world, 700)))
    assert answered.created
    world.answer("other", 1)
    world.work()
    assert world.view().output == {"ask": "yes", "other": 1}


@pytest.mark.parametrize(("visit", "ordinal"), [(2, 1), (0, 1), (1, 0)])
def test_an_answer_to_a_wait_that_never_was_is_refused(
    world: World, visit: int, ordinal: int
) -> None:
    waiting(world)
    before = world.head()
    with pytest.raises(WaitClosed, match="nobody waits for this answer any more"):
        world.answer("ask", 1, visit=visit, ordinal=ordinal)
    assert world.head() == before
    assert left(world) == 0


def test_an_answer_to_the_visit_before_is_not_for_this_one(world: World) -> None:
    document = """
    name: rounds
    start: ask
    nodes:
      - {id: ask, actor: flow.wait, config: {signal: x}}
      - {id: more, actor: flow.branch, config: {condition: "{{ message == 'more' }}"}}
    edges:
      - {from: ask, to: more}
      - {from: more.true, to: ask}
    """
    world.start(document)
    world.work()
    world.answer("ask", "more", visit=1)
    world.work()
    with pytest.raises(SignalConflict):
        world.answer("ask", "done", visit=1)
    assert world.answer("ask", "more", visit=1).created is False
    world.work()
    assert world.view().status is Status.PAUSED
    world.answer("ask", "done", visit=2)
    world.work()
    assert world.view().status is Status.COMPLETED


def test_an_answer_dies_with_a_visit_that_does_not_wait_for_it(world: World) -> None:
    @actor
    async def hasty(message: Any, context: Context) -> Any:
        return message if message == "last" else "last"

    document = """
    name: hasty
    nodes:
      - {id: hasty, actor: hasty}
      - {id: ask, actor: flow.wait, config: {signal: x}}
    edges: [{from: hasty, to: ask}]
    """
    world.start(document, "first", hasty)
    world.answer("hasty", "for nobody")
    world.work()
    assert world.view().status is Status.PAUSED
    assert [r.outcome for r in world.history()] == ["done", "waited"]
    with pytest.raises(WaitClosed):
        world.answer("hasty", "for nobody")


def test_an_answer_to_a_run_that_is_gone_or_has_ended_is_refused(world: World) -> None:
    waiting(world)
    address = world.address("ask")
    world.cancel()
    with pytest.raises(RunEnded, match="has ended \\(cancelled\\)"):
        world.answer("ask", 1)
    stranger = replace(address, key=run_key("nobody"))
    with pytest.raises(RunNotFound):
        world.do(Signaller(world.platform()).answer(stranger, 1))


def test_an_answer_for_an_earlier_run_of_the_same_id_is_refused(world: World) -> None:
    waiting(world)
    address = world.address("ask")
    earlier = replace(address, since=address.since - 1)
    with pytest.raises(WaitClosed, match="is not the one that waited for this"):
        world.do(Signaller(world.platform()).answer(earlier, 1))
    assert left(world) == 0


def test_an_answer_to_the_next_wait_of_the_visit_is_kept_until_it_begins(world: World) -> None:
    @actor
    async def twice(message: Any, context: Context) -> Any:
        if context.attempt == 1:
            return Wait("x")
        answers.append(context.signal)
        return Wait("x") if len(answers) == 1 else list(answers)

    answers: list[Any] = []
    world.start("name: w\nnodes: [{id: only, actor: twice}]", {}, twice)
    world.work()
    world.answer("only", "second", ordinal=2)
    world.work()
    assert world.view().status is Status.PAUSED
    world.answer("only", "first", ordinal=1)
    world.work()
    assert world.view().output == {"only": ["first", "second"]}
