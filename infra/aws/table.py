"""The table: what its attributes are called, what it costs to be listed, and how to create it.

    name  type  on     what
    p     S     all    partition key: the partition (`engine.layout`)
    s     S     all    sort key: the item's name; a head's is "head"
    b     B     all    body
    r     N     heads  rev, the condition of the next save
    t     S     heads  status
    w     S     heads  workflow
    c     N     heads  created_at, ms since 1970
    l     S     heads  listing key: "tenant/shard", "tenant/kind/shard" for other kinds of runs
    h     N     heads  wake shard, only while wake_at > 0
    d     N     heads  wake_at, ms since 1970, only while > 0
    x     N     items  seconds since 1970 from which DynamoDB's TTL may delete it; most have none

Names are a character long because DynamoDB bills them with every write. A number costs a byte per
two significant digits and one more; zeros at the end are free, two at a time, so round times are
cheap in ms too.

    index  hash  range  projects   a save writes to it when
    wake   h     d      keys only  wake_at changes: two units; comes or goes: one
    runs   l     c      t, w       the run begins, and when its status changes: one unit

A step that changes neither costs no index write. The listing key is spread over `LIST_SHARDS`,
because one key value takes at most 1,000 write units a second, a throttled index throttles the
table, and a bucket by day or month would put all of today's writes in the same place. Four match
the 4,000 units that a new on-demand table begins with; a listing asks all four.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from engine.layout import HEAD, RunKey, wake_shard
from engine.ports import HeadRecord, Item
from infra.aws.client import AwsClient
from infra.aws.failures import Unsupported

WAKE_INDEX: Final = "wake"
RUNS_INDEX: Final = "runs"
TTL_ATTRIBUTE: Final = "x"
LIST_SHARDS: Final = 4

Attributes = dict[str, dict[str, Any]]
"""An item or a key as DynamoDB's API has it: name -> {type: value}."""


def item_key(partition: str, name: str) -> Attributes:
    return {"p": {"S": partition}, "s": {"S": name}}


def item_attributes(item: Item) -> Attributes:
    attributes = {**item_key(item.partition, item.name), "b": {"B": item.body}}
    if item.expires_at > 0:
        attributes[TTL_ATTRIBUTE] = {"N": str(-(-item.expires_at // 1000))}  # not too early
    return attributes


def head_attributes(head: HeadRecord) -> Attributes:
    attributes = {
        **item_key(head.key.partition, HEAD),
        "b": {"B": head.body},
        "r": {"N": str(head.rev)},
        "t": {"S": head.status.value},
        "w": {"S": head.workflow},
        "c": {"N": str(head.created_at)},
        "l": {"S": list_key(head.key.listing, wake_shard(head.key) % LIST_SHARDS)},
    }
    if head.wake_at > 0:
        attributes["h"] = {"N": str(wake_shard(head.key))}
        attributes["d"] = {"N": str(head.wake_at)}
    return attributes


def run_key_of(attributes: Attributes) -> RunKey:
    tenant, kind, run = attributes["p"]["S"].split("/", 2)
    return RunKey(tenant, run, kind)


def list_key(listing: str, shard: int) -> str:
    return f"{listing}/{shard}"


def table_definition(name: str) -> dict[str, Any]:
    """The parameters of CreateTable, on demand. `template.yaml` says the same."""
    types = {"p": "S", "s": "S", "l": "S", "c": "N", "h": "N", "d": "N"}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": type_}
            for attribute, type_ in types.items()
        ],
        "KeySchema": _key_schema("p", "s"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": WAKE_INDEX,
                "KeySchema": _key_schema("h", "d"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": RUNS_INDEX,
                "KeySchema": _key_schema("l", "c"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["t", "w"]},
            },
        ],
    }


def _key_schema(hash_attribute: str, range_attribute: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_attribute, "KeyType": "HASH"},
        {"AttributeName": range_attribute, "KeyType": "RANGE"},
    ]


async def create_table(
    client: AwsClient, name: str, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Create the table and wait until it is usable; with TTL and backups where they are known."""
    await client.call("create_table", **table_definition(name))
    while True:
        answer = await client.call("describe_table", TableName=name)
        if answer["Table"]["TableStatus"] == "ACTIVE":
            break
        await sleep(0.5)
    try:
        await client.call(
            "update_time_to_live",
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
        )
        await client.call(
            "update_continuous_backups",
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    except Unsupported:
        return  # a stand-in without them: nothing on the way of a step needs either
