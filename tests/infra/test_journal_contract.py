"""What every journal promises, tried on every backend in `tests.infra.backends`."""

from __future__ import annotations

import asyncio

import pytest

from engine.layout import WAKE_SHARDS, run_key, wake_shard
from engine.ports import Item, ItemConflict, Journal, RevisionConflict, Source
from engine.snapshot import Status
from tests.infra.records import HEAD, PARTITION, bodies, collect, create, item, message, step


def test_a_created_head_is_read_back(runner: asyncio.Runner, journal: Journal) -> None:
    assert runner.run(journal.head(HEAD.key)) is None
    runner.run(journal.commit(create("r", body=b"first")))
    assert runner.run(journal.head(HEAD.key)) == b"first"
    assert runner.run(journal.head(run_key("r", tenant="other"))) is None


def test_creating_a_head_that_exists_conflicts_and_names_the_winner(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.commit(create("r", body=b"winner")))
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(create("r", body=b"loser")))
    assert conflict.value.current == b"winner"
    assert runner.run(journal.head(HEAD.key)) == b"winner"


def test_replacing_a_head_that_does_not_exist_conflicts_with_nothing(
    runner: asyncio.Runner, journal: Journal
) -> None:
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(step(1)))
    assert conflict.value.current is None
    assert runner.run(journal.head(HEAD.key)) is None


def test_each_commit_replaces_the_revision_before_it(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.commit(create("r")))
    for rev in range(1, 6):
        runner.run(journal.commit(step(rev)))
        assert runner.run(journal.head(HEAD.key)) == f"rev {rev + 1}".encode()


def test_a_conflicting_commit_leaves_head_queue_and_delivery_untouched(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.commit(step(1, sends=[message("delivered")])))
    (delivery,) = runner.run(source.receive(10, 5))
    late = step(1, sends=[message("never sent")], acknowledgement=delivery)
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(late))
    assert conflict.value.current == b"rev 2"
    assert runner.run(journal.head(HEAD.key)) == b"rev 2"
    assert runner.run(source.receive(10, 0)) == []
    runner.run(source.release(delivery, 0))
    (again,) = runner.run(source.receive(10, 5))
    assert (again.body, again.receives) == (delivery.body, 2)


def test_items_of_a_commit_are_readable_with_its_head(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.commit(step(1, items=[item("out/1", b"one"), item("out/2", b"two")])))
    found = runner.run(journal.items(PARTITION, ["out/1", "out/2", "out/3"]))
    assert dict(found) == {"out/1": b"one", "out/2": b"two"}


def test_items_can_be_written_before_any_head_and_again(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("input", b"x")]))
    runner.run(journal.put([item("input", b"x")]))
    runner.run(journal.put([]))
    assert dict(runner.run(journal.items(PARTITION, ["input"]))) == {"input": b"x"}
    assert dict(runner.run(journal.items("other/run/r", ["input"]))) == {}


def test_dropped_items_are_gone_and_others_stay(runner: asyncio.Runner, journal: Journal) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.put([item("out/1"), item("out/2"), item("out/3")]))
    runner.run(journal.commit(step(1, drops=["out/1", "out/3", "never/was"])))
    assert list(runner.run(journal.items(PARTITION, ["out/1", "out/2", "out/3"]))) == ["out/2"]


def test_a_swap_writes_where_what_was_expected_is_stored(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.swap(item("claim/1", b"first"), None))
    assert dict(runner.run(journal.items(PARTITION, ["claim/1"]))) == {"claim/1": b"first"}
    runner.run(journal.swap(item("claim/1", b"second"), b"first"))
    assert dict(runner.run(journal.items(PARTITION, ["claim/1"]))) == {"claim/1": b"second"}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(None, b"expected"), (None, b""), (b"stored", None), (b"", None), (b"stored", b"expected")],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_swap_that_expects_something_else_names_the_winner_and_writes_nothing(
    runner: asyncio.Runner,
    journal: Journal,
    stored: bytes | None,
    expected: bytes | None,
    count: int,
) -> None:
    if stored is not None:
        runner.run(journal.put([item("signal/a", stored)]))
    also = [item(f"inbox/{number}") for number in range(count)]
    with pytest.raises(ItemConflict) as conflict:
        runner.run(journal.swap(item("signal/a", b"mine"), expected, also))
    assert conflict.value.current == stored
    left = [] if stored is None else [("signal/a", stored)]
    assert runner.run(collect(journal.scan(PARTITION, ""))) == left


def test_a_swap_writes_other_items_with_its_own_and_over_theirs(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("inbox/00", b"old")]))
    also = [item(f"inbox/{number:02d}", b"%d" % number) for number in range(20)]
    runner.run(journal.swap(item("signal/a", b"answer"), None, also))
    assert runner.run(collect(journal.scan(PARTITION, ""))) == [
        *((each.name, each.body) for each in also),
        ("signal/a", b"answer"),
    ]
    runner.run(journal.swap(item("signal/a", b"other"), b"answer", also[:2]))
    assert dict(runner.run(journal.items(PARTITION, ["signal/a"]))) == {"signal/a": b"other"}


def test_a_swap_looks_at_its_own_partition_and_leaves_the_head_alone(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.put([Item("default/run/other", "claim/1", b"theirs")]))
    runner.run(journal.swap(item("claim/1", b"ours"), None))
    runner.run(journal.commit(step(1)))
    assert dict(runner.run(journal.items("default/run/other", ["claim/1"]))) == {
        "claim/1": b"theirs"
    }


@pytest.mark.parametrize("count", [0, 2])
def test_of_concurrent_swaps_of_one_item_exactly_one_wins_each_round(
    runner: asyncio.Runner, journal: Journal, count: int
) -> None:
    async def race(expected: bytes | None) -> bytes:
        """The body of the winner, of which every loser was told."""

        def also(racer: int) -> list[Item]:
            return [item(f"inbox/{expected!r}/{racer}/{number}") for number in range(count)]

        bodies = [b"%r of %d" % (expected, racer) for racer in range(16)]
        results = await asyncio.gather(
            *(
                journal.swap(item("claim/1", body), expected, also(racer))
                for racer, body in enumerate(bodies)
            ),
            return_exceptions=True,
        )
        (winner,) = (racer for racer, result in enumerate(results) if result is None)
        losses = [result for result in results if result is not None]
        assert all(isinstance(loss, ItemConflict) for loss in losses)
        told = {loss.current for loss in losses if isinstance(loss, ItemConflict)}
        assert told == {bodies[winner]}
        written = await collect(journal.scan(PARTITION, f"inbox/{expected!r}/"))
        assert [name for name, _ in written] == [each.name for each in also(winner)]
        return bodies[winner]

    stored = None
    for _ in range(3):
        stored = runner.run(race(stored))
    assert dict(runner.run(journal.items(PARTITION, ["claim/1"]))) == {"claim/1": stored}


def test_removed_items_are_gone_and_missing_ones_harmless(
    runner: asyncio.Runner, journal: Journal
) -> None:
    names = [f"inbox/{number}" for number in range(30)]
    runner.run(journal.put([item(name) for name in [*names, "inbox/kept"]]))
    runner.run(journal.remove(PARTITION, names[:1]))
    assert list(runner.run(journal.items(PARTITION, names[:2]))) == names[1:2]
    runner.run(journal.remove(PARTITION, ["never/was", *names]))
    assert [name for name, _ in runner.run(collect(journal.scan(PARTITION, "")))] == ["inbox/kept"]
    runner.run(journal.remove(PARTITION, names[:1]))
    runner.run(journal.remove(PARTITION, []))
    runner.run(journal.remove("default/run/other", ["inbox/kept"]))
    assert list(runner.run(journal.items(PARTITION, ["inbox/kept"]))) == ["inbox/kept"]
    runner.run(journal.swap(item("inbox/0", b"again"), None))


def test_scanning_lists_a_prefix_in_the_order_of_names(
    runner: asyncio.Runner, journal: Journal
) -> None:
    names = [f"page/{number:010d}" for number in range(1, 150)]
    others = ["page", "page0", "out/1", "page.x"]
    runner.run(journal.put([item(name, name.encode()) for name in [*reversed(names), *others]]))
    found = runner.run(collect(journal.scan(PARTITION, "page/")))
    assert found == [(name, name.encode()) for name in names]
    everything = runner.run(collect(journal.scan(PARTITION, "")))
    assert [name for name, _ in everything] == sorted([*names, *others])
    assert runner.run(collect(journal.scan("other/run/r", ""))) == []


def test_due_lists_a_shard_earliest_first_up_to_now(
    runner: asyncio.Runner, journal: Journal
) -> None:
    keys = [run_key(f"run-{number}") for number in range(40)]
    for number, key in enumerate(keys):
        wake_at = 0 if number % 4 == 0 else 10_000 - 100 * number
        runner.run(journal.commit(create(key.run, wake_at=wake_at)))
    for shard in range(WAKE_SHARDS):
        expected = [
            key
            for number, key in reversed(list(enumerate(keys)))
            if number % 4 and wake_shard(key) == shard and 10_000 - 100 * number <= 9_000
        ]
        assert list(runner.run(journal.due(shard, 9_000, 100))) == expected
        assert list(runner.run(journal.due(shard, 9_000, 2))) == expected[:2]
        assert list(runner.run(journal.due(shard, 5_000, 100))) == []


def test_due_follows_the_newest_wake_time(runner: asyncio.Runner, journal: Journal) -> None:
    shard = wake_shard(HEAD.key)
    runner.run(journal.commit(create("r", wake_at=500)))
    assert list(runner.run(journal.due(shard, 500, 10))) == [HEAD.key]
    runner.run(journal.commit(create("other")))
    later = create("r", rev=2, wake_at=900).head
    runner.run(journal.commit(step(1, head=later)))
    assert list(runner.run(journal.due(shard, 899, 10))) == []
    assert list(runner.run(journal.due(shard, 900, 10))) == [HEAD.key]
    runner.run(journal.commit(step(2)))
    assert list(runner.run(journal.due(shard, 10_000, 10))) == []


def test_runs_are_listed_newest_first_by_tenant_and_status(
    runner: asyncio.Runner, journal: Journal
) -> None:
    for number, created_at in enumerate([300, 100, 400, 200]):
        status = Status.FAILED if number % 2 else Status.ACTIVE
        runner.run(journal.commit(create(f"run-{number}", created_at=created_at, status=status)))
    rows = runner.run(journal.runs("default", limit=10))
    assert [row.key.run for row in rows] == ["run-2", "run-0", "run-3", "run-1"]
    assert (rows[0].status, rows[0].workflow, rows[0].created_at) == (Status.ACTIVE, "flow", 400)
    assert [row.key.run for row in runner.run(journal.runs("default", limit=2))] == [
        "run-2",
        "run-0",
    ]
    failed = runner.run(journal.runs("default", limit=10, status=Status.FAILED))
    assert [row.key.run for row in failed] == ["run-3", "run-1"]
    assert list(runner.run(journal.runs("other", limit=10))) == []


def test_a_listing_shows_the_status_of_the_newest_revision(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.commit(create("r")))
    ended = create("r", rev=2, status=Status.COMPLETED).head
    runner.run(journal.commit(step(1, head=ended)))
    assert list(runner.run(journal.runs("default", limit=9, status=Status.ACTIVE))) == []
    (row,) = runner.run(journal.runs("default", limit=9, status=Status.COMPLETED))
    assert row.key == HEAD.key


def test_of_concurrent_commits_of_one_head_exactly_one_wins_each_round(
    runner: asyncio.Runner, journal: Journal
) -> None:
    async def race(rev: int) -> None:
        results = await asyncio.gather(
            *(journal.commit(step(rev, items=[item(f"{rev}/{racer}")])) for racer in range(32)),
            return_exceptions=True,
        )
        assert results.count(None) == 1
        losses = [result for result in results if result is not None]
        assert all(isinstance(loss, RevisionConflict) for loss in losses)
        assert {loss.current for loss in losses if isinstance(loss, RevisionConflict)} == {
            f"rev {rev + 1}".encode()
        }

    runner.run(journal.commit(create("r")))
    for rev in range(1, 6):
        runner.run(race(rev))
        assert runner.run(journal.head(HEAD.key)) == f"rev {rev + 1}".encode()


def test_commits_of_different_heads_at_once_all_win(
    runner: asyncio.Runner, journal: Journal
) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(journal.commit(create(f"run-{number}")) for number in range(64)))

    runner.run(all_at_once())
    assert len(runner.run(journal.runs("default", limit=100))) == 64


def test_what_a_commit_sends_is_delivered_and_stays_until_acknowledged(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    sent = message("a")
    runner.run(journal.commit(create("r")))
    runner.run(journal.commit(step(1, sends=[sent])))
    (delivery,) = runner.run(source.receive(10, 5))
    assert (delivery.body, delivery.receives) == (sent.body, 1)
    runner.run(source.release(delivery, 0))
    (again,) = runner.run(source.receive(10, 5))
    assert (again.body, again.receives) == (sent.body, 2)


def test_a_commit_sends_successors_and_acknowledges_its_delivery(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    runner.run(journal.commit(create("r")))
    runner.run(journal.send([message("a")]))
    (delivery,) = runner.run(source.receive(10, 5))
    successors = [message("b"), message("c")]
    runner.run(journal.commit(step(1, sends=successors, acknowledgement=delivery)))
    received = list(runner.run(source.receive(10, 5)))
    received += runner.run(source.receive(10, 0))
    assert sorted(bodies(received)) == [send.body for send in successors]
    runner.run(source.release(delivery, 0))  # too late: it is acknowledged
    assert runner.run(source.receive(10, 0)) == []


def test_sending_acknowledges_without_touching_any_head(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    runner.run(journal.send([message("a")]))
    (delivery,) = runner.run(source.receive(10, 5))
    runner.run(journal.send([message("b")], acknowledgement=delivery))
    (successor,) = runner.run(source.receive(10, 5))
    assert successor.body == message("b").body
    runner.run(journal.send([], acknowledgement=successor))
    runner.run(journal.send([]))
    runner.run(source.release(successor, 0))
    assert runner.run(source.receive(10, 0)) == []


def test_the_backlog_is_what_waits_and_neither_what_is_delayed_nor_what_is_taken(
    runner: asyncio.Runner, journal: Journal, source: Source
) -> None:
    assert runner.run(journal.backlog()) == 0
    runner.run(journal.send([message(sid) for sid in "abcde"]))
    runner.run(journal.send([message("later", delay_s=600)]))
    assert runner.run(journal.backlog()) == 5
    first, second = runner.run(source.receive(2, 5))
    assert runner.run(journal.backlog()) == 3
    runner.run(journal.send([], acknowledgement=first))
    assert runner.run(journal.backlog()) == 3
    runner.run(source.release(second, 0))
    assert runner.run(journal.backlog()) == 4
    for delivery in runner.run(source.receive(10, 5)):
        runner.run(journal.send([], acknowledgement=delivery))
    assert runner.run(journal.backlog()) == 0
