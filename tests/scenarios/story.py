"""A run that versions hand to each other: nine steps and a wait, each of which must happen once."""

from __future__ import annotations

from collections import Counter

from engine.layout import run_key
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, actor

KEY = run_key("run")
CHAIN = "abcdefgh"
"""Long enough for a page of the history."""
NODES = "".join(f"  - {{id: {node}, actor: count}}\n" for node in CHAIN)
STORY = f"""
name: story
nodes:
{NODES}
  - {{id: ask, actor: flow.wait, config: {{signal: go, timeout: 600}}}}
  - id: end
    actor: transform.map
    config: {{first: "{{{{ nodes.a.output }}}}", told: "{{{{ message }}}}"}}
edges: [{{from: a, to: b}}, {{from: b, to: c}}, {{from: c, to: d}}, {{from: d, to: e}},
        {{from: e, to: f}}, {{from: f, to: g}}, {{from: g, to: h}}, {{from: h, to: ask}},
        {{from: ask, to: end}}]
"""
OUTPUT = {"end": {"first": 1, "told": "yes"}}


class Counted:
    """An actor `count` that adds one, and knows how often each node of each run has called it."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

        @actor("count")
        async def count(number: int, context: Context) -> int:
            self.calls[context.run_id, context.node] += 1
            return number + 1

        self.actor = count


def once_each(counted: Counted, *runs: str) -> bool:
    return counted.calls == {(run, node): 1 for run in runs or ("run",) for node in CHAIN}


def begun(world: World, steps: int = 3) -> Counted:
    counted = Counted()
    world.start(STORY, 0, *([] if world.actors else [counted.actor]))
    for _ in range(steps):
        assert [each.what for each in world.step()] == ["stepped"]
    return counted


def comes_to_its_end(world: World, counted: Counted) -> None:
    """The newer version, which is back, works until nothing is left to do."""
    world.signal("go", "yes", id="the-answer")
    world.work()
    view = world.view()
    assert (view.status, view.output, view.failures) == (Status.COMPLETED, OUTPUT, 0)
    assert world.done() == [*CHAIN, "ask", "end"]
    assert once_each(counted)
