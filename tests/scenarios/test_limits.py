"""What happens exactly at a limit, and one beyond it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import FrontierFull, InvalidInput, TooLarge
from engine.ports import Limits
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, Emit, actor

ECHO = "name: echo\nnodes: [{id: only, actor: echo}]\noutput: 1"


@actor
async def echo(message: str) -> str:
    return message


def failure(world: World, run: str = "run") -> tuple[str, str]:
    view = world.view(run)
    assert view.status is Status.FAILED
    assert view.error is not None
    return view.error["type"], view.error["message"]


def test_an_input_beyond_the_limit_is_refused_and_nothing_is_stored(world: World) -> None:
    world.limits = Limits(input_bytes=20)
    assert world.run(ECHO, "x" * 18, echo).status is Status.COMPLETED
    with pytest.raises(InvalidInput, match="the input has 21 bytes of JSON; the limit is 20"):
        world.start(ECHO, "x" * 19, run="other")
    assert [row.key.run for row in world.do(world.journal.runs("default", limit=9))] == ["run"]


def test_an_output_beyond_the_limit_fails_the_attempt_for_good(world: World) -> None:
    world.limits = Limits(output_bytes=20)
    world.actors = [echo]
    world.start(ECHO, "x" * 18, run="at")
    world.start(ECHO, "x" * 19, run="above")
    world.work()
    assert world.view("at").status is Status.COMPLETED
    assert failure(world, "above") == (
        "TooLarge",
        "the value on port 'out' has 21 bytes of JSON; the limit is 20",
    )


def test_a_run_whose_output_is_beyond_the_limit_fails(world: World) -> None:
    world.limits = Limits(output_bytes=20)
    world.actors = [echo]
    document = ECHO.replace("output: 1", 'output: "{{ nodes.only.output ~ input }}"')
    world.start(document, "x" * 9, run="at")
    world.start(document, "x" * 10, run="above")
    world.work()
    assert world.view("at").output == "x" * 18
    assert failure(world, "above")[0] == "TooLarge"
    assert "22 bytes of JSON; the limit is 20" in failure(world, "above")[1]


def test_a_state_beyond_the_limit_fails_the_attempt_and_is_not_saved(world: World) -> None:
    @actor(state=list)
    async def gather(message: int, context: Context) -> int:
        context.state.append("x" * message)
        return 1

    world.limits = Limits(state_bytes=20)
    world.actors = [gather]
    document = "name: gather\nnodes: [{id: only, actor: gather}]"
    world.start(document, 16, run="at")
    world.start(document, 17, run="above")
    world.work()
    assert world.view("at").status is Status.COMPLETED
    assert failure(world, "above") == (
        "TooLarge",
        "the state has 21 bytes of JSON; the limit is 20",
    )


def fan(width: int) -> str:
    nodes = "".join(f", {{id: n{i}, actor: echo}}" for i in range(width))
    edges = ", ".join(f"{{from: a, to: n{i}}}" for i in range(width))
    return f"name: fan\nnodes: [{{id: a, actor: echo}}{nodes}]\nedges: [{edges}]"


def test_a_wider_fan_out_than_the_frontier_fails_the_run(world: World) -> None:
    world.limits = Limits(frontier=5)
    world.actors = [echo]
    world.start(fan(5), "x", run="at")
    world.start(fan(6), "x", run="above")
    world.work()
    assert world.view("at").status is Status.COMPLETED
    assert failure(world, "above") == (
        "FrontierFull",
        "6 activations and queued messages are pending; the limit is 5",
    )


def test_more_start_nodes_than_the_frontier_holds_are_not_started(world: World) -> None:
    world.limits = Limits(frontier=2)
    world.actors = [echo]
    document = "name: wide\nnodes: [{id: a, actor: echo}, {id: b, actor: echo}]"
    assert world.run(document, "x").status is Status.COMPLETED
    with pytest.raises(FrontierFull, match="begins with 3 nodes at once; the limit is 2"):
        world.start(document.replace("]", ", {id: c, actor: echo}]"), "x", run="above")


def test_a_definition_that_does_not_fit_is_not_started(world: World) -> None:
    world.actors = [echo]
    world.limits = Limits(definition_bytes=40)
    with pytest.raises(
        TooLarge, match=r"workflow 'echo' has .* bytes, compressed; the limit is 40"
    ):
        world.start(ECHO, "x")
    world.limits = replace(world.limits, definition_bytes=600)
    assert world.run(ECHO, "x").status is Status.COMPLETED


def test_more_results_than_an_expression_may_read_fail_the_attempt(world: World) -> None:
    @actor(outports=("again", "done"))
    async def count(number: int, *, upto: int) -> Emit:
        return Emit("again" if number < upto else "done", number + 1)

    document = """
    name: all
    start: count
    nodes:
      - {id: count, actor: count, config: {upto: UPTO}}
      - {id: last, actor: transform.map, config: {n: "{{ nodes.count.all | length }}"}}
    edges:
      - {from: count.again, to: count}
      - {from: count.done, to: last}
    """
    world.limits = Limits(all_results=3)
    world.actors = [count]
    world.start(document.replace("UPTO", "3"), 1, run="at")
    world.start(document.replace("UPTO", "4"), 1, run="above")
    world.work()
    assert world.view("at").output == {"last": {"n": 3}}
    assert failure(world, "above") == (
        "ExpressionError",
        "nodes.count.all has more than 3 results",
    )
