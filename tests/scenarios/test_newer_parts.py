"""A head that this version reads, and something beside it that only a newer version can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from engine.errors import NewerFormat
from engine.layout import claim_item, page_item
from engine.ports import Item
from engine.snapshot import decode_page, encode_page
from tests.scenarios.processes import Died, DiesBefore
from tests.scenarios.story import (
    CHAIN,
    KEY,
    OUTPUT,
    STORY,
    begun,
    comes_to_its_end,
    once_each,
)
from tests.scenarios.versions import minutes, next_version, unchanged
from tests.scenarios.world import World

ASKED: dict[str, Callable[[World], object]] = {
    "view": lambda world: world.view(),
    "history": lambda world: world.history(),
    "retry": lambda world: world.retry(),
    "fork": lambda world: world.fork(1),
    "start": lambda world: world.start(STORY, 0),
}


def test_a_newer_signal_holds_its_wait_open_until_the_newer_version_takes_it(world: World) -> None:
    counted = begun(world)
    with next_version("signal", "remembered"):
        world.signal("go", "yes", id="early")
    handled = minutes(world, 20)  # in which the wait would have timed out
    assert [each.what for each in handled[:5]] == ["stepped"] * 5
    # one message each minute, and once another for the wait, whose own was never sent
    assert Counter(each.what for each in handled[5:]) == {"newer": 19, "relayed": 1}
    (waiting,) = world.view().pending
    assert (waiting.node, waiting.state) == ("ask", "waiting")
    with next_version("signal", "remembered"):
        world.work()
    assert world.view().output == OUTPUT
    assert once_each(counted)


def test_a_signal_that_a_newer_version_remembers_is_refused_when_it_is_sent_again(
    world: World,
) -> None:
    begun(world)
    with next_version("remembered"):
        first = world.signal("go", "yes", id="x")
    with (
        unchanged(world, KEY.partition),
        pytest.raises(NewerFormat, match="run 'run': memory of a signal format 2"),
    ):
        world.signal("go", "no", id="x")
    with next_version("remembered"):
        again = world.signal("go", "yes", id="x")
    assert (first.created, again.created, first.at) == (True, False, again.at)


def test_a_newer_page_puts_off_whoever_reads_it(world: World) -> None:
    counted = begun(world, 8)
    world.signal("go", "yes")
    while world.view().pending[0].node != "end":
        world.step()
    name = page_item(1)
    page = world.do(world.journal.items(KEY.partition, [name]))[name]
    newer = encode_page(replace(decode_page(page), format=2))
    world.do(world.journal.put([Item(KEY.partition, name, newer)]))
    with unchanged(world, KEY.partition):
        (delivery,) = world.receive()
        assert world.handle(delivery).what == "newer"
        with pytest.raises(NewerFormat, match="run 'run': page format 2"):
            world.history()
    world.clock.advance(61)
    with next_version("snapshot"):
        world.work()
        assert world.view().output == OUTPUT
        assert world.done() == [*CHAIN, "ask", "end"]
    assert once_each(counted)


@pytest.mark.parametrize("readable", [True, False])
def test_a_newer_claim_is_not_taken_for_nobodys(world: World, readable: bool) -> None:
    counted = begun(world, 0)
    (delivery,) = world.receive()
    with next_version("claim"):
        (delivery,) = world.redelivered(delivery)
        with pytest.raises(Died):
            world.handle(delivery, DiesBefore(world, "commit"))
    name = claim_item(0, world.head().frontier[0])
    claim = world.do(world.journal.items(KEY.partition, [name]))[name]
    if not readable:
        other = Item(KEY.partition, name, msgspec.msgpack.encode([2, {"by": "the next"}]))
        world.do(world.journal.put([other]))
    with unchanged(world, KEY.partition):
        (delivery,) = world.redelivered(delivery)
        assert world.handle(delivery).what == "newer"
    assert counted.calls == {("run", "a"): 1}
    world.do(world.journal.put([Item(KEY.partition, name, claim)]))
    world.clock.advance(61)
    with next_version("claim"):
        world.signal("go", "yes")
        world.work()
    assert world.view().output == OUTPUT
    assert counted.calls["run", "a"] == 2, "its process has died, once"
    assert world.view().failures == 0


def test_a_run_of_a_newer_definition_waits_for_the_newer_version(world: World) -> None:
    with next_version("definition"):
        counted = begun(world)
    refused = r"definition [0-9a-f]{32}: definition format 2; .* newer version of Tidestep"
    with unchanged(world, KEY.partition):
        assert {each.what for each in minutes(world, 3)} == {"newer"}
        for act in ASKED.values():
            with pytest.raises(NewerFormat, match=refused):
                act(world)
    with next_version("definition"):
        comes_to_its_end(world, counted)


def test_a_newer_message_of_a_run_that_can_be_read_is_not_waited_for(world: World) -> None:
    """The sweep sends the token again, and what the newer version has sent comes too late."""
    with next_version("message"):
        counted = begun(world, 0)
    assert [each.what for each in world.step()] == ["newer"]
    minutes(world, 15)
    world.signal("go", "yes")
    minutes(world, 5)
    assert world.view().output == OUTPUT
    with next_version("message"):
        assert {each.what for each in minutes(world, 2)} == {"ended"}
    assert once_each(counted)
