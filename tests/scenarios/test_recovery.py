"""Nothing is lost and nothing counts twice: duplicates, crashes, conflicts, stragglers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from engine.events import Type
from engine.layout import page_item
from engine.ports import Commit, Delivery, Send
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, Emit, Sleep, actor


@actor
async def increment(number: int) -> int:
    return number + 1


@actor
async def add(left: int, right: int) -> int:
    return left + right


def chain(length: int) -> str:
    nodes = "\n".join(f"  - {{id: n{i}, actor: increment}}" for i in range(length))
    edges = "\n".join(f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(length - 1))
    return f"name: chain\nnodes:\n{nodes}\nedges:\n{edges}\n"


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


class Died(BaseException):
    """The process ends here."""


class Dying:
    """A journal whose process dies at one request of a commit or send."""

    def __init__(self, world: World, at: str) -> None:
        self._world = world
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.journal, name)

    async def commit(self, commit: Commit) -> None:
        if self._at == "before the commit":
            raise Died
        if self._at == "between commit and send":
            await self._world.journal.commit(
                Commit(commit.head, commit.expected, commit.items, drops=commit.drops)
            )
            raise Died
        if self._at == "between send and acknowledgement":
            await self._world.journal.commit(
                Commit(commit.head, commit.expected, commit.items, commit.sends, commit.drops)
            )
            raise Died
        await self._world.journal.commit(commit)

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        await self._world.journal.send(sends, acknowledgement)


DEATHS = ("before the commit", "between commit and send", "between send and acknowledgement")


@pytest.mark.parametrize("death", DEATHS)
def test_a_step_whose_process_dies_is_repaired_by_the_redelivery(world: World, death: str) -> None:
    world.start(chain(4), 0, increment)
    world.step()
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, Dying(world, death))
    world.do(world.source.release(delivery, 0))
    world.work()
    assert world.view().output == {"n3": 4}
    assert world.done() == ["n0", "n1", "n2", "n3"]


@pytest.mark.parametrize("death", DEATHS)
def test_a_run_survives_a_death_at_every_step(world: World, death: str) -> None:
    world.start(DIAMOND, 0, increment, add)
    for _ in range(30):
        deliveries = world.receive()
        for delivery in deliveries:
            with suppress(Died):  # one that has lost commits nothing, and lives
                world.handle(delivery, Dying(world, death))
            world.do(world.source.release(delivery, 0))
        for delivery in world.receive():
            world.handle(delivery)
    world.work()
    assert world.view().output == {"sum": 4}
    assert sorted(world.done()) == ["a", "left", "right", "sum"]


def test_a_duplicate_delivery_does_not_start_a_second_chain(world: World) -> None:
    world.start(chain(8), 0, increment)
    (delivery,) = world.receive()
    world.handle_together([delivery, Delivery(delivery.body, None, 2)])
    handled = world.work()
    assert world.view().output == {"n7": 8}
    assert [h.what for h in handled].count("stepped") == 7
    assert len(handled) <= 9, "the duplicate dies out within a step or two"


def test_a_duplicate_that_comes_late_changes_nothing(world: World) -> None:
    world.start(chain(4), 0, increment)
    (delivery,) = world.receive()
    world.handle(delivery)
    world.step()
    before = world.head()
    assert world.handle(delivery).what == "stale"
    assert world.head() == before


def test_the_losing_branch_settles_its_outcome_without_running_its_actor_again(
    world: World,
) -> None:
    calls: list[str] = []

    @actor("count")
    async def counted(number: int, context: Context) -> int:
        calls.append(context.node)
        return number + 1

    document = DIAMOND.replace("actor: increment", "actor: count")
    world.start(document, 0, counted, add)
    world.step()
    handled = world.handle_together(world.receive())
    assert [h.what for h in handled] == ["stepped", "stepped"]
    world.work()
    assert sorted(calls) == ["a", "left", "right"]
    assert world.view().output == {"sum": 4}


def test_a_join_of_many_parallel_branches_fires_once(world: World) -> None:
    @actor("join", inports=[f"p{i}" for i in range(8)])
    async def join(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int) -> int:
        return sum((a, b, c, d, e, f, g, h))

    nodes = "\n".join(f"  - {{id: b{i}, actor: increment}}" for i in range(8))
    edges = "\n".join(
        f"  - {{from: a, to: b{i}}}\n  - {{from: b{i}, to: j.p{i}}}" for i in range(8)
    )
    document = f"""
name: wide
nodes:
  - {{id: a, actor: increment}}
{nodes}
  - {{id: j, actor: join}}
edges:
{edges}
"""
    world.start(document, 0, increment, join)
    world.step()
    deliveries = world.receive()
    assert len(deliveries) == 8
    world.handle_together(deliveries)
    world.work()
    assert world.view().output == {"j": 16}
    assert world.done().count("j") == 1


def test_a_lost_message_is_found_by_the_sweep(world: World) -> None:
    world.start(chain(3), 0, increment)
    world.step()
    (lost,) = world.receive()
    world.do(world.journal.send((), lost))
    world.work()
    assert world.view().output == {"n2": 3}
    assert world.done() == ["n0", "n1", "n2"]


def test_a_repeated_start_is_the_same_run_and_sends_its_messages_again(world: World) -> None:
    first = world.start(chain(2), 0, increment)
    (lost,) = world.receive()
    world.do(world.journal.send((), lost))
    world.actors.clear()
    again = world.start(chain(2), 0, increment)
    assert (first.created, again.created) == (True, False)
    assert [h.what for h in world.step()] == ["stepped"]
    world.work()
    assert world.view().output == {"n1": 2}
    events = [event.type for event in world.recorder.events]
    assert events.count(Type.STARTED) == 1


def test_a_repeated_start_of_a_finished_run_changes_nothing(world: World) -> None:
    world.run(chain(2), 0, increment)
    before = world.head()
    world.actors.clear()
    again = world.start(chain(2), 0, increment)
    assert (again.created, again.status) == (False, Status.COMPLETED)
    assert world.receive() == []
    assert world.head() == before


def test_a_run_goes_on_with_the_definition_it_was_started_with(world: World) -> None:
    world.start(chain(3), 0, increment)
    world.step()
    world.actors.clear()
    world.start(chain(2), 0, increment, run="other")
    world.work()
    assert world.view().output == {"n2": 3}
    assert world.view("other").output == {"n1": 2}


def test_a_message_for_a_run_that_does_not_exist_is_acknowledged(world: World) -> None:
    world.start(chain(2), 0, increment)
    (delivery,) = world.receive()
    stranger = delivery.body.replace('"run":"run"', '"run":"nobody"')
    assert world.handle(Delivery(stranger, delivery.receipt)).what == "unknown run"


def test_a_newer_message_is_put_off_and_burns_no_attempt(world: World) -> None:
    world.start(chain(2), 0, increment)
    (delivery,) = world.receive()
    newer = delivery.body.replace('"format":1', '"format":3')
    handled = world.handle(Delivery(newer, delivery.receipt))
    assert handled.what == "newer"
    assert world.receive() == []
    world.clock.advance(61)
    (copy,) = world.receive()
    assert copy.body == newer
    assert world.history() == []


def test_a_newer_message_that_is_put_off_a_second_time_says_so(world: World) -> None:
    world.start(chain(2), 0, increment)
    (delivery,) = world.receive()
    newer = delivery.body.replace('"format":1', '"format":3,"unheard":"of"')
    assert world.handle(Delivery(newer, delivery.receipt, 2)).what == "newer"
    world.clock.advance(61)
    (copy,) = world.receive()
    assert json.loads(copy.body) == {**json.loads(newer), "again": True}


def test_an_early_delivery_is_deferred_with_the_same_sid(world: World) -> None:
    @actor
    async def nap(message: Any, context: Context) -> Any:
        return message if context.resumed == "sleep" else Sleep(100)

    world.start("name: w\nnodes: [{id: a, actor: nap}]", 1, nap)
    world.step()
    head = world.head()
    world.clock.advance(101)
    (delivery,) = world.receive()
    world.clock.advance(-50)
    assert world.handle(delivery).what == "deferred"
    assert world.head() == head
    world.clock.advance(50)
    (copy,) = world.receive()
    assert copy.body == delivery.body
    world.handle(copy)
    assert world.view().output == {"a": 1}


def test_a_missing_page_is_an_error_that_names_it_and_leaves_the_run_alone(world: World) -> None:
    from engine.errors import Corrupt

    document = chain(12).replace(
        "{id: n11, actor: increment}",
        '{id: n11, actor: transform.map, config: {first: "{{ nodes.n0.output }}"}}',
    )
    world.start(document, 0, increment)
    for _ in range(11):
        world.step()
    (delivery,) = world.receive()
    head = world.head()
    key = next(iter(world.do(world.journal.runs("default", limit=1)))).key

    class WithoutPages(Dying):
        async def items(self, partition: str, names: Sequence[str]) -> dict[str, bytes]:
            found = dict(await world.journal.items(partition, names))
            found.pop(page_item(1), None)
            return found

    with pytest.raises(Corrupt, match="result 1 is missing"):
        world.handle(delivery, WithoutPages(world, "never"))  # type: ignore[arg-type]
    assert world.head(key) == head
    assert world.handle(delivery).what == "stepped"
    assert world.view().output == {"n11": {"first": 1}}


def test_a_step_whose_time_went_into_loading_burns_no_attempt(world: World) -> None:
    world.start(chain(2), 0, increment)
    (delivery,) = world.receive()

    class Slow(Dying):
        """Loading the definition takes a minute and a half."""

        async def items(self, partition: str, names: Sequence[str]) -> Any:
            world.clock.advance(90)
            return await world.journal.items(partition, names)

    assert world.handle(delivery, Slow(world, "never")).what == "deferred"  # type: ignore[arg-type]
    assert world.history() == []
    world.work()
    assert world.view().output == {"n1": 2}


def test_a_process_that_stood_still_before_its_actor_does_not_begin_it_late(world: World) -> None:
    calls: list[int] = []

    @actor("hoard", state=list, outports=("again", "done"))
    async def hoard(message: Any, context: Context) -> Emit:
        calls.append(len(context.state))
        context.state.append("x" * 200)
        return Emit("again" if len(context.state) < 2 else "done", message)

    class Frozen(Dying):
        """Stands still while it loads the actor's state, the last thing before the actor."""

        async def items(self, partition: str, names: Sequence[str]) -> Any:
            found = await world.journal.items(partition, names)
            if any(name.startswith("state/") for name in names):
                world.clock.advance(90)
            return found

    world.start(
        "name: w\nstart: h\nnodes: [{id: h, actor: hoard}]\nedges: [{from: h.again, to: h}]",
        1,
        hoard,
    )
    world.step()
    (delivery,) = world.receive()
    assert world.handle(delivery, Frozen(world, "never")).what == "deferred"  # type: ignore[arg-type]
    assert calls == [0]
    world.work()
    assert calls == [0, 1]
