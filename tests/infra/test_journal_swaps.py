"""What a commit's swaps and a swap's drops promise, tried on every backend."""

from __future__ import annotations

import asyncio

import pytest

from engine.ports import (
    MAX_ALSO,
    MAX_SWAPS,
    Commit,
    Item,
    ItemConflict,
    Journal,
    RevisionConflict,
    Source,
    Swap,
)
from tests.infra.records import HEAD, PARTITION, bodies, collect, create, item, message, step

ELSEWHERE = "default/pool/p"


def swap(name: str, body: bytes | None, expected: bytes | None) -> Swap:
    return Swap(PARTITION, name, body, expected)


def stored(
    runner: asyncio.Runner, journal: Journal, partition: str = PARTITION
) -> dict[str, bytes]:
    return dict(runner.run(collect(journal.scan(partition, ""))))


# -- a commit's swaps ----------------------------------------------------------------------------


def test_a_commit_writes_replaces_and_deletes_with_its_head(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("old", b"1"), item("gone", b"2"), Item(ELSEWHERE, "far", b"3")]))
    swaps = [
        swap("new", b"new", None),
        swap("empty", b"", None),
        swap("old", b"newer", b"1"),
        swap("gone", None, b"2"),
        Swap(ELSEWHERE, "far", b"4", b"3"),
    ]
    runner.run(journal.commit(step(0, expected=None, swaps=swaps, items=[item("page", b"p")])))
    assert runner.run(journal.head(HEAD.key)) == b"rev 1"
    assert stored(runner, journal) == {
        "empty": b"",
        "new": b"new",
        "old": b"newer",
        "page": b"p",
    }
    assert stored(runner, journal, ELSEWHERE) == {"far": b"4"}


def test_a_swap_that_changes_nothing_makes_sure_of_what_is_stored(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("lease", b"mine")]))
    sure = [swap("lease", b"mine", b"mine"), swap("absent", None, None)]
    runner.run(journal.commit(step(0, expected=None, swaps=sure)))
    assert stored(runner, journal) == {"lease": b"mine"}
    runner.run(journal.put([item("lease", b"theirs")]))
    with pytest.raises(ItemConflict) as conflict:
        runner.run(journal.commit(step(1, swaps=sure)))
    assert conflict.value.current == b"theirs"
    runner.run(journal.put([item("lease", b"mine"), item("absent", b"here")]))
    with pytest.raises(ItemConflict) as conflict:
        runner.run(journal.commit(step(1, swaps=sure)))
    assert conflict.value.current == b"here"
    assert runner.run(journal.head(HEAD.key)) == b"rev 1"


@pytest.mark.parametrize(
    "wrong",
    [
        swap("there", b"new", None),
        swap("there", b"new", b"other"),
        swap("there", None, b"other"),
        swap("there", b"other", b"other"),
        swap("there", None, None),
        swap("absent", b"new", b"other"),
        swap("absent", None, b"other"),
        swap("absent", b"other", b""),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_swap_that_expects_something_else_stops_the_whole_commit_and_names_what_stands(
    runner: asyncio.Runner, journal: Journal, source: Source, wrong: Swap, place: int
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.put([item("there", b"standing"), item("kept", b"1")]))
    runner.run(journal.send([message("delivered")]))
    (delivery,) = runner.run(source.receive(10, 5))
    swaps = [swap("new", b"new", None), swap("kept", None, b"1")]
    swaps.insert(place, wrong)
    commit = step(1, swaps=swaps, sends=[message("never sent")], acknowledgement=delivery)
    with pytest.raises(ItemConflict) as conflict:
        runner.run(journal.commit(commit))
    assert conflict.value.current == (b"standing" if wrong.name == "there" else None)
    assert runner.run(journal.head(HEAD.key)) == b"first"
    assert stored(runner, journal) == {"there": b"standing", "kept": b"1"}
    runner.run(source.release(delivery, 0))
    assert bodies(runner.run(source.receive(10, 5))) == [delivery.body]
    assert runner.run(source.receive(10, 0)) == []


@pytest.mark.parametrize("expected", [None, 2])
def test_where_head_and_item_conflict_the_heads_conflict_is_told(
    runner: asyncio.Runner, journal: Journal, expected: int | None
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.put([item("there", b"standing")]))
    swaps = [swap("new", b"new", None), swap("there", b"mine", None)]
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(step(2, expected=expected, swaps=swaps)))
    assert conflict.value.current == b"first"
    with pytest.raises(RevisionConflict):
        runner.run(journal.commit(step(2, expected=expected, swaps=swaps[:1])))
    assert stored(runner, journal) == {"there": b"standing"}


def test_replacing_a_head_that_does_not_exist_writes_no_swap(
    runner: asyncio.Runner, journal: Journal
) -> None:
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(step(1, swaps=[swap("new", b"new", None)])))
    assert conflict.value.current is None
    assert stored(runner, journal) == {}


def test_a_commit_takes_ninety_swaps(runner: asyncio.Runner, journal: Journal) -> None:
    names = [f"slot/{number:02d}" for number in range(MAX_SWAPS)]
    runner.run(journal.commit(create("r")))
    runner.run(journal.commit(step(1, swaps=[swap(name, b"1", None) for name in names])))
    assert list(stored(runner, journal)) == names
    runner.run(journal.commit(step(2, swaps=[swap(name, None, b"1") for name in names])))
    assert stored(runner, journal) == {}


def test_a_commit_with_swaps_sends_acknowledges_and_drops(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.put([item("dropped")]))
    runner.run(journal.send([message("a")]))
    (delivery,) = runner.run(source.receive(10, 5))
    ended = step(
        1,
        swaps=[swap("new", b"new", None)],
        sends=[message("b")],
        drops=["dropped"],
        acknowledgement=delivery,
    )
    runner.run(journal.commit(ended))
    assert bodies(runner.run(source.receive(10, 5))) == [message("b").body]
    assert stored(runner, journal) == {"new": b"new"}


def test_of_commits_that_want_the_same_item_for_different_heads_exactly_one_wins(
    runner: asyncio.Runner, journal: Journal
) -> None:
    async def race(racers: int) -> list[BaseException | None]:
        heads = [create(f"run-{number}", body=b"%d" % number).head for number in range(racers)]
        commits = [Commit(head, None, swaps=[swap("slot", head.body, None)]) for head in heads]
        return await asyncio.gather(*map(journal.commit, commits), return_exceptions=True)

    results = runner.run(race(16))
    (winner,) = (number for number, result in enumerate(results) if result is None)
    losses = [result for result in results if result is not None]
    assert all(isinstance(loss, ItemConflict) for loss in losses)
    told = {loss.current for loss in losses if isinstance(loss, ItemConflict)}
    assert told == {b"%d" % winner}
    assert stored(runner, journal) == {"slot": b"%d" % winner}
    (row,) = runner.run(journal.runs("default", limit=20))
    assert row.key.run == f"run-{winner}"


# -- a swap's drops ------------------------------------------------------------------------------


def test_a_swap_deletes_others_of_its_partition_with_it(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("inbox/1"), item("inbox/2"), Item(ELSEWHERE, "inbox/1", b"far")]))
    drops = ["inbox/1", "never/was"]
    runner.run(journal.swap(item("marker", b"1"), None, drops=drops))
    assert stored(runner, journal) == {"inbox/2": b"value", "marker": b"1"}
    runner.run(journal.swap(item("marker", b"2"), b"1", [item("inbox/3", b"3")], ["inbox/2"]))
    assert stored(runner, journal) == {"inbox/3": b"3", "marker": b"2"}
    assert stored(runner, journal, ELSEWHERE) == {"inbox/1": b"far"}


def test_a_swap_that_conflicts_deletes_nothing(runner: asyncio.Runner, journal: Journal) -> None:
    runner.run(journal.put([item("inbox/1"), item("marker", b"theirs")]))
    with pytest.raises(ItemConflict) as conflict:
        runner.run(journal.swap(item("marker", b"mine"), None, [item("new")], ["inbox/1"]))
    assert conflict.value.current == b"theirs"
    assert stored(runner, journal) == {"inbox/1": b"value", "marker": b"theirs"}


def test_a_swap_takes_twenty_others_written_and_deleted_together(
    runner: asyncio.Runner, journal: Journal
) -> None:
    half = MAX_ALSO // 2
    old, new = ([item(f"{age}/{n:02d}") for n in range(half)] for age in ("old", "new"))
    runner.run(journal.put(old))
    runner.run(journal.swap(item("marker"), None, new, [each.name for each in old]))
    assert list(stored(runner, journal)) == ["marker", *(each.name for each in new)]


def test_what_is_put_once_is_written_once_and_its_messages_are_sent_each_time(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    for body in (b"first", b"second"):
        runner.run(journal.put_once(item("seen", body), [item("with it", body)], [message("look")]))
    found = runner.run(journal.items(PARTITION, ["seen", "with it"]))
    assert dict(found) == {"seen": b"first", "with it": b"first"}
    received = [each for _ in range(2) for each in runner.run(source.receive(10, 5))]
    assert [delivery.body for delivery in received[:2]] == [message("look").body] * 2
