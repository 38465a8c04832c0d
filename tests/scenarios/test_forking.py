"""Forks: a run of its own from any step, that neither changes the original nor needs it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engine.errors import InvalidInput, InvalidName, RunExists, RunNotFound, StepNotFound
from engine.forking import Forker
from engine.layout import HEAD, RunKey, run_key
from engine.ports import Limits
from engine.snapshot import Status
from tests.scenarios.processes import Died, DiesBefore
from tests.scenarios.world import World
from tidestep import Context, Emit, Sleep, actor


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

LOOP = """
name: loop
start: count
nodes:
  - {id: count, actor: count, config: {upto: 20}}
  - {id: last, actor: transform.map, config: {n: "{{ nodes.count.all | length }}"}}
edges:
  - {from: count.again, to: count}
  - {from: count.done, to: last}
"""


@actor(outports=("again", "done"))
async def count(number: int, *, upto: int) -> Emit:
    return Emit("again" if number < upto else "done", number + 1)


@actor
async def make(size: int) -> str:
    """Text that does not compress well."""
    return Random(7).randbytes(size // 2).hex()


def told(world: World, run: str) -> list[tuple[str, int, int, str]]:
    return [(r.node, r.visit, r.attempt, r.outcome) for r in world.history(run)]


def everything(world: World, run: str) -> dict[str, bytes]:
    async def read() -> dict[str, bytes]:
        partition = run_key(run).partition
        return {name: body async for name, body in world.journal.scan(partition, "page/")}

    return world.do(read())


def forget(world: World, run: str) -> None:
    """Delete all that the run has stored, its head aside."""

    async def delete() -> None:
        partition = run_key(run).partition
        names = [name async for name, _ in world.journal.scan(partition, "")]
        await world.journal.remove(partition, [name for name in names if name != HEAD])

    world.do(delete())


def test_a_fork_runs_the_chosen_step_and_what_follows_again(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    before = world.head()
    forked = world.fork(2)
    assert (forked.created, forked.status) == (True, Status.ACTIVE)
    world.work()
    assert world.view("fork").output == {"c": 3}
    assert told(world, "fork") == told(world, "run")
    assert world.head() == before


def test_a_fork_by_a_nodes_name_begins_at_its_latest_visit(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    world.fork("b", message=10)
    world.work()
    assert world.view("fork").output == {"c": 12}
    view = world.view("fork")
    assert view.forked_from is not None
    assert (view.forked_from.run, view.forked_from.step, view.forked_from.root) == ("run", 2, "run")


def test_a_fork_of_a_join_changes_the_messages_that_are_named(world: World) -> None:
    world.start(DIAMOND, 0, increment, add)
    world.work()
    world.fork("sum", message={"right": 40})
    world.work()
    assert world.view("fork").output == {"sum": 42}
    world.fork("sum", run="both", message={"left": 1, "right": 2})
    world.work()
    assert world.view("both").output == {"sum": 3}


@pytest.mark.parametrize("message", [5, {"middle": 1}])
def test_a_message_that_does_not_fit_the_nodes_ports_is_refused(world: World, message: Any) -> None:
    world.start(DIAMOND, 0, increment, add)
    world.work()
    with pytest.raises(InvalidInput, match="node 'sum' takes several messages"):
        world.fork("sum", message=message)


def test_a_fork_with_another_input_gives_it_to_expressions_still_to_come(world: World) -> None:
    document = """
    name: greet
    nodes:
      - {id: first, actor: transform.map, config: {}}
      - {id: greet, actor: transform.map, config: {to: "{{ input.name }}"}}
    edges: [{from: first, to: greet}]
    """
    world.start(document, {"name": "Ada"})
    world.work()
    world.fork("greet", input={"name": "Grace"})
    world.work()
    assert world.view("fork").output == {"greet": {"to": "Grace"}}
    assert world.view().output == {"greet": {"to": "Ada"}}


def test_an_input_that_the_workflow_would_not_start_with_is_refused(world: World) -> None:
    document = CHAIN + "input_schema: {type: integer}\n"
    world.start(document, 0, increment)
    world.work()
    with pytest.raises(InvalidInput, match="does not satisfy the workflow's input schema"):
        world.fork("b", input="no number")
    world.limits = Limits(input_bytes=5)
    with pytest.raises(InvalidInput, match="the limit is 5"):
        world.fork("b", input=10_000_000)


def test_a_message_that_is_not_json_is_refused(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    with pytest.raises(InvalidInput, match="the step's message is not JSON"):
        world.fork("b", message=object())


def test_the_fork_of_a_running_run_goes_its_own_way(world: World) -> None:
    world.start(DIAMOND, 0, increment, add)
    world.step()
    world.handle(world.receive()[0])
    world.fork("left")
    world.work()
    assert world.view().output == {"sum": 4}
    assert world.view("fork").output == {"sum": 4}
    assert sorted(world.done("fork")) == ["a", "left", "right", "sum"]


def test_a_fork_of_a_fork_knows_the_first_of_its_line(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    world.fork("b", message=10)
    world.work()
    world.fork("c", of="fork", run="second")
    world.work()
    view = world.view("second")
    assert view.output == {"c": 12}
    assert view.forked_from is not None
    assert (view.forked_from.run, view.forked_from.root) == ("fork", "run")


def test_the_step_whose_message_a_fork_changed_can_be_forked_again(world: World) -> None:
    world.start(DIAMOND, 0, increment, add)
    world.work()
    world.fork("sum", message={"right": 40})
    world.work()
    assert [outcome for *_, outcome in told(world, "fork")][-2:] == ["changed", "done"]
    world.fork(5, of="fork", run="second", message={"left": 100})
    world.work()
    assert world.view("second").output == {"sum": 140}


def test_large_values_blobs_and_actor_state_are_copied(world: World) -> None:
    @actor(state=list)
    async def gather(message: Any, context: Context) -> Any:
        context.state.append("s" * 200)
        return {"again": len(context.state) < 2, "size": len(context.state)}

    @actor
    async def measure(text: str) -> int:
        return len(text)

    document = """
    name: large
    nodes:
      - {id: make, actor: make}
      - {id: one, actor: gather}
      - {id: again, actor: flow.branch, config: {condition: "{{ message.again }}"}}
      - {id: last, actor: transform.map, config: {size: "{{ nodes.make.output | length }}"}}
      - {id: measure, actor: measure}
    edges:
      - {from: make, to: one}
      - {from: make, to: measure}
      - {from: one, to: again}
      - {from: again.true, to: one}
      - {from: again.false, to: last}
    """
    world.start(document, 1_500_000, make, gather, measure)
    world.work()
    assert world.view().output == {"last": {"size": 1_500_000}, "measure": 1_500_000}
    for number in (3, 4, 5, 6, 7):
        world.fork(number, run=f"fork{number}")
    forget(world, "run")
    world.work()
    for number in (3, 4, 5, 6, 7):
        view = world.view(f"fork{number}")
        assert view.output == {"last": {"size": 1_500_000}, "measure": 1_500_000}, number


def test_a_blob_of_the_original_is_not_what_the_fork_reads(world: World) -> None:
    world.start(
        "name: blob\nnodes: [{id: make, actor: make}, {id: last, actor: transform.map, "
        'config: {n: "{{ message | length }}"}}]\nedges: [{from: make, to: last}]',
        900_000,
        make,
    )
    world.work()
    value = world.head().tail[0].value
    assert value.blob
    world.fork("last")
    world.do(world.blobs.put(value.ref, b"gone"))
    world.work()
    assert world.view("fork").output == {"last": {"n": 900_000}}


@pytest.mark.parametrize("step", [1, 6, 7, 8, 13, 20])
def test_a_fork_reaches_back_over_pages(world: World, step: int) -> None:
    world.start(LOOP, 1, count)
    world.work()
    assert world.view().output == {"last": {"n": 20}}
    world.fork(step)
    forget(world, "run")
    world.work()
    assert world.view("fork").output == {"last": {"n": 20}}
    assert [r.number for r in world.history("fork")] == list(range(1, 22))


def test_a_fork_after_a_wait_sees_the_signal_that_ended_it(world: World) -> None:
    document = """
    name: approval
    nodes:
      - {id: ask, actor: flow.wait, config: {signal: approval}}
      - {id: publish, actor: transform.map, config: {said: "{{ message }}"}}
    edges: [{from: ask, to: publish}]
    """
    world.start(document)
    world.work()
    world.signal("approval", "x" * 1000)
    world.work()
    assert [r.outcome for r in world.history()] == ["waited", "signalled", "done", "done"]
    world.fork(3, run="seen")
    world.fork(2, run="waiting")
    forget(world, "run")
    world.work()
    assert world.view("seen").output == {"publish": {"said": "x" * 1000}}
    assert world.view("waiting").status is Status.PAUSED
    world.signal("approval", "other", run="waiting")
    world.work()
    assert world.view("waiting").output == {"publish": {"said": "other"}}


@pytest.mark.parametrize("timeout", [0, 600, 10 * 86_400])
def test_a_fork_of_a_wait_that_had_timed_out_times_out_too(world: World, timeout: int) -> None:
    document = f"""
    name: timed
    nodes: [{{id: ask, actor: flow.wait, config: {{signal: x, timeout: {timeout}}}}}]
    """
    world.start(document, "message")
    world.work()
    assert [r.outcome for r in world.history()] == ["waited", "expired", "done"]
    world.fork(2)
    world.work()
    assert world.view("fork").status is Status.COMPLETED
    assert told(world, "fork") == told(world, "run")


def test_a_timer_beside_the_chosen_step_goes_off_in_the_fork_too(world: World) -> None:
    @actor
    async def nap(message: Any, context: Context) -> str:
        return "slept" if context.resumed == "sleep" else Sleep(86_400)  # type: ignore[return-value]

    document = """
    name: nap
    nodes:
      - {id: start, actor: transform.map, config: {}}
      - {id: nap, actor: nap}
      - {id: work, actor: transform.map, config: {}}
    edges:
      - {from: start, to: nap}
      - {from: start, to: work}
    """
    world.start(document, {}, nap)
    world.step()
    world.step()
    world.fork("work")
    world.work()
    assert world.view("fork").output == {"nap": "slept", "work": {}}


def failing(world: World) -> list[bool]:
    @actor
    async def fragile(message: Any) -> Any:
        if not mended:
            raise OSError("broken")
        return "mended"

    mended: list[bool] = []
    document = """
    name: fragile
    nodes:
      - {id: first, actor: transform.map, config: {}}
      - {id: work, actor: fragile}
      - {id: last, actor: transform.map, config: {was: "{{ message }}"}}
    edges:
      - {from: first, to: work}
      - {from: work, to: last}
    """
    world.start(document, {}, fragile)
    world.work()
    assert world.view().status is Status.FAILED
    return mended


def test_a_failed_step_can_be_forked_with_another_message(world: World) -> None:
    mended = failing(world)
    mended.append(True)
    world.fork("work", message="other")
    world.work()
    assert world.view("fork").output == {"last": {"was": "mended"}}
    assert world.view().status is Status.FAILED


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_any_step_of_a_run_that_an_operator_retried_can_be_forked(world: World, step: int) -> None:
    mended = failing(world)
    mended.append(True)
    world.retry()
    world.work()
    assert [r.outcome for r in world.history()] == ["done", "failed", "done", "done"]
    world.fork(step)
    world.work()
    assert world.view("fork").output == {"last": {"was": "mended"}}


def test_the_same_fork_under_the_same_id_is_the_same_run(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    first = world.fork("b", message={"a": 1})
    head = world.head(run_key("fork"))
    again = world.fork("b", message={"a": 1})
    assert (first.created, again.created) == (True, False)
    assert world.head(run_key("fork")) == head
    with pytest.raises(RunExists, match="run 'fork' exists already, and is not this fork"):
        world.fork("b", message={"a": 2})
    with pytest.raises(RunExists):
        world.fork("c", message={"a": 1})


def test_a_fork_onto_a_run_that_exists_changes_nothing_of_that_run(world: World) -> None:
    world.start(LOOP, 1, count)
    world.start(LOOP, 11, run="other")
    world.work()
    before = everything(world, "other")
    with pytest.raises(RunExists):
        world.fork(15, run="other")
    assert everything(world, "other") == before


def test_a_start_under_the_id_of_a_fork_that_is_being_made_is_refused(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    with pytest.raises(Died):
        world.do(
            Forker(world.platform(DiesBefore(world, "commit"))).fork(run_key("run"), 2, "fork")
        )
    with pytest.raises(RunExists, match="run 'fork' is a fork of another run"):
        world.start(CHAIN, 0, run="fork")
    assert world.do(world.journal.head(run_key("fork"))) is None
    world.fork(2)
    world.work()
    assert world.view("fork").output == {"c": 3}


def test_a_fork_of_a_run_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(RunNotFound, match="there is no run 'run'"):
        world.fork(1)


@pytest.mark.parametrize("step", [0, -1, 4, "d"])
def test_a_step_that_does_not_exist_is_refused(world: World, step: int | str) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    with pytest.raises(
        StepNotFound, match=r"steps 1 to 3, and no step|no node 'd'; it has a, b, c"
    ):
        world.fork(step)


def test_a_node_that_has_taken_no_step_cannot_be_forked_from(world: World) -> None:
    world.start(CHAIN, 0, increment)
    with pytest.raises(StepNotFound, match="node 'c' of run 'run' has not taken a step yet"):
        world.fork("c")


def test_a_forks_id_is_checked(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    with pytest.raises(InvalidName):
        world.fork("b", run="a/b")


def test_a_fork_that_was_not_sent_is_found_by_the_sweep(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    world.fork("b")
    world.lose()
    world.clock.advance(60)
    assert world.sweep() == 1
    world.work()
    assert world.view("fork").output == {"c": 3}


def test_a_fork_has_a_step_budget_of_its_own(world: World) -> None:
    document = LOOP.replace("name: loop", "name: loop\nmax_steps: 12").replace("20", "10")
    world.start(document, 1, count)
    world.work()
    assert world.view().status is Status.COMPLETED
    world.fork(10, message=2)
    world.work()
    assert world.view("fork").status is Status.COMPLETED
    assert len(world.history("fork")) > 12
    world.fork(15, of="fork", run="second")
    world.work()
    assert world.view("second").status is Status.COMPLETED


def test_a_fork_is_listed_by_when_it_was_forked(world: World) -> None:
    world.start(CHAIN, 0, increment)
    world.work()
    world.clock.advance(3600)
    world.fork("b")
    row = world.do(world.journal.runs("default", limit=1))[0]
    assert row.key == RunKey("default", "fork")
    assert row.created_at == world.clock.now()
