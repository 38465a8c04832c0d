"""Signals from run to run: exactly one each, in order, whatever dies where."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from engine.actors import Wait
from engine.errors import StoreUnusable
from engine.layout import INBOX_PREFIX, run_key
from engine.outcomes import Done, Effect, Settling
from engine.ports import Item, Limits
from engine.settle import settle
from engine.snapshot import Status
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph
from tests.scenarios.processes import Between, Died, DiesBefore
from tests.scenarios.world import World
from tidestep import Context, actor

SENDER = "name: sender\nnodes: [{id: only, actor: tell}]"


@actor
async def tell(message: Any, context: Context) -> str:
    for number in range(message["count"]):
        context.send(message["to"], "news", {"number": number})
    return "told"


@actor
async def hear(message: int, context: Context) -> Any:
    """Collects as many signals as its message says."""
    if context.resumed == "signal":
        heard.append(context.signal["number"])
    return Wait("news") if len(heard) < message else list(heard)


heard: list[int] = []

RECEIVER = "name: receiver\nnodes: [{id: only, actor: hear}]"


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    heard.clear()


def begin(world: World, count: int = 3) -> None:
    world.actors = [tell, hear]
    world.start(RECEIVER, count, run="receiver")
    world.work()
    world.start(SENDER, {"to": "receiver", "count": count}, run="sender")


def inbox(world: World, run: str = "receiver") -> int:
    async def names() -> list[str]:
        partition = run_key(run).partition
        return [name async for name, _ in world.journal.scan(partition, INBOX_PREFIX)]

    return len(world.do(names()))


def signalled(world: World) -> int:
    return [r.outcome for r in world.history("receiver")].count("signalled")


def test_what_an_attempt_sends_arrives_once_and_in_order(world: World) -> None:
    begin(world)
    world.work()
    assert world.view("sender").output == {"only": "told"}
    assert world.view("receiver").output == {"only": [0, 1, 2]}
    assert world.head(run_key("sender")).owed == ()
    assert world.head(run_key("sender")).wake_at == 0


def test_nothing_is_left_unpaid_when_the_step_has_returned(world: World) -> None:
    begin(world)
    (delivery,) = world.receive()
    world.handle(delivery)
    assert inbox(world) == 3
    assert world.head(run_key("sender")).owed == ()


@pytest.mark.parametrize("verb", ["commit", "swap", "send"])
@pytest.mark.parametrize("number", range(1, 10))
def test_each_signal_is_sent_once_wherever_its_sender_dies(
    world: World, verb: str, number: int
) -> None:
    begin(world)
    (delivery,) = world.receive()
    with suppress(Died):
        world.handle(delivery, DiesBefore(world, verb, number=number))
        if world.head(run_key("sender")).owed:
            raise AssertionError("the step has returned, and its run still owes")
    for again in world.redelivered(delivery):
        world.handle(again)
    world.work()
    assert world.view("sender").status is Status.COMPLETED
    assert world.view("receiver").output == {"only": [0, 1, 2]}
    assert signalled(world) == 3
    assert inbox(world) <= 1, "what was consumed last may still lie there"


def test_a_sweep_pays_what_a_dead_sender_owes_though_its_run_has_ended(world: World) -> None:
    begin(world)
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, DiesBefore(world, "swap"))
    world.do(world.journal.send((), delivery))
    head = world.head(run_key("sender"))
    assert (head.status, len(head.owed)) == (Status.COMPLETED, 3)
    assert head.wake_at > 0
    world.work()
    assert world.view("receiver").output == {"only": [0, 1, 2]}
    assert world.head(run_key("sender")).owed == ()
    assert world.head(run_key("sender")).wake_at == 0


def test_an_attempt_that_fails_sends_nothing(world: World) -> None:
    @actor("tell")
    async def fails(message: Any, context: Context) -> str:
        context.send("receiver", "news", {"number": context.attempt})
        if context.attempt < 3:
            raise OSError("not yet")
        return "told"

    begin(world, 1)
    world.actors = [fails, hear]
    document = SENDER.replace("actor: tell", "actor: tell, retry: {max_attempts: 3, interval: 1}")
    world.lose()
    world.start(document, {}, run="other")
    world.work()
    assert world.view("other").status is Status.COMPLETED
    assert world.view("receiver").output == {"only": [3]}
    assert signalled(world) == 1


def test_an_attempt_that_lost_sends_nothing(world: World) -> None:
    begin(world, 1)
    (delivery,) = world.receive()
    world.handle_together([delivery, delivery])
    world.work()
    assert world.view("receiver").output == {"only": [0]}
    assert signalled(world) == 1


def test_an_attempt_that_waits_sends_before_it_does(world: World) -> None:
    @actor("tell")
    async def asks(message: Any, context: Context) -> Any:
        if context.resumed:
            return context.signal
        context.send("receiver", "news", {"number": 7})
        return Wait("reply")

    begin(world, 1)
    world.lose()
    world.actors = [asks, hear]
    world.start(SENDER, {}, run="other")
    world.work()
    assert world.view("receiver").output == {"only": [7]}
    world.signal("reply", "thanks", run="other")
    world.work()
    assert world.view("other").output == {"only": "thanks"}


@pytest.mark.parametrize("receiver", ["nobody", "ended"])
def test_a_debt_that_can_never_be_paid_ends(world: World, receiver: str) -> None:
    world.actors = [tell, hear]
    world.start("name: e\nnodes: [{id: a, actor: transform.map, config: {}}]", run="ended")
    world.work()
    world.start(SENDER, {"to": receiver, "count": 2}, run="sender")
    world.work()
    assert world.view("sender").output == {"only": "told"}
    assert world.head(run_key("sender")).owed == ()


def test_one_receiver_that_is_gone_does_not_keep_the_others_from_theirs(world: World) -> None:
    @actor("tell")
    async def both(message: Any, context: Context) -> str:
        context.send("nobody", "news", {"number": 1})
        context.send("receiver", "news", {"number": 2})
        return "told"

    begin(world, 1)
    world.lose()
    world.actors = [both, hear]
    world.start(SENDER, {}, run="other")
    world.work()
    assert world.view("receiver").output == {"only": [2]}


def test_a_receiver_whose_inbox_is_full_is_paid_later_and_in_order(world: World) -> None:
    world.limits = Limits(signals=2)
    begin(world, 5)
    (delivery,) = world.receive()
    world.handle(delivery)
    owed = world.head(run_key("sender")).owed
    assert [each.id.partition(".")[2] for each in owed] == ["3", "4"], "the first ended a wait"
    world.work()
    assert world.view("receiver").output == {"only": [0, 1, 2, 3, 4]}
    assert world.head(run_key("sender")).owed == ()


def test_a_large_payload_arrives_whole(world: World) -> None:
    @actor("tell")
    async def much(message: Any, context: Context) -> str:
        context.send("receiver", "news", {"number": 1, "text": "x" * 5000})
        return "told"

    begin(world, 1)
    world.lose()
    world.actors = [much, hear]
    world.start(SENDER, {}, run="other")
    world.work()
    assert world.view("receiver").output == {"only": [1]}


def owing_much(world: World) -> list[str]:
    """A run that owes two large signals, whose process died; the names of its items."""

    @actor("tell")
    async def much(message: Any, context: Context) -> str:
        for number in (1, 2):
            context.send("receiver", "news", {"number": number, "text": "x" * 5000})
        return "told"

    world.actors = [much, hear]
    world.start(RECEIVER, 1, run="receiver")
    world.work()
    document = SENDER.replace("tell}]", "tell}, {id: last, actor: transform.map, config: {}}]")
    world.start(document + "\nedges: [{from: only, to: last}]", {}, run="other")
    (delivery,) = world.receive()
    with pytest.raises(Died):
        world.handle(delivery, DiesBefore(world, "swap"))
    world.redelivered(delivery)
    return [owed.value.ref for owed in world.head(run_key("other")).owed]


def test_a_payload_is_removed_once_it_is_paid(world: World) -> None:
    names = owing_much(world)
    partition = run_key("other").partition
    assert len(world.do(world.journal.items(partition, names))) == 2
    world.clock.advance(60)
    world.work()
    assert world.view("receiver").output == {"only": [1]}
    assert world.do(world.journal.items(partition, names)) == {}


def test_a_debt_whose_payload_is_missing_is_given_up_and_the_others_are_paid(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    missing, _ = owing_much(world)
    world.do(world.journal.remove(run_key("other").partition, [missing]))
    world.clock.advance(60)
    world.work()
    assert world.view("other").output == {"last": {}}
    assert world.head(run_key("other")).owed == ()
    assert world.view("receiver").output == {"only": [2]}
    (lost,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "run other: a signal to run receiver is lost" in lost.getMessage()
    assert missing in lost.getMessage()


def test_a_run_may_signal_itself(world: World) -> None:
    @actor
    async def itself(message: Any, context: Context) -> Any:
        if context.resumed:
            return context.signal
        context.send("run", "echo", "hello")
        return Wait("echo")

    world.start("name: w\nnodes: [{id: only, actor: itself}]", {}, itself)
    world.work()
    assert world.view().output == {"only": "hello"}


@pytest.mark.parametrize(
    ("receiver", "name", "payload", "error"),
    [
        ("a/b", "news", 1, "InvalidValue"),
        ("receiver", "no name", 1, "InvalidValue"),
        ("receiver", "news", object(), "NotJson"),
        ("receiver", "news", "x" * 300_000, "TooLarge"),
    ],
)
def test_what_cannot_be_sent_fails_the_attempt(
    world: World, receiver: str, name: str, payload: Any, error: str
) -> None:
    @actor
    async def wrong(message: Any, context: Context) -> str:
        context.send("receiver", "news", {"number": 1})
        context.send(receiver, name, payload)
        return "told"

    world.actors = [wrong, hear]
    world.start(RECEIVER, 1, run="receiver")
    world.start("name: w\nnodes: [{id: only, actor: wrong}]", {})
    world.work()
    view = world.view()
    assert view.error is not None
    assert view.error["type"] == error
    assert inbox(world) == 0


def test_an_attempt_that_sends_more_than_it_may_fails(world: World) -> None:
    world.limits = Limits(sends=2)
    begin(world, 3)
    world.work()
    view = world.view("sender")
    assert view.error is not None
    assert view.error["type"] == "TooLarge"
    assert "sends 3 signals; the limit is 2" in view.error["message"]


def test_a_run_that_owes_as_much_as_it_may_rests_until_it_is_paid(world: World) -> None:
    @actor
    async def last(message: Any) -> str:
        return "done"

    @actor
    async def deaf(message: Any, context: Context) -> Any:
        return Wait("other")

    world.limits = Limits(owed=2, signals=1)
    world.start("name: w\nnodes: [{id: only, actor: deaf}]", {}, deaf, run="receiver")
    world.step()
    document = SENDER.replace("actor: tell}", "actor: tell}, {id: last, actor: last}")
    document += "\nedges: [{from: only, to: last}]"
    world.start(document, {"to": "receiver", "count": 3}, tell, last, run="sender")
    world.step()
    for _ in range(3):
        assert [handled.what for handled in world.step()] == ["deferred"]
        world.clock.advance(2)
    assert world.done("sender") == ["only"]
    world.limits = Limits(owed=2)
    world.work()
    assert world.view("sender").output == {"last": "done"}
    assert inbox(world) == 3


def test_a_store_that_does_not_take_a_signal_leaves_the_delivery_unacknowledged(
    world: World,
) -> None:
    class Throttled(Between):
        async def swap(
            self,
            item: Item,
            expected: bytes | None,
            also: Sequence[Item] = (),
            drops: Sequence[str] = (),
        ) -> None:
            raise StoreUnusable("throttled")

    begin(world)
    (delivery,) = world.receive()
    with pytest.raises(StoreUnusable):
        world.handle(delivery, Throttled(world))
    (again,) = world.redelivered(delivery)
    world.handle(again)
    world.work()
    assert world.view("receiver").output == {"only": [0, 1, 2]}


def test_many_effects_of_one_attempt_keep_their_order() -> None:
    definition = graph("a -> b")
    head = first_head(definition, b"d" * 16, b"s" * 16, b"null", CREATED)
    effects = tuple(Effect("receiver", "news", b"%d" % number) for number in range(2000))
    sequences: list[int] = []
    for _ in range(2):
        settling = Settling(head.frontier[0], Done("out", b"1"), "s", CREATED, effects=effects)
        head = settle(replace(head, owed=()), definition, settling).head
        sequences += [owed.sequence for owed in head.owed]
    assert sequences == sorted(set(sequences))
