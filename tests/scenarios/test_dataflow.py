"""Graphs run to their end: chains, branches, joins, loops, parallel branches."""

from __future__ import annotations

import asyncio
from typing import Any

from engine.messages import decode_message
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, Emit, Retry, actor


@actor
async def increment(number: int) -> int:
    return number + 1


@actor
def double(number: int) -> int:
    return number * 2


@actor
async def add(left: int, right: int) -> int:
    return left + right


@actor("count_to", outports={"again": int, "done": int})
async def count_to(number: int, *, limit: int) -> Emit:
    return Emit("done" if number >= limit else "again", number)


CHAIN = """
name: chain
nodes:
  - {id: a, actor: increment}
  - {id: b, actor: double}
  - {id: c, actor: increment}
edges:
  - {from: a, to: b}
  - {from: b, to: c}
"""

DIAMOND = """
name: diamond
nodes:
  - {id: a, actor: increment}
  - {id: left, actor: double}
  - {id: right, actor: increment}
  - {id: sum, actor: add}
edges:
  - {from: a, to: left}
  - {from: a, to: right}
  - {from: left, to: sum.left}
  - {from: right, to: sum.right}
output: "{{ nodes.sum.output }}"
"""

LOOP = """
name: loop
nodes:
  - {id: step, actor: increment}
  - {id: check, actor: count_to, config: {limit: 20}}
edges:
  - {from: step, to: check}
  - {from: check.again, to: step}
start: step
"""


def test_a_chain_passes_its_message_along(world: World) -> None:
    view = world.run(CHAIN, 1, increment, double)
    assert view.status is Status.COMPLETED
    assert view.output == {"c": 5}
    assert world.done() == ["a", "b", "c"]


def test_each_step_takes_one_message(world: World) -> None:
    world.start(CHAIN, 1, increment, double)
    for _ in range(3):
        assert [handled.what for handled in world.step()] == ["stepped"]
    assert world.receive() == []


def test_parallel_branches_join_by_port(world: World) -> None:
    view = world.run(DIAMOND, 1, increment, double, add)
    assert view.output == 7
    assert world.done() == ["a", "left", "right", "sum"]


def test_parallel_branches_run_at_the_same_time_on_several_workers(world: World) -> None:
    world.start(DIAMOND, 1, increment, double, add)
    world.step()
    deliveries = world.receive()
    assert len(deliveries) == 2
    handled = world.handle_together(deliveries)
    assert [h.what for h in handled] == ["stepped", "stepped"]
    world.work()
    assert world.view().output == 7
    assert sorted(world.done()) == ["a", "left", "right", "sum"]


def test_a_loop_goes_round_until_its_condition_holds(world: World) -> None:
    view = world.run(LOOP, 0, increment, count_to)
    assert view.output == {"check": 20}
    visits = [result.visit for result in world.history() if result.node == "step"]
    assert visits == list(range(1, 21))


def test_a_branch_takes_the_port_that_its_condition_names(world: World) -> None:
    document = """
    name: branch
    nodes:
      - {id: big, actor: flow.branch, config: {condition: "{{ message > 10 }}"}}
      - {id: shrink, actor: transform.map, config: {value: "{{ message - 10 }}"}}
      - {id: keep, actor: transform.map, config: {value: "{{ message }}"}}
    edges:
      - {from: big.true, to: shrink}
      - {from: big.false, to: keep}
    """
    assert world.run(document, 12).output == {"shrink": {"value": 2}}
    assert world.done() == ["big", "shrink"]


def test_a_switch_sends_to_the_case_that_equals_its_value(world: World) -> None:
    document = """
    name: switch
    nodes:
      - id: level
        actor: flow.switch
        config: {value: "{{ input.level }}", cases: [gold, silver]}
      - {id: g, actor: transform.map, config: {discount: 20}}
      - {id: s, actor: transform.map, config: {discount: 10}}
      - {id: other, actor: transform.map, config: {discount: 0}}
    edges:
      - {from: level.gold, to: g}
      - {from: level.silver, to: s}
      - {from: level.default, to: other}
    """
    world.start(document, {"level": "silver"}, run="one")
    world.start(document, {"level": "tin"}, run="two")
    world.work()
    assert world.view("one").output == {"s": {"discount": 10}}
    assert world.view("two").output == {"other": {"discount": 0}}


def test_a_serial_node_takes_its_messages_one_after_the_other(world: World) -> None:
    document = """
    name: merge
    nodes:
      - {id: a, actor: increment}
      - {id: b, actor: double}
      - {id: c, actor: increment}
      - {id: m, actor: increment}
    edges:
      - {from: a, to: b}
      - {from: a, to: c}
      - {from: b, to: m}
      - {from: c, to: m}
    output: "{{ nodes.m.all | map(attribute='output') | list }}"
    """
    world.start(document, 1, increment, double)
    world.step()
    world.handle_together(world.receive())
    assert len(world.receive()) == 1, "the second message waits for the first visit"
    world.clock.advance(3600)
    world.sweep()
    world.work()
    assert sorted(world.view().output) == [4, 5]


CONCURRENT = """
name: concurrent
nodes:
  - {id: a, actor: transform.map, config: {}}
  - {id: b1, actor: transform.map, config: {n: 1}}
  - {id: b2, actor: transform.map, config: {n: 2}}
  - {id: b3, actor: transform.map, config: {n: 3}}
  - {id: b4, actor: transform.map, config: {n: 4}}
  - {id: b5, actor: transform.map, config: {n: 5}}
  - {id: m, actor: work, concurrency: 2}
  - {id: last, actor: transform.map, config: {n: "{{ message }}"}}
edges:
  - {from: a, to: b1}
  - {from: a, to: b2}
  - {from: a, to: b3}
  - {from: a, to: b4}
  - {from: a, to: b5}
  - {from: b1, to: m}
  - {from: b2, to: m}
  - {from: b3, to: m}
  - {from: b4, to: m}
  - {from: b5, to: m}
  - {from: m, to: last}
output: "{{ nodes.last.all | map(attribute='output.n') | list }}"
"""
PLACE_OF_M = 6


def test_a_concurrent_node_takes_its_messages_in_order_and_never_more_at_a_time(
    world: World,
) -> None:
    rounds: list[asyncio.Barrier] = []
    taken: list[tuple[int, int]] = []

    @actor
    async def work(message: dict[str, int], context: Context) -> int:
        taken.append((context.visit, message["n"]))
        await rounds[-1].wait()  # until all of the round are running
        return message["n"]

    world.start(CONCURRENT, None, work)
    world.step()
    world.step()  # the five branches, in whatever order they come
    order = [int(result.node[1:]) for result in world.history() if result.node[0] == "b"]
    while deliveries := world.receive():
        places = [decode_message(delivery.body).token[1] for delivery in deliveries]
        if PLACE_OF_M in places:
            rounds.append(asyncio.Barrier(places.count(PLACE_OF_M)))
        world.handle_together(deliveries)
    assert world.view().status is Status.COMPLETED
    assert [each.parties for each in rounds] == [2, 2, 1]
    assert sorted(taken) == list(enumerate(order, 1))


def test_what_a_concurrent_node_sends_out_appears_as_its_visits_settle(world: World) -> None:
    @actor
    async def work(message: dict[str, int], context: Context) -> int:
        return context.visit

    world.start(CONCURRENT, None, work)
    world.step()
    world.step()
    while deliveries := world.receive():
        # Of what is there, the newest visit goes first.
        for delivery in sorted(
            deliveries, key=lambda d: decode_message(d.body).token, reverse=True
        ):
            world.handle(delivery)
    settled = [result.visit for result in world.history() if result.node == "m"]
    assert settled[0] == 2, "the second visit settled before the first"
    assert sorted(settled) == [1, 2, 3, 4, 5]
    assert world.view().output == settled


def test_a_visit_in_backoff_leaves_the_other_places_of_its_node_open(world: World) -> None:
    @actor(retry=Retry(max_attempts=2, interval=60, jitter=False))
    async def work(message: dict[str, int], context: Context) -> int:
        if context.visit == 1 and context.attempt == 1:
            raise ValueError("not yet")
        return context.visit

    world.start(CONCURRENT, None, work)
    while world.step():
        pass
    settled = [r.visit for r in world.history() if r.node == "m" and r.outcome == "done"]
    assert settled == [2, 3, 4, 5], "one place is in backoff, the other went on"
    world.work()
    assert world.view().output == [2, 3, 4, 5, 1]


def test_a_context_tells_the_actor_where_it_is(world: World) -> None:
    seen: list[Any] = []

    @actor
    async def look(message: Any, context: Context) -> None:
        seen.append(context)

    world.run("name: w\nnodes: [{id: only, actor: look}]", None, look)
    (context,) = seen
    assert (context.run_id, context.node, context.visit, context.attempt) == ("run", "only", 1, 1)
    assert context.idempotency_key == "run/only/1"
    assert (context.deadline - context.now).total_seconds() == 60


def test_large_outputs_lie_outside_the_head_and_are_the_same_to_the_next_actor(
    world: World,
) -> None:
    @actor
    async def grow(size: int) -> str:
        return "".join(chr(97 + (i * i) % 26) for i in range(size))

    @actor
    async def measure(text: str) -> int:
        return len(text)

    document = """
    name: large
    nodes:
      - {id: grow, actor: grow}
      - {id: measure, actor: measure}
    edges: [{from: grow, to: measure}]
    output: "{{ [nodes.measure.output, nodes.grow.output] }}"
    """
    for size in (50, 200, 5_000, 2_000_000):
        world.start(document, size, grow, measure, run=f"r{size}")
        world.actors.clear()
    world.actors = [grow, measure]
    world.work()
    for size in (50, 200, 5_000, 2_000_000):
        length, text = world.view(f"r{size}").output
        assert (length, len(text)) == (size, size)


def test_pages_keep_the_whole_history(world: World) -> None:
    document = LOOP.replace("limit: 20", "limit: 40")
    world.run(document, 0, increment, count_to)
    history = world.history()
    assert [result.number for result in history] == list(range(1, 81))


def test_expressions_see_results_that_have_left_the_head(world: World) -> None:
    document = """
    name: far
    nodes:
      - {id: first, actor: increment}
      - {id: step, actor: increment}
      - {id: check, actor: count_to, config: {limit: 40}}
      - id: last
        actor: transform.map
        config: {first: "{{ nodes.first.output }}", all: "{{ nodes.step.all | length }}"}
    edges:
      - {from: first, to: step}
      - {from: step, to: check}
      - {from: check.again, to: step}
      - {from: check.done, to: last}
    """
    view = world.run(document, 0, increment, count_to)
    assert view.output == {"last": {"first": 1, "all": 39}}
