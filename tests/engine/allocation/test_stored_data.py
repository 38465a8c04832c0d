"""What an actor stores: fenced by its owner, whole or not at all, and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from engine.allocation.actor_moves import OWNER_ITEM, Owner, encode_owner
from engine.allocation.keyvalue import (
    CLEARED,
    KEY_BYTES,
    STATE_BYTES,
    VALUE_BYTES,
    WRITE_BYTES,
    KeyValue,
    NotOwner,
    TooMuch,
    clear,
)
from engine.allocation.parties import actor
from engine.ports import MAX_ALSO, Item
from tests.engine.allocation.test_directory import Slow
from tests.engine.allocation.yard import Yard

KEY = actor("a1").key("default")
ME = Owner(2, "n1")


@pytest.fixture
def values(yard: Yard) -> KeyValue:
    own(yard, ME)
    return KeyValue(yard.journal)


def own(yard: Yard, owner: Owner) -> None:
    yard.do(yard.journal.put([Item(KEY.partition, OWNER_ITEM, encode_owner(owner))]))


def test_what_was_saved_is_found(yard: Yard, values: KeyValue) -> None:
    yard.do(values.save(KEY, ME, b"[1]", {"a": b"1", "b": b"2"}, []))
    assert yard.do(values.load(KEY, ME)) == (b"[1]", None)
    assert yard.do(values.fetch(KEY, ME, ["b", "c", "a"])) == {"b": b"2", "a": b"1"}


def test_state_keys_and_deletions_change_together(yard: Yard, values: KeyValue) -> None:
    yard.do(values.save(KEY, ME, b"1", {"a": b"1"}, []))
    yard.do(values.save(KEY, ME, b"2", {"b": b"2"}, ["a"]))
    assert yard.items(KEY.partition, "kv/") == {"kv/b": b"2"}


def test_what_is_put_is_not_deleted_and_nothing_is_deleted_twice(
    yard: Yard, values: KeyValue
) -> None:
    yard.do(values.save(KEY, ME, None, {"a": b"1"}, ["a", "b", "b"]))
    assert yard.items(KEY.partition, "kv/") == {"kv/a": b"1"}


@pytest.mark.parametrize("other", [Owner(1, "n1"), Owner(3, "n1"), Owner(2, "n2")])
def test_another_generation_or_runner_reads_and_writes_nothing(
    yard: Yard, values: KeyValue, other: Owner
) -> None:
    yard.do(values.save(KEY, ME, b"1", {}, []))
    for refused in (
        values.load(KEY, other),
        values.fetch(KEY, other, ["a"]),
        values.list(KEY, other, "", "", 9, 9),
        values.save(KEY, other, b"2", {"a": b"1"}, []),
    ):
        with pytest.raises(NotOwner, match="is generation 2 now, on another runner"):
            yard.do(refused)
    assert yard.do(values.load(KEY, ME)) == (b"1", None)
    assert yard.items(KEY.partition, "kv/") == {}


def test_an_actor_that_has_left_its_runner_is_written_by_nobody(
    yard: Yard, values: KeyValue
) -> None:
    yard.do(yard.journal.remove(KEY.partition, [OWNER_ITEM]))
    with pytest.raises(NotOwner, match="actor 'a1' is on no runner any more"):
        yard.do(values.save(KEY, ME, b"2", {}, []))


def test_a_runner_that_was_given_up_cannot_overwrite_what_its_successor_has_saved(
    yard: Yard, values: KeyValue
) -> None:
    successor = Owner(3, "n2")
    own(yard, successor)
    yard.do(values.save(KEY, successor, b"new", {}, []))
    with pytest.raises(NotOwner):
        yard.do(values.save(KEY, ME, b"old", {}, []))
    assert yard.do(values.load(KEY, successor)) == (b"new", None)


@pytest.mark.parametrize("late", [1, 2])
def test_a_write_that_comes_again_or_after_a_later_one_changes_nothing(
    yard: Yard, values: KeyValue, late: int
) -> None:
    yard.do(values.save(KEY, ME, b"first", {}, [], 1))
    yard.do(values.save(KEY, ME, b"second", {}, [], 2))
    yard.do(values.save(KEY, ME, b"late", {"a": b"1"}, [], late))
    assert yard.do(values.load(KEY, ME)) == (b"second", None)
    assert yard.items(KEY.partition, "kv/") == {}


def test_a_write_that_seemed_to_have_failed_is_done_once(yard: Yard, values: KeyValue) -> None:
    class Doubting(Slow):
        async def swap(self, *arguments: Any, **options: Any) -> None:
            await super().swap(*arguments, **options)
            await super().swap(*arguments, **options)  # repeated by the client library

    yard.do(KeyValue(Doubting(yard)).save(KEY, ME, b"1", {}, [], 1))
    assert yard.do(values.load(KEY, ME)) == (b"1", None)


# -- pages ----------------------------------------------------------------------------------------


def test_keys_are_listed_by_prefix_in_order_and_in_pages(yard: Yard, values: KeyValue) -> None:
    yard.do(values.save(KEY, ME, None, {f"m/{n}": b"%d" % n for n in range(7)} | {"z": b"0"}, []))
    pages, after, more = [], "", True
    while more:
        found, more = yard.do(values.list(KEY, ME, "m/", after, 3, 10_000))
        pages.append(list(found))
        after = pages[-1][-1]
    assert pages == [["m/0", "m/1", "m/2"], ["m/3", "m/4", "m/5"], ["m/6"]]


def test_a_page_holds_no_more_than_a_frame_takes_and_one_entry_at_least(
    yard: Yard, values: KeyValue
) -> None:
    yard.do(values.save(KEY, ME, None, dict.fromkeys("abc", b"x" * 100), []))
    assert list(yard.do(values.list(KEY, ME, "", "", 99, 250))[0]) == ["a", "b"]
    assert yard.do(values.list(KEY, ME, "", "", 99, 1)) == ({"a": b"x" * 100}, True)


# -- bounds ---------------------------------------------------------------------------------------

FULL = b"x" * VALUE_BYTES


@pytest.mark.parametrize(
    ("state", "puts", "deletes", "message"),
    [
        (b"x" * (STATE_BYTES + 1), {}, [], "the state has 98,305 bytes of JSON; at most 98,304"),
        (None, {"k": FULL + b"x"}, [], "the value of 'k' has 65,537 bytes of JSON; at most 65,536"),
        (None, {"": b"1"}, [], "a key has 1 to 512 bytes: ''"),
        (None, {}, ["k" * (KEY_BYTES + 1)], "a key has 1 to 512 bytes"),
        (None, {"ä" * 257: b"1"}, [], "a key has 1 to 512 bytes"),
        (None, {"a": FULL, "b": FULL}, [], "at most 102,400 bytes can be written at once"),
        (b"x" * STATE_BYTES, {"a": b"x" * 9_000}, [], "at most 102,400 bytes"),
        (None, {}, [str(n) for n in range(MAX_ALSO)], "at most 19 keys can be written at once"),
    ],
)
def test_what_is_too_much_is_refused_and_nothing_is_written(
    yard: Yard,
    values: KeyValue,
    state: bytes | None,
    puts: dict[str, bytes],
    deletes: list[str],
    message: str,
) -> None:
    with pytest.raises(TooMuch, match=message):
        yard.do(values.save(KEY, ME, state, puts, deletes))
    assert set(yard.items(KEY.partition)) == {OWNER_ITEM}


def test_as_much_as_may_be_is_stored(yard: Yard, values: KeyValue) -> None:
    yard.do(values.save(KEY, ME, b"x" * STATE_BYTES, {"k" * KEY_BYTES: b"x" * 4_096}, []))
    yard.do(values.save(KEY, ME, None, {str(n): b"1" for n in range(MAX_ALSO - 1)}, []))
    assert STATE_BYTES + 4_096 == WRITE_BYTES


# -- the end --------------------------------------------------------------------------------------


def test_all_that_an_actor_has_stored_is_cleared_away_and_once_more_is_harmless(
    yard: Yard, values: KeyValue
) -> None:
    many = [Item(KEY.partition, f"kv/{n:04}", b"1") for n in range(2 * CLEARED + 7)]
    input = Item(KEY.partition, "input", b"1")
    yard.do(yard.journal.put([*many, input, Item(KEY.partition, "state", b"1")]))
    for _ in range(2):
        yard.do(clear(yard.journal, KEY))
        assert set(yard.items(KEY.partition)) == {OWNER_ITEM}
