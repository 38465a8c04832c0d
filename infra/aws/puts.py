"""PutItem's parameters: alone, under a condition, and several in one transaction.

What must stay true: what DynamoDB would refuse for its size is refused here, before anything is
sent, with a message that names the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import TooLarge
from infra.aws.sizes import MAX_ITEM_BYTES, MAX_TRANSACTION_BYTES, item_size
from infra.aws.table import Attributes

Put = dict[str, Any]


def put(table: str, item: Attributes) -> Put:
    """Raises TooLarge."""
    return {"TableName": table, "Item": checked(item)}


def put_if(table: str, item: Attributes, attribute: str, expected: dict[str, Any] | None) -> Put:
    """Replaces an item whose `attribute` is as expected; None: where there is no item.

    A refusal brings the item that stands. Raises TooLarge.
    """
    parameters = put(table, item) | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if expected is None:
        return parameters | {"ConditionExpression": "attribute_not_exists(p)"}
    return parameters | {
        "ConditionExpression": f"{attribute} = :expected",
        "ExpressionAttributeValues": {":expected": expected},
    }


def transaction(puts: Sequence[Put]) -> dict[str, Any]:
    """The parameters of a TransactWriteItems. Raises TooLarge."""
    size = sum(item_size(each["Item"]) for each in puts)
    if size > MAX_TRANSACTION_BYTES:
        raise TooLarge(
            f"{len(puts)} items that are written together have {size:,} bytes; "
            f"DynamoDB takes at most {MAX_TRANSACTION_BYTES:,} (4 MB)"
        )
    return {"TransactItems": [{"Put": each} for each in puts]}


def checked(attributes: Attributes) -> Attributes:
    """The item. Raises TooLarge."""
    size = item_size(attributes)
    if size > MAX_ITEM_BYTES:
        raise TooLarge(
            f"item {attributes['s']['S']} of {attributes['p']['S']} has {size:,} bytes; "
            f"DynamoDB takes at most {MAX_ITEM_BYTES:,} (400 KB)"
        )
    return attributes
