"""A rollback strands no run: older code refuses what a newer version wrote, and leaves it alone.

The newer version is `versions.next_version`. It begins; this version is deployed in its place; and
then it comes back, and brings the runs to their end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import NewerFormat
from engine.layout import run_key
from engine.messages import decode_message
from engine.operating import Operator
from tests.scenarios.story import (
    CHAIN,
    KEY,
    STORY,
    Counted,
    begun,
    comes_to_its_end,
)
from tests.scenarios.versions import EVERYTHING, NextHead, minutes, next_version, unchanged
from tests.scenarios.world import World
from tidestep import actor


@pytest.mark.parametrize("kind", EVERYTHING)
@pytest.mark.parametrize("steps", [0, 7, 9])
def test_a_run_goes_on_when_the_newer_version_comes_back(
    world: World, kind: str, steps: int
) -> None:
    with next_version(kind):
        counted = begun(world, steps)
    minutes(world, 5)
    with next_version(kind):
        comes_to_its_end(world, counted)


def test_a_newer_head_puts_its_messages_off_without_harm_and_without_more_of_them(
    world: World,
) -> None:
    with next_version():
        counted = begun(world)
    with unchanged(world, KEY.partition):
        for _ in range(30):  # which is longer than it takes a sweep to suspect a loss
            (delivery,) = world.receive()
            assert delivery.receives == 1
            assert world.handle(delivery).what == "newer"
            assert world.receive() == []
            assert world.sweep() == 0
            world.clock.advance(61)
    with next_version():
        comes_to_its_end(world, counted)


def test_a_redelivery_for_a_newer_head_begins_a_new_count_and_says_that_it_is_not_the_first(
    world: World,
) -> None:
    with next_version():
        counted = begun(world)
    (delivery,) = world.receive()
    for _ in range(5):
        (delivery,) = world.redelivered(delivery)
    assert delivery.receives == 6
    assert world.handle(delivery).what == "newer"
    world.clock.advance(61)
    (copy,) = world.receive()
    assert copy.receives == 1
    with next_version():
        assert decode_message(copy.body) == replace(decode_message(delivery.body), again=True)
        world.redelivered(copy)
        world.clock.advance(61)
        comes_to_its_end(world, counted)


ACTS: dict[str, Callable[[World], object]] = {
    "start": lambda world: world.start(STORY, 0),
    "signal": lambda world: world.signal("go", 1, id="refused"),
    "cancel": lambda world: world.cancel(),
    "close": lambda world: world.do(Operator(world.platform()).close(KEY)),
    "retry": lambda world: world.retry(),
    "fork": lambda world: world.fork(1),
    "view": lambda world: world.view(),
    "history": lambda world: world.history(),
}


@pytest.mark.parametrize("act", ACTS)
def test_whatever_is_asked_of_a_newer_run_is_refused_clearly_and_changes_nothing(
    world: World, act: str
) -> None:
    with next_version("snapshot"):
        counted = begun(world)
    fork = run_key("fork").partition
    with unchanged(world, KEY.partition, fork), pytest.raises(NewerFormat) as refused:
        ACTS[act](world)
    assert str(refused.value) == (
        "run 'run': head format 2; this version reads up to 1: a newer version of Tidestep has "
        "written it, use that one"
    )
    assert (refused.value.http_status, refused.value.exit_code) == (503, 6)
    with next_version("snapshot"):
        comes_to_its_end(world, counted)


def test_a_redrive_says_which_runs_are_a_newer_versions_and_retries_the_others(
    world: World,
) -> None:
    @actor
    async def fail(message: Any) -> None:
        raise ValueError("not today")

    failing = "name: w\nnodes: [{id: only, actor: fail}]"
    with next_version("snapshot"):
        world.start(failing, {}, fail)
        world.step()
    world.start(failing, {}, run="other")
    world.step()
    with unchanged(world, KEY.partition):
        redriven = world.do(world.operator.redrive())
    assert redriven.retried == ("other",)
    assert list(redriven.refused) == ["run"]
    assert "a newer version of Tidestep has written it" in redriven.refused["run"]


@pytest.mark.parametrize("kind", ["snapshot", "definition", "message"])
def test_a_dead_letter_of_a_newer_run_stays_one_and_its_attempt_does_not_fail(
    world: World, kind: str
) -> None:
    with next_version(kind):
        counted = begun(world)
    (delivery,) = world.receive()
    for _ in range(5):  # which is more often than it is sent again
        with unchanged(world, KEY.partition), pytest.raises(NewerFormat):
            world.bury(delivery)
        world.clock.advance(900)
        (delivery,) = world.redelivered(delivery)
    with next_version(kind):
        assert world.bury(delivery).what == "sent again"
        world.clock.advance(61)
        comes_to_its_end(world, counted)


def test_the_sweep_looks_after_the_others_while_many_runs_are_a_newer_versions(
    world: World,
) -> None:
    counted = Counted()
    world.actors.append(counted.actor)
    names = [f"newer{number}" for number in range(12)]
    with next_version():
        for name in names:
            world.start(STORY, 0, run=name)
    world.start(STORY, 0)
    world.lose()
    world.clock.advance(61)
    assert world.sweep() == 1
    for _ in CHAIN:
        world.step()
    assert [key[0] for key in counted.calls] == ["run"] * len(CHAIN)
    with next_version():
        assert world.sweep() == len(names)


def test_what_only_the_newer_version_knows_is_there_when_it_comes_back(world: World) -> None:
    counted = begun(world)
    with next_version("snapshot"):
        world.step()
        assert world.head().colour == "blue"
    minutes(world, 5)
    with next_version("snapshot"):
        comes_to_its_end(world, counted)
        head = world.head()
    assert isinstance(head, NextHead)
    assert (head.format, head.colour) == (2, "blue")
