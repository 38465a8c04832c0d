"""The simulated store: conditions, bounds, consistency, and answers that do not tell the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.errors import StoreUnusable, TooLarge
from engine.layout import RunKey, wake_shard
from engine.ports import HeadRecord, Item, ItemConflict, RevisionConflict
from engine.simulation.world.faults import Faults
from engine.simulation.world.line import Line
from engine.simulation.world.process import Process
from engine.simulation.world.stage import EPOCH, Stage
from engine.simulation.world.store import Bucket, SimulatedBlobs, SimulatedStore, Table
from engine.snapshot import Head, Status, encode_head
from tests.engine.simulation.chains import Saves
from tests.engine.simulation.clients import NoAnswer, ask

KEY = RunKey("default", "r")
PARTITION = KEY.partition


class World:
    def __init__(self, faults: Faults, seed: int) -> None:
        self.saves = Saves()
        self.stage = Stage(seed, faults, observers=[self.saves])
        self.table = Table(self.stage)
        self.process = Process(self.stage, "writer")
        self.store = SimulatedStore(self.table, Line(self.process, "table"))
        self.bucket = Bucket(self.stage)
        self.blobs = SimulatedBlobs(self.bucket, Line(self.process, "bucket"))

    def save(self, rev: int, expected: int | None, wake_at: int = 0) -> None:
        ask(self.process, self.store.put_head(record(rev, wake_at), expected))

    @property
    def rev(self) -> int | None:
        heads = self.table.heads
        return heads[KEY].rev if KEY in heads else None

    def put(self, *items: tuple[str, bytes]) -> None:
        put = self.store.put_items([Item(PARTITION, name, body) for name, body in items])
        ask(self.process, put)

    def due(self, now: int) -> list[RunKey]:
        return list(ask(self.process, self.store.due(wake_shard(KEY), now, 10)))


def record(rev: int, wake_at: int = 0) -> HeadRecord:
    head = Head(1, rev, 0, Status.ACTIVE, "test", b"", EPOCH, b"", b"null", wake_at=wake_at)
    return HeadRecord(KEY, rev, Status.ACTIVE, "test", EPOCH, wake_at, encode_head(head))


Open = Callable[..., World]


@pytest.fixture
def world() -> Iterator[Open]:
    opened: list[World] = []

    def open_world(seed: int = 1, **rates: float) -> World:
        opened.append(World(Faults(**rates), seed))  # type: ignore[arg-type]
        return opened[-1]

    yield open_world
    for each in opened:
        each.stage.close()


def test_a_save_needs_the_revision_that_it_read(world: Open) -> None:
    w = world()
    w.save(1, None)
    w.save(2, 1)
    for expected in (None, 1, 3):
        with pytest.raises(RevisionConflict) as conflict:
            w.save(9, expected)
        assert conflict.value.current == record(2).body
    assert w.rev == 2
    assert len(w.saves.statuses) == 2


def test_a_save_of_a_missing_head_conflicts_with_nothing(world: Open) -> None:
    w = world()
    with pytest.raises(RevisionConflict) as conflict:
        w.save(2, 1)
    assert conflict.value.current is None


def test_reads_see_every_write_before_them(world: Open) -> None:
    w = world()
    w.save(1, None)
    w.put(("out/a", b"1"), ("out/b", b"2"), ("in/c", b"3"))
    assert ask(w.process, w.store.head(KEY)) == record(1).body
    assert ask(w.process, w.store.items(PARTITION, ["out/b", "missing"])) == {"out/b": b"2"}
    ask(w.process, w.store.delete_items(PARTITION, ["out/a", "missing"]))
    assert ask(w.process, w.store.items(PARTITION, ["out/a"])) == {}


def test_a_scan_reads_page_by_page_in_order(world: Open) -> None:
    w = world()
    w.put(*((f"page/{number:02}", b"x") for number in range(11)), ("other", b"y"))

    async def names() -> list[str]:
        return [name async for name, _ in w.store.scan(PARTITION, "page/")]

    assert ask(w.process, names()) == [f"page/{number:02}" for number in range(11)]


def test_a_swap_writes_all_or_nothing(world: Open) -> None:
    w = world()
    marker = Item(PARTITION, "signal/1", b"new")
    beside = Item(PARTITION, "inbox/1", b"beside")
    with pytest.raises(ItemConflict):
        ask(w.process, w.store.swap_item(marker, b"old", [beside]))
    assert ask(w.process, w.store.items(PARTITION, ["signal/1", "inbox/1"])) == {}
    ask(w.process, w.store.swap_item(marker, None, [beside]))
    with pytest.raises(ItemConflict) as conflict:
        ask(w.process, w.store.swap_item(marker, None, []))
    assert conflict.value.current == b"new"


def test_a_swap_across_partitions_is_refused(world: Open) -> None:
    w = world()
    swap = w.store.swap_item(Item(PARTITION, "a", b""), None, [Item("other", "b", b"")])
    with pytest.raises(ValueError, match="one partition"):
        ask(w.process, swap)


def test_an_item_above_400_kilobytes_is_refused(world: Open) -> None:
    w = world()
    w.put(("large", b"x" * (399 << 10)))
    with pytest.raises(TooLarge, match="400 KB"):
        w.put(("small", b""), ("larger", b"x" * (400 << 10)))
    assert ask(w.process, w.store.items(PARTITION, ["small"])) == {}


def test_the_index_lags_a_little_behind(world: Open) -> None:
    w = world()
    w.save(1, None, wake_at=EPOCH + 1000)
    assert w.due(EPOCH + 2000) == []
    assert w.due(EPOCH + 2000) == []
    w.stage.later(100, int)
    w.stage.loop.run_dry(1e9)
    assert w.due(EPOCH + 2000) == [KEY]
    assert w.due(EPOCH + 500) == []


def test_a_stale_index_shows_what_was(world: Open) -> None:
    w = world(stale=1.0)
    w.save(1, None, wake_at=EPOCH + 1000)
    w.stage.later(200_000, int)
    w.stage.loop.run_dry(1e9)
    w.save(2, 1)
    assert w.due(EPOCH + 500_000) == [KEY]
    w.stage.later(200_000, int)
    w.stage.loop.run_dry(1e9)
    assert w.due(EPOCH + 500_000) == []


def test_blobs_are_kept(world: Open) -> None:
    w = world()
    ask(w.process, w.blobs.put("a", b"1"))
    assert ask(w.process, w.blobs.get("a")) == b"1"
    assert ask(w.process, w.blobs.get("b")) is None


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "saved"), [("throttled", False), ("lost", False), ("unanswered", True)]
)
def test_a_save_that_times_out_may_have_happened(world: Open, fault: str, saved: bool) -> None:
    w = world(**{fault: 1.0})
    with pytest.raises(StoreUnusable):
        w.save(1, None)
    assert (w.rev == 1) is saved


def test_a_save_whose_answer_was_lost_meets_its_own_success(world: Open) -> None:
    w = world(repeated=1.0)
    with pytest.raises(RevisionConflict) as conflict:
        w.save(1, None)
    assert conflict.value.current == record(1).body
    assert len(w.saves.statuses) == 1


def test_a_swap_whose_answer_was_lost_meets_its_own_success(world: Open) -> None:
    w = world(repeated=1.0)
    with pytest.raises(ItemConflict) as conflict:
        ask(w.process, w.store.swap_item(Item(PARTITION, "claim/1", b"mine"), None, []))
    assert conflict.value.current == b"mine"


def test_an_overdue_save_happens_when_its_writer_has_given_up_on_it(world: Open) -> None:
    w = world(overdue=1.0)
    with pytest.raises(StoreUnusable):
        w.save(1, None)
    assert w.rev == 1  # `ask` ran the world until nothing was left to happen
    assert any("overdue put_head is done now" in line for line in w.stage.trace.lines())


def test_a_lost_batch_may_have_been_written_in_part(world: Open) -> None:
    w = world(lost=1.0)
    with pytest.raises(StoreUnusable):
        w.put(("a", b"1"), ("b", b"2"))
    assert w.table.items(PARTITION, ["a", "b"]) == {"a": b"1"}


def test_a_process_may_hang_in_a_request(world: Open) -> None:
    w = world(hung=1.0)
    with pytest.raises(NoAnswer):
        w.save(1, None)
    assert w.rev is None


def test_a_frozen_process_does_its_request_when_it_thaws(world: Open) -> None:
    w = world(frozen=1.0)
    w.save(1, None)
    assert w.rev == 1
    assert w.stage.loop.time() > 60


def test_a_killed_process_asks_for_nothing_more(world: Open) -> None:
    w = world()

    async def work() -> None:
        w.stage.later(1, w.process.kill, "now")
        try:
            await w.store.put_head(record(1), None)
        finally:
            await w.store.put_head(record(1), None)

    with pytest.raises(NoAnswer):
        ask(w.process, work())
    w.stage.close()
    assert w.rev is None


def test_a_process_dies_before_or_after_the_effect(world: Open) -> None:
    seen = set()
    for point in range(1, 3):
        w = world()
        w.process._points_left = point
        with pytest.raises(NoAnswer):
            w.save(1, None)
        seen.add(w.rev)
    assert seen == {None, 1}
