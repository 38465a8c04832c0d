"""What else changes with the code under a run: its actors, and what an older version remembers."""

from __future__ import annotations

import pytest

from engine.errors import WaitClosed
from engine.snapshot import Status
from tests.scenarios.processes import Died, DiesAfterSwap, elsewhere
from tests.scenarios.story import CHAIN, OUTPUT, begun, once_each
from tests.scenarios.versions import next_version
from tests.scenarios.world import World
from tidestep import Context, actor


def test_a_run_that_failed_for_an_actor_that_is_gone_goes_on_when_it_is_back(
    world: World,
) -> None:
    counted = begun(world)
    world.actors.clear()
    world.work()
    view = world.view()
    assert view.status is Status.FAILED
    assert view.error == {
        "type": "UnknownActor",
        "message": "no actor 'count' is registered in this process",
        "node": "d",
    }
    world.actors.append(counted.actor)
    world.retry()
    world.signal("go", "yes")
    world.work()
    assert world.view().output == OUTPUT
    assert once_each(counted)


def test_a_run_in_flight_goes_on_with_the_actors_that_are_deployed(world: World) -> None:
    """Graph and configuration are pinned, code is not: the next step runs what is there then."""
    nodes: list[str] = []

    @actor("count")
    async def changed(number: int, context: Context) -> int:
        nodes.append(context.node)
        return number

    counted = begun(world)
    world.actors[:] = [changed]
    world.signal("go", "yes")
    world.work()
    assert world.view().output == OUTPUT
    assert (len(counted.calls), nodes) == (3, list(CHAIN[3:]))


def test_an_answer_that_an_older_version_remembers_is_refused_for_good(world: World) -> None:
    """It came too late, its sender died, and the next version clears the inbox."""

    world.start("""
name: w
nodes:
  - {id: ask, actor: flow.wait, config: {signal: approval, timeout: 600}}
  - {id: other, actor: flow.wait, config: {signal: approval}}
  - {id: last, actor: flow.wait, config: {signal: approval}}
edges: [{from: other, to: last}]
""")
    world.step()
    world.clock.advance(599)
    with pytest.raises(Died):
        world.answer("ask", "yes", journal=DiesAfterSwap(world, "swap", elsewhere(world, 2)))
    world.clock.advance(61)
    with next_version("remembered"):
        world.answer("other", 1)
        world.work()
        for _ in range(2):
            with pytest.raises(WaitClosed, match="the wait was over before this answer came"):
                world.answer("ask", "yes")
