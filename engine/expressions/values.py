"""Reading, measuring and writing the JSON values inside an expression.

The invariant of all evaluation: a value is None, a bool, an int, a finite float, a str, a list or
a dict with string keys, or it is Missing. No tuple, generator, function or foreign object ever is
one, so nothing needs to be guarded against them later. Messages name the *type* of a wrong value
and never the value, which may be a secret.
"""

from __future__ import annotations

import json
import math
from typing import NoReturn

from engine.errors import ExpressionError
from engine.expressions.evaluation import MAX_INTEGER_BITS, Evaluation
from engine.expressions.missing import Missing, kind_of
from engine.expressions.scope import Json


def refuse(what: str, *values: Json) -> NoReturn:
    """Raise for a wrong type: the missing path if a value is missing, else `what` and the types."""
    for value in values:
        if type(value) is Missing:
            value.fail()
    raise ExpressionError(f"{what}, not {' and '.join(map(kind_of, values))}")


def text_of(evaluation: Evaluation, value: Json) -> str:
    """The value as it stands in a mixed string: null is "", booleans and containers are JSON."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        spend_number(evaluation, value)
        return str(value)
    return json_text(evaluation, value)


def json_text(evaluation: Evaluation, value: Json) -> str:
    """Compact JSON. Charged twice: the value before, the text with its escapes after."""
    weigh(evaluation, value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    evaluation.spend(len(text))
    return text


def weigh(evaluation: Evaluation, value: Json) -> None:
    """Spend what the value would take if it were written out, each repeated part counted again.

    A list that holds one list twice, sixty levels deep, is small here and 2**60 elements once
    written. Raises ExpressionError if that does not fit, or if a part is not a JSON value.
    """
    pending: list[Json] = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is str:
            evaluation.spend(len(item))
        elif kind is list:
            # Before extending: this also bounds `pending`.
            evaluation.spend_walk(len(item))
            pending.extend(item)
        elif kind is dict:
            evaluation.spend_walk(2 * len(item))
            pending.extend(item)
            pending.extend(item.values())
        elif kind is float:
            if not math.isfinite(item):
                raise ExpressionError("a number in the value is not finite")
        elif kind is int:
            spend_number(evaluation, item)
        elif kind is not bool and item is not None:
            refuse("the result must be a JSON value", item)


def spend_number(evaluation: Evaluation, value: Json) -> None:
    """About what the number's text takes. Small numbers are part of their ELEMENT_UNITS."""
    if type(value) is int and value.bit_length() > 24:
        evaluation.spend(value.bit_length() // 3)


def number_within_limits(value: Json) -> Json:
    """The value itself. Raises ExpressionError if it is not finite or has too many bits."""
    if type(value) is float:
        if not math.isfinite(value):
            raise ExpressionError("the result of the calculation is not finite")
    elif value.bit_length() > MAX_INTEGER_BITS:
        too_many_bits()
    return value


def too_many_bits() -> NoReturn:
    raise ExpressionError(f"too large: an integer may have {MAX_INTEGER_BITS} bits")


def is_number(value: Json) -> bool:
    """Booleans count as 0 and 1, as in Jinja2."""
    return isinstance(value, int | float)


def as_text(value: Json, what: str) -> str:
    if type(value) is not str:
        refuse(f"{what} must be a string", value)
    return value


def as_integer(value: Json, what: str) -> int:
    if type(value) is not int:
        refuse(f"{what} must be an integer", value)
    if value.bit_length() > 64:
        raise ExpressionError(f"too large: {what} must fit into 64 bits")
    return value


def elements_of(evaluation: Evaluation, value: Json) -> list[Json]:
    """What iterating gives: a list's elements, a mapping's keys, a string's characters.

    The walk is charged, and so is the list if there was none. Do not change the result: it may be
    the value itself.
    """
    if type(value) is list:
        evaluation.spend_walk(len(value))
        return value
    if type(value) is not dict and type(value) is not str:
        refuse("a list is needed", value)
    evaluation.spend_elements(len(value))
    return list(value)
