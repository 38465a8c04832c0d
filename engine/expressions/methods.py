"""The methods that values have: `value.method(...)`, by the value's type.

Only read-only methods, and only these. A call always means a method, even of a mapping that has a
key of that name: a key's value is JSON and cannot be called.
"""

from __future__ import annotations

from engine.errors import ExpressionError
from engine.expressions import text
from engine.expressions.evaluation import Evaluation
from engine.expressions.functions import Function, functions
from engine.expressions.missing import Missing, kind_of
from engine.expressions.operators import charge_search
from engine.expressions.scope import Json


def call_method(
    evaluation: Evaluation, value: Json, name: str, /, *arguments: Json, **named: Json
) -> Json:
    """`value.name(arguments)`, where the arguments have been checked against METHODS_BY_NAME."""
    if type(value) is Missing:
        value.fail()
    method = METHODS.get(type(value), {}).get(name)
    if method is None:
        raise ExpressionError(f"{kind_of(value)} has no method '{name}'")
    return method(evaluation, value, *arguments, **named)


def keys(evaluation: Evaluation, mapping: dict[str, Json]) -> list[str]:
    evaluation.spend_elements(len(mapping))
    return list(mapping)


def values(evaluation: Evaluation, mapping: dict[str, Json]) -> list[Json]:
    evaluation.spend_elements(len(mapping))
    return list(mapping.values())


def items(evaluation: Evaluation, mapping: dict[str, Json]) -> list[list[Json]]:
    """Lists of key and value."""
    evaluation.spend_elements(3 * len(mapping))
    return [[key, value] for key, value in mapping.items()]


def get(evaluation: Evaluation, mapping: dict[str, Json], key: Json, default: Json = None) -> Json:
    return mapping.get(key, default) if type(key) is str else default


def index(evaluation: Evaluation, elements: list[Json], item: Json) -> int:
    charge_search(evaluation, elements, item)
    if item not in elements:
        raise ExpressionError("index() has not found what it was given")
    return elements.index(item)


def count(evaluation: Evaluation, elements: list[Json], item: Json) -> int:
    charge_search(evaluation, elements, item)
    return elements.count(item)


METHODS: dict[type, dict[str, Function]] = {
    str: functions(
        "method",
        {
            "capitalize": text.capitalize,
            "casefold": text.casefold,
            "center": text.center,
            "count": text.count,
            "endswith": text.endswith,
            "find": text.find,
            "index": text.index,
            "isalnum": text.isalnum,
            "isalpha": text.isalpha,
            "isdigit": text.isdigit,
            "islower": text.islower,
            "isspace": text.isspace,
            "isupper": text.isupper,
            "join": text.join,
            "ljust": text.ljust,
            "lower": text.lower,
            "lstrip": text.lstrip,
            "removeprefix": text.removeprefix,
            "removesuffix": text.removesuffix,
            "replace": text.replace,
            "rjust": text.rjust,
            "rstrip": text.rstrip,
            "split": text.split,
            "splitlines": text.splitlines,
            "startswith": text.startswith,
            "strip": text.strip,
            "title": text.title,
            "upper": text.upper,
            "zfill": text.zfill,
        },
    ),
    list: functions("method", {"count": count, "index": index}),
    dict: functions("method", {"get": get, "items": items, "keys": keys, "values": values}),
}

# Methods that two types share take the same arguments, so that a call can be checked when it is
# compiled, before the type is known.
METHODS_BY_NAME: dict[str, Function] = {
    name: method for methods in METHODS.values() for name, method in methods.items()
}
