"""What DynamoDB counts: the size of an item, and the units of reading and writing it.

The rules are AWS's published ones ("DynamoDB item sizes and formats", "DynamoDB read and write
operations"); only the attribute types that the table uses are known here.
"""

from __future__ import annotations

from typing import Any

from infra.aws.table import Attributes

MAX_ITEM_BYTES = 400 * 1024
MAX_TRANSACTION_BYTES = 4 << 20
"""Over all items of one TransactWriteItems."""
WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096


def item_size(attributes: Attributes) -> int:
    """Bytes: the names and the values, names in UTF-8."""
    return sum(len(name.encode()) + _value_size(value) for name, value in attributes.items())


def write_units(size: int) -> int:
    """Even a missing item costs one unit to write or delete."""
    return max(1, -(-size // WRITE_UNIT_BYTES))


def read_units(size: int, consistent: bool) -> float:
    """An eventually consistent read costs half; even a missing item is a read."""
    return max(1, -(-size // READ_UNIT_BYTES)) * (1 if consistent else 0.5)


def _value_size(value: dict[str, Any]) -> int:
    ((type_, content),) = value.items()
    match type_:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return _number_size(content)
    raise ValueError(f"no rule for an attribute of type {type_}")


def _number_size(text: str) -> int:
    """A byte per pair of digits, counted from the point, and one more, and one for a minus.

    Pairs of zeros at either end do not count. For whole numbers, as DynamoDB Local bills them.
    """
    digits = text.lstrip("-").lstrip("0")
    even = digits.zfill(len(digits) + len(digits) % 2)
    while even.endswith("00"):
        even = even[:-2]
    return len(even) // 2 + 1 + text.startswith("-")
