"""What a step has asked for is done, and may be done twice."""

from __future__ import annotations

from engine.allocation import frames, signals
from engine.allocation.effects import Effects
from engine.allocation.head import Debt
from engine.allocation.mailing import Mailer
from engine.allocation.parties import actor, pool
from engine.allocation.rules import Clear, Evict, HangUp, Post, Request, Tell
from engine.layout import RunKey
from tests.engine.allocation.scenes import SERVERLESS
from tests.engine.allocation.yard import Yard, pool_key


def pay(yard: Yard, key: RunKey, *effects: Tell | Post | Evict | HangUp | Request | Clear) -> None:
    mailer = Mailer(yard.journal, yard.clock, yard.entropy)
    allocation = yard.platform().allocation
    assert allocation is not None
    debts = [Debt(f"9.{place}", place, effect) for place, effect in enumerate(effects)]
    yard.do(Effects(yard.journal, mailer, allocation).pay(key, yard.head(key), debts))


def test_who_posts_into_a_closed_connection_tells_the_runner(yard: Yard) -> None:
    runner = yard.connect().key
    yard.work()
    yard.wires.closed.add("c1")
    mailer = Mailer(yard.journal, yard.clock, yard.entropy)
    yard.do(mailer.signal(runner, signals.Start("a1", 1, "counter", (), 0, 0), "start"))
    yard.work()
    assert yard.phase(runner) == "Away"


def test_an_evicted_connection_is_told_why_and_closed(yard: Yard) -> None:
    runner = yard.connect().key
    yard.work()
    pay(yard, runner, Evict("c1", "because"), Evict("c1", "because"))
    assert yard.wires.to("c1", frames.Evicted) == [frames.Evicted("because")]
    assert yard.wires.closed == {"c1"}


def test_a_request_is_begun_only_while_the_pool_wants_it(yard: Yard) -> None:
    yard.do(yard.directory.configure("default", SERVERLESS))
    yard.create("main")
    pay(yard, pool_key(), Request("q-unwanted"))
    yard.work()
    (held,) = yard.head(pool_key()).state.requests  # type: ignore[union-attr]
    assert yard.holders.begun == [held.id]


def test_a_destroyed_actor_has_nothing_stored(yard: Yard) -> None:
    key = yard.create("main", input=7)
    assert "input" in yard.items(key.partition)
    yard.signal(key, signals.Destroy())
    yard.work()
    assert "input" not in yard.items(key.partition)


def test_a_signal_is_known_by_who_sent_it_in_which_step(yard: Yard) -> None:
    key = yard.create("main")
    for _ in range(2):
        pay(yard, key, Tell(pool("default"), signals.Bump()), Tell(actor("a2"), signals.Wake()))
    assert f"signal/actor:{key.run}:9.0" in yard.items(pool_key().partition, "signal/")
    assert len(yard.items(actor("a2").key("default").partition, "inbox/")) == 1
