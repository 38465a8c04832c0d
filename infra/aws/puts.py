"""Parameters of PutItem, alone or under a condition, and of what a transaction is made of.

What must stay true: what DynamoDB would refuse for its size is refused here, before anything is
sent, with a message that names the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import TooLarge
from engine.ports import Item, Swap
from infra.aws.sizes import MAX_ITEM_BYTES, MAX_TRANSACTION_BYTES, item_size
from infra.aws.table import Attributes, item_attributes, item_key

Put = dict[str, Any]
Action = dict[str, Any]
"""One item of a TransactWriteItems: "Put", "Delete" or "ConditionCheck" -> its parameters."""


def put(table: str, item: Attributes) -> Put:
    """Raises TooLarge."""
    return {"TableName": table, "Item": checked(item)}


def put_if(table: str, item: Attributes, attribute: str, expected: dict[str, Any] | None) -> Put:
    """Replaces an item whose `attribute` is as expected; None: where there is no item.

    A refusal brings the item that stands. Raises TooLarge.
    """
    return put(table, item) | _condition(attribute, expected)


def swap_action(table: str, swap: Swap) -> Action:
    """A refusal brings the item that stands. Raises TooLarge."""
    expected = None if swap.expected is None else {"B": swap.expected}
    if swap.writes and swap.body is not None:
        item = Item(swap.partition, swap.name, swap.body, swap.expires_at)
        return {"Put": put_if(table, item_attributes(item), "b", expected)}
    place = {"TableName": table, "Key": item_key(swap.partition, swap.name)}
    kind = "Delete" if swap.writes else "ConditionCheck"
    return {kind: place | _condition("b", expected)}


def delete_action(table: str, partition: str, name: str) -> Action:
    return {"Delete": {"TableName": table, "Key": item_key(partition, name)}}


def transaction(actions: Sequence[Action]) -> dict[str, Any]:
    """The parameters of a TransactWriteItems. Raises TooLarge."""
    items = [action["Put"]["Item"] for action in actions if "Put" in action]
    size = sum(item_size(item) for item in items)
    if size > MAX_TRANSACTION_BYTES:
        raise TooLarge(
            f"{len(items)} items that are written together have {size:,} bytes; "
            f"DynamoDB takes at most {MAX_TRANSACTION_BYTES:,} (4 MB)"
        )
    return {"TransactItems": list(actions)}


def checked(attributes: Attributes) -> Attributes:
    """The item. Raises TooLarge."""
    size = item_size(attributes)
    if size > MAX_ITEM_BYTES:
        raise TooLarge(
            f"item {attributes['s']['S']} of {attributes['p']['S']} has {size:,} bytes; "
            f"DynamoDB takes at most {MAX_ITEM_BYTES:,} (400 KB)"
        )
    return attributes


def _condition(attribute: str, expected: dict[str, Any] | None) -> dict[str, Any]:
    told = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if expected is None:
        return told | {"ConditionExpression": "attribute_not_exists(p)"}
    return told | {
        "ConditionExpression": f"{attribute} = :expected",
        "ExpressionAttributeValues": {":expected": expected},
    }
