"""Our count of the units of writing agrees with what a stand-in says that it bills.

Where writing costs another unit shows how large a stand-in thinks that an item is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from engine.layout import run_key
from engine.ports import HeadRecord, Swap
from engine.snapshot import Status
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.sizes import WRITE_UNIT_BYTES
from infra.aws.table import item_key
from tests.infra.aws.names import TABLE
from tests.infra.records import PARTITION, item
from tests.stack.contract.billed import Billed, Compared
from tests.stack.contract.filled import filled

BEGIN = HeadRecord(
    run_key("r"), 1, Status.ACTIVE, "order", 1_764_000_123_456, 1_764_000_654_321, b"body"
)


@pytest.fixture
def compared(clients: ThreadedClients, store: DynamoStore) -> Compared:
    """`store` for its table."""
    return Compared(clients.client("dynamodb"))


def test_replacing_or_deleting_is_billed_by_the_larger_item(
    runner: asyncio.Runner, compared: Compared
) -> None:
    for body, units in [(bytes(3000), 3), (b"1", 3), (b"2", 1), (bytes(2000), 2)]:
        runner.run(compared.store.put_items([item("a", body)]))
        assert compared.units() == {"": units}
    for units in (2, 1):  # the second time it is gone
        runner.run(compared.store.delete_items(PARTITION, ["a"]))
        assert compared.units() == {"": units}


def test_a_conditional_write_costs_what_a_plain_one_does(
    runner: asyncio.Runner, compared: Compared
) -> None:
    runner.run(compared.store.swap_item(item("a", bytes(1500)), None))
    runner.run(compared.store.swap_item(item("a", b"1"), bytes(1500)))
    runner.run(compared.store.swap_item(item("a", b"2"), b"1"))
    assert compared.units() == {"": 2 + 2 + 1}


def test_batches_are_billed_item_by_item(runner: asyncio.Runner, compared: Compared) -> None:
    items = [item("a", bytes(900)), item("b", bytes(1024)), item("c", bytes(5000))]
    runner.run(compared.store.put_items(items))
    assert compared.units() == {"": 1 + 2 + 5}
    runner.run(compared.store.delete_items(PARTITION, ["a", "b", "c"]))
    assert compared.units() == {"": 1 + 2 + 5}


def test_deleting_what_is_not_there_costs_a_unit_in_a_batch_too(
    runner: asyncio.Runner, compared: Compared
) -> None:
    runner.run(compared.store.delete_items(PARTITION, ["never", "was"]))
    assert compared.units() == {"": 1 + 1}


@pytest.mark.parametrize(
    ("changes", "indexes"),
    [
        ({"body": b"other"}, {}),
        ({"wake_at": 1_764_001_234_567}, {"wake": 2}),
        ({"wake_at": 0}, {"wake": 1}),
        ({"status": Status.COMPLETED}, {"runs": 1}),
        ({"status": Status.COMPLETED, "wake_at": 0}, {"runs": 1, "wake": 1}),
    ],
)
def test_an_index_is_billed_when_what_it_holds_changes(
    runner: asyncio.Runner, compared: Compared, changes: dict[str, Any], indexes: dict[str, int]
) -> None:
    runner.run(compared.store.put_head(BEGIN, None))
    assert compared.units() == {"": 1, "wake": 1, "runs": 1}
    runner.run(compared.store.put_head(replace(BEGIN, rev=2, **changes), 1))
    assert compared.units() == {"": 1, **indexes}
    runner.run(compared.store.put_head(replace(BEGIN, rev=3), 2))
    assert compared.units() == {"": 1, **indexes}


def test_a_transaction_is_billed_twice_and_its_index_entries_once(
    runner: asyncio.Runner, compared: Compared
) -> None:
    gone, sure = bytes(1024), bytes(3000)
    runner.run(compared.store.put_items([item("gone", gone), item("sure", sure)]))
    assert compared.units() == {"": 2 + 3}
    swaps = [
        Swap(PARTITION, "new", b"new", None),
        Swap(PARTITION, "gone", None, gone),
        Swap(PARTITION, "sure", sure, sure),
        Swap(PARTITION, "absent", None, None),
    ]
    runner.run(compared.store.put_head(BEGIN, None, swaps))
    assert compared.units() == {"": 2 * (1 + 1 + 2 + 3 + 1), "wake": 1, "runs": 1}
    later = replace(BEGIN, rev=2, wake_at=1_764_001_234_567)
    runner.run(compared.store.put_head(later, 1, [Swap(PARTITION, "new", bytes(2000), b"new")]))
    assert compared.units() == {"": 2 * (1 + 2), "wake": 2}


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "7",
        "12",
        "100",
        "101",
        "1230",
        "12345",
        "1764000123",
        "1764000600",
        "1764000123456",
        "1764000123400",
        "1764000123450",
        "1764000600000",
        "1764000000000",
    ],
)
def test_a_number_is_as_large_as_we_count(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore, number: str
) -> None:
    billed = Billed(clients.client("dynamodb"))
    attributes = {**item_key(PARTITION, "n"), "r": {"N": number}}
    for size, units in ((WRITE_UNIT_BYTES, 1), (WRITE_UNIT_BYTES + 1, 1 + 2)):
        asked = {"TableName": TABLE, "Item": filled(attributes, size)}
        runner.run(billed.call("put_item", **asked))
        assert billed.written[""] == units
