"""The index of a pool: who is given a slot, and which items change."""

from __future__ import annotations

import pytest

from engine.allocation.board import (
    Board,
    Entry,
    candidates,
    decode_entry,
    hand_out,
    leave,
    release,
    slots,
    take,
    wait,
)
from engine.ports import Swap
from tests.engine.allocation.scenes import NOW, a_board, an_entry, waiting

ELIGIBLE_MS = 10_000


def best(board: Board) -> list[str]:
    return candidates(board, NOW, ELIGIBLE_MS)


def bodies(swaps: list[Swap] | tuple[Swap, ...]) -> dict[str, bytes | None]:
    return {swap.name: swap.body for swap in swaps}


def entry_of(swaps: list[Swap] | tuple[Swap, ...], runner: str) -> Entry:
    body = bodies(swaps)[f"index/runner/{runner}"]
    assert body is not None
    return decode_entry(body)


# -- who may take an actor ------------------------------------------------------------------------


def test_the_emptiest_runner_comes_first_by_its_share_of_free_slots() -> None:
    board = a_board({"n1": an_entry(10, 5), "n2": an_entry(2, 0), "n3": an_entry(4, 1)})
    assert best(board) == ["n2", "n3", "n1"]


def test_of_equally_empty_ones_the_one_that_was_heard_of_longest_ago_then_by_name() -> None:
    entries = {"n3": an_entry(), "n2": an_entry(), "n1": an_entry()}
    board = a_board(entries, pings={"n1": NOW, "n2": NOW, "n3": NOW - 5})
    assert best(board) == ["n3", "n1", "n2"]


def test_only_the_newest_version_that_is_there_is_given_actors() -> None:
    old, new = an_entry(9, 0, version=1), an_entry(2, 1, version=2)
    assert best(a_board({"n1": old, "n2": new})) == ["n2"]


def test_a_full_newest_version_is_not_passed_by() -> None:
    old, new = an_entry(9, 0, version=1), an_entry(1, 1, version=2)
    assert best(a_board({"n1": old, "n2": new})) == []


def test_a_closed_newest_version_does_not_count() -> None:
    old, new = an_entry(version=1), an_entry(version=2, is_open=False)
    assert best(a_board({"n1": old, "n2": new})) == ["n1"]


@pytest.mark.parametrize(("ago", "found"), [(10_000, ["n1"]), (10_001, [])])
def test_a_runner_that_has_been_silent_is_given_nothing(ago: int, found: list[str]) -> None:
    assert best(a_board({"n1": an_entry()}, pings={"n1": NOW - ago})) == found


def test_a_runner_that_was_never_heard_of_is_given_nothing() -> None:
    assert best(a_board({"n1": an_entry()}, pings={})) == []


def test_slots_are_those_that_are_taken_and_those_that_are_waited_for() -> None:
    board = a_board(
        {"n1": an_entry(3, 2), "n2": an_entry(3, 1, is_open=False)}, pending=[waiting()]
    )
    assert slots(board) == 4


# -- what changes ---------------------------------------------------------------------------------


def test_taking_a_slot_changes_the_entry_and_makes_a_seat() -> None:
    swaps = take(a_board({"n1": an_entry(2, 1)}), "n1", "a1", 3)
    assert entry_of(swaps, "n1") == Entry(2, 2, 0, True, 8)
    assert list(bodies(swaps)) == ["index/runner/n1", "seat/n1/a1"]
    assert all(swap.expected != swap.body for swap in swaps)


def test_those_who_wait_are_sorted_by_since_when() -> None:
    names = [wait(a_board(), waiting("a1", since=since)).name for since in (9, 10, NOW, 10 * NOW)]
    assert names == sorted(names)


def test_leaving_the_queue_deletes_what_waiting_made() -> None:
    made, gone = wait(a_board(), waiting()), leave(a_board(), waiting())
    assert (made.name, made.body, made.expected) == (gone.name, gone.expected, gone.body)


def test_a_slot_that_is_freed_is_handed_to_whoever_waits_longest() -> None:
    board = a_board({"n1": an_entry(1, 1)}, pending=[waiting("a8", 5), waiting("a9")])
    released = release(board, "n1", "a1", 2, NOW, ELIGIBLE_MS)
    assert released.next == waiting("a8", 5)
    assert entry_of(released.swaps, "n1") == Entry(1, 1, 0, True, 8)
    names = bodies(released.swaps)
    assert names["seat/n1/a1"] is None
    assert names["seat/n1/a8"] is not None
    assert names[f"pending/{NOW - 5000:015d}.a8"] is None


@pytest.mark.parametrize(
    "board",
    [
        a_board({"n1": an_entry(1, 1)}),
        a_board({"n1": an_entry(1, 1, is_open=False)}, pending=[waiting()]),
        a_board({"n1": an_entry(1, 1)}, pending=[waiting()], pings={"n1": NOW - 10_001}),
        a_board({"n1": an_entry(1, 1), "n2": an_entry(1, 1, version=2)}, pending=[waiting()]),
    ],
    ids=["nobody waits", "closed", "silent", "outdated"],
)
def test_a_slot_that_can_be_nobodys_is_only_freed(board: Board) -> None:
    released = release(board, "n1", "a1", 2, NOW, ELIGIBLE_MS)
    assert released.next is None
    assert entry_of(released.swaps, "n1").taken == 0


def test_slots_are_handed_out_in_order_and_no_more_than_asked_for() -> None:
    queue = [waiting(f"a{number}", since=NOW - 10 + number) for number in range(5)]
    board = a_board({"n1": an_entry(9, 5)}, pending=queue)
    handed = hand_out(board, "n1", NOW, ELIGIBLE_MS, 3)
    assert [heir.actor for heir in handed.heirs] == ["a0", "a1", "a2"]
    assert handed.entry == entry_of(handed.swaps, "n1") == Entry(9, 8, 0, True, 8)
    assert len(hand_out(board, "n1", NOW, ELIGIBLE_MS, 99).heirs) == 4
