"""The tests: `value is name`. The names and what they accept are Jinja2's, as far as JSON goes."""

from __future__ import annotations

from collections.abc import Callable

from engine.expressions import text
from engine.expressions.evaluation import Evaluation
from engine.expressions.functions import Function, functions
from engine.expressions.missing import Missing
from engine.expressions.operators import COMPARISONS, modulo
from engine.expressions.scope import Json
from engine.expressions.values import as_integer, is_number


def is_defined(evaluation: Evaluation, value: Json) -> bool:
    return type(value) is not Missing


def is_undefined(evaluation: Evaluation, value: Json) -> bool:
    return type(value) is Missing


def is_odd(evaluation: Evaluation, value: Json) -> bool:
    return as_integer(value, "an odd number") % 2 == 1


def is_even(evaluation: Evaluation, value: Json) -> bool:
    return as_integer(value, "an even number") % 2 == 0


def is_divisible_by(evaluation: Evaluation, value: Json, num: Json) -> bool:
    return bool(modulo(evaluation, value, num) == 0)


def is_lower(evaluation: Evaluation, value: Json) -> bool:
    return type(value) is str and text.islower(evaluation, value)


def is_upper(evaluation: Evaluation, value: Json) -> bool:
    return type(value) is str and text.isupper(evaluation, value)


def _is_value(constant: Json) -> Callable[[Evaluation, Json], bool]:
    return lambda evaluation, value: value is constant


def _is_one_of(*types: type) -> Callable[[Evaluation, Json], bool]:
    return lambda evaluation, value: type(value) in types


def _compares(operator: str) -> Callable[[Evaluation, Json, Json], bool]:
    comparison = COMPARISONS[operator]

    def compares(evaluation: Evaluation, value: Json, other: Json) -> bool:
        return comparison(evaluation, value, other)

    return compares


TESTS: dict[str, Function] = functions(
    "test",
    {
        "defined": is_defined,
        "undefined": is_undefined,
        "none": _is_value(None),
        "true": _is_value(True),
        "false": _is_value(False),
        "boolean": _is_one_of(bool),
        "integer": _is_one_of(int),
        "float": _is_one_of(float),
        "number": lambda evaluation, value: is_number(value),
        "string": _is_one_of(str),
        "mapping": _is_one_of(dict),
        "iterable": _is_one_of(list, str, dict),
        "sequence": _is_one_of(list, str, dict),
        "odd": is_odd,
        "even": is_even,
        "divisibleby": is_divisible_by,
        "lower": is_lower,
        "upper": is_upper,
        "in": _compares("in"),
        **dict.fromkeys(("eq", "equalto", "=="), _compares("eq")),
        **dict.fromkeys(("ne", "!="), _compares("ne")),
        **dict.fromkeys(("lt", "lessthan", "<"), _compares("lt")),
        **dict.fromkeys(("le", "<="), _compares("lteq")),
        **dict.fromkeys(("gt", "greaterthan", ">"), _compares("gt")),
        **dict.fromkeys(("ge", ">="), _compares("gteq")),
    },
    takes_missing=("defined", "undefined"),
)
