"""The largest item: what we refuse for its size, and what a stand-in refuses, are the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import TooLarge
from engine.layout import run_key
from engine.ports import HeadRecord, Item, Swap
from engine.snapshot import Status
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.sizes import MAX_ITEM_BYTES
from infra.aws.table import Attributes, head_attributes, item_attributes, item_key
from tests.infra.aws.names import TABLE
from tests.infra.records import HEAD, PARTITION, collect, item
from tests.stack.contract.filled import filled

ELSEWHERE = "default/run/prüfen"
AWAKE = HeadRecord(
    run_key("Zk3v_Q9-x1A"), 17, Status.ACTIVE, "prüfen", 1_764_000_123_456, 1_764_000_654_321, b""
)
KINDS = {
    "an item": item_attributes(Item(ELSEWHERE, "größe/1", b"")),
    "one that expires": item_attributes(Item(ELSEWHERE, "2", b"", 1_764_000_123_000)),
    "a head": head_attributes(replace(AWAKE, wake_at=0)),
    "a head that waits": head_attributes(AWAKE),
}


def requests(attributes: Attributes) -> list[tuple[str, dict[str, Any]]]:
    """Every way of writing an item, on its own or beside another."""
    puts = [{"Item": attributes}, {"Item": item_attributes(item("beside"))}]
    return [
        ("put_item", {"TableName": TABLE, **puts[0]}),
        ("batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": put} for put in puts]}}),
        (
            "transact_write_items",
            {"TransactItems": [{"Put": {"TableName": TABLE, **put}} for put in puts]},
        ),
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_item_of_exactly_the_limit_is_taken_and_one_of_a_byte_more_is_not(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore, kind: str
) -> None:
    dynamodb = clients.client("dynamodb")
    largest = filled(KINDS[kind], MAX_ITEM_BYTES)
    for operation, parameters in requests(largest):
        runner.run(dynamodb.call(operation, **parameters))
    runner.run(store.delete_items(PARTITION, ["beside"]))
    for operation, parameters in requests(filled(KINDS[kind], MAX_ITEM_BYTES + 1)):
        with pytest.raises(TooLarge, match="Item size has exceeded"):
            runner.run(dynamodb.call(operation, **parameters))
    key = item_key(largest["p"]["S"], largest["s"]["S"])
    stands = runner.run(dynamodb.call("get_item", TableName=TABLE, Key=key))["Item"]
    assert stands == largest
    assert runner.run(store.items(PARTITION, ["beside"])) == {}


def test_what_is_too_large_is_refused_by_its_name_and_loses_nothing(
    runner: asyncio.Runner, store: DynamoStore
) -> None:
    runner.run(store.put_head(HEAD, None))
    runner.run(store.put_items([item("a", b"1"), item("b", b"2")]))
    large, following = bytes(MAX_ITEM_BYTES), replace(HEAD, rev=2, body=b"second")
    writes = [
        (store.put_head(replace(following, body=large), 1), "head"),
        (store.put_head(following, 1, [Swap(PARTITION, "a", large, b"1")]), "a"),
        (store.put_items([item("a", large)]), "a"),
        (store.put_items([item("b"), item("a", large)]), "a"),
        (store.swap_item(item("a", large), b"1"), "a"),
        (store.swap_item(item("b"), b"2", [item("a", large)]), "a"),
    ]
    for write, name in writes:
        with pytest.raises(TooLarge, match=rf"item {name} of default/run/r has 409,6\d\d bytes"):
            runner.run(write)
    assert runner.run(store.head(HEAD.key)) == HEAD.body
    assert runner.run(collect(store.scan(PARTITION, ""))) == [("a", b"1"), ("b", b"2")]
    runner.run(store.put_head(following, 1, [Swap(PARTITION, "a", b"3", b"1")]))
    assert runner.run(store.head(HEAD.key)) == b"second"
