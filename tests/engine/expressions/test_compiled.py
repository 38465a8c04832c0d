"""Compiling whole values: constants, problems with their places, caching, late imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import Names, Scope, check_value, compile_value


@pytest.mark.parametrize("value", [None, 1, "text", [], {"a": [1, "{% x %}", {"b": "}}"}]}])
def test_a_value_without_expressions_is_constant_and_renders_to_itself(value: Any) -> None:
    compiled = compile_value(value)
    assert compiled.constant
    assert compiled.names == Names()
    assert compiled.render(Scope()) is value


def test_parts_without_expressions_are_copied_so_that_nobody_can_change_the_definition() -> None:
    constant = {"a": [1]}
    compiled = compile_value({"constant": constant, "x": "{{ 1 }}"})
    assert not compiled.constant
    compiled.render(Scope())["constant"]["a"].append(2)
    assert compiled.render(Scope())["constant"] == {"a": [1]}


def test_a_constant_may_nest_as_deep_as_it_likes() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    assert compile_value(value).render(Scope()) is value


def test_expressions_may_nest_a_hundred_levels_deep() -> None:
    value: Any = "{{ 1 }}"
    for _ in range(100):
        value = {"a": value}
    compile_value(value)
    assert "nest deeper" in check_value([value])[0][1]


def test_check_value_has_every_problem_with_its_place() -> None:
    value = {
        "ok": "{{ input }}",
        "list": ["{{ foo }}", {"deep": "{{ 1 + }} {{ bar }}"}],
        "open": "a {{ b",
    }
    problems = check_value(value)
    assert [path for path, _ in problems] == [
        ("list", 0),
        ("list", 1, "deep"),
        ("list", 1, "deep"),
        ("open",),
    ]
    for (_, message), words in zip(
        problems,
        ("unknown name 'foo'", "syntax error", "unknown name 'bar'", "not closed"),
        strict=True,
    ):
        assert words in message


def test_check_value_finds_nothing_wrong_with_a_good_value() -> None:
    assert check_value({"a": ["{{ input.x }}", 1], "b": "x"}) == []


def test_compile_value_raises_the_first_problem_with_its_place() -> None:
    with pytest.raises(ExpressionError, match=r"^list\[1\]\.deep: \{\{ foo \}\}: unknown name"):
        compile_value({"list": [1, {"deep": "{{ foo }}"}], "z": "{{ bar }}"})


def test_a_compiled_value_can_be_rendered_again_with_another_scope() -> None:
    compiled = compile_value(["{{ input }}", "{{ input * 2 }}"])
    assert compiled.render(Scope(input=1)) == [1, 2]
    assert compiled.render(Scope(input=3)) == [3, 6]
    with pytest.raises(ExpressionError):
        compiled.render(Scope(input=None))
    assert compiled.render(Scope(input=4)) == [4, 8]


def test_equal_expressions_are_compiled_once() -> None:
    from engine.expressions.expression import compile_expression

    compile_expression.cache_clear()
    compile_value(["{{ input.once }}", "x {{ input.once }}"])
    compile_value({"a": "{{ input.once }}"})
    assert compile_expression.cache_info().misses == 1


def test_jinja2_is_imported_with_the_first_expression_and_not_before() -> None:
    program = (
        "import sys\n"
        "from engine.expressions import Scope, check_value, compile_value, redact\n"
        "compile_value({'a': [1, 'text']}).render(Scope()); check_value(['x'])\n"
        "redact({'a': 'secret'}, ['secret'])\n"
        "assert 'jinja2' not in sys.modules\n"
        "assert compile_value('{{ 1 + 1 }}').render(Scope()) == 2\n"
        "assert 'jinja2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_long_expressions_are_shortened_in_messages() -> None:
    [(_, message)] = check_value("{{ " + "1 + " * 1000 + "foo }}")
    assert len(message) < 500
