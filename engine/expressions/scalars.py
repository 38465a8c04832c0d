"""Filters that make one value out of one value: defaults, conversions, rounding, text.

Names, parameters and results are Jinja2's, with two differences: `int` and `float` refuse what is
no number unless they are given a default (Jinja2 silently answers 0), and what is written as text
follows the rules of mixed strings (null is "", containers are JSON).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.errors import ExpressionError
from engine.expressions import text
from engine.expressions.evaluation import Evaluation
from engine.expressions.functions import UNSET
from engine.expressions.missing import Missing
from engine.expressions.scope import Json
from engine.expressions.values import (
    as_integer,
    as_text,
    is_number,
    json_text,
    number_within_limits,
    refuse,
    text_of,
)

# Longer than any number that a calculation may produce; Python's own limit is 4300.
_MAX_DIGITS = 1300

# About the decimal places that a float has, either way.
_MAX_PRECISION = 300

_ROUNDINGS: dict[str, Callable[[float], int]] = {"ceil": math.ceil, "floor": math.floor}


def default(
    evaluation: Evaluation, value: Json, default_value: Json = "", boolean: Json = False
) -> Json:
    """The way out of a missing path; with `boolean`, out of any false value."""
    if type(value) is Missing or (boolean and not value):
        return default_value
    return value


def absolute(evaluation: Evaluation, value: Json) -> Json:
    if not is_number(value):
        refuse("abs takes a number", value)
    return abs(value)


def rounded(
    evaluation: Evaluation, value: Json, precision: Json = 0, method: Json = "common"
) -> Json:
    """`method` is common (half to even), ceil or floor. A float stays a float."""
    if not is_number(value):
        refuse("round takes a number", value)
    if abs(as_integer(precision, "the precision")) > _MAX_PRECISION:
        raise ExpressionError(f"too large: the precision may be {_MAX_PRECISION} at most")
    if as_text(method, "the method of round") == "common":
        return round(value, precision)
    if method not in _ROUNDINGS:
        raise ExpressionError("the method of round is common, ceil or floor")
    factor = 10.0**precision
    return number_within_limits(_ROUNDINGS[method](value * factor) / factor)


def integer(evaluation: Evaluation, value: Json, default: Json = UNSET, base: Json = 10) -> Json:
    """The whole part of a number or of a number's text."""
    if type(value) is str and len(value) <= _MAX_DIGITS:
        evaluation.spend(len(value))
        number = _parse_integer(value, as_integer(base, "the base"))
    else:
        number = int(value) if is_number(value) else None
    return _converted(number, value, default, "an integer")


def floating(evaluation: Evaluation, value: Json, default: Json = UNSET) -> Json:
    if type(value) is str and len(value) <= _MAX_DIGITS:
        evaluation.spend(len(value))
        number = _parse_float(value)
    else:
        number = float(value) if is_number(value) else None
    return _converted(number, value, default, "a float")


def _converted(number: float | None, value: Json, default: Json, wanted: str) -> Json:
    if number is not None:
        return number_within_limits(number)
    if default is UNSET:
        # Without the text that was refused: it may be a secret.
        refuse(f"only a number or its text becomes {wanted}", value)
    return default


def _parse_integer(digits: str, base: int) -> int | None:
    try:
        return int(digits, base)
    except ValueError:
        number = _parse_float(digits) if base == 10 else None
        return None if number is None else int(number)


def _parse_float(digits: str) -> float | None:
    try:
        number = float(digits)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def string(evaluation: Evaluation, value: Json) -> str:
    return text_of(evaluation, value)


def to_json(evaluation: Evaluation, value: Json) -> str:
    """Compact JSON text. Nothing is escaped for HTML."""
    return json_text(evaluation, value)


def upper(evaluation: Evaluation, value: Json) -> str:
    return text.upper(evaluation, text_of(evaluation, value))


def lower(evaluation: Evaluation, value: Json) -> str:
    return text.lower(evaluation, text_of(evaluation, value))


def title(evaluation: Evaluation, value: Json) -> str:
    return text.title(evaluation, text_of(evaluation, value))


def capitalize(evaluation: Evaluation, value: Json) -> str:
    return text.capitalize(evaluation, text_of(evaluation, value))


def trim(evaluation: Evaluation, value: Json, chars: Json = None) -> str:
    return text.strip(evaluation, text_of(evaluation, value), chars)


def center(evaluation: Evaluation, value: Json, width: Json = 80) -> str:
    return text.center(evaluation, text_of(evaluation, value), width)


def replace(evaluation: Evaluation, value: Json, old: Json, new: Json, count: Json = None) -> str:
    return text.replace(evaluation, text_of(evaluation, value), old, new, count)
