"""A deploy while runs are in flight: two versions side by side, and formats that follow."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from engine.definition import Definition
from engine.errors import NewerFormat, RunExists
from engine.layout import page_item, run_key
from engine.snapshot import Status
from tests.scenarios.story import Counted
from tests.scenarios.versions import minutes, next_version, reads_the_next
from tests.scenarios.world import World
from tidestep import actor

DIAMOND = """
name: diamond
nodes:
  - {id: a, actor: count}
  - {id: b, actor: count}
  - {id: c, actor: count}
  - {id: sum, actor: add}
  - {id: rest, actor: flow.sleep, config: {seconds: 90}}
  - {id: d, actor: count}
  - {id: e, actor: count}
  - {id: last, actor: transform.map, config: {a: "{{ nodes.a.output }}", e: "{{ message }}"}}
edges:
  - {from: a, to: b}
  - {from: a, to: c}
  - {from: b, to: sum.left}
  - {from: c, to: sum.right}
  - {from: sum, to: rest}
  - {from: rest, to: d}
  - {from: d, to: e}
  - {from: e, to: last}
"""
"""A join, a sleep, a page of the history, and a node that reads from it."""
COUNTING = "abcde"
KEY = run_key("run")
RUNS = [f"run{number}" for number in range(4)]

Version = Callable[[], AbstractContextManager[Any]]
this_version: Version = nullcontext


@actor
async def add(left: int, right: int) -> int:
    return left + right


def started(world: World, *runs: str) -> Counted:
    counted = Counted()
    world.actors.extend([counted.actor, add])
    for run in runs:
        world.start(DIAMOND, 0, run=run)
    return counted


def format_of(world: World, run: str) -> int:
    body = world.do(world.journal.head(run_key(run)))
    assert body is not None
    number: int = msgspec.msgpack.decode(body)[0]
    return number


def all_have_ended_once(world: World, counted: Counted, *runs: str) -> None:
    for run in runs:
        view = world.view(run)
        assert (view.status, view.output) == (Status.COMPLETED, {"last": {"a": 1, "e": 6}})
        assert view.failures == 0
        assert sorted(world.done(run)) == sorted([*COUNTING, "sum", "rest", "last"])
    assert counted.calls == {(run, node): 1 for run in runs for node in COUNTING}


def in_turn(world: World, seed: int, *versions: Version, rounds: int = 12) -> set[str]:
    """Each delivery and each sweep falls to one of these versions; what came of them."""
    random, handled = Random(seed), set()
    for _ in range(rounds):
        for delivery in world.receive():
            with random.choice(versions)():
                handled.add(world.handle(delivery).what)
        with random.choice(versions)():
            world.sweep()
        world.clock.advance(random.choice([1, 10, 61]))
    return handled


# -- while it is deployed -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_runs_go_on_while_the_version_that_reads_and_the_one_that_writes_a_format_take_turns(
    world: World, seed: int
) -> None:
    """Nothing is put off: the deploy costs no run a minute."""
    counted = started(world, *RUNS[:2])
    with next_version():
        for run in RUNS[2:]:
            world.start(DIAMOND, 0, run=run)
    handled = in_turn(world, seed, reads_the_next, next_version)
    assert "newer" not in handled
    with reads_the_next():
        world.work()
        all_have_ended_once(world, counted, *RUNS)


@pytest.mark.parametrize("seed", range(4))
def test_runs_are_put_off_and_not_harmed_while_a_version_that_cannot_read_the_format_takes_turns(
    world: World, seed: int
) -> None:
    """What a release does that was not prepared: its runs go on when only it is left."""
    counted = started(world, *RUNS[:2])
    with next_version():
        for run in RUNS[2:]:
            world.start(DIAMOND, 0, run=run)
    handled = in_turn(world, seed, this_version, next_version)
    assert {"newer", "stepped"} <= handled
    with next_version():
        world.work()
        all_have_ended_once(world, counted, *RUNS)


def test_a_run_is_upgraded_by_the_next_step_and_read_by_the_version_that_made_it_no_more(
    world: World,
) -> None:
    counted = started(world, "run", "other")
    deliveries = world.receive()
    (ours,) = [each for each in deliveries if '"run":"run"' in each.body]
    assert format_of(world, "run") == 1
    with next_version("snapshot"):
        assert world.head().format == 2, "upgraded when it is read"
        assert format_of(world, "run") == 1, "reading writes nothing"
        assert world.handle(ours).what == "stepped"
        assert world.head().colour == "blue"
    assert (format_of(world, "run"), format_of(world, "other")) == (2, 1)
    with pytest.raises(NewerFormat):
        world.head()
    assert world.view("other").status is Status.ACTIVE
    world.redelivered(*deliveries)
    with next_version("snapshot"):
        world.clock.advance(700)
        world.work()
        all_have_ended_once(world, counted, "run", "other")
        assert world.head().colour == "blue"
    pages = world.do(world.journal.items(KEY.partition, [page_item(1)]))
    assert msgspec.msgpack.decode(pages[page_item(1)])[0] == 2


# -- and when it is rolled back -------------------------------------------------------------------


def test_a_rollback_to_the_version_that_reads_a_format_loses_nothing_and_ends_every_run(
    world: World,
) -> None:
    counted = started(world, "old", "between", "untouched")
    world.step()
    with next_version():
        world.start(DIAMOND, 0, run="new")
        for delivery in world.receive():
            if '"untouched"' in delivery.body:
                world.do(world.source.release(delivery, 0))
            else:
                world.handle(delivery)
    with reads_the_next():
        world.work()
        all_have_ended_once(world, counted, "old", "between", "untouched", "new")
        colours = {run: getattr(world.head(run_key(run)), "colour", "") for run in ("old", "new")}
    assert colours == {"old": "blue", "new": ""}, "what only the next version knows is still there"
    formats = {run: format_of(world, run) for run in ("old", "between", "untouched", "new")}
    assert formats == {"old": 2, "between": 2, "untouched": 1, "new": 2}
    assert world.view("untouched").status is Status.COMPLETED, "the version before reads it too"


def test_the_version_that_reads_a_format_begins_nothing_in_it(world: World) -> None:
    """Or a second rollback would strand what the first one has begun."""
    with reads_the_next():
        counted = started(world, "run")
        minutes(world, 3)
    world.work()
    all_have_ended_once(world, counted, "run")


def test_a_fork_of_an_upgraded_run_keeps_the_format_that_its_entries_need(world: World) -> None:
    counted = started(world)
    with next_version("snapshot"):
        world.start(DIAMOND, 0)
        world.work()
    with reads_the_next("snapshot"):
        world.fork("e", run="fork")
        world.work()
        assert world.view("fork").output == world.view("run").output
    assert format_of(world, "fork") == 2
    assert counted.calls["fork", "e"] == 1


# -- what callers and operators ask again, on the other side of a deploy --------------------------


def without_deadline(definition: Definition) -> tuple[bytes, bytes]:
    """As a version wrote definitions that did not know their last field."""
    body = msgspec.msgpack.encode(msgspec.to_builtins(definition)[:-1])
    return zlib.compress(body), hashlib.blake2b(body, digest_size=16).digest()


def older_version() -> AbstractContextManager[Any]:
    return patch("engine.starting.encode_definition", without_deadline)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (older_version, this_version),
        (this_version, next_version),
        (next_version, reads_the_next),
    ],
)
def test_the_same_start_is_the_same_run_although_another_version_writes_definitions_otherwise(
    world: World, first: Version, then: Version
) -> None:
    counted = started(world)
    with first():
        world.start(DIAMOND, 0)
        (delivery,) = world.receive()
        world.redelivered(delivery)
    with then():
        before = world.head()
        assert not world.start(DIAMOND, 0).created
        for other, input in ((DIAMOND, 1), (DIAMOND.replace("90", "91"), 0)):
            with pytest.raises(RunExists):
                world.start(other, input)
        assert world.head() == before
        world.work()
        all_have_ended_once(world, counted, "run")
