"""Signals on their way: stored once, taken in order, and never lost for want of a message."""

from __future__ import annotations

import pytest

from engine.allocation import signals
from engine.allocation.inbox import READ, Taken, take
from engine.allocation.mailing import REMEMBERED_MS
from engine.allocation.parties import actor, pool
from engine.allocation.signals import Envelope
from engine.errors import NewerFormat
from engine.layout import RunKey, inbox_item
from engine.ports import Item
from tests.engine.allocation.yard import Yard

A1 = actor("a1").key("default")
POOL = pool("p").key("default")


def taken(yard: Yard, key: RunKey = A1) -> Taken:
    found = yard.do(take(yard.journal, key))
    assert found is not None
    return found


def put(yard: Yard, at: int, id: str, sender: str, sequence: int, signal: signals.Signal) -> None:
    body = signals.encode(Envelope(signals.FORMAT, id, at, sender, sequence, signal))
    yard.do(yard.journal.put([Item(A1.partition, inbox_item(at, id), body)]))


# -- sending --------------------------------------------------------------------------------------


def test_a_signal_is_stored_and_somebody_is_sent_to_look(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "wake:1")
    assert taken(yard).envelope.signal == signals.Wake()
    assert yard.waiting() == [("a1", 0)]


def test_the_same_id_stores_nothing_again_and_sends_the_message_again(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "wake:1")
    yard.signal(A1, signals.Sleep(), "wake:1")
    assert len(yard.items(A1.partition, "inbox/")) == 1
    assert taken(yard).envelope.signal == signals.Wake()
    assert len(yard.waiting()) == 2


def test_an_id_is_remembered_when_its_signal_has_been_taken(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "wake:1")
    (name,) = yard.items(A1.partition, "inbox/")
    yard.do(yard.journal.remove(A1.partition, [name]))
    yard.signal(A1, signals.Wake(), "wake:1")
    assert yard.items(A1.partition, "inbox/") == {}


def test_an_id_is_forgotten_in_the_end(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "wake:1")
    yard.clock.advance(REMEMBERED_MS / 1000 - 1)
    assert yard.do(yard.journal.expire(10)) == 0
    yard.clock.advance(1)
    assert yard.do(yard.journal.expire(10)) == 1


def test_the_same_id_for_two_receivers_is_two_signals(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "x")
    yard.signal(actor("a2").key("default"), signals.Wake(), "x")
    yard.signal(actor("a1").key("acme"), signals.Wake(), "x")
    assert len(yard.items("default/actor/a2", "inbox/")) == 1
    assert len(yard.items("acme/actor/a1", "inbox/")) == 1


# -- taking ---------------------------------------------------------------------------------------


def test_an_empty_inbox_holds_nothing(yard: Yard) -> None:
    assert yard.do(take(yard.journal, A1)) is None


def test_the_oldest_goes_first(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "w")
    yard.signal(A1, signals.Sleep(), "s")
    yard.signal(A1, signals.Destroy(), "d")
    first = taken(yard)
    assert (first.envelope.signal, first.left) == (signals.Wake(), True)


def test_those_of_one_sender_go_in_the_order_in_which_they_were_sent(yard: Yard) -> None:
    put(yard, 1, "n:2", "runner:n1", 2, signals.Lost("n1", 1))
    put(yard, 2, "wake", "", 0, signals.Wake())
    put(yard, 3, "n:1", "runner:n1", 1, signals.GoingAway("n1", 1))
    assert taken(yard).envelope.signal == signals.GoingAway("n1", 1)


def test_senders_do_not_overtake_each_other(yard: Yard) -> None:
    put(yard, 1, "n:9", "runner:n1", 9, signals.GoingAway("n1", 1))
    put(yard, 2, "m:1", "runner:n2", 1, signals.GoingAway("n2", 1))
    assert taken(yard).envelope.sequence == 9


def test_one_look_answers_all_bumps_and_leaves_the_rest(yard: Yard) -> None:
    for number in range(5):
        yard.signal(POOL, signals.Bump(), f"b{number}", f"actor:a{number}", 1)
    yard.signal(POOL, signals.RequestEnded("q1"), "ended")
    found = taken(yard, POOL)
    assert found.envelope.signal == signals.Bump()
    assert (len(found.swaps), found.left) == (5, True)


def test_no_more_is_read_than_one_step_can_take(yard: Yard) -> None:
    for number in range(READ + 5):
        yard.signal(POOL, signals.Bump(), f"b{number:02}", f"actor:a{number}", 1)
    assert len(taken(yard, POOL).swaps) == READ == 40


def test_what_cannot_be_read_is_thrown_away_and_hides_nothing(yard: Yard) -> None:
    broken = Item(A1.partition, inbox_item(1, "broken"), b"\xc1")
    yard.do(yard.journal.put([broken]))
    yard.signal(A1, signals.Wake(), "wake")
    assert taken(yard).envelope.signal == signals.Wake()
    assert len(yard.items(A1.partition, "inbox/")) == 1


def test_what_a_newer_version_has_sent_is_left_to_it(yard: Yard) -> None:
    newer = Item(A1.partition, inbox_item(1, "newer"), b"\x92\x02\xc0")
    yard.do(yard.journal.put([newer]))
    with pytest.raises(NewerFormat):
        yard.do(take(yard.journal, A1))
    assert len(yard.items(A1.partition, "inbox/")) == 1


def test_a_signal_leaves_by_a_swap_of_exactly_what_was_read(yard: Yard) -> None:
    yard.signal(A1, signals.Wake(), "wake")
    (swap,) = taken(yard).swaps
    assert swap.body is None
    assert yard.items(A1.partition, "inbox/") == {swap.name: swap.expected}
