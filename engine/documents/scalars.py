"""Plain YAML words as JSON values: the core schema of YAML 1.2, less what JSON cannot hold.

JSON's own numbers and strings pass the same limits. `yes`, `no`, `on` and `off` are text, as YAML
1.2 has it. What looks like a date is text there too, but a date to most YAML readers: it is
refused rather than guessed at.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d.*)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# What a 64-bit value can hold; definitions are stored in MessagePack, which ends there.
_LEAST, _GREATEST = -(2**63), 2**64 - 1
# Python refuses to read much longer ones, and none of them fits.
_MAX_DIGITS = 25


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """This text stands for no JSON value."""

    message: str
    fix: str


def plain_scalar(text: str) -> Any:
    """The value of an unquoted YAML scalar. Raises Refused."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text) or _OTHER_BASE.fullmatch(text):
        return integer(text)
    if _FLOAT.fullmatch(text):
        return number(text)
    if _NOT_FINITE.fullmatch(text):
        raise _not_finite(text)
    if _DATE.fullmatch(text):
        raise Refused(
            f"'{text}' is a date to YAML, and JSON has no dates", f'put it in quotes: "{text}"'
        )
    return string(text)


def integer(text: str) -> int:
    """Raises Refused for what does not fit into 64 bits."""
    value = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= _MAX_DIGITS else None
    if value is None or not _LEAST <= value <= _GREATEST:
        raise Refused(
            f"the number {text[:_MAX_DIGITS]} does not fit into 64 bits",
            "put it in quotes, as text",
        )
    return value


def number(text: str) -> float:
    """Raises Refused for what is too large for a double."""
    value = float(text)
    if not math.isfinite(value):
        raise _not_finite(text)
    return value


def string(text: str) -> str:
    """Raises Refused for half a surrogate pair, which no UTF-8 can carry."""
    if found := _SURROGATE.search(text):
        raise Refused(
            f"the text holds \\u{ord(found.group()):04x}, which is half a character",
            "write the character itself, or both halves",
        )
    return text


def _not_finite(text: str) -> Refused:
    return Refused(
        f"{text[:40]} is not a finite number, and JSON has no other",
        "use a finite number, null, or text in quotes",
    )
