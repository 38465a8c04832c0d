"""Strict JSON at the door."""

from __future__ import annotations

import enum
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.errors import NotJson
from engine.json_values import decode_json, encode_json


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**200, 1.5, "ü", [], {}, {"a": [1, {"b": None}]}],
)
def test_json_values_come_back_as_they_went_in(value: Any) -> None:
    assert decode_json(encode_json(value)) == value


def test_tuples_enums_and_mappings_become_what_json_has() -> None:
    value = {"pair": (1, 2), "colour": Colour.RED, "map": OrderedDict(a=1)}
    assert decode_json(encode_json(value)) == {"pair": [1, 2], "colour": "red", "map": {"a": 1}}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"items": [1, {"when": datetime.now(UTC)}]}, "$.items[1].when is of type datetime"),
        ([float("nan")], "$[0] is nan"),
        ({"x": float("inf")}, "$.x is inf"),
        ({1: 2}, "$ has the key 1"),
        ({"tags": {"a", "b"}}, "$.tags is of type set"),
        (b"bytes", "$ is of type bytes"),
        (object(), "$ is of type object"),
        ("\ud800", "surrogates"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode_json(value, "the value on port 'out'")
    assert place in str(caught.value)
    assert str(caught.value).startswith("the value on port 'out' is not JSON")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotJson, match="contains itself"):
        encode_json(loop)
