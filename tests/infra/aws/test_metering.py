"""The meter, against sizes and units counted by hand from AWS's published rules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from engine.layout import run_key
from engine.ports import HeadRecord, ItemConflict, RevisionConflict
from engine.snapshot import Status
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.metering import MeteredClient
from infra.aws.sizes import item_size, read_units, write_units
from infra.aws.table import head_attributes
from tests.infra.aws.names import TABLE
from tests.infra.aws.stubs import Scripted
from tests.infra.records import PARTITION, collect, item

BEGIN = HeadRecord(
    run_key("Zk3v_Q9-x1A"), 1, Status.ACTIVE, "order", 1_764_000_123_456, 1_764_000_600_000, b""
)


@pytest.fixture
def meter(clients: ThreadedClients, store: DynamoStore) -> MeteredClient:
    return MeteredClient(clients.client("dynamodb"))


@pytest.fixture
def metered(meter: MeteredClient) -> DynamoStore:
    return DynamoStore(meter, TABLE)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "prüfen"}, 7),
        ({"B": b"\x00\xff"}, 2),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "12"}, 2),
        ({"N": "123"}, 3),
        ({"N": "1764000123456"}, 8),
        ({"N": "1764000600000"}, 6),
        ({"N": "1764000000000"}, 4),
    ],
)
def test_the_size_of_a_value_follows_the_published_rules(value: dict[str, Any], size: int) -> None:
    assert item_size({"a": value}) == 1 + size


def test_the_overhead_of_a_head_is_what_the_table_says() -> None:
    by_hand = {
        "p": 1 + len("default/run/Zk3v_Q9-x1A"),
        "s": 1 + len("head"),
        "b": 1,
        "r": 1 + 2,
        "t": 1 + len("active"),
        "w": 1 + len("order"),
        "c": 1 + 8,
        "l": 1 + len("default/0"),
        "h": 1 + 2,
        "d": 1 + 6,
    }
    attributes = head_attributes(BEGIN)
    attributes["h"] = {"N": "3"}
    assert {name: item_size({name: value}) for name, value in attributes.items()} == by_hand
    assert item_size(attributes) == sum(by_hand.values()) == 75


def test_units_are_rounded_up_and_at_least_one() -> None:
    assert [write_units(size) for size in (0, 1, 1024, 1025, 409_600)] == [1, 1, 1, 2, 400]
    assert [read_units(size, True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert [read_units(size, False) for size in (0, 4096, 4097)] == [0.5, 0.5, 1]


def test_a_step_that_changes_no_index_costs_one_unit(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.put_head(BEGIN, None))
    assert meter.take().written == {"": 1, "wake": 1, "runs": 1}
    runner.run(metered.put_head(replace(BEGIN, rev=2, body=bytes(900)), 1))
    usage = meter.take()
    assert (usage.write_units, usage.index_write_units) == (1, 0)
    assert (usage.requests, usage.bytes_written) == ({"put_item": 1}, 975)


@pytest.mark.parametrize(
    ("changes", "wake", "runs"),
    [
        ({"wake_at": 1_764_001_200_000}, 2, 0),
        ({"wake_at": 0}, 1, 0),
        ({"status": Status.COMPLETED}, 0, 1),
        ({"status": Status.COMPLETED, "wake_at": 0}, 1, 1),
    ],
)
def test_an_index_is_billed_when_what_it_holds_changes(
    runner: asyncio.Runner,
    meter: MeteredClient,
    metered: DynamoStore,
    changes: dict[str, Any],
    wake: int,
    runs: int,
) -> None:
    runner.run(metered.put_head(BEGIN, None))
    meter.take()
    runner.run(metered.put_head(replace(BEGIN, rev=2, **changes), 1))
    written = meter.take().written
    assert (written["wake"], written["runs"]) == (wake, runs)
    runner.run(metered.put_head(replace(BEGIN, rev=3), 2))
    back = meter.take().written
    assert (back["wake"], back["runs"]) == (wake, runs)


def test_replacing_or_deleting_is_billed_by_the_larger_item(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    for body, units in [(bytes(3000), 3), (b"", 3), (b"", 1), (bytes(2000), 2)]:
        runner.run(metered.put_items([item("a", body)]))
        assert meter.take().write_units == units
    runner.run(metered.delete_items(PARTITION, ["a"]))
    runner.run(metered.delete_items(PARTITION, ["a"]))
    assert meter.take().write_units == 2 + 1


def test_a_refused_save_is_billed_by_the_larger_item_and_changes_nothing(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.put_head(replace(BEGIN, body=bytes(2000)), None))
    meter.take()
    with pytest.raises(RevisionConflict):
        runner.run(metered.put_head(replace(BEGIN, rev=9, wake_at=0), 8))
    usage = meter.take()
    assert (usage.written, usage.read) == ({"": 3}, 0)
    runner.run(metered.put_head(replace(BEGIN, rev=2, body=bytes(2000)), 1))
    assert meter.take().index_write_units == 0


def test_batches_are_billed_item_by_item(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.put_items([item("a", bytes(1000)), item("b", bytes(1024)), item("c")]))
    assert meter.take().write_units == 1 + 2 + 1
    found = runner.run(metered.items(PARTITION, ["a", "b", "c", "absent"]))
    usage = meter.take()
    assert (len(found), usage.read, usage.requests["batch_get_item"]) == (3, 4, 1)
    runner.run(metered.delete_items(PARTITION, ["a", "b"]))
    assert meter.take().write_units == 1 + 2


def test_an_item_of_a_transaction_is_billed_twice(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.swap_item(item("a", bytes(1000)), None, []))
    assert meter.take().write_units == 1
    runner.run(metered.swap_item(item("a", b"2"), bytes(1000), [item("b", bytes(1024)), item("c")]))
    usage = meter.take()
    assert usage.requests == {"transact_write_items": 1}
    assert usage.written[""] == 2 * (1 + 2 + 1)
    runner.run(metered.swap_item(item("a", b"3"), b"2", [item("b")]))
    assert meter.take().written[""] == 2 * (1 + 2)


def test_a_refused_swap_is_billed_and_changes_nothing(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.put_items([item("a", bytes(2000))]))
    meter.take()
    with pytest.raises(ItemConflict):
        runner.run(metered.swap_item(item("a"), None, []))
    assert meter.take().written == {"": 2}
    with pytest.raises(ItemConflict):
        runner.run(metered.swap_item(item("a"), None, [item("b")]))
    usage = meter.take()
    assert (usage.written, usage.read, usage.bytes_written) == ({"": 2 * (2 + 1)}, 0, 0)
    runner.run(metered.put_items([item("b")]))
    assert meter.take().write_units == 1


def test_reads_are_billed_by_size_and_consistency(
    runner: asyncio.Runner, meter: MeteredClient, metered: DynamoStore
) -> None:
    runner.run(metered.put_head(replace(BEGIN, body=bytes(4090)), None))
    runner.run(metered.put_items([item(f"page/{number}", bytes(1000)) for number in range(5)]))
    meter.take()
    runner.run(metered.head(BEGIN.key))
    assert meter.take().read == 2
    runner.run(metered.head(run_key("absent")))
    assert meter.take().read == 1
    runner.run(collect(metered.scan(PARTITION, "page/")))
    assert meter.take().read == 2
    runner.run(metered.due(0, 0, 10))
    assert meter.take().read == 0.5
    runner.run(metered.runs("default", limit=10))
    usage = meter.take()
    assert (usage.read, usage.requests["query"]) == (2, 4)


def test_what_a_batch_left_undone_is_not_billed_yet(runner: asyncio.Runner) -> None:
    def keep_one(RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        return {"UnprocessedItems": {TABLE: RequestItems[TABLE][1:]}}

    meter = MeteredClient(Scripted(keep_one))
    requests = [
        {"PutRequest": {"Item": {"p": {"S": "p"}, "s": {"S": name}, "b": {"B": b""}}}}
        for name in "ab"
    ]
    runner.run(meter.call("batch_write_item", RequestItems={TABLE: requests}))
    assert meter.take().write_units == 1
