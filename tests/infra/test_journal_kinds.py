"""Service runs beside workflow runs, and items that expire, on every backend."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from msgspec.structs import replace

from engine.layout import WAKE_SHARDS, RunKey, run_key, wake_shard
from engine.ports import Commit, Item, ItemConflict, Journal, RevisionConflict, Swap
from engine.snapshot import Status
from tests.clock import ManualClock
from tests.infra.records import HEAD, PARTITION, collect, create, item, step

NOW = ManualClock().now()
SAME_NAME = [
    RunKey("default", "r"),
    RunKey("default", "r", "actor"),
    RunKey("default", "r", "pool"),
    RunKey("acme", "r"),
    RunKey("acme", "r", "actor"),
]


def begin(key: RunKey, **changes: object) -> Commit:
    return Commit(replace(HEAD, key=key, **changes), None)


# -- kinds ---------------------------------------------------------------------------------------


def test_runs_of_different_kinds_with_one_name_have_nothing_in_common(
    runner: asyncio.Runner, journal: Journal
) -> None:
    for number, key in enumerate(SAME_NAME):
        assert runner.run(journal.head(key)) is None
        runner.run(journal.commit(begin(key, body=b"%d" % number)))
        runner.run(journal.put([Item(key.partition, "state", b"%d" % number)]))
    for number, key in enumerate(SAME_NAME):
        body = b"%d" % number
        assert runner.run(journal.head(key)) == body
        assert runner.run(collect(journal.scan(key.partition, ""))) == [("state", body)]
    key = SAME_NAME[1]
    runner.run(journal.commit(Commit(replace(HEAD, key=key, rev=2, body=b"next"), 1)))
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(journal.commit(Commit(replace(HEAD, key=key, rev=2), 1)))
    assert conflict.value.current == b"next"
    assert [runner.run(journal.head(each)) for each in SAME_NAME] == [
        b"0",
        b"next",
        b"2",
        b"3",
        b"4",
    ]


def test_a_listing_shows_one_kind_of_one_tenant(runner: asyncio.Runner, journal: Journal) -> None:
    for key in SAME_NAME:
        runner.run(journal.commit(begin(key)))
    for key in SAME_NAME:
        rows = runner.run(journal.runs(key.tenant, limit=10, kind=key.kind))
        assert [row.key for row in rows] == [key]
        active = journal.runs(key.tenant, limit=10, status=Status.ACTIVE, kind=key.kind)
        assert [row.key for row in runner.run(active)] == [key]
    assert [row.key for row in runner.run(journal.runs("default", limit=10))] == SAME_NAME[:1]
    assert list(runner.run(journal.runs("acme", limit=10, kind="pool"))) == []
    assert list(runner.run(journal.runs("default/actor", limit=10, kind="pool"))) == []


def test_service_runs_that_are_due_come_back_with_their_kind(
    runner: asyncio.Runner, journal: Journal
) -> None:
    for number, key in enumerate(SAME_NAME):
        runner.run(journal.commit(begin(key, wake_at=100 + number)))
    found = [key for shard in range(WAKE_SHARDS) for key in runner.run(journal.due(shard, 999, 10))]
    assert sorted(found) == sorted(SAME_NAME)
    for key in SAME_NAME:
        assert key in runner.run(journal.due(wake_shard(key), 999, 10))


def test_a_service_run_moves_its_wake_time_and_its_status_as_any_run(
    runner: asyncio.Runner, journal: Journal
) -> None:
    key = SAME_NAME[1]
    runner.run(journal.commit(begin(key, wake_at=100)))
    ended = replace(HEAD, key=key, rev=2, status=Status.COMPLETED, wake_at=0)
    runner.run(journal.commit(Commit(ended, 1)))
    assert list(runner.run(journal.due(wake_shard(key), 999, 10))) == []
    completed = journal.runs("default", limit=9, status=Status.COMPLETED, kind="actor")
    assert [row.key for row in runner.run(completed)] == [key]


def test_the_partition_of_a_workflows_run_is_what_it_always_was() -> None:
    assert run_key("r").partition == "default/run/r"
    assert run_key("r").listing == "default"
    assert RunKey("acme", "r", "pool").partition == "acme/pool/r"
    assert RunKey("acme", "r", "pool").listing == "acme/pool"


# -- expiry --------------------------------------------------------------------------------------


def test_what_has_expired_is_read_until_it_is_deleted(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([replace(item("old", b"1"), expires_at=1)]))
    assert dict(runner.run(journal.items(PARTITION, ["old"]))) == {"old": b"1"}
    assert runner.run(collect(journal.scan(PARTITION, ""))) == [("old", b"1")]
    with pytest.raises(ItemConflict):
        runner.run(journal.swap(item("old"), None))


def test_nothing_is_deleted_before_its_time(runner: asyncio.Runner, journal: Journal) -> None:
    runner.run(journal.put([item("never"), replace(item("later"), expires_at=NOW + 1)]))
    runner.run(journal.commit(create("r")))
    assert runner.run(journal.expire(10)) == 0
    assert [name for name, _ in runner.run(collect(journal.scan(PARTITION, "")))] == [
        "later",
        "never",
    ]
    assert runner.run(journal.head(HEAD.key)) == b"first"


def test_a_store_that_expires_by_itself_has_nothing_to_do(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([replace(item(f"old/{n}"), expires_at=NOW) for n in range(3)]))
    deleted = runner.run(journal.expire(10))
    left = runner.run(collect(journal.scan(PARTITION, "")))
    assert (deleted, len(left)) in [(3, 0), (0, 3)]


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
def test_up_to_so_many_items_whose_time_has_passed_are_deleted(
    runner: asyncio.Runner, journal: Journal
) -> None:
    old = [replace(item(f"old/{n}"), expires_at=NOW - n) for n in range(5)]
    runner.run(journal.put([*old, item("never"), Item("other/run/r", "old", b"", NOW)]))
    assert runner.run(journal.expire(4)) == 4
    assert runner.run(journal.expire(4)) == 2
    assert runner.run(journal.expire(4)) == 0
    assert runner.run(collect(journal.scan(PARTITION, ""))) == [("never", b"value")]


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
def test_every_way_of_writing_an_item_sets_and_takes_back_its_time(
    runner: asyncio.Runner, journal: Journal
) -> None:
    def write(name: str, expires_at: int, expected: bytes | None) -> None:
        body = b"%d" % expires_at
        one = Item(PARTITION, f"{name}/swap", body, expires_at)
        beside = Item(PARTITION, f"{name}/also", body, expires_at)
        runner.run(journal.put([Item(PARTITION, f"{name}/put", body, expires_at)]))
        runner.run(journal.swap(one, expected, [beside]))
        swaps = [Swap(PARTITION, f"{name}/commit", body, expected, expires_at)]
        rev = next(revs)
        runner.run(journal.commit(step(rev, expected=rev or None, swaps=swaps)))

    revs = count()
    write("expires", 0, None)
    write("expires", 1, b"0")
    write("stays", 1, None)
    write("stays", 0, b"1")
    assert runner.run(journal.expire(10)) == 4
    left = [name for name, _ in runner.run(collect(journal.scan(PARTITION, "")))]
    assert left == ["stays/also", "stays/commit", "stays/put", "stays/swap"]


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
def test_a_swap_that_changes_nothing_leaves_the_time_as_it_is(
    runner: asyncio.Runner, journal: Journal
) -> None:
    runner.run(journal.put([item("lease", b"mine")]))
    sure = [Swap(PARTITION, "lease", b"mine", b"mine", 1)]
    runner.run(journal.commit(step(0, expected=None, swaps=sure)))
    assert runner.run(journal.expire(10)) == 0
