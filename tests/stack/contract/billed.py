"""What a stand-in says that a write has cost, beside what `infra.aws.metering` says."""

from __future__ import annotations

from collections import Counter
from typing import Any

from infra.aws.client import AwsClient
from infra.aws.dynamodb import DynamoStore
from infra.aws.metering import MeteredClient
from tests.infra.aws.names import TABLE

WRITES = ("put_item", "delete_item", "batch_write_item", "transact_write_items")


class Billed:
    """Implements `AwsClient`: passes on to another. `written` are units by index, as a meter's."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client
        self.written: Counter[str] = Counter()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation not in WRITES:
            return await self._client.call(operation, **parameters)
        asked = {**parameters, "ReturnConsumedCapacity": "INDEXES"}
        answer = await self._client.call(operation, **asked)
        consumed = answer["ConsumedCapacity"]
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self._bill(each)
        return answer

    def _bill(self, consumed: dict[str, Any]) -> None:
        indexes = consumed.get("GlobalSecondaryIndexes", {})
        units = Counter({name: int(each["CapacityUnits"]) for name, each in indexes.items()})
        units[""] = int(consumed["CapacityUnits"]) - units.total()
        self.written += units


class Compared:
    """A store whose writes are counted twice: by us, and by the stand-in."""

    def __init__(self, client: AwsClient) -> None:
        self._billed = Billed(client)
        self._meter = MeteredClient(self._billed)
        self.store = DynamoStore(self._meter, TABLE)

    def units(self) -> dict[str, int]:
        """Those of the writes since the last time, by index; fails where the two differ."""
        ours = self._meter.take().written
        theirs, self._billed.written = self._billed.written, Counter()
        assert ours == theirs, f"{ours} by our count, {theirs} by the stand-in's"
        return dict(theirs)
