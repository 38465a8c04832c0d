"""What cannot be read: a clear error that names it, and a run that is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.errors import Corrupt, NewerFormat
from engine.layout import DEFINITION_ITEM, definition_partition, page_item, run_key
from engine.messages import decode_message
from engine.ports import Commit, HeadRecord, Item
from engine.snapshot import encode_head
from tests.scenarios.world import World
from tidestep import actor

KEY = run_key("run")


@actor
async def increment(number: int) -> int:
    return number + 1


def chain(length: int) -> str:
    nodes = "\n".join(f"  - {{id: n{i}, actor: increment}}" for i in range(length))
    edges = "\n".join(f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(length - 1))
    return f"name: chain\nnodes:\n{nodes}\nedges:\n{edges}\n"


def write_head(world: World, body: bytes) -> None:
    head = world.head()
    record = HeadRecord(
        KEY, head.rev + 1, head.status, head.workflow, head.created_at, head.wake_at, body
    )
    world.do(world.journal.commit(Commit(record, head.rev)))


def stored(world: World) -> Any:
    return world.do(world.journal.head(KEY))


Act = Callable[[World], object]
ACTS: dict[str, Act] = {
    "signal": lambda world: world.signal("x", 1),
    "cancel": lambda world: world.cancel(),
    "retry": lambda world: world.retry(),
    "fork": lambda world: world.fork(1),
    "view": lambda world: world.view(),
    "history": lambda world: world.history(),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_head_of_a_newer_version_is_left_alone(world: World, act: str) -> None:
    world.start(chain(3), 0, increment)
    write_head(world, encode_head(replace(world.head(), format=2)))
    before = stored(world)
    with pytest.raises(NewerFormat, match="head format 2; this version reads up to 1"):
        ACTS[act](world)
    assert stored(world) == before


def test_a_message_for_a_head_of_a_newer_version_is_put_off(world: World) -> None:
    world.start(chain(3), 0, increment)
    write_head(world, encode_head(replace(world.head(), format=2)))
    before = stored(world)
    assert [each.what for each in world.step()] == ["newer"]
    world.clock.advance(61)
    assert [each.what for each in world.step()] == ["newer"]
    assert stored(world) == before


def test_a_message_that_is_put_off_for_a_newer_head_a_second_time_says_so(world: World) -> None:
    world.start(chain(3), 0, increment)
    write_head(world, encode_head(replace(world.head(), format=2)))
    (delivery,) = world.receive()
    (again,) = world.redelivered(delivery)
    assert world.handle(again).what == "newer"
    world.clock.advance(61)
    (copy,) = world.receive()
    assert decode_message(copy.body) == replace(decode_message(again.body), again=True)


def test_a_dead_letter_for_a_head_of_a_newer_version_stays_one(world: World) -> None:
    world.start(chain(3), 0, increment)
    write_head(world, encode_head(replace(world.head(), format=2)))
    before = stored(world)
    (delivery,) = world.receive()
    with pytest.raises(NewerFormat):
        world.bury(delivery)
    world.clock.advance(900)
    assert world.receive() == [], "nothing was sent"
    assert [each.body for each in world.redelivered(delivery)] == [delivery.body]
    assert stored(world) == before


def test_the_sweep_leaves_a_newer_head_alone_and_looks_after_the_others(world: World) -> None:
    world.start(chain(3), 0, increment)
    world.start(chain(2), 0, run="other")
    write_head(world, encode_head(replace(world.head(), format=2)))
    before = stored(world)
    world.lose()
    world.clock.advance(61)
    assert world.sweep() == 1
    assert stored(world) == before
    world.step()
    world.step()
    assert world.view("other").output == {"n1": 2}


@pytest.mark.parametrize("act", ["signal", "cancel", "retry", "fork", "view", "history"])
def test_a_truncated_head_is_an_error_and_is_left_alone(world: World, act: str) -> None:
    world.start(chain(3), 0, increment)
    write_head(world, encode_head(world.head())[:-3])
    before = stored(world)
    with pytest.raises(Corrupt, match="a stored head cannot be decoded"):
        ACTS[act](world)
    assert stored(world) == before


def paged(world: World) -> None:
    world.start(chain(9), 0, increment)
    world.work()
    assert world.head().first == 7


def damage(world: World, name: str, body: bytes) -> None:
    world.do(world.journal.put([Item(KEY.partition, name, body)]))


@pytest.mark.parametrize("act", ["history", "fork"])
def test_a_truncated_page_is_an_error_that_names_the_run(world: World, act: str) -> None:
    paged(world)
    before = stored(world)
    body = world.do(world.journal.items(KEY.partition, [page_item(1)]))[page_item(1)]
    damage(world, page_item(1), body[:-5])
    with pytest.raises(Corrupt, match=r"run 'run'.*a stored page cannot be decoded"):
        ACTS[act](world)
    assert stored(world) == before


@pytest.mark.parametrize("act", ["history", "fork"])
def test_a_missing_page_is_an_error_that_names_the_run(world: World, act: str) -> None:
    paged(world)
    world.do(world.journal.remove(KEY.partition, [page_item(1)]))
    with pytest.raises(Corrupt, match=r"run 'run'.*result 1 is missing"):
        ACTS[act](world)


class NoBlobs:
    """Blobs that are gone."""

    async def put(self, name: str, body: bytes) -> None:
        raise AssertionError("nothing is to be written")

    async def get(self, name: str) -> bytes | None:
        return None


LARGE = """
name: large
nodes:
  - {id: a, actor: transform.map, config: {text: "{{ input.text }}"}}
  - {id: b, actor: transform.map, config: {n: "{{ message.text | length }}"}}
edges: [{from: a, to: b}]
"""


@pytest.mark.parametrize("size", [5_000, 1_000_000])
def test_a_missing_value_is_an_error_that_names_it_and_burns_no_attempt(
    world: World, size: int
) -> None:
    text = Random(1).randbytes(size // 2).hex()
    world.start(LARGE, {"text": text})
    world.step()
    world.step()
    world.fork(2, run="whole")
    world.step()
    assert world.view("whole").output == {"b": {"n": len(text)}}
    world.fork(2, run="broken")
    broken = run_key("broken")
    value = world.head(broken).tail[0].value
    assert value.blob == (size > 600_000)
    if value.blob:
        world.blobs = NoBlobs()
    else:
        world.do(world.journal.remove(broken.partition, [value.ref]))
    before = world.do(world.journal.head(broken))
    (delivery,) = world.receive()
    with pytest.raises(Corrupt, match=r"run broken: the value stored as .* is missing"):
        world.handle(delivery)
    assert world.do(world.journal.head(broken)) == before


def test_a_fork_of_what_is_missing_is_not_begun(world: World) -> None:
    world.start(LARGE, {"text": "x" * 5000})
    world.work()
    world.do(world.journal.remove(KEY.partition, [world.head().tail[0].value.ref]))
    before = stored(world)
    with pytest.raises(Corrupt, match="which the history refers to, is missing"):
        world.fork(2)
    assert stored(world) == before
    assert world.do(world.journal.head(run_key("fork"))) is None


def test_a_missing_definition_is_an_error_that_names_it(world: World) -> None:
    world.start(chain(3), 0, increment)
    digest = world.head().definition
    world.do(world.journal.remove(definition_partition("default", digest), [DEFINITION_ITEM]))
    before = stored(world)
    (delivery,) = world.receive()
    for act in (lambda: world.handle(delivery), lambda: world.fork(1), world.view):
        with pytest.raises(Corrupt, match=f"definition {digest.hex()} is missing"):
            act()
    assert stored(world) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"\xc1", Corrupt), (msgspec.msgpack.encode([2, "what", "ever"]), NewerFormat)],
)
def test_an_inbox_that_cannot_be_read_is_an_error_and_the_wait_goes_on(
    world: World, body: bytes, error: type[Exception]
) -> None:
    world.start("name: w\nnodes: [{id: ask, actor: flow.wait, config: {signal: x}}]")
    world.work()
    damage(world, "inbox/000000000000001.id:y", body)
    before = stored(world)
    with pytest.raises(error):
        world.signal("x", 1, id="z")
    assert stored(world) == before
    world.do(world.journal.remove(KEY.partition, ["inbox/000000000000001.id:y"]))
    world.signal("x", 1, id="z")
    world.work()
    assert world.view().output == {"ask": 1}


@pytest.mark.parametrize(
    ("body", "error"), [(b"\xc1", Corrupt), (b"\x94\x02\xc4\x00\x00\xa0", NewerFormat)]
)
def test_what_is_remembered_of_a_signal_and_cannot_be_read_is_an_error(
    world: World, body: bytes, error: type[Exception]
) -> None:
    world.start(chain(2), 0, increment)
    damage(world, "signal/id:x", body)
    before = stored(world)
    with pytest.raises(error, match="run 'run'"):
        world.signal("go", 1, id="x")
    assert stored(world) == before
