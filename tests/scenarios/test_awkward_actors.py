"""Whatever an actor does is its attempt's outcome, and never the platform's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import StoreUnusable
from engine.layout import run_key
from engine.ports import Commit, HeadRecord
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, Emit, Sleep, actor


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def unusable() -> None:
    raise StoreUnusable("the actor's own store")


def mute() -> None:
    raise Mute


def surrogate() -> None:
    raise ValueError("\ud800")


def stop() -> None:
    raise StopIteration(3)


def group() -> None:
    raise BaseExceptionGroup("several", [SystemExit(1), ValueError("x")])


def cancelled() -> None:
    raise asyncio.CancelledError


def stray_port() -> Emit:
    return Emit("\ud800")


def endless_sleep() -> Sleep:
    return Sleep(1e17)


def sleepless() -> Sleep:
    return Sleep(float("nan"))


AWKWARD = [
    unusable,
    mute,
    surrogate,
    stop,
    group,
    cancelled,
    stray_port,
    endless_sleep,
    sleepless,
]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
@pytest.mark.parametrize("misdeed", AWKWARD)
def test_an_awkward_actor_fails_its_attempt(
    world: World, misdeed: Callable[[], Any], is_async: bool
) -> None:
    async def in_a_coroutine(message: Any) -> Any:
        return misdeed()

    def in_a_thread(message: Any) -> Any:
        return misdeed()

    awkward = actor("awkward")(in_a_coroutine if is_async else in_a_thread)
    view = world.run("name: w\nnodes: [{id: a, actor: awkward}]", None, awkward)
    assert view.status is Status.FAILED
    assert view.error is not None
    assert view.error["node"] == "a"
    assert len(world.history()) == 1


def test_a_config_that_an_actor_changes_is_its_own_copy(world: World) -> None:
    seen: list[Any] = []

    @actor("greedy")
    async def greedy(message: Any, *, plain: list[Any], mixed: list[Any]) -> None:
        seen.append((list(plain), [list(part) for part in mixed]))
        plain.append("mine")
        mixed[0].append("mine")

    document = """
    name: w
    nodes: [{id: a, actor: greedy, config: {plain: [1], mixed: [[1], ["{{ input }}"]]}}]
    """
    world.start(document, 7, greedy, run="one")
    world.work()
    world.actors.clear()
    world.start(document, 7, greedy, run="two")
    world.work()
    assert seen == [([1], [[1], [7]])] * 2


def test_secrets_do_not_stay_in_a_nodes_state(world: World) -> None:
    world.secrets["TOKEN"] = "s3cr3t-value"

    @actor("keeper", state=dict)
    async def keeper(message: Any, context: Context, *, token: str) -> None:
        context.state["header"] = f"Bearer {token}"

    document = """
    name: w
    nodes: [{id: a, actor: keeper, config: {token: "{{ secrets.TOKEN }}"}}]
    """
    world.run(document, None, keeper)
    assert b"Bearer ***" in next(iter(world.head().states.values()))


def test_a_second_delivery_of_a_step_that_runs_in_this_process_is_put_off(world: World) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    @actor("long")
    async def long(message: Any) -> int:
        calls.append(1)
        begun.set()
        await may_end.wait()
        return 1

    world.start("name: w\nnodes: [{id: a, actor: long}]", None, long)
    (delivery,) = world.receive()
    dispatcher = world.dispatcher()

    async def overlap() -> list[str]:
        deadline = world.clock.now() + 60_000
        first = asyncio.create_task(dispatcher.handle(delivery, deadline))
        await begun.wait()
        again = await dispatcher.handle(delivery, deadline)
        may_end.set()
        return [again.what, (await first).what]

    assert world.do(overlap()) == ["deferred", "stepped"]
    assert len(calls) == 1


def test_the_idempotency_key_of_another_tenant_is_another(world: World) -> None:
    keys: list[str] = []

    @actor("note")
    async def note(message: Any, context: Context) -> None:
        keys.append(context.idempotency_key)

    document = "name: w\nnodes: [{id: a, actor: note}]"
    world.start(document, None, note)
    world.start(document, None, tenant="acme")
    world.work()
    assert sorted(keys) == ["acme/run/a/1", "run/a/1"]


def test_continuing_past_a_failure_uses_the_port_that_plain_values_use(world: World) -> None:
    @actor("shaky", outports=("done",))
    async def shaky(message: Any) -> None:
        raise ValueError("boom")

    @actor("join")
    async def join(left: Any, right: Any) -> Any:
        return [left["error"]["message"], right]

    document = """
    name: w
    on_failure: continue
    nodes:
      - {id: a, actor: transform.map}
      - {id: b, actor: shaky}
      - {id: j, actor: join}
    edges: [{from: a, to: j.right}, {from: b.done, to: j.left}]
    """
    assert world.run(document, None, shaky, join).output == {"j": ["boom", {}]}


def test_joins_that_do_without_a_port_fire_in_the_order_of_the_graph(world: World) -> None:
    @actor("pair")
    async def pair(left: Any = None, right: Any = None) -> list[Any]:
        return [left, right]

    document = """
    name: w
    nodes:
      - {id: j, actor: pair, optional: [left, right]}
      - {id: a, actor: flow.branch, config: {condition: true}}
      - {id: k, actor: pair, optional: [right]}
    edges:
      - {from: a.true, to: k.left}
      - {from: a.false, to: k.right}
      - {from: a.true, to: j.right}
      - {from: k, to: j.left}
    """
    view = world.run(document, 1, pair)
    assert view.output == {"j": [[1, None], 1]}
    tokens = [(r.node, r.visit, r.attempt) for r in world.history()]
    assert len(set(tokens)) == len(tokens)


def test_the_order_of_an_inputs_keys_makes_no_other_run(world: World) -> None:
    document = "name: w\nnodes: [{id: a, actor: transform.map}]"
    world.start(document, {"a": 1, "b": {"c": 2, "d": 3}})
    again = world.start(document, {"b": {"d": 3, "c": 2}, "a": 1})
    assert not again.created


def test_a_run_that_cannot_be_read_does_not_hide_the_others_from_the_sweep(world: World) -> None:
    document = "name: w\nnodes: [{id: a, actor: transform.map}]"
    for number in range(5):
        world.start(document, None, run=f"good{number}")
    for number in range(20):
        key = run_key(f"bad{number}")
        record = HeadRecord(key, 1, Status.ACTIVE, "w", 0, world.clock.now(), b"\xff")
        world.do(world.journal.commit(Commit(record, None)))
    for delivery in world.receive():
        world.do(world.journal.send((), delivery))  # lost
    world.clock.advance(61)
    assert world.sweep() == 5
