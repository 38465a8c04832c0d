"""The one door through which values enter a run: strict JSON, or an error that names the place.

An encoder that is generous (NaN as null, sets as lists, dates as strings) would hand a successor
something other than what the actor returned, so what is not JSON is refused.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import msgspec

from engine.errors import NotJson

MAX_DEPTH = 100

_encode = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode
"""JSON text to plain Python values."""


def encode_json(value: Any, what: str = "the value") -> bytes:
    """JSON text of `value`. Raises NotJson, naming the place inside it; `what` begins the error."""
    _check(value, what, "$", 0)
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError, ValueError) as error:
        raise NotJson(f"{what} is not JSON: {error}") from error


def _check(value: Any, what: str, place: str, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return
    if kind is float:
        if not math.isfinite(value):
            raise NotJson(f"{what} is not JSON: {place} is {value}")
        return
    if depth > MAX_DEPTH:
        raise NotJson(f"{what} is nested deeper than {MAX_DEPTH} levels, or contains itself")
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise NotJson(f"{what} is not JSON: {place} has the key {key!r}, not a string")
            _check(part, what, f"{place}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            _check(part, what, f"{place}[{index}]", depth + 1)
    elif isinstance(value, Enum):
        _check(value.value, what, place, depth + 1)
    else:
        raise NotJson(f"{what} is not JSON: {place} is of type {kind.__name__}")
