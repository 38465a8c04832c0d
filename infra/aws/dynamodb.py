"""The store: one DynamoDB table, whose attributes and indexes `infra.aws.table` describes.

What must stay true
- `put_head` is one PutItem with a condition on `rev`: the commit point (DESIGN §4 rule 1). Where
  other items change with the head, it is the first of one transaction (rule 2).
- Reads that decide (`head`, `items`, `scan`) are strongly consistent; the two indexes cannot be,
  and nothing is decided by what they say (rule 9).
- A save costs the write units of one item, and an index write only when the index changes.
- `swap_item` is one conditional PutItem, or one transaction where other items go with it.
- What expires, DynamoDB deletes by itself, some days late perhaps.
- A write that finds its item in somebody's transaction has written nothing, and is made again.

A save that timed out may have happened; botocore's retry of it then fails on its own success. That
is reported as the conflict it looks like, with the head as it now is: the engine finds the token
settled and re-sends what the delivery owns (rule 6). A swap of one item is told of such a conflict
too, a transaction is not, be it a swap's or a head's: botocore sends a token with each, which stays
the same through its own retries and by which DynamoDB knows a write that it has made.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from engine.errors import StoreUnusable
from engine.layout import HEAD, RUN_KIND, RunKey, listing
from engine.ports import HeadRecord, Item, ItemConflict, RevisionConflict, RunRow, Swap
from engine.snapshot import Status
from infra.aws.client import AwsClient
from infra.aws.failures import ConditionFailed, Contended
from infra.aws.pauses import Pauses
from infra.aws.puts import checked, delete_action, put, put_if, swap_action, transaction
from infra.aws.table import (
    LIST_SHARDS,
    RUNS_INDEX,
    WAKE_INDEX,
    Attributes,
    head_attributes,
    item_attributes,
    item_key,
    list_key,
    run_key_of,
)

WRITE_BATCH = 25
"""Requests in one BatchWriteItem; its other limit, 16 MB, is above 25 items of 400 KB."""
READ_BATCH = 100
"""Keys in one BatchGetItem; what exceeds 16 MB comes back as unprocessed."""
FILTERED_PAGE = 250
"""Rows of a listing that DynamoDB looks at in one request when it filters by status."""


class DynamoStore:
    """Implements `engine.ports.Store`.

    Every method raises Misconfigured or StoreUnusable; a write also TooLarge, for an item of more
    than 400 KB. Writes of several items are atomic for each item, not for all of them, except those
    of a swap and of a head with swaps, which hold 4 MB together.
    """

    def __init__(self, client: AwsClient, table: str, pauses: Pauses | None = None) -> None:
        self._client = client
        self._table = table
        self._pauses = pauses or Pauses()

    # -- heads --------------------------------------------------------------------------------

    async def head(self, key: RunKey) -> bytes | None:
        return await self._get(key.partition, HEAD)

    async def put_head(
        self, head: HeadRecord, expected: int | None, swaps: Sequence[Swap] = ()
    ) -> None:
        """Costs no read when it conflicts: the failed write brings what stands in its way."""
        rev = None if expected is None else {"N": str(expected)}
        request = put_if(self._table, head_attributes(head), "r", rev)
        try:
            if swaps:
                others = [swap_action(self._table, swap) for swap in swaps]
                actions = [{"Put": request}, *others]
                await self._write("transact_write_items", **transaction(actions))
            else:
                await self._write("put_item", **request)
        except ConditionFailed as failed:
            if failed.place == 0:
                winner = await self._winner(failed, head.key.partition, HEAD)
                raise RevisionConflict(winner) from None
            swap = swaps[failed.place - 1]
            raise ItemConflict(await self._winner(failed, swap.partition, swap.name)) from None

    # -- items --------------------------------------------------------------------------------

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        distinct = list(dict.fromkeys(names))
        if len(distinct) == 1:
            body = await self._get(partition, distinct[0])
            return {} if body is None else {distinct[0]: body}
        found: dict[str, bytes] = {}
        for start in range(0, len(distinct), READ_BATCH):
            batch = distinct[start : start + READ_BATCH]
            for item in await self._get_batch([item_key(partition, name) for name in batch]):
                found[item["s"]["S"]] = item["b"]["B"]
        return found

    async def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        condition, values = "p = :p", {":p": {"S": partition}}
        if prefix:  # DynamoDB takes no empty string here
            condition, values = (
                f"{condition} AND begins_with(s, :s)",
                {**values, ":s": {"S": prefix}},
            )
        async for item in self._query(condition, values, ConsistentRead=True):
            if item["s"]["S"] != HEAD:
                yield item["s"]["S"], item["b"]["B"]

    async def put_items(self, items: Sequence[Item]) -> None:
        """All of them are stored when this returns; where it raises, any of them may be."""
        # by key, because a batch that names a key twice is refused
        distinct = {(item.partition, item.name): checked(item_attributes(item)) for item in items}
        if len(distinct) == 1:
            (attributes,) = distinct.values()
            await self._write("put_item", **put(self._table, attributes))
        else:
            await self._write_batch([{"PutRequest": {"Item": item}} for item in distinct.values()])

    async def swap_item(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        """Costs no read when it conflicts: the failed write brings the item that stands."""
        body = None if expected is None else {"B": expected}
        request = put_if(self._table, item_attributes(item), "b", body)
        try:
            if also or drops:
                actions = [
                    {"Put": request},
                    *({"Put": put(self._table, item_attributes(other))} for other in also),
                    *(delete_action(self._table, item.partition, name) for name in drops),
                ]
                await self._write("transact_write_items", **transaction(actions))
            else:
                await self._write("put_item", **request)
        except ConditionFailed as failed:
            raise ItemConflict(await self._winner(failed, item.partition, item.name)) from None

    async def delete_items(self, partition: str, names: Sequence[str]) -> None:
        keys = [item_key(partition, name) for name in dict.fromkeys(names)]
        if len(keys) == 1:
            await self._write("delete_item", TableName=self._table, Key=keys[0])
        else:
            await self._write_batch([{"DeleteRequest": {"Key": each}} for each in keys])

    async def expire(self, limit: int) -> int:
        """Nothing to do: the table's TTL does it."""
        return 0

    # -- indexes ------------------------------------------------------------------------------

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        rows = self._query(
            "h = :h AND d <= :d",
            {":h": {"N": str(shard)}, ":d": {"N": str(now)}},
            IndexName=WAKE_INDEX,
            Limit=limit,
        )
        return [run_key_of(row) for row in await _first(rows, limit)]

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        """With a `status`, reads as far back as it takes to find `limit` runs that have it."""
        shards = [list_key(listing(tenant, kind), shard) for shard in range(LIST_SHARDS)]
        lists = await asyncio.gather(*(self._newest(shard, limit, status) for shard in shards))
        newest = heapq.merge(*lists, key=lambda row: row.created_at, reverse=True)
        return list(islice(newest, limit))

    async def _newest(self, shard: str, limit: int, status: Status | None) -> list[RunRow]:
        options: dict[str, Any] = {"IndexName": RUNS_INDEX, "ScanIndexForward": False}
        values = {":l": {"S": shard}}
        if status is None:
            options["Limit"] = limit
        else:
            options |= {"FilterExpression": "t = :t", "Limit": max(limit, FILTERED_PAGE)}
            values[":t"] = {"S": status.value}
        rows = await _first(self._query("l = :l", values, **options), limit)
        return [
            RunRow(run_key_of(row), Status(row["t"]["S"]), row["w"]["S"], int(row["c"]["N"]))
            for row in rows
        ]

    # -- requests -----------------------------------------------------------------------------

    async def _get(self, partition: str, name: str) -> bytes | None:
        answer = await self._client.call(
            "get_item", TableName=self._table, Key=item_key(partition, name), ConsistentRead=True
        )
        item = answer.get("Item")
        return item["b"]["B"] if item else None

    async def _query(
        self, condition: str, values: Attributes, **options: Any
    ) -> AsyncGenerator[Attributes, None]:
        """All rows, page by page; a page is 1 MB, or `Limit` rows before any filter."""
        while True:
            answer = await self._client.call(
                "query",
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                **options,
            )
            for row in answer["Items"]:
                yield row
            if "LastEvaluatedKey" not in answer:
                return
            options["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def _get_batch(self, keys: list[Attributes]) -> list[Attributes]:
        items: list[Attributes] = []
        fruitless = 0
        while keys:
            asked = {self._table: {"Keys": keys, "ConsistentRead": True}}
            answer = await self._client.call("batch_get_item", RequestItems=asked)
            found = answer["Responses"].get(self._table, [])
            items += found
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            # when some came, the others did not fit into 16 MB: no reason to wait
            fruitless = 0 if found else fruitless + 1
            if keys and fruitless:
                await self._pause(fruitless, "BatchGetItem")
        return items

    async def _winner(self, failed: ConditionFailed, partition: str, name: str) -> bytes | None:
        """The body that stands where another was expected."""
        if failed.item:
            body: bytes = failed.item["b"]["B"]
            return body
        # there is none, or a DynamoDB Local that does not know ALL_OLD
        return await self._get(partition, name)

    async def _write(self, operation: str, **parameters: Any) -> None:
        """One request, and again after a pause where another was in its way."""
        failed = 0
        while True:
            try:
                await self._client.call(operation, **parameters)
                return
            except Contended:
                failed += 1
                if not await self._pauses.before_retry(failed):
                    raise

    async def _write_batch(self, requests: list[dict[str, Any]]) -> None:
        for start in range(0, len(requests), WRITE_BATCH):
            left, failed = requests[start : start + WRITE_BATCH], 0
            while left:
                answer = await self._client.call(
                    "batch_write_item", RequestItems={self._table: left}
                )
                left = answer.get("UnprocessedItems", {}).get(self._table, [])
                if left:  # throttled, always
                    failed += 1
                    await self._pause(failed, "BatchWriteItem")

    async def _pause(self, failed: int, operation: str) -> None:
        if not await self._pauses.before_retry(failed):
            raise StoreUnusable(
                f"dynamodb {operation} {self._table}: requests remain unprocessed after "
                f"{failed} tries: the table is throttled, and will be tried again"
            )


async def _first(rows: AsyncGenerator[Attributes, None], limit: int) -> list[Attributes]:
    """Up to `limit` rows; no page is asked for beyond them."""
    found: list[Attributes] = []
    async with aclosing(rows):
        async for row in rows:
            found.append(row)
            if len(found) == limit:
                break
    return found
