"""What a wait takes from the inbox, and when it ends: pure."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import Corrupt, NewerFormat
from engine.inbox import Signal, chosen, decode_signal, encode_signal, for_wait, outcome_of
from engine.outcomes import Expired, Signalled
from engine.snapshot import Head, State, Token, Wait
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph

WAIT = Wait(0, 1, "go", 2)
TOKEN = Token(0, 1, 2, State.WAITING, "sid", 0)


def waiting(*waits: Wait) -> Head:
    head = first_head(graph("a -> b"), b"d" * 16, b"s" * 16, b"null", CREATED)
    return replace(head, frontier=(TOKEN,), waits=waits)


def named(id: str, name: str = "go", sender: str = "", sequence: int = 0) -> tuple[str, Signal]:
    signal = Signal(1, id, 0, id.encode(), name, sender=sender, sequence=sequence)
    return f"inbox/{id}", signal


def answer(node: int, visit: int, ordinal: int) -> Signal:
    return Signal(1, "x", 0, b"1", node=node, visit=visit, ordinal=ordinal)


def test_a_signal_by_name_is_for_any_wait_of_that_name() -> None:
    assert for_wait(named("a")[1], WAIT)
    assert not for_wait(named("a", "stop")[1], WAIT)


@pytest.mark.parametrize(
    ("address", "ours"),
    [((0, 1, 2), True), ((1, 1, 2), False), ((0, 2, 2), False), ((0, 1, 1), False)],
)
def test_an_answer_is_for_its_own_wait_whatever_that_is_called(
    address: tuple[int, int, int], ours: bool
) -> None:
    assert for_wait(answer(*address), WAIT) is ours
    assert for_wait(replace(answer(*address), name="go"), WAIT) is ours


def test_the_oldest_is_taken_first() -> None:
    signals = [named("a", "stop"), named("b"), named("c")]
    assert chosen(signals, WAIT) == signals[1]
    assert chosen(signals[:1], WAIT) is None


def test_of_one_sender_the_lowest_sequence_is_taken_first_and_others_keep_their_place() -> None:
    signals = [named("a", sender="s", sequence=9), named("b"), named("c", sender="s", sequence=2)]
    assert chosen(signals, WAIT) == signals[2]
    assert chosen(signals[:2], WAIT) == signals[0]
    assert chosen(signals[1:], WAIT) == signals[1]


@given(st.permutations([("s", n) for n in range(4)] + [("t", n) for n in range(4)]))
def test_whatever_the_order_of_arrival_each_senders_signals_are_taken_in_its_own(
    arrivals: list[tuple[str, int]],
) -> None:
    signals = [
        named(f"{place}", sender=sender, sequence=sequence)
        for place, (sender, sequence) in enumerate(arrivals)
    ]
    taken = []
    while (each := chosen(signals, WAIT)) is not None:
        signals.remove(each)
        taken.append((each[1].sender, each[1].sequence))
    assert [n for s, n in taken if s == "s"] == [n for s, n in taken if s == "t"] == [0, 1, 2, 3]


def test_a_signal_beats_the_time_out() -> None:
    head = waiting(WAIT)
    late = replace(TOKEN, due=CREATED)
    assert outcome_of(head, late, [named("a")], CREATED + 1) == Signalled(b"a", "inbox/a")
    assert outcome_of(head, late, [], CREATED) == Expired()
    assert outcome_of(head, late, [], CREATED - 1) is None
    assert outcome_of(head, TOKEN, [], CREATED + 10**12) is None


def test_a_wait_that_the_head_does_not_know_is_an_error() -> None:
    with pytest.raises(Corrupt, match="does not say what for"):
        outcome_of(waiting(), TOKEN, [], CREATED)


def test_a_signal_is_read_as_it_was_written() -> None:
    signal = named("a", sender="s", sequence=3)[1]
    assert decode_signal(encode_signal(signal)) == signal


@pytest.mark.parametrize("body", [b"", b"\xc1", encode_signal(answer(0, 1, 1))[:-2]])
def test_a_damaged_signal_is_an_error(body: bytes) -> None:
    with pytest.raises(Corrupt, match="a stored signal cannot be decoded"):
        decode_signal(body)


def test_a_signal_of_a_newer_version_is_left_alone() -> None:
    with pytest.raises(NewerFormat, match="signal format 2"):
        decode_signal(msgspec.msgpack.encode([2, {"all": "new"}]))
