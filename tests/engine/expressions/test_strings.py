"""Where expressions begin and end in a string, and what the string becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import compile_value

Render = Callable[..., Any]


@pytest.mark.parametrize(
    "value", [4, 1.5, True, None, "text", [1, [2]], {"a": {"b": None}}, [], {}, ""]
)
def test_a_string_that_is_one_expression_keeps_the_type(render: Render, value: Any) -> None:
    for text in ("{{ input.x }}", "{{input.x}}", "{{\n  input\n    .x\n}}"):
        result = render(text, input={"x": value})
        assert result == value
        assert type(result) is type(value)


@pytest.mark.parametrize(
    "text", [" {{ input }}", "{{ input }} ", "{{ input }}\n", "{{input}}{{''}}"]
)
def test_anything_outside_the_braces_makes_a_string_mixed(render: Render, text: str) -> None:
    assert render(text, input=4).strip() == "4"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (1.5, "1.5"),
        ("é", "é"),
        ([1, "é", None], '[1,"é",null]'),
        ({"a": [True]}, '{"a":[true]}'),
    ],
)
def test_a_mixed_string_writes_values_as_text(render: Render, value: Any, text: str) -> None:
    assert render("<{{ input }}>", input=value) == f"<{text}>"
    assert render("{{ '<' ~ input ~ '>' }}", input=value) == f"<{text}>"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ 1 }} and {{ 2 }}", "1 and 2"),
        ("{{ 1 }}{{ 2 }}", "12"),
        ("{{ '}}' }}", "}}"),
        ("{{ \"}}\" ~ '{{' }}", "}}{{"),
        (r"{{ 'it\'s }}' }}", "it's }}"),
        ("{{ {'a': {'b': {}}}}}", {"a": {"b": {}}}),
        ("{{{'a': 1}}}", {"a": 1}),
        ("{{ [{'a': 1}][0]['a'] }}", 1),
        ("a }} b", "a }} b"),
        ("{ {1} }", "{ {1} }"),
        ("{% raw %}{{ 1 }}{# no #}{% endraw %}", "{% raw %}1{# no #}{% endraw %}"),
        ("{% for %}", "{% for %}"),
        ("{# {{ 1 }} #}", "{# 1 #}"),
        ("line\n{{ 1 }}\n", "line\n1\n"),
    ],
)
def test_only_double_braces_are_special(render: Render, text: str, result: Any) -> None:
    assert render(text) == result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{", "'{{' at line 1, column 1 is not closed"),
        ("one\ntwo {{ input", "'{{' at line 2, column 5 is not closed"),
        ("{{ input }", "unexpected '}' at line 1, column 10"),
        ("ab {{ }}", "empty expression '{{ }}' at line 1, column 4"),
        ("{{}}", "empty expression '{{ }}' at line 1, column 1"),
        ("{{ 'a }}", "string literal at line 1, column 4 is not closed"),
        ("{{ (1] }}", "unexpected ']' at line 1, column 6"),
        ("{{ 1 + }}", "syntax error"),
        ("{{ 1 2 }}", "syntax error: unexpected '2'"),
        ("{{ 1, 2 }}", "syntax error: unexpected ','"),
        ("{{- 1 -}}", "syntax error"),
        ("{{ x = 1 }}", "syntax error"),
        ("{{ [i for i in input] }}", "syntax error"),
        ("{{ 1 # comment }}", "syntax error"),
    ],
)
def test_a_malformed_expression_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value(text)
    assert words in str(caught.value)


def test_mapping_keys_are_not_expressions(render: Render) -> None:
    assert render({"{{ 1 }}": "{{ 1 }}", "{{": 2}) == {"{{ 1 }}": 1, "{{": 2}


def test_expressions_are_found_at_any_place_of_a_value(render: Render) -> None:
    value = {"a": ["{{ input }}", {"b": "x{{ input }}"}, 3], "c": {"d": [1]}, "e": None}
    assert render(value, input=2) == {"a": [2, {"b": "x2"}, 3], "c": {"d": [1]}, "e": None}


def test_the_text_of_an_expression_is_limited() -> None:
    compile_value("{{ '" + "a" * 8000 + "' }}")
    with pytest.raises(ExpressionError, match="not closed within 8192 characters"):
        compile_value("{{ " + "1 + " * 3000 + "1 }}")
