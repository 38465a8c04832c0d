"""What the operators of the language do. Each checks types and size before it calculates.

Stricter than Python: `%` is for numbers only (on strings it would format), `<` compares numbers
with numbers or strings with strings, nothing is complex, infinite or larger than the limits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from engine.errors import ExpressionError
from engine.expressions.evaluation import ELEMENT_UNITS, MAX_INTEGER_BITS, Evaluation
from engine.expressions.missing import require
from engine.expressions.scope import Json
from engine.expressions.values import (
    as_integer,
    as_text,
    is_number,
    number_within_limits,
    refuse,
    text_of,
    too_many_bits,
    weigh,
)


def add(evaluation: Evaluation, left: Json, right: Json) -> Json:
    if is_number(left) and is_number(right):
        return number_within_limits(left + right)
    if type(left) is type(right) is str:
        evaluation.spend(len(left) + len(right))
        return left + right
    if type(left) is type(right) is list:
        evaluation.spend_elements(len(left) + len(right))
        return left + right
    refuse("'+' takes two numbers, two strings or two lists", left, right)


def subtract(evaluation: Evaluation, left: Json, right: Json) -> Json:
    return _calculate("-", operator.sub, left, right)


def multiply(evaluation: Evaluation, left: Json, right: Json) -> Json:
    if is_number(left) and is_number(right):
        return number_within_limits(left * right)
    if type(left) is int:
        left, right = right, left
    if type(right) is int and type(left) in (str, list):
        units = 1 if type(left) is str else ELEMENT_UNITS
        evaluation.spend(units * (1 + len(left) * max(right, 0)))
        return left * right
    refuse("'*' takes two numbers, or a string or list and an integer", left, right)


def divide(evaluation: Evaluation, left: Json, right: Json) -> Json:
    return _calculate("/", operator.truediv, left, right)


def floor_divide(evaluation: Evaluation, left: Json, right: Json) -> Json:
    return _calculate("//", operator.floordiv, left, right)


def modulo(evaluation: Evaluation, left: Json, right: Json) -> Json:
    return _calculate("%", operator.mod, left, right)


def power(evaluation: Evaluation, left: Json, right: Json) -> Json:
    if isinstance(left, int) and isinstance(right, int) and right > 0 and abs(left) > 1:
        # Multiplied, not computed: this is the test that keeps 10 ** 10 ** 8 from running.
        if (left.bit_length() - 1) * right > MAX_INTEGER_BITS:
            too_many_bits()
    elif is_number(left) and is_number(right) and left < 0 and right != int(right):
        raise ExpressionError("a negative number has no fractional power")
    return _calculate("**", operator.pow, left, right)


def negate(evaluation: Evaluation, value: Json) -> Json:
    if not is_number(value):
        refuse("'-' takes a number", value)
    return -value


def keep_sign(evaluation: Evaluation, value: Json) -> Json:
    if not is_number(value):
        refuse("'+' takes a number", value)
    return +value


def _calculate(
    symbol: str, calculation: Callable[[Json, Json], Json], left: Json, right: Json
) -> Json:
    if not (is_number(left) and is_number(right)):
        refuse(f"'{symbol}' takes two numbers", left, right)
    return number_within_limits(calculation(left, right))


def concatenate(evaluation: Evaluation, *parts: Json) -> str:
    require(*parts)
    texts = [text_of(evaluation, part) for part in parts]
    evaluation.spend(sum(map(len, texts)))
    return "".join(texts)


def build_list(evaluation: Evaluation, *items: Json) -> list[Json]:
    require(*items)
    evaluation.spend_elements(len(items))
    return list(items)


def build_mapping(evaluation: Evaluation, *keys_and_values: Json) -> dict[str, Json]:
    """From alternating keys and values."""
    require(*keys_and_values)
    keys = [as_text(key, "a mapping's key") for key in keys_and_values[::2]]
    evaluation.spend_elements(len(keys))
    return dict(zip(keys, keys_and_values[1::2], strict=True))


def merge(evaluation: Evaluation, base: Json, additions: Json) -> dict[str, Json]:
    """`dict(base, name=value)`: a new mapping; the base stays as it is."""
    if type(base) is not dict:
        refuse("dict() takes a mapping", base)
    evaluation.spend_elements(len(base) + len(additions))
    return {**base, **additions}


def make_range(evaluation: Evaluation, *bounds: Json) -> list[int]:
    limits = [as_integer(bound, "an argument of range()") for bound in bounds]
    if limits[2:] == [0]:
        raise ExpressionError("the step of range() cannot be 0")
    numbers = range(*limits)
    evaluation.spend_elements(_length(numbers))
    return list(numbers)


def cut(evaluation: Evaluation, value: Json, start: Json, stop: Json, step: Json) -> Json:
    """`value[start:stop:step]` of a string or list; None where a bound is left out."""
    if type(value) not in (str, list):
        refuse("only a string or list can be sliced", value)
    bounds = [
        None if bound is None else as_integer(bound, "a slice bound")
        for bound in (start, stop, step)
    ]
    if bounds[2] == 0:
        raise ExpressionError("the step of a slice cannot be 0")
    window = slice(*bounds)
    units = 1 if type(value) is str else ELEMENT_UNITS
    evaluation.spend(units * (1 + _length(range(*window.indices(len(value))))))
    return value[window]


def _length(numbers: range) -> int:
    # len() raises OverflowError beyond 63 bits; this does not.
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def compare(evaluation: Evaluation, left: Json, *comparisons: Json) -> bool:
    """`left op right op right ...`, from alternating operator names and operands."""
    for name, right in zip(comparisons[::2], comparisons[1::2], strict=True):
        if not COMPARISONS[name](evaluation, left, right):
            return False
        left = right
    return True


def equal(evaluation: Evaluation, left: Json, right: Json) -> bool:
    require(left, right)
    if type(left) is type(right):
        if type(left) is str:
            evaluation.spend_reading(len(left))
        elif type(left) in (list, dict):
            weigh(evaluation, left)
    return bool(left == right)


def contains(evaluation: Evaluation, container: Json, item: Json) -> bool:
    """`item in container`."""
    require(container, item)
    if type(container) is str:
        evaluation.spend_reading(len(container))
        return as_text(item, "what is sought in a string") in container
    if type(container) is dict:
        return type(item) is str and item in container
    if type(container) is not list:
        refuse("'in' needs a list, a mapping or a string on its right", container)
    charge_search(evaluation, container, item)
    return item in container


def charge_search(evaluation: Evaluation, container: list[Json], item: Json) -> None:
    """Each comparison with an element costs at most what the sought item weighs."""
    before = evaluation.units_left
    weigh(evaluation, item)
    evaluation.spend(len(container) * (1 + (before - evaluation.units_left) // 4))


def _ordered(test: Callable[[Json, Json], bool]) -> Callable[[Evaluation, Json, Json], bool]:
    def ordered(evaluation: Evaluation, left: Json, right: Json) -> bool:
        if type(left) is type(right) is str:
            evaluation.spend_reading(len(left))
        elif not (is_number(left) and is_number(right)):
            refuse("only two numbers or two strings have an order", left, right)
        return test(left, right)

    return ordered


# Under the names that Jinja2's parser gives the operators.
COMPARISONS: dict[str, Callable[[Evaluation, Json, Json], bool]] = {
    "eq": equal,
    "ne": lambda evaluation, left, right: not equal(evaluation, left, right),
    "lt": _ordered(operator.lt),
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
    "in": lambda evaluation, left, right: contains(evaluation, right, left),
    "notin": lambda evaluation, left, right: not contains(evaluation, right, left),
}
