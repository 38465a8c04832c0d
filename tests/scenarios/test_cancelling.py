"""Cancel: at once or gracefully, and what a retry finds of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.errors import RunEnded, RunNotFound
from engine.events import Type
from engine.layout import run_key
from engine.ports import Commit, Delivery, Send
from engine.signalling import Signaller
from engine.snapshot import Status
from tests.scenarios.processes import Between, Died, DiesBefore, Meanwhile
from tests.scenarios.world import World
from tidestep import Context, Sleep, actor

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

DIAMOND = """
name: diamond
nodes:
  - {id: a, actor: increment}
  - {id: left, actor: increment}
  - {id: right, actor: increment}
  - {id: sum, actor: add}
edges:
  - {from: a, to: left}
  - {from: a, to: right}
  - {from: left, to: sum.left}
  - {from: right, to: sum.right}
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


def close(world: World, grace_s: float = 60.0) -> Status:
    return world.do(world.operator.close(KEY, grace_s)).status


def attempts(world: World, run: str = "run") -> list[tuple[str, int, str]]:
    return [(r.node, r.attempt, r.outcome) for r in world.history(run)]


def test_a_cancelled_run_ends_at_once_and_begins_nothing_more(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.step()
    assert world.cancel().status is Status.CANCELLED
    handled = world.work()
    assert [each.what for each in handled] == ["ended"]
    assert world.done() == ["a"]
    assert world.view().ended_at == world.clock.now()
    assert world.head().wake_at == 0
    assert world.recorder.events[-1].type is Type.CANCELLED


def test_a_result_that_comes_after_the_cancel_is_not_recorded(world: World) -> None:
    @actor
    async def overtaken(number: int) -> int:
        await world.operator.cancel(KEY)
        return number

    world.start("name: w\nnodes: [{id: only, actor: overtaken}]", 0, overtaken)
    (handled,) = world.step()
    assert handled.what == "lost"
    assert world.history() == []
    assert world.view().status is Status.CANCELLED
    assert world.receive() == []


def test_cancelling_a_cancelled_run_changes_nothing(world: World) -> None:
    world.start(CHAIN, 0, increment)
    first = world.cancel()
    assert world.cancel() == first
    assert close(world) is Status.CANCELLED
    assert world.head() == first


def test_a_completed_run_cannot_be_cancelled(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    before = world.head()
    for act in (world.cancel, lambda: close(world)):
        with pytest.raises(RunEnded, match=r"run 'run' has ended already \(completed\)"):
            act()
    assert world.head() == before


def test_acts_on_a_run_that_does_not_exist_name_it(world: World) -> None:
    for act in (world.cancel, lambda: close(world), world.retry):
        with pytest.raises(RunNotFound, match="there is no run 'run'"):
            act()


def test_a_cancel_that_conflicts_with_a_step_holds(world: World) -> None:
    world.start(CHAIN, 0, increment)
    (delivery,) = world.receive()

    async def cancelled() -> None:
        await world.operator.cancel(KEY)

    handled = world.handle(delivery, Meanwhile(world, "commit", cancelled))
    assert handled.what == "lost"
    assert world.view().status is Status.CANCELLED


def test_a_graceful_cancel_records_what_is_running_and_then_ends(world: World) -> None:
    states: list[Status] = []

    @actor
    async def closing(number: int) -> int:
        states.append((await world.operator.close(KEY)).status)
        return number + 1

    world.start(CHAIN.replace("a, actor: increment", "a, actor: closing"), 0, increment, closing)
    (handled,) = world.step()
    assert states == [Status.CLOSING]
    assert (handled.what, handled.status) == ("stepped", Status.CANCELLED)
    assert world.done() == ["a"]
    world.work()
    assert world.done() == ["a"]
    assert [e.type for e in world.recorder.events][-1] is Type.CANCELLED


def test_a_closing_run_ends_when_the_last_of_its_running_branches_is_in(world: World) -> None:
    world.start(DIAMOND, 0, increment, add)
    world.step()
    left, right = world.receive()

    @actor("increment")
    async def slow(number: int) -> int:
        if not began:
            began.append(True)
            await world.operator.close(KEY)
            await world.dispatcher().handle(right, world.clock.now() + 60_000)
        return number + 1

    began: list[bool] = []
    world.actors = [slow, add]
    assert world.handle(left).status is Status.CLOSING, "the other may be running for all we know"
    assert world.done() == ["a", "left"]
    world.work()
    assert world.view().status is Status.CANCELLED
    assert world.done() == ["a", "left"]


def test_closing_a_run_that_only_waits_ends_it_at_once(world: World) -> None:
    @actor
    async def nap(message: Any, context: Context) -> Any:
        return message if context.resumed else Sleep(86_400)

    world.start("name: w\nnodes: [{id: only, actor: nap}]", 0, nap)
    world.step()
    assert close(world) is Status.CANCELLED


def test_closing_a_closing_run_changes_nothing(world: World) -> None:
    world.start(CHAIN, 0, increment)
    assert close(world) is Status.CLOSING
    before = world.head()
    assert close(world, 5) is Status.CLOSING
    assert world.head() == before
    assert world.view().ends_by == world.clock.now() + 60_000


def test_a_closing_run_can_be_cancelled_at_once(world: World) -> None:
    world.start(CHAIN, 0, increment)
    close(world)
    assert world.cancel().status is Status.CANCELLED


def test_a_closing_run_ends_when_its_grace_is_over(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.receive()
    close(world)
    world.clock.advance(59)
    world.step()
    assert world.view().status is Status.CLOSING
    world.clock.advance(2)
    assert [each.what for each in world.step()] == ["finished"]
    assert world.view().status is Status.CANCELLED


def test_a_closing_run_whose_message_is_lost_is_ended_by_the_sweep(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.receive()
    with pytest.raises(Died):
        world.do(_closer(world, DiesBefore(world, "acknowledge")).close(KEY))
    world.work()
    assert world.view().status is Status.CANCELLED


def _closer(world: World, journal: Any) -> Any:
    from engine.operating import Operator

    return Operator(world.platform(journal))


class Delays(Between):
    """Notes every send's delay."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.longest = 0

    async def commit(self, commit: Commit) -> None:
        self.longest = max([self.longest, *(send.delay_ms for send in commit.sends)])
        await self.world.journal.commit(commit)

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        self.longest = max([self.longest, *(send.delay_ms for send in sends)])
        await self.world.journal.send(sends, acknowledgement)


def test_a_grace_of_more_than_a_quarter_of_an_hour_is_within_no_queues_reach(
    world: World,
) -> None:
    world.start(CHAIN, 0, increment)
    world.receive()
    delays = Delays(world)
    world.do(_closer(world, delays).close(KEY, 7200))
    assert delays.longest <= 900_000
    assert world.view().status is Status.CLOSING
    began = world.clock.now()
    world.work()
    assert world.view().status is Status.CANCELLED
    assert world.view().ended_at - began == pytest.approx(7_200_000, abs=1000)


def test_of_two_executions_of_one_attempt_a_closing_run_records_one(world: World) -> None:
    """The second fails for good while another branch keeps the run closing."""
    runs: list[int] = []
    told: list[str] = []

    @actor("increment")
    async def racing(number: int) -> int:
        runs.append(number)
        if len(runs) == 1:
            deadline = world.clock.now() + 60_000
            other = await world.dispatcher().handle(Delivery(left.body), deadline)
            told.append(other.what)
            return number + 1
        await world.operator.close(KEY)
        raise OSError("broken")

    world.start(DIAMOND, 0, increment, add)
    world.step()
    left, _right = world.receive()
    world.actors = [racing, add]
    told.append(world.handle(left).what)
    assert told == ["stepped", "lost"]
    assert attempts(world)[1:] == [("left", 1, "failed")]


def test_what_a_late_result_calls_for_is_kept_for_a_retry(world: World) -> None:
    @actor
    async def closing(number: int) -> int:
        await world.operator.close(KEY)
        return number + 1

    world.start(CHAIN.replace("a, actor: increment", "a, actor: closing"), 0, increment, closing)
    world.work()
    assert world.done() == ["a"]
    world.retry()
    world.work()
    assert world.view().output == {"c": 3}


@pytest.mark.parametrize("seconds", [0, 60, 3600, 30 * 86_400])
def test_a_sleep_that_began_while_the_run_was_closing_goes_off_after_a_retry(
    world: World, seconds: int
) -> None:
    @actor
    async def nap(message: Any, context: Context) -> Any:
        if context.resumed == "sleep":
            return "slept"
        await world.operator.close(KEY)
        return Sleep(seconds)

    world.start("name: w\nnodes: [{id: only, actor: nap}]", 0, nap)
    world.step()
    assert world.view().status is Status.CANCELLED
    world.retry()
    world.work()
    assert world.view().output == {"only": "slept"}


def test_a_retry_that_was_due_while_the_run_closed_comes_after_the_operators(
    world: World,
) -> None:
    fragile = Fragile()

    @actor
    async def closing(message: Any) -> Any:
        await world.operator.close(KEY)
        fragile.mended = True
        raise OSError("broken")

    document = FRAGILE.replace(
        "actor: fragile", "actor: closing, retry: {max_attempts: 2, interval: 300}"
    )
    world.start(document, {}, closing)
    world.work()
    assert world.view().status is Status.CANCELLED
    assert attempts(world)[-1] == ("work", 1, "retried")
    world.actors = []

    @actor("closing")
    async def mended(message: Any) -> str:
        return "mended"

    world.actors = [mended]
    world.retry()
    world.work()
    assert world.view().output == {"work": "mended"}


def test_a_signaller_and_a_cancel_at_once_leave_a_cancelled_run(world: World) -> None:
    world.start("name: w\nnodes: [{id: ask, actor: flow.wait, config: {signal: x}}]")
    world.work()

    async def signalled() -> None:
        await Signaller(world.platform()).signal(KEY, "x", 1)

    world.do(_closer(world, Meanwhile(world, "commit", signalled)).cancel(KEY))
    world.work()
    assert world.view().status is Status.CANCELLED
    assert world.done() == []
