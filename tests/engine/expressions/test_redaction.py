"""Secrets do not leave: not as they are, not escaped, not in keys, not in part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.expressions import redact

SECRET = 'hunter"22\\é\n'


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("the secret is s3cret!", "the secret is ***!"),
        ("s3crets3cret", "******"),
        ("nothing here", "nothing here"),
        ({"a": ["s3cret", {"b": "x s3cret y"}]}, {"a": ["***", {"b": "x *** y"}]}),
        ({"s3cret": 1, "k-s3cret": 2}, {"***": 1, "k-***": 2}),
        ([1, 1.5, None, True], [1, 1.5, None, True]),
        (7, 7),
        ("", ""),
    ],
)
def test_every_string_of_a_value_is_redacted(value: Any, result: Any) -> None:
    assert redact(value, ["s3cret"]) == result


def test_the_json_escaped_forms_are_redacted() -> None:
    for ascii_only in (True, False):
        text = json.dumps({"token": SECRET}, ensure_ascii=ascii_only)
        assert redact(text, [SECRET]) == '{"token": "***"}'
        assert redact([text], [SECRET]) == ['{"token": "***"}']


def test_keys_that_become_equal_are_told_apart() -> None:
    assert redact({"aaaa": 1, "bbbb": 2, "***": 3}, ["aaaa", "bbbb"]) == {
        "***": 1,
        "****": 2,
        "*****": 3,
    }


@pytest.mark.parametrize(
    ("text", "secrets", "result"),
    [
        ("x abcdefgh y", ["abcdef", "efgh"], "x *** y"),
        ("x abcdefgh y", ["abcd", "abcdefgh"], "x *** y"),
        ("x abcdefgh y", ["bcde", "abcdefgh"], "x *** y"),
        ("ababab!", ["abab"], "***!"),
        ("a.c+ abc+", ["a.c+"], "*** abc+"),
    ],
)
def test_overlapping_secrets_leave_nothing_standing(
    text: str, secrets: list[str], result: str
) -> None:
    assert redact(text, secrets) == result


@pytest.mark.parametrize("secrets", [[], ["abc"], [""], ["a", "12"]])
def test_secrets_too_short_to_matter_are_ignored(secrets: list[str]) -> None:
    value = {"abc": ["abc 12"]}
    assert redact(value, secrets) is value


def test_the_original_is_not_changed() -> None:
    value = {"k-s3cret": ["s3cret", {"a": "s3cret"}]}
    redact(value, {"s3cret"})
    assert value == {"k-s3cret": ["s3cret", {"a": "s3cret"}]}


def test_a_value_of_any_depth_is_redacted() -> None:
    value: Any = "s3cret"
    for _ in range(5000):
        value = [value]
    result = redact(value, ["s3cret"])
    while isinstance(result, list):
        [result] = result
    assert result == "***"
