"""DynamoDB and SQS as a few dictionaries: the operations and conditions that a step uses.

Ten thousand steps take seconds here and ten minutes on moto. What it does not know it refuses, so
that an adapter which begins to ask for something else is noticed; `tests/benchmarks` compares a
short run with moto: the same requests, and the same items in the end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from infra.aws.failures import ConditionFailed
from infra.aws.table import Attributes

Key = tuple[str, str]


class AnsweringTable:
    """Implements `AwsClient` for one DynamoDB table.

    With `polite`, every request lets other tasks go first, as a network would.
    """

    def __init__(self, polite: bool = False) -> None:
        self.items: dict[Key, Attributes] = {}
        self._polite = polite

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        if self._polite:
            await asyncio.sleep(0)
        match operation:
            case "put_item":
                return self._put(parameters)
            case "get_item":
                return _found(self.items.get(_key(parameters["Key"])))
            case "delete_item":
                self.items.pop(_key(parameters["Key"]), None)
                return {}
            case "batch_get_item":
                return {"Responses": self._batch_get(parameters["RequestItems"])}
            case "batch_write_item":
                self._batch_write(parameters["RequestItems"])
                return {}
        raise NotImplementedError(operation)

    def _put(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        item = parameters["Item"]
        key = _key(item)
        present = self.items.get(key)
        condition = parameters.get("ConditionExpression")
        if condition is not None:
            values = parameters.get("ExpressionAttributeValues", {})
            if not _holds(condition, values, present):
                raise ConditionFailed(present)
        self.items[key] = item
        return {}

    def _batch_get(self, asked: Mapping[str, Any]) -> dict[str, list[Attributes]]:
        return {
            table: [self.items[_key(key)] for key in request["Keys"] if _key(key) in self.items]
            for table, request in asked.items()
        }

    def _batch_write(self, asked: Mapping[str, Any]) -> None:
        for requests in asked.values():
            for request in requests:
                if "PutRequest" in request:
                    item = request["PutRequest"]["Item"]
                    self.items[_key(item)] = item
                else:
                    self.items.pop(_key(request["DeleteRequest"]["Key"]), None)


class AnsweringQueue:
    """Implements `AwsClient` for one SQS queue."""

    def __init__(self) -> None:
        self.messages: deque[str] = deque()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        match operation:
            case "send_message":
                self._send(parameters)
                return {}
            case "send_message_batch":
                for entry in parameters["Entries"]:
                    self._send(entry)
                return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}
        raise NotImplementedError(operation)

    def _send(self, entry: Mapping[str, Any]) -> None:
        if "DelaySeconds" in entry:
            raise NotImplementedError("DelaySeconds")
        self.messages.append(entry["MessageBody"])

    async def poll(self) -> Sequence[str]:
        """Every message that waits, received and deleted as Lambda's poller would."""
        taken = list(self.messages)
        self.messages.clear()
        return taken


def _key(attributes: Attributes) -> Key:
    return attributes["p"]["S"], attributes["s"]["S"]


def _found(item: Attributes | None) -> dict[str, Any]:
    return {} if item is None else {"Item": item}


def _holds(condition: str, values: Mapping[str, Any], present: Attributes | None) -> bool:
    if condition == "attribute_not_exists(p)":
        return present is None
    if condition == "r = :expected":
        return present is not None and present.get("r") == values[":expected"]
    raise NotImplementedError(condition)
