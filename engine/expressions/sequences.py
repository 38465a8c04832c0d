"""Filters over lists; a mapping counts as its keys and a string as its characters.

Names, parameters and results are Jinja2's, except that everything is a list (Jinja2 has iterators
and tuples) and that `attribute` is a path into data, never a Python attribute.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import ExpressionError
from engine.expressions import methods, text
from engine.expressions.evaluation import Evaluation
from engine.expressions.missing import UNNAMED, absent, follow, require
from engine.expressions.operators import add
from engine.expressions.scope import Json
from engine.expressions.values import (
    as_integer,
    elements_of,
    is_number,
    json_text,
    refuse,
    text_of,
)


def attributes(evaluation: Evaluation, elements: list[Json], attribute: Json) -> list[Json]:
    """`attribute` of each element: a key, a path "a.b", or a position. May hold Missing values."""
    if type(attribute) is str:
        evaluation.spend_elements(len(attribute))
        path: list[Json] = [int(k) if k.isdecimal() else k for k in attribute.split(".")]
    elif type(attribute) is int:
        path = [attribute]
    else:
        refuse("an attribute is a string or an integer", attribute)
    evaluation.spend_elements(len(elements))
    evaluation.spend_walk(len(elements) * len(path))
    return [follow(UNNAMED, elements, (place, *path)) for place in range(len(elements))]


def _required_attributes(
    evaluation: Evaluation, elements: list[Json], attribute: Json
) -> list[Json]:
    if attribute is None:
        return elements
    found = attributes(evaluation, elements, attribute)
    require(*found)
    return found


def _sort_keys(evaluation: Evaluation, keys: list[Json], case_sensitive: Json) -> list[Json]:
    """Keys that can be ordered: all numbers, or all strings (in lower case unless told not to)."""
    if all(map(is_number, keys)):
        return keys
    for key in keys:
        if type(key) is not str:
            refuse("only numbers, or only strings, have an order", *keys[:2])
        evaluation.spend(len(key))
    return keys if case_sensitive else [key.lower() for key in keys]


def length(evaluation: Evaluation, value: Json) -> int:
    if type(value) not in (str, list, dict):
        refuse("only a list, a mapping or a string has a length", value)
    return len(value)


def first(evaluation: Evaluation, value: Json) -> Json:
    """Missing if there is none, so that `default` can follow."""
    if type(value) is dict:
        return next(iter(value), absent("first is missing: the mapping is empty"))
    return _at(value, 0, "first")


def last(evaluation: Evaluation, value: Json) -> Json:
    if type(value) is dict:
        return next(reversed(value), absent("last is missing: the mapping is empty"))
    return _at(value, -1, "last")


def _at(value: Json, position: int, name: str) -> Json:
    if type(value) not in (list, str):
        refuse(f"{name} takes a list, a mapping or a string", value)
    return value[position] if value else absent(f"{name} is missing: there are no elements")


def to_list(evaluation: Evaluation, value: Json) -> list[Json]:
    return list(elements_of(evaluation, value))


def reverse(evaluation: Evaluation, value: Json) -> Json:
    if type(value) is str:
        evaluation.spend(len(value))
        return value[::-1]
    return elements_of(evaluation, value)[::-1]


def sort(
    evaluation: Evaluation,
    value: Json,
    reverse: Json = False,
    case_sensitive: Json = False,
    attribute: Json = None,
) -> list[Json]:
    elements = elements_of(evaluation, value)
    found = _required_attributes(evaluation, elements, attribute)
    keys = _sort_keys(evaluation, found, case_sensitive)
    evaluation.spend_elements(2 * len(elements))
    order = sorted(range(len(elements)), key=keys.__getitem__, reverse=bool(reverse))
    return [elements[place] for place in order]


def unique(
    evaluation: Evaluation, value: Json, case_sensitive: Json = False, attribute: Json = None
) -> list[Json]:
    """The first of each; containers are the same if their JSON text is."""
    elements = elements_of(evaluation, value)
    found = _required_attributes(evaluation, elements, attribute)
    evaluation.spend_elements(2 * len(elements))
    firsts: dict[Json, Json] = {}
    for element, key in zip(elements, found, strict=True):
        if type(key) is str:
            evaluation.spend(len(key))
            firsts.setdefault(key if case_sensitive else key.lower(), element)
        elif type(key) in (list, dict):
            firsts.setdefault((type(key), json_text(evaluation, key)), element)
        else:
            firsts.setdefault(key, element)
    return list(firsts.values())


def join(evaluation: Evaluation, value: Json, d: Json = "", attribute: Json = None) -> str:
    items = _required_attributes(evaluation, elements_of(evaluation, value), attribute)
    return text.join(evaluation, text_of(evaluation, d), items)


def total(evaluation: Evaluation, value: Json, attribute: Json = None, start: Json = 0) -> Json:
    result = start
    for item in _required_attributes(evaluation, elements_of(evaluation, value), attribute):
        if not (is_number(result) and is_number(item)):
            refuse("sum takes numbers", result, item)
        result = add(evaluation, result, item)
    return result


def smallest(
    evaluation: Evaluation, value: Json, case_sensitive: Json = False, attribute: Json = None
) -> Json:
    return _extreme(evaluation, value, case_sensitive, attribute, min)


def largest(
    evaluation: Evaluation, value: Json, case_sensitive: Json = False, attribute: Json = None
) -> Json:
    return _extreme(evaluation, value, case_sensitive, attribute, max)


def _extreme(
    evaluation: Evaluation,
    value: Json,
    case_sensitive: Json,
    attribute: Json,
    choose: Callable[..., int],
) -> Json:
    elements = elements_of(evaluation, value)
    if not elements:
        return absent("min and max are missing: there are no elements")
    found = _required_attributes(evaluation, elements, attribute)
    keys = _sort_keys(evaluation, found, case_sensitive)
    return elements[choose(range(len(elements)), key=keys.__getitem__)]


def items(evaluation: Evaluation, value: Json) -> list[list[Json]]:
    if type(value) is not dict:
        refuse("items takes a mapping", value)
    return methods.items(evaluation, value)


def sorted_items(
    evaluation: Evaluation,
    value: Json,
    case_sensitive: Json = False,
    by: Json = "key",
    reverse: Json = False,
) -> list[Json]:
    """Pairs of key and value, ordered by one of them."""
    if by not in ("key", "value"):
        raise ExpressionError("dictsort orders by key or value")
    position = ("key", "value").index(by)
    return sort(evaluation, items(evaluation, value), reverse, case_sensitive, position)


def batch(
    evaluation: Evaluation, value: Json, linecount: Json, fill_with: Json = None
) -> list[list[Json]]:
    """Lists of `linecount` elements; the last is filled up if there is something to fill with."""
    size = as_integer(linecount, "the size of a batch")
    if size < 1:
        raise ExpressionError("the size of a batch is 1 at least")
    elements = elements_of(evaluation, value)
    evaluation.spend_elements(2 * len(elements) + (0 if fill_with is None else size))
    batches = [elements[place : place + size] for place in range(0, len(elements), size)]
    if batches and fill_with is not None:
        batches[-1] += [fill_with] * (size - len(batches[-1]))
    return batches


def slices(
    evaluation: Evaluation, value: Json, slices: Json, fill_with: Json = None
) -> list[list[Json]]:
    """So many lists of nearly equal length; the shorter ones are filled up as in `batch`."""
    number = as_integer(slices, "the number of slices")
    if number < 1:
        raise ExpressionError("the number of slices is 1 at least")
    elements = elements_of(evaluation, value)
    evaluation.spend_elements(3 * number + len(elements))
    size, longer = divmod(len(elements), number)
    result: list[list[Json]] = []
    start = 0
    for place in range(number):
        end = start + size + (place < longer)
        filler = [fill_with] if longer and place >= longer and fill_with is not None else []
        result.append(elements[start:end] + filler)
        start = end
    return result
