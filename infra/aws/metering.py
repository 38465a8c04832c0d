"""Count what AWS would bill: requests, bytes, and DynamoDB's units by the published rules.

For benchmarks and tests. Stand-ins report wrong capacity (moto: no index writes, half of every
consistent read), so the units are computed from what is sent and answered. What a write costs
depends on the item that it replaces; a meter remembers every item written through it, so it is
exact for a table that nobody else writes to, as long as no two writes of one key overlap. A query
with a filter is a lower bound: the rows that it passes over are billed and not seen. A transaction
that was refused is an upper bound, as if all of it had been tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.aws.client import AwsClient
from infra.aws.failures import ConditionFailed
from infra.aws.sizes import item_size, read_units, write_units
from infra.aws.table import Attributes, table_definition

TRANSACTION_FACTOR = 2
"""An item of a transaction is prepared and then committed; its index entries are written once."""


@dataclass(slots=True)
class Usage:
    """What was used. Units of writing are by index, "" being the table itself."""

    requests: Counter[str] = field(default_factory=Counter)
    """By operation, whatever became of it; a retry inside botocore is not seen."""
    written: Counter[str] = field(default_factory=Counter)
    read: float = 0.0
    bytes_written: int = 0
    """Of items, as DynamoDB counts them."""
    bytes_read: int = 0

    @property
    def write_units(self) -> int:
        return self.written.total()

    @property
    def index_write_units(self) -> int:
        return self.written.total() - self.written[""]


class MeteredClient:
    """Implements `AwsClient` around another; `usage` grows with each call."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client
        self._items: dict[tuple[str, str, str], Attributes] = {}
        self.usage = Usage()

    def take(self) -> Usage:
        """What was used since the last `take`; what is known of the items stays."""
        usage, self.usage = self.usage, Usage()
        return usage

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.usage.requests[operation] += 1
        try:
            answer = await self._client.call(operation, **parameters)
        except ConditionFailed as failed:
            if operation == "transact_write_items":
                self._refused(failed, self._wanted(parameters), TRANSACTION_FACTOR)
            else:
                self._refused(failed, [parameters["Item"]], 1)
            raise
        match operation:
            case "put_item":
                self._wrote(parameters["TableName"], parameters["Item"])
            case "delete_item":
                self._deleted(parameters["TableName"], parameters["Key"])
            case "transact_write_items":
                for each in parameters["TransactItems"]:
                    self._acted(each)
            case "batch_write_item":
                self._wrote_batch(parameters["RequestItems"], answer)
            case "get_item":
                self._read([answer.get("Item", {})], parameters.get("ConsistentRead", False))
            case "batch_get_item":
                self._read_batch(parameters["RequestItems"], answer)
            case "query":
                self._queried(answer["Items"], parameters.get("ConsistentRead", False))
        return answer

    def _wrote(self, table: str, item: Attributes, factor: int = 1) -> None:
        place = _place(table, item)
        before = self._items.get(place)
        self._items[place] = item
        self.usage.bytes_written += item_size(item)
        self._bill(before, item, factor)

    def _deleted(self, table: str, key: Attributes, factor: int = 1) -> None:
        self._bill(self._items.pop(_place(table, key), None), None, factor)

    def _acted(self, action: Mapping[str, Any]) -> None:
        """One item of a transaction was written, deleted or, at the same price, looked at."""
        ((kind, asked),) = action.items()
        match kind:
            case "Put":
                self._wrote(asked["TableName"], asked["Item"], TRANSACTION_FACTOR)
            case "Delete":
                self._deleted(asked["TableName"], asked["Key"], TRANSACTION_FACTOR)
            case "ConditionCheck":
                stands = self._items.get(_place(asked["TableName"], asked["Key"]))
                self._bill(stands, stands, TRANSACTION_FACTOR)

    def _bill(self, before: Attributes | None, after: Attributes | None, factor: int = 1) -> None:
        larger = max(item_size(before or {}), item_size(after or {}))
        self.usage.written[""] += factor * write_units(larger)
        for index in INDEXES:
            self.usage.written[index.name] += index.write_units(before, after)

    def _wanted(self, transaction: Mapping[str, Any]) -> list[Attributes]:
        """The items of a transaction: those to be written, and those that the others name."""
        actions = [asked for each in transaction["TransactItems"] for asked in each.values()]
        return [
            asked["Item"]
            if "Item" in asked
            else self._items.get(_place(asked["TableName"], asked["Key"]), {})
            for asked in actions
        ]

    def _refused(self, failed: ConditionFailed, items: Sequence[Attributes], factor: int) -> None:
        """Billed all the same: the larger of the item that stands and the one that would."""
        larger = [item_size(item) for item in items]
        larger[failed.place] = max(larger[failed.place], item_size(failed.item or {}))
        self.usage.written[""] += factor * sum(write_units(size) for size in larger)

    def _wrote_batch(self, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        for table, requests in asked.items():
            left = answer.get("UnprocessedItems", {}).get(table, [])
            for request in requests:
                if request in left:
                    continue
                if "PutRequest" in request:
                    self._wrote(table, request["PutRequest"]["Item"])
                else:
                    self._deleted(table, request["DeleteRequest"]["Key"])

    def _read_batch(self, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        for table, request in asked.items():
            found = answer["Responses"].get(table, [])
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            missing = len(request["Keys"]) - len(left) - len(found)
            self._read([*found, *[{}] * missing], request.get("ConsistentRead", False))

    def _read(self, items: Iterable[Attributes], consistent: bool) -> None:
        for item in items:
            self.usage.bytes_read += item_size(item)
            self.usage.read += read_units(item_size(item), consistent)

    def _queried(self, rows: Iterable[Attributes], consistent: bool) -> None:
        """A query is rounded up as a whole."""
        size = sum(item_size(row) for row in rows)
        self.usage.bytes_read += size
        self.usage.read += read_units(size, consistent)


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index as a meter needs it."""

    name: str
    keys: tuple[str, ...]
    projected: frozenset[str]
    """The table's key, the index's, and what else is copied."""

    def write_units(self, before: Attributes | None, after: Attributes | None) -> int:
        """What replacing `before` by `after` in the table costs in this index."""
        old, new = self.entry(before), self.entry(after)
        if old == new:
            return 0
        if old is None or new is None:
            return write_units(item_size(new or old or {}))
        if any(old[name] != new[name] for name in self.keys):  # an entry cannot move
            return write_units(item_size(old)) + write_units(item_size(new))
        return write_units(max(item_size(old), item_size(new)))

    def entry(self, item: Attributes | None) -> Attributes | None:
        """An item without one of the index's keys has no entry: the index is sparse."""
        if item is None or any(name not in item for name in self.keys):
            return None
        return {name: value for name, value in item.items() if name in self.projected}


def _indexes() -> tuple[Index, ...]:
    definition = table_definition("")
    table_keys = [key["AttributeName"] for key in definition["KeySchema"]]
    indexes = []
    for index in definition["GlobalSecondaryIndexes"]:
        keys = tuple(key["AttributeName"] for key in index["KeySchema"])
        copied = index["Projection"].get("NonKeyAttributes", [])
        indexes.append(Index(index["IndexName"], keys, frozenset([*table_keys, *keys, *copied])))
    return tuple(indexes)


INDEXES = _indexes()


def _place(table: str, key: Attributes) -> tuple[str, str, str]:
    return table, key["p"]["S"], key["s"]["S"]
