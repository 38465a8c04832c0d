"""The simulated store: transactions, service runs, expiry, and what observers are told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from engine.errors import TooLarge
from engine.layout import RunKey
from engine.ports import HeadRecord, Item, ItemConflict, RevisionConflict, Swap
from engine.simulation.observing import Observer
from engine.simulation.world.faults import Faults
from engine.simulation.world.line import Line
from engine.simulation.world.process import Process
from engine.simulation.world.stage import EPOCH, Stage
from engine.simulation.world.store import SimulatedStore, Table
from engine.snapshot import Head, Status, encode_head
from tests.engine.simulation.clients import ask

RUN = RunKey("default", "r")
POOL = RunKey("default", "r", "pool")


class Told(Observer):
    """All that is told, and what the table holds at that moment."""

    def __init__(self) -> None:
        self.facts: list[tuple[object, ...]] = []
        self.look: Callable[[], dict[str, bytes]] = dict
        self.seen: list[dict[str, bytes]] = []

    def _tell(self, *fact: object) -> None:
        self.facts.append(fact)
        self.seen.append(self.look())

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        self._tell("head", key, after.rev)

    def service_saved(self, key: RunKey, before: bytes | None, after: bytes, at: int) -> None:
        self._tell("service", key, before, after)

    def item_written(self, item: Item, at: int) -> None:
        self._tell("written", item.name, item.body)

    def item_deleted(self, partition: str, name: str, at: int) -> None:
        self._tell("deleted", name)


class World:
    def __init__(self, **rates: float) -> None:
        self.told = Told()
        self.stage = Stage(1, Faults(**rates), observers=[self.told])  # type: ignore[arg-type]
        self.table = Table(self.stage)
        self.process = Process(self.stage, "writer")
        self.store = SimulatedStore(self.table, Line(self.process, "table"))

    def save(self, record: HeadRecord, expected: int | None, *swaps: Swap) -> None:
        ask(self.process, self.store.put_head(record, expected, swaps))

    def put(self, *items: Item) -> None:
        ask(self.process, self.store.put_items(items))

    def listed(self, kind: str) -> Sequence[RunKey]:
        self.stage.later(1000, int)
        self.stage.loop.run_dry(1e9)
        rows = ask(self.process, self.store.runs("default", limit=9, kind=kind))
        return [row.key for row in rows]


@pytest.fixture
def w() -> Iterator[World]:
    world = World()
    yield world
    world.stage.close()


def run_head(rev: int) -> HeadRecord:
    head = Head(1, rev, 0, Status.ACTIVE, "test", b"", EPOCH, b"", b"null")
    return HeadRecord(RUN, rev, Status.ACTIVE, "test", EPOCH, 0, encode_head(head))


def pool_head(rev: int) -> HeadRecord:
    return HeadRecord(POOL, rev, Status.ACTIVE, "pool", EPOCH, 0, b"opaque %d" % rev)


def item(name: str, body: bytes = b"1", expires_at: int = 0) -> Item:
    return Item(POOL.partition, name, body, expires_at)


def swap(name: str, body: bytes | None, expected: bytes | None) -> Swap:
    return Swap(POOL.partition, name, body, expected)


# -- service runs --------------------------------------------------------------------------------


def test_a_service_runs_head_is_opaque_and_told_and_held_apart(w: World) -> None:
    w.save(run_head(1), None)
    w.save(pool_head(1), None)
    w.save(pool_head(2), 1)
    assert list(w.table.heads) == [RUN]
    assert w.table.services == {POOL: b"opaque 2"}
    assert w.told.facts == [
        ("head", RUN, 1),
        ("service", POOL, None, b"opaque 1"),
        ("service", POOL, b"opaque 1", b"opaque 2"),
    ]
    assert ask(w.process, w.store.head(POOL)) == b"opaque 2"


def test_kinds_are_listed_apart(w: World) -> None:
    w.save(run_head(1), None)
    w.save(pool_head(1), None)
    assert w.listed("run") == [RUN]
    assert w.listed("pool") == [POOL]
    assert w.listed("actor") == []


# -- swaps ---------------------------------------------------------------------------------------


def test_a_transaction_is_whole_before_any_of_it_is_told(w: World) -> None:
    names = ["new", "old", "gone", "sure"]
    w.told.look = lambda: w.table.items(POOL.partition, names)
    w.put(item("old"), item("gone"), item("sure"))
    del w.told.facts[:], w.told.seen[:]
    swaps = [swap("new", b"2", None), swap("old", b"2", b"1"), swap("gone", None, b"1")]
    w.save(pool_head(1), None, *swaps, swap("sure", b"1", b"1"), swap("absent", None, None))
    assert w.told.facts == [
        ("written", "new", b"2"),
        ("written", "old", b"2"),
        ("deleted", "gone"),
        ("service", POOL, None, b"opaque 1"),
    ]
    assert w.told.seen == [{"new": b"2", "old": b"2", "sure": b"1"}] * 4


def test_a_conflict_of_either_kind_changes_and_tells_nothing(w: World) -> None:
    w.put(item("there", b"standing"))
    del w.told.facts[:]
    swaps = [swap("new", b"1", None), swap("there", b"mine", None)]
    with pytest.raises(ItemConflict) as item_conflict:
        w.save(pool_head(1), None, *swaps)
    assert item_conflict.value.current == b"standing"
    with pytest.raises(RevisionConflict) as head_conflict:
        w.save(pool_head(2), 1, *swaps)
    assert head_conflict.value.current is None
    assert w.told.facts == []
    assert w.table.items(POOL.partition, ["new", "there"]) == {"there": b"standing"}
    assert w.table.services == {}


def test_a_swap_deletes_others_with_it(w: World) -> None:
    w.put(item("a"), item("b"))
    del w.told.facts[:]
    ask(w.process, w.store.swap_item(item("marker"), None, [item("c")], ["a", "never"]))
    assert w.told.facts == [("written", "marker", b"1"), ("written", "c", b"1"), ("deleted", "a")]
    with pytest.raises(ItemConflict):
        ask(w.process, w.store.swap_item(item("marker"), None, [], ["b"]))
    assert set(w.table.items(POOL.partition, "abc")) == {"b", "c"}


def test_a_transaction_has_the_bounds_of_the_service(w: World) -> None:
    many = [swap(f"{number}", b"1", None) for number in range(91)]
    with pytest.raises(ValueError, match="90 swaps"):
        w.save(pool_head(1), None, *many)
    with pytest.raises(ValueError, match="an item twice"):
        w.save(pool_head(1), None, many[0], many[0])
    large = [swap(f"{number}", bytes(399 << 10), None) for number in range(11)]
    with pytest.raises(TooLarge, match="4 MB"):
        w.save(pool_head(1), None, *large)
    with pytest.raises(TooLarge, match="400 KB"):
        w.save(pool_head(1), None, swap("large", bytes(400 << 10), None))
    w.save(pool_head(1), None, *many[:90])
    names = [f"{number}" for number in range(11)]
    with pytest.raises(ValueError, match="takes 20 items"):
        ask(w.process, w.store.swap_item(item("m"), None, [item(n) for n in names[1:]], names))
    with pytest.raises(ValueError, match="an item twice"):
        ask(w.process, w.store.swap_item(item("m"), None, [item("a")], ["a"]))


def test_a_commit_that_is_repeated_meets_its_own_success() -> None:
    w = World(repeated=1.0)
    with pytest.raises(RevisionConflict) as conflict:
        w.save(pool_head(1), None, swap("new", b"1", None))
    assert conflict.value.current == b"opaque 1"
    assert w.table.items(POOL.partition, ["new"]) == {"new": b"1"}
    w.stage.close()


# -- expiry --------------------------------------------------------------------------------------


def test_the_table_deletes_by_itself_what_has_expired_by_the_true_time(w: World) -> None:
    w.put(item("never"), item("old", expires_at=EPOCH), item("later", expires_at=EPOCH + 60_000))
    assert ask(w.process, w.store.expire(9)) == 0
    assert ("deleted", "old") in w.told.facts
    assert set(w.table.items(POOL.partition, ["never", "old", "later"])) == {"never", "later"}


def test_no_more_is_deleted_at_a_time_than_was_asked_for(w: World) -> None:
    w.put(*(item(f"old/{number}", expires_at=1) for number in range(5)))
    ask(w.process, w.store.expire(3))
    assert len(w.table.items(POOL.partition, [f"old/{number}" for number in range(5)])) == 2
